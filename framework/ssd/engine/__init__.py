"""The simulation itself: the bus arbiter, open and closed loops, queues, invariants."""

"""Plain networks, and their training."""

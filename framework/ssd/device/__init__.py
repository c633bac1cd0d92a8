"""A device: geometry, timing, energy, and designs by name."""

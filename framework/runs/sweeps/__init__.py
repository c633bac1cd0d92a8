"""Sweeps over settings and seeds, in processes or on Ray."""

"""Readers of data frames, edge lists and files of fitted results."""

from framework.causal.io.frames import from_array, from_frame, is_frame

__all__ = ["from_array", "from_frame", "is_frame"]

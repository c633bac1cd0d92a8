"""Readers of data frames, edge lists and files of fitted results."""

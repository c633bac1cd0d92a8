"""Shared foundations: types, random keys, chunked scans, devices, checks, precision, curvature, convolutions."""

from framework.core.chunked_scan import advance, chunks
from framework.core.types import Batch, Key, Loss, Metrics, Params, Step

__all__ = [
    "Batch",
    "Key",
    "Loss",
    "Metrics",
    "Params",
    "Step",
    "advance",
    "chunks",
]

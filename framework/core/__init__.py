"""What every room may use: types, key streams, the chunked scan, many devices, curvature, and convolutions in loops."""

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

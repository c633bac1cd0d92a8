"""What every room may use: types, key streams, the chunked scan and curvature."""

from framework.core import curvature, keys
from framework.core.chunks import advance, chunks
from framework.core.types import Batch, Key, Loss, Metrics, Params, Step

__all__ = ["Batch", "Key", "Loss", "Metrics", "Params", "Step", "advance", "chunks", "curvature", "keys"]

"""Spiking networks with a choice of neural codes, by conversion from a DNN or by surrogate-gradient training.

A network is a tuple of layers of `snn.layers`; `init` makes its parameters. `forward` runs it as a DNN. `convert`
turns a trained DNN into a `SpikingNetwork` with the codes of `neurons.coding`, which `simulate` and `predict` run.
`unroll` trains the layers with the units of `neurons.models` or `neurons.coding`; a `TrainedNetwork` holds the result.
`save`, `load` and `to_nir` store and export both.

Arrays over time are time-major, `[T, B, ...]`. Neurons and codes fire at and above their threshold.

Reference: Park et al., arXiv 1809.03142; Neftci, Mostafa and Zenke, arXiv 1901.09948.
"""

from framework.snn.conversion.flax_import import from_flax
from framework.snn.conversion.normalization import SpikingNetwork, convert
from framework.snn.conversion.simulation import predict, simulate
from framework.snn.network import forward, init, unroll
from framework.snn.nir.export import to_nir
from framework.snn.saved import load, save
from framework.snn.trained import TrainedNetwork

__all__ = [
    "SpikingNetwork",
    "TrainedNetwork",
    "convert",
    "forward",
    "from_flax",
    "init",
    "load",
    "predict",
    "save",
    "simulate",
    "to_nir",
    "unroll",
]

"""Spiking networks whose layers' neural code is a choice: by conversion from a DNN, or by surrogate gradient.

A network is a tuple of layers of `layer`; its parameters are those of `init`. It runs as a DNN by `forward`; converted
by `convert` it spikes by `run`, `observe` and `predict`, in the codes of `coding`; with a unit of `neuron` or `coding`
in its layers it is trained directly, through `unroll`, and is then a `Trained`. `save`, `load` and `to_nir` keep it.

Arrays over time are time-major, `[T, B, ...]`. Neurons and codes fire at and above their threshold.

Reference: Park et al., arXiv 1809.03142; Neftci, Mostafa and Zenke, arXiv 1901.09948.
"""

from framework.snn.conversion.fidelity import layer_errors
from framework.snn.conversion.flax_import import from_flax
from framework.snn.conversion.normalization import Spiking, convert, fold_norms
from framework.snn.conversion.simulation import observe, predict, run
from framework.snn.network import forward, init, unroll
from framework.snn.nir.export import to_nir
from framework.snn.saved import load, save
from framework.snn.trained import Trained

__all__ = [
    "Spiking",
    "Trained",
    "convert",
    "fold_norms",
    "forward",
    "from_flax",
    "init",
    "layer_errors",
    "load",
    "observe",
    "predict",
    "run",
    "save",
    "to_nir",
    "unroll",
]

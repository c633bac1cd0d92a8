"""What an answer of a spiking network costs: spikes by two definitions, synaptic operations, energy.

    spikes       all neurons and max pools, as the paper counts them; skips that are the identity add nothing
    neurons      the same without max pools, which fire nothing of their own
    synops       additions: each spike times the synapses that it reaches, fewer at the borders of images
    macs         multiplications of the stem, whose input is real: once an image, at every step of a recording

An identity in a residual block is one synapse a spike; a max pool costs comparisons, which are not counted.

Reference: Na et al., arXiv 2201.12738, section 6.1; `snn.energy` for the prices.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.core.types import Params
from framework.nas.autosnn import network as chain
from framework.nas.autosnn.blocks import Branch, Reduce
from framework.nas.autosnn.network import Network
from framework.snn import layers as described
from framework.snn.meters import energy, synops

VOTE = 1  # additions a spike of the last layer: its class counts it


class Costs(NamedTuple):
    """Means over images, of all steps."""

    spikes: float
    neurons: float
    synops: float
    macs: float
    energy_nj: float  # of additions and multiplications, 45 nm
    energy_with_memory_nj: float  # and of reads and writes, nothing reused


def costs(of: Network, params: Params, state: Params, images: Any) -> Costs:
    """What the network spends on an image.

    Args:
      of: the network.
      params, state: of its training.
      images: as `Network.apply` takes them; all at once, at least 1.

    Raises:
      ValueError: if there is no image, or images have another shape.
    """
    if not len(images):
        raise ValueError("costs are means over images: at least 1 is wanted, got none")
    spikes, neurons, operations, updates = (float(each) for each in _counted(of, params, state, jnp.asarray(images)))
    steps = np.shape(images)[1] if np.ndim(images) == 5 else 1
    macs = float(synops.fan_out(of.blocks[0].units[0].branches[0].layers[0], of.image).sum()) * steps
    arithmetic = energy.arithmetic_energy(operations, macs)
    memory = energy.memory_energy(operations + macs, updates)
    return Costs(spikes, neurons, operations, macs, arithmetic / 1e3, (arithmetic + memory) / 1e3)


@partial(jax.jit, static_argnames="of")
def _counted(of: Network, params: Params, state: Params, images: jax.Array) -> tuple[jax.Array, ...]:
    """Means over the images: spikes, those of neurons, synaptic operations, updates of membranes."""
    x, spikes, neurons, operations, updates = chain.begin(of.image, images), 0, 0, 0, 0
    batch, shapes = len(images), of.shapes()
    for place, (block, own, running) in enumerate(zip(of.blocks, params, state, strict=True)):
        outputs, counts, _ = chain.walk_block(block, own, running, x, of.dynamics)
        seen = chain.unit_shapes(block, shapes[place])
        for u, unit in enumerate(block.units):
            spikes += counts[u].mean()
            if unit.fires:
                neurons += counts[u].mean()
                updates += outputs[u + 1].size / batch
            for branch in unit.branches:
                if place or branch.source:  # the first unit's input is no spike
                    operations += jnp.sum(outputs[branch.source] * _reached(branch, seen[branch.source])) / batch
        x = outputs[-1]
    return spikes, neurons, operations + VOTE * x.sum() / batch, jnp.asarray(updates)


def _reached(branch: Branch, shape: tuple[int, ...]) -> np.ndarray:
    """Synapses that each spike of a branch's source reaches."""
    if not branch.layers:
        return np.ones(shape)
    first = branch.layers[0]
    if isinstance(first, Reduce):
        return _reduced(first, shape)
    if isinstance(first, described.Pool):
        return synops.fan_out(first, shape) * (first.kind == "average")
    if isinstance(first, described.Flatten):
        return synops.fan_out(branch.layers[1], (int(np.prod(shape)),)).reshape(shape)
    return synops.fan_out(first, shape)


def _reduced(of: Reduce, shape: tuple[int, ...]) -> np.ndarray:
    """Half the channels read the pixels of even rows and columns, half those of odd ones."""
    rows, columns = (np.arange(side) for side in shape[:2])
    whole = np.outer(rows < shape[0] // 2 * 2, columns < shape[1] // 2 * 2)
    read = whole & (np.add.outer(rows, columns) % 2 == 0)
    return np.broadcast_to(read[..., None] * (of.features // 2), shape)

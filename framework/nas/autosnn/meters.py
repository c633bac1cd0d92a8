"""Costs of a spiking network's inference: spikes by two definitions, synaptic operations, energy.

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


def costs(network: Network, params: Params, state: Params, images: Any) -> Costs:
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
    spikes, neurons, operations, updates = (
        float(total) for total in _count_operations(network, params, state, jnp.asarray(images))
    )
    steps = np.shape(images)[1] if np.ndim(images) == 5 else 1
    macs = float(synops.fan_out(network.blocks[0].units[0].branches[0].layers[0], network.image).sum()) * steps
    arithmetic = energy.arithmetic_energy(operations, macs)
    memory = energy.memory_energy(operations + macs, updates)
    return Costs(spikes, neurons, operations, macs, arithmetic / 1e3, (arithmetic + memory) / 1e3)


@partial(jax.jit, static_argnames="network")
def _count_operations(network: Network, params: Params, state: Params, images: jax.Array) -> tuple[jax.Array, ...]:
    """Means over the images: spikes, those of neurons, synaptic operations, updates of membranes."""
    x, spikes, neurons, operations, updates = chain.begin(network.image, images), 0, 0, 0, 0
    batch, shapes = len(images), network.shapes()
    for index, (block, block_params, running) in enumerate(zip(network.blocks, params, state, strict=True)):
        outputs, counts, _ = chain.walk_block(block, block_params, running, x, network.dynamics)
        unit_shapes = chain.unit_shapes(block, shapes[index])
        for u, unit in enumerate(block.units):
            spikes += counts[u].mean()
            if unit.fires:
                neurons += counts[u].mean()
                updates += outputs[u + 1].size / batch
            for branch in unit.branches:
                if index or branch.source:  # the first unit's input is no spike
                    operations += jnp.sum(outputs[branch.source] * _fan_out(branch, unit_shapes[branch.source])) / batch
        x = outputs[-1]
    return spikes, neurons, operations + VOTE * x.sum() / batch, jnp.asarray(updates)


def _fan_out(branch: Branch, shape: tuple[int, ...]) -> np.ndarray:
    """Synapses that each spike of a branch's source reaches."""
    if not branch.layers:
        return np.ones(shape)
    first = branch.layers[0]
    if isinstance(first, Reduce):
        return _fan_out_of_reduction(first, shape)
    if isinstance(first, described.Pool):
        return synops.fan_out(first, shape) * (first.kind == "average")
    if isinstance(first, described.Flatten):
        return synops.fan_out(branch.layers[1], (int(np.prod(shape)),)).reshape(shape)
    return synops.fan_out(first, shape)


def _fan_out_of_reduction(reduction: Reduce, shape: tuple[int, ...]) -> np.ndarray:
    """Half the channels read the pixels of even rows and columns, half those of odd ones."""
    rows, columns = (np.arange(side) for side in shape[:2])
    whole = np.outer(rows < shape[0] // 2 * 2, columns < shape[1] // 2 * 2)
    read = whole & (np.add.outer(rows, columns) % 2 == 0)
    return np.broadcast_to(read[..., None] * (reduction.features // 2), shape)

"""A one-shot supernet: the weights of all architectures of a space, of which each step trains one.

One compiled program serves every architecture: `lax.switch` chooses among a slot's candidates by a traced number.
A `vmap` over architectures would compute every candidate; loop over them by `lax.map`.

Reference: Na et al., arXiv 2201.12738, section 5; Guo et al., "Single path one-shot neural architecture search with
uniform sampling", arXiv 1904.00420.
"""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from framework.core.types import Key, Params
from framework.nas.autosnn import network as chain
from framework.nas.autosnn.network import Outputs
from framework.nas.autosnn.space import Slot, Space, check


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Supernet:
    """The weights of every candidate in every slot."""

    params: Params  # an entry a place: of a block, or in a slot a tuple of one a candidate
    state: Params  # batch statistics, likewise
    spikes: jax.Array  # [], mean spikes an image of the architectures that the last epoch has trained
    space: Space = dataclasses.field(metadata={"static": True})


def init(key: Key, space: Space) -> tuple[Params, Params]:
    """Parameters and batch statistics of all candidates."""
    shape, params, state = tuple(space.image), [], []
    for position in space.places:
        candidates = position.candidates if isinstance(position, Slot) else (position,)
        made = [chain.init_block(block, shape, space.dynamics) for block in candidates]
        for into, part in zip((params, state), zip(*made, strict=True), strict=True):
            into.append(part if isinstance(position, Slot) else part[0])
        shape = chain.unit_shapes(candidates[-1], shape)[-1]
    return chain.sample_params(key, tuple(params)), tuple(state)


def apply(
    space: Space, params: Params, state: Params, architecture: jax.Array, images: jax.Array, train: bool = False
) -> tuple[Outputs, Params]:
    """What one architecture answers with the shared weights; those of others stay as they are.

    Args:
      of: the space.
      params, state: of `init`.
      architecture: `[slots]` integers; may be traced.
      images: as `Network.apply` takes them.
      train: likewise.
    """
    x, counts, new_stats, slot = chain.begin(space.image, images), [], [], 0
    for position, block_params, running in zip(space.places, params, state, strict=True):
        if isinstance(position, Slot):
            x, count, after = run_slot(space, position, architecture[slot], block_params, running, x, train)
            slot += 1
        else:
            x, count, after = chain.run_block(position, block_params, running, x, space.dynamics, train)
        counts.append(count)
        new_stats.append(after)
    return Outputs(chain.votes(x, space.classes), jnp.stack(counts, axis=-1)), tuple(new_stats)


def run_slot(space: Space, slot: Slot, choice: jax.Array, params: Params, state: Params, x: jax.Array, train: bool):
    """The chosen candidate of a slot over all steps, as `run_block`."""

    def branch(c, params, state, x):
        y, count, after = chain.run_block(slot.candidates[c], params[c], state[c], x, space.dynamics, train)
        return y, count, (*state[:c], after, *state[c + 1 :])

    branches = [partial(branch, c) for c in range(len(slot.candidates))]
    return lax.switch(choice, branches, params, state, x)


def inherit(supernet: Supernet, architecture: Any) -> tuple[Params, Params]:
    """The weights and batch statistics of one architecture, as its `Network` takes them.

    Raises:
      ValueError: if it lies outside the space.
    """
    choices = iter(check(supernet.space, architecture))
    chosen = [next(choices) if isinstance(position, Slot) else None for position in supernet.space.places]
    pick = lambda tree: tuple(leaves if c is None else leaves[c] for leaves, c in zip(tree, chosen, strict=True))
    return pick(supernet.params), pick(supernet.state)

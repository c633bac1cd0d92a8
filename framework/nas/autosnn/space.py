"""Spaces of spiking networks: a fixed backbone with slots, and in each slot one of several candidate blocks.

An architecture is an array of integers, one a slot: the place of the chosen block among the candidates. Its index
counts in the base of the candidates, the first slot being the least significant digit, as in the authors' program.

Reference: Na et al., arXiv 2201.12738, section 4.
"""

import dataclasses
import numbers
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from framework.core.tracing import is_traced
from framework.nas.autosnn import blocks
from framework.nas.autosnn.blocks import Block
from framework.nas.autosnn.network import VOTES, Dynamics, Network

MAX, AVERAGE = "max", "average"
# by macro-architecture: slots (times the stem's channels, stride) and pools; whether a global average stands at the end
MACROS = {
    "short": (((1, 1), MAX, (2, 1), MAX, (4, 1), MAX), False),
    "SNN_1": (((1, 1), MAX, (2, 1), (2, 1), MAX, (4, 1), (4, 1), MAX), False),
    "SNN_2": (((1, 1), MAX, (2, 1), (2, 1), MAX, (4, 1), (4, 1), MAX), True),
    "SNN_3": (((1, 1), (2, 2), (2, 1), (2, 1), (4, 2), (4, 1), (4, 1), (8, 2)), False),
    "SNN_4": (((1, 1), AVERAGE, (2, 1), (2, 1), AVERAGE, (4, 1), (4, 1), AVERAGE), False),
}
STEMS = ("plain", "pooled", "events")


@dataclasses.dataclass(frozen=True)
class Slot:
    """A place whose block is to be chosen."""

    candidates: tuple[Block, ...]


@dataclasses.dataclass(frozen=True)
class Space:
    """A backbone and its candidates; hashable, static under `jit`."""

    places: tuple[Block | Slot, ...]
    candidates: tuple[str, ...]
    image: tuple[int, int, int]
    classes: int
    dynamics: Dynamics

    @property
    def slots(self) -> int:
        return sum(isinstance(position, Slot) for position in self.places)

    @property
    def size(self) -> int:
        """How many architectures there are."""
        return len(self.candidates) ** self.slots

    @property
    def cuts(self) -> tuple[int, ...]:
        """Slots before each place at which a crossover may cut; pools count as places, as in the authors' program."""
        first = next(i for i, position in enumerate(self.places) if isinstance(position, Slot))
        last = max(i for i, position in enumerate(self.places) if isinstance(position, Slot) or "pool" in position.name)
        inner = self.places[first : last + 1]
        return tuple(sum(isinstance(position, Slot) for position in inner[:cut]) for cut in range(1, len(inner)))

    def architecture(self, index: Any) -> jax.Array:
        """`[...]` indices to `[..., slots]` choices.

        Raises:
          ValueError: if an index is none of `size`.
        """
        _require_within(index, self.size, "an index")
        base = len(self.candidates)
        return jnp.asarray(index)[..., None] // base ** jnp.arange(self.slots) % base

    def index(self, architecture: Any) -> jax.Array:
        """`[..., slots]` choices to `[...]` indices.

        Raises:
          ValueError: if there is another number of choices than slots, or one is none of the candidates.
        """
        if not np.ndim(architecture) or np.shape(architecture)[-1] != self.slots:
            raise ValueError(f"an architecture has {self.slots} choices, got shape {np.shape(architecture)}")
        _require_within(architecture, len(self.candidates), "a choice")
        return jnp.asarray(architecture) @ (len(self.candidates) ** jnp.arange(self.slots))

    def block_names(self, architecture: Any) -> tuple[str, ...]:
        """The names of the chosen blocks."""
        return tuple(self.candidates[choice] for choice in check(self, architecture))


def search_space(
    channels: int = 16,
    image: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    *,
    macro: str = "SNN_1",
    candidates: Sequence[str] = blocks.CANDIDATES,
    stem: str | None = None,
    dynamics: Dynamics = Dynamics(),
) -> Space:
    """The paper's space, of any width and for any image.

    Args:
      channels: C of the stem; slots have C, 2C, 2C, 4C, 4C.
      image: (height, width, channels) of an image, or of one frame of a recording.
      classes: at least 2.
      macro: `SNN_1`, the searched backbone, with max pooling; `SNN_2`, with a global average at its end; `SNN_3`, eight
        slots, of which three have stride 2; `SNN_4`, with average pooling and a neuron behind each; `short`, ours,
        `SNN_1` with one slot a size.
      candidates: names of `spiking_blocks.candidate`.
      stem: `plain`, a convolution; `pooled`, then a pool and another convolution, for 64x64; `events`, then a further
        pool, for 128x128. By default what the height asks for.
      dynamics: steps of time, neuron, statistics of norms.

    Raises:
      ValueError: for numbers out of their range, an unknown name, or an image too small for the pools.

    Example:
      >>> from framework.nas import autosnn
      >>> space = autosnn.search_space(channels=4, image=(16, 16, 1))
      >>> space.slots, space.size
      (5, 3125)
      >>> space.block_names([0, 1, 2, 3, 4])
      ('skip_connect', 'SCB_k3', 'SCB_k5', 'SRB_k3', 'SRB_k5')

    Reference: arXiv 2201.12738, table 1 and figure 4.
    """
    image = tuple(image)
    if len(image) != 3 or not all(isinstance(size, numbers.Integral) and size >= 1 for size in (channels, *image)):
        raise ValueError(f"a space needs at least 1 channel and an image (h, w, c), got {channels} and {image}")
    if classes < 2:
        raise ValueError(f"classes must be at least 2, got {classes}")
    if macro not in MACROS:
        raise ValueError(f"macro must be one of {', '.join(MACROS)}, got {macro!r}")
    stem = stem or _stem_for(image[0])
    if stem not in STEMS:
        raise ValueError(f"stem must be one of {', '.join(STEMS)}, got {stem!r}")
    if not candidates or len(set(candidates)) < len(candidates):
        raise ValueError(f"candidates must be at least one, each named once, got {list(candidates)}")
    places = [*_stem(stem, channels, dynamics), *_body(macro, channels, tuple(candidates), dynamics)]
    places += _head(macro, places, image, classes, dynamics)
    space = Space(tuple(places), tuple(candidates), image, classes, dynamics)
    build_network(space, [0] * space.slots).shapes()
    return space


def build_network(space: Space, architecture: Any) -> Network:
    """One architecture as a network of its own.

    Args:
      of: the space.
      architecture: `[slots]` integers.

    Raises:
      ValueError: if it lies outside the space.
    """
    chosen = iter(check(space, architecture))
    chain = tuple(
        position.candidates[next(chosen)] if isinstance(position, Slot) else position for position in space.places
    )
    return Network(chain, space.image, space.classes, space.dynamics)


def check(space: Space, architecture: Any) -> tuple[int, ...]:
    """An architecture as plain integers.

    Raises:
      ValueError: if it lies outside the space.
    """
    choices = np.asarray(architecture)
    right = choices.shape == (space.slots,) and np.issubdtype(choices.dtype, np.integer)
    if not right or choices.min() < 0 or choices.max() >= len(space.candidates):
        requirement = f"{space.slots} integers from 0 to {len(space.candidates) - 1} ({', '.join(space.candidates)})"
        raise ValueError(f"an architecture of this space is {requirement}, got {np.asarray(architecture).tolist()}")
    return tuple(choices.tolist())


def _require_within(numbers: Any, count: int, what: str) -> None:
    """Whole numbers below `count`; of traced ones nothing is known."""
    if is_traced(numbers):
        return
    numbers = np.asarray(numbers)
    if numbers.dtype.kind not in "iu" or ((numbers < 0) | (numbers >= count)).any():
        raise ValueError(f"{what} of this space is a whole number from 0 to {count - 1:,}, got {numbers.tolist()}")


def _stem_for(height: int) -> str:
    return "events" if height >= 128 else "pooled" if height >= 64 else "plain"


def _stem(stem: str, channels: int, dynamics: Dynamics) -> list[Block]:
    convolution = blocks.convolution(channels, dynamics.statistics)
    return {
        "plain": [convolution],
        "pooled": [convolution, blocks.max_pool(), convolution],
        "events": [convolution, blocks.max_pool(), convolution, blocks.max_pool()],
    }[stem]


def _body(macro: str, channels: int, candidates: tuple[str, ...], dynamics: Dynamics) -> list[Block | Slot]:
    body, before = [], channels
    for position in MACROS[macro][0]:
        if position in (MAX, AVERAGE):
            body.append(blocks.max_pool() if position == MAX else blocks.average_pool())
            continue
        times, stride = position
        pair = (before, times * channels)
        body.append(Slot(tuple(blocks.candidate(name, pair, stride, dynamics.statistics) for name in candidates)))
        before = times * channels
    return body


def _head(macro: str, places: list[Block | Slot], image, classes: int, dynamics: Dynamics) -> list[Block]:
    dense = blocks.dense(VOTES * classes)
    if not MACROS[macro][1]:
        return [dense]
    chain = tuple(position.candidates[0] if isinstance(position, Slot) else position for position in places)
    height, width, _ = Network(chain, image, classes, dynamics).shapes()[-1]
    return [blocks.average_pool((height, width)), dense]

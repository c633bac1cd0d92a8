"""The exact scores of a whole space of spiking networks: every architecture, each shared beginning computed once.

A network takes its blocks one after the other, each over all steps, and spikes add up over blocks. Networks that begin
alike are alike up to there, so that the space is a tree: a slot's candidates are tried on what the slots before it
made, depth first, with one activation a slot alive. The scores are those of `evaluate`, bit for bit: right answers and
spikes are counted in integers.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from framework.core.tracing import is_traced
from framework.nas.autosnn import network as chain
from framework.nas.autosnn import supernet
from framework.nas.autosnn.network import Outputs
from framework.nas.autosnn.space import Slot, check
from framework.nas.autosnn.supernet import Supernet
from framework.nas.autosnn.training import check_labels

BATCH = 500  # images at a time
AHEAD = 2  # slots that the beginning of a `part` settles: with five candidates 25 parts make the table


class Scores(NamedTuple):
    """How architectures do on a validation set."""

    accuracy: jax.Array  # [...], in [0, 1]
    spikes: jax.Array  # [...], an image, of all neurons and max pools in all steps


def evaluate(of: Supernet, architecture: Any, images: Any, labels: Any, batch: int = BATCH) -> Scores:
    """One architecture with the supernet's weights and running statistics; one program for all of them.

    Args:
      of: a trained supernet.
      architecture: `[slots]` integers; may be traced.
      images: as `Network.apply` takes them.
      labels: `[N]` integers.
      batch: images at a time, at least 1.

    Returns:
      `Scores` of `[]`: `accuracy` in [0, 1], and `spikes` an image, of all neurons and max pools in all steps.

    Raises:
      ValueError: for an architecture outside the space, an empty validation set, labels that do not fit, or no batch.
    """
    check_labels(images, labels, of.space.classes, "validation")
    if not is_traced(architecture):
        check(of.space, architecture)
    return _evaluate(of, jnp.asarray(architecture), images, labels, batch)


@partial(jax.jit, static_argnames="batch")
def _evaluate(of: Supernet, architecture: jax.Array, images: Any, labels: Any, batch: int) -> Scores:
    def part(images, labels, kept):
        outputs, _ = supernet.apply(of.space, of.params, of.state, architecture, images)
        return _tally(outputs, labels, kept)

    return _scores(lax.map(lambda each: part(*each), _parts(images, labels, batch)), len(images))


def enumerate(of: Supernet, images: Any, labels: Any, batch: int = BATCH) -> Scores:
    """All architectures of the space, in the order of their indices.

    Args:
      of, images, labels, batch: as in `evaluate`.

    Returns:
      `Scores` of `[space.size]`.

    Raises:
      ValueError: for an empty validation set, labels that do not fit, or no batch.
    """
    check_labels(images, labels, of.space.classes, "validation")
    return subtree(of, jnp.zeros(0, jnp.int32), images, labels, batch)


@partial(jax.jit, static_argnames="batch")
def subtree(of: Supernet, beginning: jax.Array, images: Any, labels: Any, batch: int = BATCH) -> Scores:
    """All architectures that begin alike.

    Args:
      beginning: `[d]` integers, the choices of the first d slots; may be traced.
      of, images, labels, batch: as in `evaluate`.

    Returns:
      `Scores` of `[candidates^(slots - d)]`, in the order of the other slots' indices.
    """
    space = of.space

    def below(place, slot, x, counts, labels, kept):
        if place == len(space.places):
            return _tally(Outputs(chain.votes(x, space.classes), jnp.stack(counts, -1)), labels, kept)
        own, running = of.params[place], of.state[place]
        block = space.places[place]

        def choose(choice):
            y, count, _ = supernet.run_slot(space, block, choice, own, running, x, False)
            return below(place + 1, slot + 1, y, [*counts, count], labels, kept)

        if not isinstance(block, Slot):
            y, count, _ = chain.run_block(block, own, running, x, space.dynamics, False)
            return below(place + 1, slot, y, [*counts, count], labels, kept)
        return choose(beginning[slot]) if slot < len(beginning) else lax.map(choose, jnp.arange(len(space.candidates)))

    start = lambda part: below(0, 0, chain.begin(space.image, part[0]), [], *part[1:])
    found = _scores(lax.map(start, _parts(images, labels, batch)), len(images))
    return jax.tree.map(lambda table: table.transpose().ravel(), found)


def parts(of: Supernet) -> int:
    """How many pieces make the table, for who wants to look in between or has several devices: `part` by `part`."""
    return len(of.space.candidates) ** _ahead(of)


def part(number: jax.Array, fixed: tuple[Supernet, Any, Any]) -> Scores:
    """The architectures of one beginning.

    Args:
      number: `[]` int32, of the beginning, from 0 to `parts(of) - 1`; may be traced.
      fixed: the supernet, images, labels.

    Returns:
      `Scores` of `[space.size / parts(of)]`, for `joined`.
    """
    of, images, labels = fixed
    base = len(of.space.candidates)
    return subtree(of, number // base ** jnp.arange(_ahead(of)) % base, images, labels)


def joined(every: Scores) -> Scores:
    """The whole table, `[space.size]`, from all parts, `[parts, ...]`."""
    return jax.tree.map(lambda table: table.T.ravel(), every)


def _ahead(of: Supernet) -> int:
    return min(AHEAD, of.space.slots - 1)


def _parts(images: Any, labels: Any, batch: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Images, labels and whether an image is one of them, `[parts, batch, ...]`; the last part is filled up."""
    count = len(images)
    if batch < 1:
        raise ValueError(f"a batch holds at least 1 image, got {batch}")
    size = min(batch, count)
    missing = -count % size
    padded = lambda values: jnp.pad(values, [(0, missing)] + [(0, 0)] * (values.ndim - 1))
    kept = jnp.arange(count + missing) < count
    return tuple(each.reshape(-1, size, *each.shape[1:]) for each in (padded(images), padded(labels), kept))


def _tally(outputs: Outputs, labels: jax.Array, kept: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Right answers and spikes of a part, counted in integers."""
    right = (outputs.votes.argmax(-1) == labels) & kept
    spikes = jnp.where(kept, outputs.spikes.sum(-1), 0).astype(jnp.int32)
    return right.sum(dtype=jnp.int32), spikes.sum(dtype=jnp.int32)


def _scores(tallied: tuple[jax.Array, jax.Array], count: int) -> Scores:
    right, spikes = (each.astype(jnp.float32).sum(0) / count for each in tallied)
    return Scores(right, spikes)

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


def evaluate(trained: Supernet, architecture: Any, images: Any, labels: Any, batch: int = BATCH) -> Scores:
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
    check_labels(images, labels, trained.space.classes, "validation")
    if not is_traced(architecture):
        check(trained.space, architecture)
    return _evaluate(trained, jnp.asarray(architecture), images, labels, batch)


@partial(jax.jit, static_argnames="batch")
def _evaluate(trained: Supernet, architecture: jax.Array, images: Any, labels: Any, batch: int) -> Scores:
    def part(images, labels, kept):
        outputs, _ = supernet.apply(trained.space, trained.params, trained.state, architecture, images)
        return _tally(outputs, labels, kept)

    return _scores(lax.map(lambda batch_part: part(*batch_part), _parts(images, labels, batch)), len(images))


def enumerate(trained: Supernet, images: Any, labels: Any, batch: int = BATCH) -> Scores:
    """All architectures of the space, in the order of their indices.

    Args:
      of, images, labels, batch: as in `evaluate`.

    Returns:
      `Scores` of `[space.size]`.

    Raises:
      ValueError: for an empty validation set, labels that do not fit, or no batch.
    """
    check_labels(images, labels, trained.space.classes, "validation")
    return subtree(trained, jnp.zeros(0, jnp.int32), images, labels, batch)


@partial(jax.jit, static_argnames="batch")
def subtree(trained: Supernet, prefix: jax.Array, images: Any, labels: Any, batch: int = BATCH) -> Scores:
    """All architectures that begin alike.

    Args:
      beginning: `[d]` integers, the choices of the first d slots; may be traced.
      of, images, labels, batch: as in `evaluate`.

    Returns:
      `Scores` of `[candidates^(slots - d)]`, in the order of the other slots' indices.
    """
    space = trained.space

    def below(index, slot, x, counts, labels, kept):
        if index == len(space.places):
            return _tally(Outputs(chain.votes(x, space.classes), jnp.stack(counts, -1)), labels, kept)
        block_params, running = trained.params[index], trained.state[index]
        block = space.places[index]

        def choose(choice):
            y, count, _ = supernet.run_slot(space, block, choice, block_params, running, x, False)
            return below(index + 1, slot + 1, y, [*counts, count], labels, kept)

        if not isinstance(block, Slot):
            y, count, _ = chain.run_block(block, block_params, running, x, space.dynamics, False)
            return below(index + 1, slot, y, [*counts, count], labels, kept)
        return choose(prefix[slot]) if slot < len(prefix) else lax.map(choose, jnp.arange(len(space.candidates)))

    start = lambda part: below(0, 0, chain.begin(space.image, part[0]), [], *part[1:])
    scores = _scores(lax.map(start, _parts(images, labels, batch)), len(images))
    return jax.tree.map(lambda table: table.transpose().ravel(), scores)


def parts(trained: Supernet) -> int:
    """How many pieces make the table, for who wants to look in between or has several devices: `part` by `part`."""
    return len(trained.space.candidates) ** _ahead(trained)


def part(number: jax.Array, fixed: tuple[Supernet, Any, Any]) -> Scores:
    """The architectures of one beginning.

    Args:
      number: `[]` int32, of the beginning, from 0 to `parts(of) - 1`; may be traced.
      fixed: the supernet, images, labels.

    Returns:
      `Scores` of `[space.size / parts(of)]`, for `concatenate`.
    """
    trained, images, labels = fixed
    base = len(trained.space.candidates)
    return subtree(trained, number // base ** jnp.arange(_ahead(trained)) % base, images, labels)


def concatenate(every: Scores) -> Scores:
    """The whole table, `[space.size]`, from all parts, `[parts, ...]`."""
    return jax.tree.map(lambda table: table.T.ravel(), every)


def _ahead(trained: Supernet) -> int:
    return min(AHEAD, trained.space.slots - 1)


def _parts(images: Any, labels: Any, batch: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Images, labels and whether an image is one of them, `[parts, batch, ...]`; the last part is filled up."""
    count = len(images)
    if batch < 1:
        raise ValueError(f"a batch holds at least 1 image, got {batch}")
    size = min(batch, count)
    missing = -count % size
    padded = lambda values: jnp.pad(values, [(0, missing)] + [(0, 0)] * (values.ndim - 1))
    kept = jnp.arange(count + missing) < count
    return tuple(array.reshape(-1, size, *array.shape[1:]) for array in (padded(images), padded(labels), kept))


def _tally(outputs: Outputs, labels: jax.Array, kept: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Right answers and spikes of a part, counted in integers."""
    right = (outputs.votes.argmax(-1) == labels) & kept
    spikes = jnp.where(kept, outputs.spikes.sum(-1), 0).astype(jnp.int32)
    return right.sum(dtype=jnp.int32), spikes.sum(dtype=jnp.int32)


def _scores(tallied: tuple[jax.Array, jax.Array], count: int) -> Scores:
    right, spikes = (total.astype(jnp.float32).sum(0) / count for total in tallied)
    return Scores(right, spikes)

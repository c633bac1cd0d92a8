"""DARTS on parts of a data set, several parts in one program, and the found cells trained anew."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from experiments.parts.proxy_data.ranks import Part, fitted, scored
from experiments.parts.shared.rows import of_several
from framework import runs
from framework.core.devices import Split
from framework.nas import darts
from framework.nas.darts import bilevel

CHUNK = 10  # steps of a search between two looks
SURE = 1e4  # a logit beside zeros, whose softmax is 1


def searched(
    run: runs.Run,
    phase: str,
    net: darts.Supernet,
    config: darts.Config,
    parts: np.ndarray,
    train: Part,
    seed: int,
    options: Any = (),
) -> list[darts.Genotype]:
    """The cells that searches on several parts end with; the halves of a part are for weights and for alphas.

    Args:
      run, phase: where it is kept.
      net, config: of the search.
      parts: `[S, K]` rows of the images, in random order; all searches run in one program.
      train: the images.
      seed: of the first of the S searches.
      options: of the compiler.
    """
    half = parts.shape[1] // 2
    init, step = _searching(net, config)
    rows = jnp.asarray(parts)
    given = bilevel.Data(*(part[chosen] for chosen in (rows[:, :half], rows[:, half : 2 * half]) for part in train))
    start = [init(jax.random.key(seed + i), jax.tree.map(lambda leaf, i=i: leaf[i], given)) for i in range(len(parts))]
    states = jax.jit(lambda *each: jax.tree.map(lambda *leaves: jnp.stack(leaves), *each))(*start)
    logged = of_several(phase, range(seed, seed + len(parts)))
    steps, split = bilevel.steps_of(config, half), Split(fixed=0)
    alphas = runs.drive(run, phase, step, states, given, steps, CHUNK, logged, options=options, split=split).alphas
    return [darts.genotype(jax.tree.map(lambda leaf, i=i: leaf[i], alphas)) for i in range(len(parts))]


@functools.cache
def _searching(net: darts.Supernet, config: darts.Config) -> tuple[Callable, Callable]:
    """How a search begins, and a step of several of them, one after another."""
    searcher = darts.searcher(net, config)
    step = lambda states, given: lax.map(lambda pair: searcher.step(*pair), (states, given))
    return searcher.init, step


def one_hot(found: darts.Genotype) -> darts.Alphas:
    """Alphas whose softmax is 1 for the operation of each kept edge, and for `none` on all others."""

    def of(cell: Any) -> jax.Array:
        kept = {(source, 2 + place // 2): name for place, (name, source) in enumerate(cell)}
        names = [kept.get(edge, "none") for edge in darts.EDGES]
        return SURE * jax.nn.one_hot(jnp.array([darts.OPERATIONS.index(name) for name in names]), len(darts.OPERATIONS))

    return darts.Alphas(of(found.normal), of(found.reduce))


def retrained(
    run: runs.Run,
    phase: str,
    net: darts.Supernet,
    rate: float,
    found: list[darts.Genotype],
    plan: np.ndarray,
    train,
    test,
    seed: int,
    options: Any = (),
) -> np.ndarray:
    """Test accuracies of found cells, from the same fresh weights on all images, in the supernet's frame: `[cells]`."""
    cells = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(one_hot, found))
    key = jax.random.fold_in(jax.random.key(0), seed)
    params = jax.jit(darts.init, static_argnums=(1, 2))(key, net, train[0].shape[-1])
    fixed = (cells, jnp.asarray(plan), train, test, params)
    return scored(run, phase, _retraining(net, rate), len(found), fixed, seed, options)


@functools.cache
def _retraining(net: darts.Supernet, rate: float) -> Callable:
    """The task of one cell; norms by the test images."""

    def task(number: jax.Array, fixed: Any) -> jax.Array:
        cells, plan, train, test, start = fixed
        alphas = jax.tree.map(lambda leaf: leaf[number], cells)

        def loss(params, images, labels):
            logits, moved = darts.apply(net, params, alphas, images, train=True)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), moved

        params = fitted(loss, start, plan, len(plan), rate, train)
        return (darts.apply(net, params, alphas, test[0], train=True)[0].argmax(-1) == test[1]).mean()

    return task

"""DARTS on parts of a data set, several parts in one program, and the training of the resulting cells."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from experiments.parts.proxy_data.ranks import Part, fit, score_tasks
from experiments.parts.shared.rows import batch_rows
from framework import runs
from framework.core.devices import Split
from framework.nas import darts
from framework.nas.darts import bilevel

CHUNK = 10  # steps of a search between two checkpoints
SURE = 1e4  # a logit next to zeros, whose softmax is 1


def search(
    run: runs.Run,
    phase: str,
    net: darts.Supernet,
    config: darts.Config,
    parts: np.ndarray,
    train: Part,
    seed: int,
    options: Any = (),
) -> list[darts.Genotype]:
    """Searches cells on several parts; one half of a part is for the weights, the other for the alphas.

    Args:
      run, phase: for checkpoints and metrics.
      net, config: of the search.
      parts: `[S, K]` rows of the images, in random order; all searches run in one program.
      train: the images.
      seed: of the first of the S searches.
      options: of the compiler.

    Returns:
      The cells, one genotype a part.
    """
    half = parts.shape[1] // 2
    init, step = _searching(net, config)
    rows = jnp.asarray(parts)
    datasets = bilevel.Data(*(part[chosen] for chosen in (rows[:, :half], rows[:, half : 2 * half]) for part in train))
    start = [
        init(jax.random.key(seed + i), jax.tree.map(lambda leaf, i=i: leaf[i], datasets)) for i in range(len(parts))
    ]
    states = jax.jit(lambda *states: jax.tree.map(lambda *leaves: jnp.stack(leaves), *states))(*start)
    rows_of = batch_rows(phase, range(seed, seed + len(parts)))
    steps, split = bilevel.step_count(config, half), Split(fixed=0)
    alphas = runs.run_steps(
        run, phase, step, states, datasets, steps, CHUNK, rows_of, options=options, split=split
    ).alphas
    return [darts.derive_genotype(jax.tree.map(lambda leaf, i=i: leaf[i], alphas)) for i in range(len(parts))]


@functools.cache
def _searching(net: darts.Supernet, config: darts.Config) -> tuple[Callable, Callable]:
    """The start of a search, and a step of several searches, one after another."""
    searcher = darts.searcher(net, config)
    step = lambda states, datasets: lax.map(lambda pair: searcher.step(*pair), (states, datasets))
    return searcher.init, step


def one_hot(genotype: darts.Genotype) -> darts.Alphas:
    """Alphas whose softmax is 1 for the operation of each kept edge, and for `none` on all others."""

    def alphas(cell: Any) -> jax.Array:
        operations = {(source, 2 + index // 2): name for index, (name, source) in enumerate(cell)}
        names = [operations.get(edge, "none") for edge in darts.EDGES]
        return SURE * jax.nn.one_hot(jnp.array([darts.OPERATIONS.index(name) for name in names]), len(darts.OPERATIONS))

    return darts.Alphas(alphas(genotype.normal), alphas(genotype.reduce))


def retrain(
    run: runs.Run,
    phase: str,
    net: darts.Supernet,
    rate: float,
    genotypes: list[darts.Genotype],
    plan: np.ndarray,
    train,
    test,
    seed: int,
    options: Any = (),
) -> np.ndarray:
    """Trains cells on all images from the same new weights, in the supernet's frame; test accuracies `[cells]`."""
    cells = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(one_hot, genotypes))
    key = jax.random.fold_in(jax.random.key(0), seed)
    params = jax.jit(darts.init, static_argnums=(1, 2))(key, net, train[0].shape[-1])
    fixed = (cells, jnp.asarray(plan), train, test, params)
    return score_tasks(run, phase, _retraining(net, rate), len(genotypes), fixed, seed, options)


@functools.cache
def _retraining(net: darts.Supernet, rate: float) -> Callable:
    """The task of one cell; norms by the test images."""

    def task(number: jax.Array, fixed: Any) -> jax.Array:
        cells, plan, train, test, start = fixed
        alphas = jax.tree.map(lambda leaf: leaf[number], cells)

        def loss(params, images, labels):
            logits, new_params = darts.apply(net, params, alphas, images, train=True)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), new_params

        params = fit(loss, start, plan, len(plan), rate, train)
        return (darts.apply(net, params, alphas, test[0], train=True)[0].argmax(-1) == test[1]).mean()

    return task

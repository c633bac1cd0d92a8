import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.nas import autosnn
from framework.nas.autosnn import evolution
from framework.nas.autosnn.enumeration import Scores

pytestmark = pytest.mark.slow

SEEDS = 12


@pytest.fixture(scope="module")
def space():
    return autosnn.search_space(4, (8, 8, 1))


@pytest.fixture(scope="module")
def table(space):
    """A landscape in which each slot has blocks of its own worth, and spikes go with it."""
    random = np.random.default_rng(1)
    worth = random.random((space.slots, 5))
    choices = np.asarray(space.architecture(np.arange(space.size)))
    accuracy = worth[np.arange(space.slots), choices].mean(-1)
    spikes = 1000 + 500 * accuracy + 200 * random.random(space.size)
    return tuple(accuracy.tolist()), tuple(spikes.tolist())


REFERENCE = 1200.0


@pytest.fixture(scope="module", params=evolution.ALGORITHMS)
def watched(request, space, table):
    """Searches from several keys, round by round: the last state, what was evaluated, and the metrics."""
    return request.param, *runs(request.param, space, table)


@functools.cache
def runs(algorithm, space, table):
    config, pools = autosnn.SearchConfig(algorithm), []
    evaluate = autosnn.from_table(space, Scores(*map(jnp.asarray, table)))
    advance = jax.jit(jax.vmap(lambda state: evolution.step(state, space, evaluate, -0.08, REFERENCE, config)))
    state = jax.vmap(lambda key: evolution.init(key, space, config))(jax.random.split(jax.random.key(0), SEEDS))
    for _ in range(config.rounds):
        assert state.fresh.all()
        pools.append(np.asarray(space.index(state.pool)))
        state, metrics = advance(state)
    return state, np.concatenate(pools, axis=1), metrics


def worth(table):
    return np.asarray(autosnn.fitness(*map(np.float32, table), -0.08, REFERENCE))


def test_no_architecture_is_evaluated_twice(space, table, watched):
    _, state, observed, metrics = watched
    for seed in range(SEEDS):
        assert len(set(observed[seed].tolist())) == 400 == metrics["evaluations"][seed]
        kept = np.sort(worth(table)[observed[seed]])[::-1][:10]
        np.testing.assert_allclose(state.fitness[seed], kept, rtol=1e-6)
        assert worth(table)[space.index(state.top[seed, 0])] == pytest.approx(kept[0])


@pytest.mark.long
def test_evolution_finds_better_than_random_search(space, table):
    """In most seeds, and the top hundredth of the space in all but one."""
    evolved, drawn = (np.asarray(runs(algorithm, space, table)[0].fitness[:, 0]) for algorithm in evolution.ALGORITHMS)
    assert (evolved >= np.quantile(worth(table), 0.99)).sum() >= SEEDS - 1
    assert (evolved > drawn).sum() >= 0.8 * SEEDS


def test_a_small_space_is_searched_completely(tiny):
    scores = Scores(jnp.linspace(0, 1, tiny.size), jnp.full(tiny.size, 10.0))
    config = autosnn.SearchConfig(pool=5, mutants=2, crossovers=2, rounds=6)
    result = autosnn.search(jax.random.key(1), tiny, autosnn.from_table(tiny, scores), -0.08, 10.0, config)
    assert result.evaluations == tiny.size
    assert tiny.index(result.architecture) == tiny.size - 1


def test_a_search_in_64_bits_holds_no_number_that_is_not_finite(tiny):
    """Not even where nothing is known yet, or `--jax_debug_nans` and `--jax_debug_infs` would stop every search."""
    config = autosnn.SearchConfig(pool=2, mutants=1, crossovers=1, rounds=2)
    with jax.enable_x64(True), jax.debug_nans(True), jax.debug_infs(True):
        scores = Scores(jnp.linspace(0, 1, tiny.size), jnp.full(tiny.size, 10.0))
        jax.block_until_ready(evolution.init(jax.random.key(0), tiny, config))
        result = autosnn.search(jax.random.key(0), tiny, autosnn.from_table(tiny, scores), -0.08, 10.0, config)
    assert result.history.dtype == np.float64
    assert np.all(np.diff(result.history) >= 0)


@pytest.mark.long
def test_evolve_equals_its_steps_with_the_table(supernet, halves):
    config = autosnn.SearchConfig(rounds=2, pool=3, top=2, mutants=1, crossovers=1)
    result = autosnn.evolve(jax.random.key(4), supernet, *halves, config=config)
    table, space = autosnn.enumerate(supernet, *halves), supernet.space
    state = evolution.init(jax.random.key(4), space, config)
    for fitness in result.history:
        evaluate = autosnn.from_table(space, table)
        state, metrics = evolution.step(state, space, evaluate, -0.08, supernet.spikes, config)
        assert metrics["fitness"] == pytest.approx(float(fitness))
    np.testing.assert_array_equal(result.architecture, state.top[0])
    assert (result.accuracy, result.spikes) == (metrics["accuracy"], metrics["spikes"])
    assert 3 <= result.evaluations == metrics["evaluations"] <= 6


def test_mutants_take_another_block_as_often_as_told():
    parents = jnp.tile(jnp.arange(5), (4000, 1))
    children = np.asarray(evolution.mutate(jax.random.key(0), parents, 5, 0.2))
    changed = children != parents
    assert changed.mean() == pytest.approx(0.2, abs=0.01)
    shares = np.bincount(children[:, 2][changed[:, 2]], minlength=5) / changed[:, 2].sum()
    np.testing.assert_allclose(shares, [0.25, 0.25, 0, 0.25, 0.25], atol=0.05)


def test_crossovers_cut_where_the_authors_program_cuts(space):
    """Its list of eight places holds three pools: of seven cuts two fall behind slot 1, two behind 3."""
    assert space.cuts == (1, 1, 2, 3, 3, 4, 5)
    children = evolution.crossover(jax.random.key(0), jnp.zeros((7000, 5), int), jnp.ones((7000, 5), int), space.cuts)
    lengths, counts = np.unique(5 - np.asarray(children).sum(1), return_counts=True)
    np.testing.assert_array_equal(lengths, [1, 2, 3, 4, 5])
    np.testing.assert_allclose(counts / 7000, np.array([2, 1, 2, 1, 1]) / 7, atol=0.02)
    assert (np.diff(children, axis=1) >= 0).all()


def test_the_fitness_by_hand():
    assert float(autosnn.fitness(0.9, 110000.0, -0.08, 110000.0)) == pytest.approx(0.9)
    assert float(autosnn.fitness(0.5, 400.0, -0.5, 100.0)) == pytest.approx(0.25)
    assert float(autosnn.fitness(0.7, 1e5, 0.0, 3.0)) == pytest.approx(0.7)


def test_a_silent_network_has_the_worth_of_one_spike():
    worth = autosnn.fitness(jnp.full(3, 0.1), jnp.array([0.0, 0.5, 1.0]), -0.24, 100.0)
    np.testing.assert_allclose(worth, 0.1 * 100**0.24, rtol=1e-6)


def test_the_reference_changes_no_order(table):
    order = lambda reference: np.argsort(autosnn.fitness(*map(np.float32, table), -0.24, reference))
    assert np.mean(order(1.0) == order(110000.0)) > 0.99  # but for ties of rounding


def test_a_foreign_table_and_a_positive_lambda_are_refused(space):
    with pytest.raises(ValueError, match=r"a table of this space has 3,125 accuracies and spikes, got shapes \[\(4,\)"):
        autosnn.from_table(space, Scores(jnp.ones(4), jnp.ones(4)))
    for wrong in (0.1, np.nan):
        with pytest.raises(ValueError, match=r"lambda_ must lie in \[-inf, 0\]"):
            autosnn.fitness(0.5, 100.0, wrong, 100.0)


@pytest.mark.parametrize("reference", [0.0, -3.0, np.nan])
def test_a_reference_that_is_not_positive_is_refused(reference):
    with pytest.raises(ValueError, match="reference must be above 0"):
        autosnn.fitness(0.5, 100.0, -0.08, reference)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"algorithm": "annealing"}, "algorithm must be one of evolution, random"),
        ({"rounds": 0}, "must be at least 1"),
        ({"pool": 20.5}, r"all whole numbers; got \(20, 20.5, 10, 3\)"),
        ({"mutants": 15}, r"mutants and crossovers must fit the pool of 20, got 15 \+ 10"),
        ({"mutation": 1.5}, "mutation must be a probability"),
    ],
)
def test_a_search_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        autosnn.SearchConfig(**wrong)


def test_a_space_without_a_choice_is_refused():
    space = autosnn.search_space(4, (8, 8, 1), candidates=("SCB_k3",))
    with pytest.raises(ValueError, match="at least 2 candidates"):
        evolution.init(jax.random.key(0), space, autosnn.SearchConfig())


def test_the_front_holds_what_no_other_beats():
    random = np.random.default_rng(0)
    table = Scores(random.integers(0, 8, 60) / 8, random.integers(1, 20, 60).astype(float))
    beaten = lambda i: any(
        (a >= table.accuracy[i] and s <= table.spikes[i]) and (a, s) != (table.accuracy[i], table.spikes[i])
        for a, s in zip(*table, strict=True)
    )
    front = evolution.front(table)
    points = {(table.accuracy[i], table.spikes[i]) for i in range(60) if not beaten(i)}
    assert {(table.accuracy[i], table.spikes[i]) for i in front} == points
    assert len(front) == len(points)
    assert (np.diff(table.spikes[front]) > 0).all()

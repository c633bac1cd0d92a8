import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import causal
from framework.causal import graphs, knowledge, learner
from framework.causal.learn import acyclicity as causal_acyclicity
from framework.causal.learn import problems as causal_problems
from framework.causal.metrics import graph_distance
from framework.causal.synthetic import linear, noise
from framework.core import keys

EQUAL = causal.Config.equal_variance()
SHORT = causal.Config.equal_variance(stage_steps=(100, 100, 100, 100, 200))


def drawn(seed, nodes=10, degree=2, samples=1000):
    with jax.enable_x64(True):
        key = jax.random.key(seed)
        truth = graphs.erdos_renyi(keys.derive(key, "graph"), nodes, degree)
        weights = linear.edge_weights(keys.derive(key, "weights"), truth)
        return np.asarray(truth), np.asarray(
            linear.linear(keys.derive(key, "noise"), weights, samples, noise.gaussian())
        )


@pytest.fixture(scope="module")
def problem():
    return drawn(0, nodes=5, samples=200)


def shd(truth, result):
    return int(graph_distance.compare(truth, result.graph)["shd"])


@pytest.mark.slow
def test_known_graphs_are_recovered_from_raw_data():
    assert [shd(truth, causal.fit(x, None, EQUAL)) for truth, x in map(drawn, range(6))] == [0] * 6


@pytest.mark.slow
def test_the_search_mends_what_the_path_alone_gets_wrong():
    problems = [drawn(seed, degree=4) for seed in range(6)]
    alone = causal.Config.equal_variance(finish="cut")
    mended, path = (np.mean([shd(truth, causal.fit(x, None, c)) for truth, x in problems]) for c in (SHORT, alone))
    assert mended <= 1
    assert mended < path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["penalty", "prior_weight"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_impossible_weights_are_refused_or_carry_a_status(problem, name, value):
    _, x = problem
    with pytest.raises(ValueError, match=f"{name} must be finite and at least 0"):
        causal.fit(x, None, SHORT, **{name: value})
    with jax.enable_x64(True):
        traced = jax.vmap(lambda number: causal.fit(x, None, SHORT, **{name: number}).status)(np.array([0.03, value]))
    np.testing.assert_array_equal(traced, [0, 1])


@pytest.mark.slow
def test_the_result_is_a_dag_of_thresholded_float64_weights(problem):
    _, x = problem
    result = causal.fit(x, config=SHORT)
    assert graphs.is_dag(result.graph)
    assert result.weights.dtype == np.float64
    np.testing.assert_array_equal(result.graph, result.weights != 0)
    assert np.abs(result.weights[result.graph]).min() >= SHORT.cut
    assert learner.STATUS[int(result.status)] == "ok"


def test_no_global_setting_changes(problem):
    causal.fit(problem[1], config=SHORT)
    assert not jax.config.jax_enable_x64
    assert jnp.ones(1).dtype == jnp.float32


@pytest.mark.slow
def test_weights_on_a_known_graph_are_least_squares():
    """Without penalty and with a huge sample the learned weights are the regression of each node on its parents."""
    _, x = drawn(1, nodes=4, degree=1, samples=5000)
    result = causal.fit(x, config=causal.Config.equal_variance(penalty=0.0))
    centred = x - x.mean(0)
    for node in range(4):
        parents = np.flatnonzero(result.graph[:, node])
        if len(parents):
            plain = np.linalg.lstsq(centred[:, parents], centred[:, node], rcond=None)[0]
            np.testing.assert_allclose(result.weights[parents, node], plain, atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"transform": "standardize", "noise": "unequal", "finish": "order"}], ids=str)
def test_a_prior_that_knows_nothing_equals_no_prior_bit_for_bit(problem, settings):
    _, x = problem
    config = dataclasses.replace(SHORT, **settings)
    unknown = causal.Knowledge(np.full((5, 5), 0.3), np.zeros((5, 5)))
    for a, b in zip(*map(jax.tree.leaves, (causal.fit(x, None, config), causal.fit(x, unknown, config))), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::framework.causal.AssumptionWarning")  # of wrong graphs
def test_a_reversed_prior_harms_only_if_uncalibrated():
    scarce = [drawn(seed, samples=30) for seed in range(100, 110)]
    good = [knowledge.imperfect(jax.random.key(i), truth, 0.8, 0.8) for i, (truth, _) in enumerate(scarce)]
    bad = [causal.Knowledge(truth.T * 1.0) for truth, _ in scarce]
    distance = lambda priors, **weight: np.mean(
        [
            shd(truth, causal.fit(x, prior, SHORT, penalty=0.1, **weight))
            for (truth, x), prior in zip(scarce, priors, strict=True)
        ]
    )
    without = distance([None] * 10)
    assert distance(good, prior_weight=0.1) <= 0.7 * without
    assert distance(good) <= 0.8 * without
    assert distance(bad, prior_weight=0.1) > 1.05 * without
    assert distance(bad) <= 1.05 * without


@pytest.mark.slow
def test_a_strong_prior_against_an_edge_removes_it(problem):
    _, x = problem
    source, target = np.argwhere(np.asarray(causal.fit(x, config=SHORT).graph))[0]
    confidence = np.zeros((5, 5))
    confidence[source, target] = confidence[target, source] = 1
    against = causal.Knowledge(np.zeros((5, 5)), confidence)
    graph = causal.fit(x, against, SHORT, prior_weight=50.0).graph
    assert not graph[source, target]
    assert not graph[target, source]


def test_renaming_the_columns_renames_the_result(problem):
    _, x = problem
    order = np.array([3, 0, 4, 1, 2])
    result, updated = causal.fit(x, config=SHORT), causal.fit(x[:, order], config=SHORT)
    np.testing.assert_allclose(updated.weights, result.weights[order][:, order], atol=1e-8)


def test_shifting_columns_changes_nothing_but_scaling_does(problem):
    _, x = problem
    result = causal.fit(x, config=SHORT)
    np.testing.assert_allclose(causal.fit(x + 7.0, config=SHORT).weights, result.weights, atol=1e-8)
    with pytest.warns(causal.AssumptionWarning, match="no single variance"):
        scaled = causal.fit(x * np.array([1, 20, 1, 0.05, 1]), config=SHORT)
    assert not np.array_equal(scaled.graph, result.graph)


@pytest.mark.slow
def test_a_batch_of_tables_equals_one_after_another():
    tables = np.stack([drawn(seed, nodes=5, samples=100)[1] for seed in range(3)])
    with jax.enable_x64(True):
        together = jax.vmap(causal.fit, in_axes=(0, None, None))(tables, None, SHORT)
    for i, x in enumerate(tables):
        np.testing.assert_allclose(together.weights[i], causal.fit(x, None, SHORT).weights, atol=1e-8)


@pytest.mark.slow
def test_jit_equals_no_jit_and_compiles_once(problem):
    _, x = problem
    counted = jax.jit(chex.assert_max_traces(causal.fit, n=1))
    with jax.enable_x64(True):
        np.testing.assert_allclose(counted(x, None, SHORT).weights, causal.fit(x, None, SHORT).weights, atol=1e-8)
        counted(2 * x, None, SHORT)


@pytest.mark.slow
def test_penalties_and_prior_weights_can_be_swept(problem):
    truth, x = problem
    prior = causal.Knowledge(truth.astype(float), 1 - np.eye(5))
    penalties = np.array([0.01, 0.1, 2.0])
    config = causal.Config.equal_variance(stage_steps=SHORT.stage_steps, finish="cut")
    sweep = lambda penalty, weight: causal.fit(x, prior, config, penalty=penalty, prior_weight=weight).weights
    with jax.enable_x64(True):
        swept = jax.vmap(sweep)(penalties, penalties / 2)
    for i, penalty in enumerate(penalties):
        np.testing.assert_allclose(swept[i], sweep(penalty, penalty / 2), atol=1e-8)
    assert np.count_nonzero(swept[2]) < np.count_nonzero(swept[0])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("outer", [lambda f: f, jax.jit])
def test_a_32_bit_caller_gets_64_bit_work(problem, dtype, outer):
    truth, x = problem
    prior = causal.Knowledge(np.stack([truth, truth.T]).astype(dtype), np.ones((2, 5, 5), dtype))
    many = outer(jax.vmap(causal.fit, in_axes=(0, 0, None)))
    batched = many(np.stack([x, x]).astype(dtype), prior, SHORT)
    assert batched.weights.dtype == np.float64
    for i, known in enumerate([truth, truth.T]):
        alone = causal.fit(x, causal.Knowledge(known.astype(float), np.ones((5, 5))), SHORT)
        np.testing.assert_array_equal(batched.graph[i], alone.graph)
        np.testing.assert_allclose(np.asarray(batched.weights)[i], alone.weights, atol=1e-4)


@pytest.mark.slow
def test_driven_step_by_step_it_is_the_same_fit(problem):
    _, x = problem
    with jax.enable_x64(True):
        arguments = causal_problems.problem(x, None, SHORT)
        state = learner.init(arguments, SHORT)
        stepped = jax.jit(learner.step)
        for _ in range(SHORT.steps):
            state, measured = stepped(state, arguments, SHORT)
        np.testing.assert_allclose(
            learner.finish(state, arguments, SHORT).weights, causal.fit(x, None, SHORT).weights, atol=1e-10
        )
    assert set(measured) == {"objective", "score", "acyclicity"}
    assert 0 <= float(measured["acyclicity"]) < 1e-3


def test_steps_outside_of_64_bits_are_refused(problem):
    with pytest.raises(RuntimeError, match="enable_x64"):
        causal_problems.problem(problem[1], None, SHORT)


@pytest.mark.slow
def test_a_step_that_leaves_the_domain_is_taken_back():
    """A rate so long that the first step lands beyond the barrier."""
    with jax.enable_x64(True):
        config = causal.Config.equal_variance(rate=5.0, path=(1.0,), stage_steps=(60,))
        _, x = drawn(2, nodes=5)
        arguments = causal_problems.problem(x, None, config)
        state = jax.lax.fori_loop(
            0, 60, lambda _, s: learner.step(s, arguments, config)[0], learner.init(arguments, config)
        )
    assert float(state.rate) < 5.0
    radius = np.abs(np.linalg.eigvals(np.asarray(state.inside) ** 2)).max()
    assert radius < 1


@pytest.mark.slow
def test_names_of_a_data_frame_travel_with_the_result(problem, extra):
    _, x = problem
    frame = extra("pandas").DataFrame(x, columns=list("vwxyz"))
    prior = causal.Knowledge(np.eye(5, k=1), np.ones((5, 5)), ("z", "y", "x", "w", "v"))
    result = causal.fit(frame, prior, SHORT)
    assert result.names == ("v", "w", "x", "y", "z")
    np.testing.assert_array_equal(result.weights, causal.fit(x, prior.align("vwxyz"), SHORT).weights)
    assert list(causal.to_networkx(result).nodes) == list("vwxyz")


@pytest.mark.slow
def test_one_column_is_a_graph_without_edges():
    assert not causal.fit(np.arange(5.0)[:, None], config=SHORT).graph.any()


@pytest.mark.slow
def test_fewer_rows_than_columns_still_give_a_dag():
    _, x = drawn(3, nodes=10, samples=4)
    assert graphs.is_dag(causal.fit(x, config=SHORT).graph)


@pytest.mark.slow
def test_under_a_transformation_bad_tables_carry_a_status(problem):
    _, x = problem
    tables = np.stack([x, np.where(np.arange(5) == 1, np.nan, x)])
    with jax.enable_x64(True):
        results = jax.vmap(causal.fit, in_axes=(0, None, None))(tables, None, SHORT)
    np.testing.assert_array_equal(results.status, [0, 1])
    assert not results.graph[1].any()


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"transform": "whiten"}, "transform must be one of"),
        ({"penalty": -1.0}, "penalty must be at least 0"),
        ({"penalty": float("nan")}, "penalty must be at least 0"),
        ({"penalty": float("inf")}, "penalty must be at least 0 and finite, got inf"),
        ({"cut": "0.3"}, "cut must be at least 0 and finite, got '0.3'"),
        ({"prior_weight": -0.1}, "prior_weight must be at least 0"),
        ({"cut": -0.1}, "cut must be at least 0"),
        ({"path": (1.0, 0.1)}, "one positive number a stage"),
        ({"path": (), "stage_steps": ()}, "one positive number a stage"),
        ({"path": (1.0, float("nan")), "stage_steps": (1, 1)}, "one positive number a stage"),
        ({"stage_steps": (1, 1, 1, 1, 1.5)}, "the steps whole ones"),
        ({"rate": float("inf")}, "rate must be positive and finite"),
        ({"hidden": 2.5}, "hidden must be at least 1 unit, got 2.5"),
        ({"stage_steps": (0, 1, 1, 1, 1)}, "one positive number a stage"),
        ({"rate": 0.0}, "rate must be positive"),
        ({"finish": "polish"}, "finish must be one of search, order, cut"),
        ({"score": "poisson"}, "score must be one of"),
        ({"acyclicity": "trace"}, "acyclicity must be one of log_det, exponential, polynomial"),
        ({"constraint": "none"}, "constraint must be one of path, lagrangian"),
        ({"similarity": "cosine"}, "similarity must be one of magnitude, signed"),
        ({"start": -1.0}, "start must be at least 0"),
        ({"start_stage": 5}, "start_stage must be one of the stages 0 .. 4"),
        ({"bound": 0.3}, "bound must stay below the cut of 0.3"),
        ({"hidden": 0}, "hidden must be at least 1"),
        ({"score": "mlp"}, "goes with finish='cut'"),
        ({"score": "logistic", "finish": "cut"}, "transform='none'"),
        ({"score": "mlp", "finish": "cut", "start": 0.3}, "are for linear weights"),
        ({"noise": "loud"}, "noise must be one of equal, unequal"),
    ],
)
def test_an_impossible_config_is_refused(settings, what):
    with pytest.raises(ValueError, match=what):
        causal.Config.equal_variance(**settings)


def test_a_config_passes_through_transformations_as_structure():
    assert jax.tree.leaves(SHORT) == []
    assert hash(SHORT) == hash(causal.Config.equal_variance(stage_steps=SHORT.stage_steps))
    assert EQUAL != SHORT
    assert hash(causal.Config.equal_variance(stage_steps=list(SHORT.stage_steps))) == hash(SHORT)


@pytest.mark.slow
@pytest.mark.parametrize("acyclicity", ["log_det", "exponential", "polynomial"])
@pytest.mark.parametrize("constraint", ["path", "lagrangian"])
def test_every_acyclicity_constraint_finds_the_graph(acyclicity, constraint):
    truths, x = zip(*(drawn(seed, nodes=5, degree=1) for seed in range(4)), strict=True)
    path = tuple(10.0**-k for k in range(5 if constraint == "path" else 9))
    steps = (1000,) * len(path)
    config = causal.Config.equal_variance(
        acyclicity=acyclicity, constraint=constraint, finish="cut", path=path, stage_steps=steps
    )
    with jax.enable_x64(True):
        results = jax.jit(jax.vmap(causal.fit, in_axes=(0, None, None)))(np.stack(x), None, config)
        h = [float(causal_acyclicity.exponential(uncut).value) for uncut in results.uncut]
    assert [int(graph_distance.compare(t, g)["shd"]) for t, g in zip(truths, results.graph, strict=True)] == [0] * 4
    assert max(h) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("score", ["golem_ev", "golem_nv"])
def test_the_likelihood_scores_lead_to_the_graph(score):
    truth, x = drawn(0, nodes=5, degree=1)
    config = causal.Config.equal_variance(score=score, penalty=0.02, finish="cut", stage_steps=(1000,) * 5)
    assert shd(truth, causal.fit(x, config=config)) == 0


@pytest.mark.slow
def test_golem_nv_differs_from_golem_ev_only_in_the_last_stage():
    _, x = drawn(1, nodes=4)
    with jax.enable_x64(True):
        configs = [
            causal.Config.equal_variance(score=s, finish="cut", path=(1.0, 0.1), stage_steps=(20, 20))
            for s in ("golem_ev", "golem_nv")
        ]
        states = [learner.init(causal_problems.problem(x, None, c), c) for c in configs]
        for k in range(40):
            states = [
                learner.step(s, causal_problems.problem(x, None, c), c)[0] for s, c in zip(states, configs, strict=True)
            ]
            same = np.array_equal(states[0].params, states[1].params)
            assert same == (k < 20)


@pytest.mark.slow
def test_binary_columns_are_learned_by_the_logistic_score():
    """x0 -> x1 -> x2 of 0 and 1: the skeleton is found, and x0 and x2 are not joined."""
    rng = np.random.default_rng(0)
    chance = lambda z: rng.uniform(size=2000) < 1 / (1 + np.exp(-z))
    a = chance(np.zeros(2000))
    b = chance(4.0 * a - 2)
    x = np.stack([a, b, chance(4.0 * b - 2)], axis=1).astype(float)
    config = causal.Config.equal_variance(score="logistic", transform="none", finish="cut", stage_steps=(1000,) * 5)
    graph = causal.fit(x, config=config).graph
    np.testing.assert_array_equal(graph | graph.T, [[0, 1, 0], [1, 0, 1], [0, 1, 0]])


def hard_case(seed):
    """Random required and forbidden edges and tiers that do not contradict each other, and a soft prior."""
    rng = np.random.default_rng(seed)
    rank = rng.permutation(5)
    along = rank[:, None] < rank[None, :]
    required = along & (rng.uniform(size=(5, 5)) < 0.25)
    forbidden = (rng.uniform(size=(5, 5)) < 0.3) & ~required & ~np.eye(5, dtype=bool)
    x = rng.normal(size=(30, 5)) @ np.linalg.inv(np.eye(5) - np.triu(rng.normal(size=(5, 5)), 1))
    return x[:, rng.permutation(5)], required, forbidden, rng.uniform(size=(5, 5)), rng.uniform(size=(5, 5))


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"noise": "unequal", "finish": "order"}, {"finish": "cut"}], ids=str)
def test_hard_constraints_hold_in_a_thousand_cases(settings):
    config = causal.Config.equal_variance(stage_steps=(20, 20, 20, 20, 40), **settings)
    x, required, forbidden, edges, confidence = (
        np.stack(part) for part in zip(*map(hard_case, range(1000)), strict=True)
    )
    known = causal.Knowledge(edges, confidence, required=required, forbidden=forbidden)
    with jax.enable_x64(True):
        graph = np.asarray(jax.jit(jax.vmap(causal.fit, in_axes=(0, 0, None)))(x, known, config).graph)
        assert jnp.all(jax.vmap(graphs.is_dag)(graph))
    assert not np.any(graph & forbidden)
    assert not np.any(required & ~graph)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::framework.causal.AssumptionWarning")  # of wrong graphs
def test_tiers_are_kept_to():
    _, x = drawn(2, nodes=6)
    tiers = [[5, 0], [3], [1, 2, 4]]
    graph = causal.fit(x, causal.Knowledge(np.zeros((6, 6)), np.zeros((6, 6)), tiers=tiers), SHORT).graph
    rank = np.array([0, 2, 2, 1, 2, 0])
    assert not np.any(graph & (rank[:, None] > rank[None, :]))


@pytest.mark.slow
def test_beliefs_in_paths_take_part(problem):
    """A path that data of few rows leave open is found where it is believed in, and not where it is denied."""
    rng = np.random.default_rng(3)
    a, e, f = rng.normal(size=(3, 12))
    x = np.stack([a, 0.9 * a + e, 0.5 * a + f], axis=1)
    paths = lambda belief: causal.Knowledge(
        ancestors=np.full((3, 3), belief) * np.eye(3, k=2), ancestor_confidence=np.eye(3, k=2)
    )
    reach = [graphs.reachability(causal.fit(x, paths(b), prior_weight=0.3).graph)[0, 2] for b in (0.0, 1.0)]
    assert reach == [False, True]


@pytest.mark.slow
def test_a_start_counts_only_late_on_the_path(problem):
    truth, x = problem
    prior = causal.Knowledge(truth.T * 1.0)
    ends = {}
    for start_stage in (0, 4):
        config = causal.Config.equal_variance(
            start=0.3, start_stage=start_stage, finish="cut", prior_weight=0.0, stage_steps=(1000,) * 5
        )
        without = dataclasses.replace(config, start=0.0)
        ends[start_stage] = np.abs(causal.fit(x, prior, config).uncut - causal.fit(x, prior, without).uncut).max()
    assert ends[0] < 0.05 < ends[4]


@pytest.mark.slow
def test_bounds_hold_claimed_edges_up_on_the_path(problem):
    truth, x = problem
    prior = causal.Knowledge(truth.T * 1.0)
    config = causal.Config.equal_variance(bound=0.1, finish="cut", prior_weight=0.0, stage_steps=SHORT.stage_steps)
    uncut = causal.fit(x, prior, config).uncut
    assert np.abs(uncut[truth.T]).min() >= 0.1
    free = causal.fit(x, prior, dataclasses.replace(config, bound=0.0)).uncut
    assert np.abs(free[truth.T]).min() < 0.1


@pytest.mark.long
def test_memory_is_said_to_the_right_order_of_magnitude():
    """Held against what XLA reserves for the compiled fit."""
    for rows, columns, config in (
        (1000, 20, causal.Config.equal_variance()),
        (200, 60, causal.Config.equal_variance(finish="order", noise="unequal")),
    ):
        with jax.enable_x64(True):
            compiled = jax.jit(causal.fit).lower(np.ones((rows, columns)), None, config).compile()
        analysis = compiled.memory_analysis()
        reserved = analysis.temp_size_in_bytes + analysis.argument_size_in_bytes + analysis.output_size_in_bytes
        assert reserved / 2 < causal_problems.memory(rows, columns, config) < 8 * reserved

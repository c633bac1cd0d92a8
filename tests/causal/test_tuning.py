import dataclasses

import jax
import numpy as np
import pytest

from framework import causal
from framework.causal import tuning

CONFIG = causal.Config.equal_variance(stage_steps=(100, 100, 100, 100, 200), finish="cut")


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(0)
    a, e, f, g = rng.normal(size=(4, 400))
    return np.stack([a, 1.5 * a + e, -1.2 * e - a + f, g], axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("criterion", tuning.CRITERIA)
def test_the_grid_passes_over_penalties_that_empty_the_graph(x, criterion):
    choice = causal.choose(x, None, CONFIG, penalties=(0.05, 5.0), criterion=criterion)
    assert choice.penalty == 0.05
    assert choice.scores[0] > choice.scores[1]
    assert choice.result.graph.any()
    assert choice.prior_weight is None


@pytest.mark.slow
def test_the_result_is_the_fit_at_the_point_chosen(x):
    prior = causal.Knowledge(np.eye(4, k=1))
    choice = causal.choose(x, prior, CONFIG, penalties=(0.02, 0.1), prior_weights=(0.0, 0.05))
    alone = causal.fit(x, prior, CONFIG, penalty=choice.penalty, prior_weight=choice.prior_weight)
    np.testing.assert_allclose(choice.result.weights, alone.weights, atol=1e-10)
    assert choice.scores.shape == (4,)


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["equal", "unequal"])
@pytest.mark.parametrize("criterion", tuning.CRITERIA)
def test_a_point_is_judged_as_a_plain_likelihood_judges_it(x, criterion, noise):
    """The oracle: least squares on the rows kept, the normal density of the rows judged, column by column."""
    key, config = jax.random.key(3), dataclasses.replace(CONFIG, noise=noise)
    scores = causal.choose(x, None, config, penalties=(0.05,), criterion=criterion, key=key).scores
    judged = np.asarray(tuning._held_out(key, 400, 100)) if criterion == "held_out" else np.ones(400, bool)
    kept = ~judged if criterion == "held_out" else judged
    graph = causal.fit(x[kept], None, config, penalty=0.05).graph
    train, test = x[kept] - x[kept].mean(0), x[judged] - x[kept].mean(0)
    parts = []
    for j in range(4):
        parents = graph[:, j]
        weights = np.linalg.lstsq(train[:, parents], train[:, j], rcond=None)[0]
        parts.append((train[:, j] - train[:, parents] @ weights, test[:, j] - test[:, parents] @ weights))
    variances = [np.mean(local**2) for local, _ in parts]
    variances = [np.mean(variances)] * 4 if noise == "equal" else variances
    expected = -0.5 * sum(np.sum(np.log(v) + left**2 / v) for v, (_, left) in zip(variances, parts, strict=True))
    if criterion == "ebic":
        expected -= graph.sum() * (np.log(400) / 2 + np.log(4))
    assert graph.any()
    assert scores[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"criterion": "aic"}, "criterion must be one of ebic, held_out"),
        ({"penalties": ()}, "at least one penalty"),
        ({"penalties": (-1.0,)}, "penalties must be finite and at least 0"),
        ({"prior_weights": ()}, "at least one prior weight"),
        ({"share": 1.0}, r"share must lie in \(0, 1\)"),
        ({"criterion": "held_out", "share": 0.001}, "a share of 0.001 holds out 0 of 400 rows; wanted are 1 at least"),
        ({"criterion": "held_out", "share": 0.999}, "holds out 400 of 400 rows; .* and 3 to fit"),
        ({"key": 3}, "a random key is wanted"),
        ({"config": causal.Config.equal_variance(score="mlp", finish="cut")}, "linear Gaussian"),
    ],
)
def test_an_impossible_grid_is_refused(x, settings, what):
    with pytest.raises(ValueError, match=what):
        causal.choose(x, **settings)

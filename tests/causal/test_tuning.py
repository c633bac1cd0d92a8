import jax
import numpy as np
import pytest

from framework import causal
from framework.causal import tuning

CONFIG = causal.Config(stage_steps=(100, 100, 100, 100, 200), finish="cut")


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
def test_held_out_rows_judge_as_a_plain_likelihood_does(x):
    """The oracle: least squares on the rows kept, the normal density of the rows held out, column by column."""
    key = jax.random.key(3)
    scores = causal.choose(x, None, CONFIG, penalties=(0.05,), criterion="held_out", key=key).scores
    held = np.asarray(tuning._held_out(key, 400, 0.25))
    graph = causal.fit(x[~held], None, CONFIG, penalty=0.05).graph
    train, test = x[~held] - x[~held].mean(0), x[held] - x[~held].mean(0)
    parts = []
    for j in range(4):
        parents = graph[:, j]
        weights = np.linalg.lstsq(train[:, parents], train[:, j], rcond=None)[0]
        parts.append((train[:, j] - train[:, parents] @ weights, test[:, j] - test[:, parents] @ weights))
    variance = np.mean([np.mean(kept**2) for kept, _ in parts])
    expected = -0.5 * sum(np.sum(np.log(variance) + left**2 / variance) for _, left in parts)
    assert scores[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"criterion": "aic"}, "criterion must be one of ebic, held_out"),
        ({"penalties": ()}, "at least one penalty"),
        ({"penalties": (-1.0,)}, "penalties must be finite and at least 0"),
        ({"prior_weights": ()}, "at least one prior weight"),
        ({"share": 1.0}, r"share must lie in \(0, 1\)"),
        ({"config": causal.Config(score="mlp", finish="cut")}, "linear Gaussian"),
    ],
)
def test_an_impossible_grid_is_refused(x, settings, what):
    with pytest.raises(ValueError, match=what):
        causal.choose(x, **settings)

"""Scores of uncertainty, difficulty and training dynamics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from framework.selection import difficulty, dynamics, uncertainty


@pytest.fixture(scope="module")
def logits():
    return np.random.default_rng(0).normal(scale=4, size=(50, 10)).astype(np.float32)


def test_entropy_is_that_of_the_softmax(logits):
    expected = stats.entropy(special.softmax(logits.astype(np.float64), axis=-1), axis=-1)
    np.testing.assert_allclose(uncertainty.entropy(logits), expected, rtol=2e-4, atol=1e-6)


def test_entropy_of_a_certain_network_has_a_logarithm():
    entropies = np.asarray(uncertainty.entropy(jnp.array([[200.0, 0.0, -300.0], [1e4, 0.0, 0.0], [0.0, 0.0, 0.0]])))
    assert (entropies > 0).all()
    assert np.isfinite(np.log10(entropies)).all()
    np.testing.assert_allclose(entropies[2], np.log(3), rtol=1e-6)


def test_margin_and_least_confidence(logits):
    probabilities = np.sort(special.softmax(logits, axis=-1))
    np.testing.assert_allclose(uncertainty.margin(logits), probabilities[:, -1] - probabilities[:, -2], atol=1e-6)
    np.testing.assert_allclose(uncertainty.least_confidence(logits), 1 - probabilities[:, -1], atol=1e-6)


@pytest.mark.slow
def test_el2n_is_the_mean_norm_of_the_error(logits):
    labels = np.arange(50) % 10
    both = np.stack([logits, logits[::-1]])
    expected = np.linalg.norm(special.softmax(both, axis=-1) - np.eye(10)[labels], axis=-1).mean(0)
    np.testing.assert_allclose(difficulty.el2n(both, labels), expected, rtol=1e-5)
    assert difficulty.el2n(jnp.array([[100.0, -100.0]]), jnp.array([1]))[0] == pytest.approx(np.sqrt(2))


@pytest.mark.slow
def test_grand_of_a_linear_network_has_a_closed_form():
    """Cross-entropy of W x: the gradient is (softmax - onehot) x^T, its norm the product of the two."""
    rng = np.random.default_rng(0)
    weight, images = rng.normal(size=(10, 6)).astype(np.float32), rng.normal(size=(13, 6)).astype(np.float32)
    labels = np.arange(13) % 10
    loss = lambda w, x, y: -jax.nn.log_softmax(w @ x)[y]
    error = special.softmax(images @ weight.T, axis=-1) - np.eye(10)[labels]
    expected = np.linalg.norm(error, axis=1) * np.linalg.norm(images, axis=1)
    np.testing.assert_allclose(difficulty.grand(loss, weight, images, labels, block=4), expected, rtol=1e-5)
    swept = jax.vmap(lambda w: difficulty.grand(loss, w, images, labels))(np.stack([weight, 2 * weight]))
    np.testing.assert_allclose(swept[0], expected, rtol=1e-5)
    with pytest.raises(ValueError, match="block must be a whole number of at least 1"):
        difficulty.grand(loss, weight, images, labels, block=0)
    with pytest.raises(ValueError, match="13 images need as many labels, got 12"):
        difficulty.grand(loss, weight, images, labels[:12])


def test_forgetting_and_margins_equal_a_plain_loop():
    rng = np.random.default_rng(0)
    count, labels = 12, np.arange(12) % 3
    state = dynamics.init(count)
    correct, events, learned, margins = (
        np.zeros(count, bool),
        np.zeros(count),
        np.zeros(count, bool),
        [[] for _ in labels],
    )
    update = jax.jit(dynamics.update)
    logits_of_all = rng.normal(size=(9, count, 3)).astype(np.float32)
    logits_of_all[:, 5, labels[5]] = -9  # never learned
    rows = np.stack([rng.permutation(count)[:8] for _ in logits_of_all])
    for logits, points in zip(logits_of_all, rows, strict=True):
        state = update(state, points, logits[points], labels[points])
        for i in points:
            margin = logits[i, labels[i]] - np.delete(logits[i], labels[i]).max()
            events[i] += correct[i] and margin <= 0
            correct[i] = margin > 0
            learned[i] |= margin > 0
            margins[i].append(margin)
    expected = [events[i] if learned[i] else len(margins[i]) + 1 for i in range(count)]
    np.testing.assert_array_equal(dynamics.forgetting(state), expected)
    assert not learned[5]
    np.testing.assert_allclose(dynamics.aum(state), [np.mean(m) if m else 0 for m in margins], atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"indices": [0, 1, 9]}, "the index at place 2 is 9; indices are 0 to 4"),
        ({"indices": [0, -1, 2]}, "the index at place 1 is -1; indices are 0 to 4"),
        ({"indices": [0, 1]}, r"3 points need as many indices, got shape \(2,\)"),
        ({"indices": [0.0, 1.0, 2.0]}, "indices must be whole numbers from 0 to 4"),
        ({"indices": [0, 3, 3]}, "the index 3 comes 2 times; no two may be the same"),
        ({"labels": [0, 1, 4]}, "the label of point 2 is 4; labels are 0 to 3"),
        ({"labels": [0.0, 1.0, 2.0]}, "labels must be whole numbers from 0 to 3"),
        ({"logits": np.zeros(3)}, r"logits must be \[B, classes\], got shape \(3,\)"),
    ],
)
def test_invalid_evaluations_are_refused(changes, message):
    evaluation = {"indices": [0, 1, 4], "logits": np.zeros((3, 4)), "labels": [0, 1, 2]}
    dynamics.update(dynamics.init(5), **evaluation)
    with pytest.raises(ValueError, match=message):
        dynamics.update(dynamics.init(5), **evaluation | changes)

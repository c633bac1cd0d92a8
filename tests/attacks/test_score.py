import jax
import jax.numpy as jnp
import numpy as np

from framework.attacks.score import harmonic_robustness


def test_the_score_is_the_harmonic_mean():
    np.testing.assert_allclose(harmonic_robustness(87.30, 53.07), 66.01, atol=0.01)
    np.testing.assert_allclose(harmonic_robustness(0.5, 0.5), 0.5)
    assert harmonic_robustness(0.9, 0.0) == 0


def test_nothing_right_is_a_score_of_0_with_a_gradient():
    assert harmonic_robustness(0.0, 0.0) == 0
    assert jnp.isfinite(jax.grad(harmonic_robustness)(0.0, 0.0))

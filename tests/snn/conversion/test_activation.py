import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.snn.conversion import activation
from framework.snn.neurons import coding


@pytest.mark.slow
def test_the_staircase_equals_a_rate_code_of_as_many_steps():
    """A rate code that starts at half its threshold, in units of the ceiling."""
    levels, ceiling = 8, 2.5
    x = np.linspace(-1, 4, 201).astype(np.float32)
    code = coding.rate(threshold=1.0, start=0.5)
    state, sent = code.init(x.shape), 0.0
    for _ in range(levels):
        state, payload = code.step(state, jnp.asarray(x / ceiling))
        sent = sent + payload
    unit = activation.qcfs(levels, ceiling)
    staircase = unit.apply(x, {"log_ceiling": jnp.log(ceiling)})
    np.testing.assert_allclose(staircase, ceiling * sent / levels, atol=1e-5)
    assert len(np.unique(np.round(staircase, 4))) == levels + 1


@pytest.mark.slow
def test_the_gradient_takes_the_floor_as_the_identity():
    unit = activation.qcfs(4, 2.0)
    slope = jax.vmap(jax.grad(lambda x: unit.apply(x, {})))(jnp.array([-0.5, 0.1, 1.0, 1.9, 2.5]))
    np.testing.assert_allclose(slope, [0, 1, 1, 1, 0])
    learned = {"log_ceiling": jnp.log(2.0)}
    top = jax.grad(lambda params: unit.apply(jnp.array(5.0), params))(learned)["log_ceiling"]
    np.testing.assert_allclose(top, 2.0, rtol=1e-6)  # above the last stair y = c, and dc / dlog c = c


@pytest.mark.parametrize("bad", [{"levels": 0}, {"levels": 2.5}, {"ceiling": 0.0}, {"ceiling": float("nan")}])
def test_bad_numbers_are_refused(bad):
    with pytest.raises(ValueError, match="qcfs: levels must be at least 1 and ceiling above 0"):
        activation.qcfs(**bad)

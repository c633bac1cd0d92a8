import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.models import initializers


@pytest.mark.slow
def test_kernels_have_the_variance_of_their_fan_in():
    tree = {"a": (3, 3, 50, 20), "b": [{"c": (200, 100), "d": jnp.arange(3)}, jnp.zeros(2)]}
    params = initializers.he_normal(jax.random.key(0), tree)
    for kernel, shape in ((params["a"], (3, 3, 50, 20)), (params["b"][0]["c"], (200, 100))):
        assert kernel.shape == shape
        fan_in = np.prod(shape[:-1])
        assert abs(np.var(kernel) * fan_in / 2 - 1) < 5 * np.sqrt(2 / kernel.size)
    np.testing.assert_array_equal(params["b"][0]["d"], [0, 1, 2])
    flat = np.concatenate([np.ravel(params["a"]), np.ravel(params["b"][0]["c"])])
    assert len(np.unique(flat)) > 0.99 * flat.size  # no draw is used twice

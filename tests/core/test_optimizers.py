import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.core import optimizers

PLATEAU = optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau())
WITH_VALUE = {"polyak": optax.polyak_sgd(0.1), "momo": optax.contrib.momo(0.1), "plateau": PLATEAU}
PLAIN = {
    "sgd": optax.sgd(0.1),
    "adamw": optax.adamw(0.1),
    "muon": optax.contrib.muon(0.1),
    "schedule-free": optax.contrib.schedule_free_sgd(0.1),
    "clipped": optax.chain(optax.clip_by_global_norm(1.0), optax.lion(0.1)),
}


@pytest.mark.parametrize("name", WITH_VALUE)
def test_the_loss_is_handed_on(name):
    optimizer, params = WITH_VALUE[name], {"w": jnp.arange(3.0)}
    optimizers.check(optimizer, "a rule")
    assert optimizers.needs_value(optimizer)
    gradient, state, value = {"w": jnp.ones(3)}, optimizer.init(params), jnp.float32(0.7)
    result = optimizers.update(optimizer, gradient, state, params, value)
    expected = optimizer.update(gradient, state, params, value=value)
    jax.tree.map(np.testing.assert_array_equal, result, expected)


@pytest.mark.parametrize("name", PLAIN)
def test_others_are_called_as_ever(name):
    optimizers.check(PLAIN[name], "a rule")
    assert not optimizers.needs_value(PLAIN[name])


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (0.1, "a rule wants optimisers of optax, such as optax.sgd\\(0.1\\), got 0.1"),
        (optax.lbfgs(), "this one also wants grad and value_fn: take one without functions"),
        (optax.chain(optax.sgd(0.1), optax.scale_by_backtracking_linesearch(3)), "also wants grad and value_fn"),
        (optax.contrib.sophia(0.1), "also wants obj_fn"),
        (
            optax.contrib.differentially_private_aggregate(1.0, 0.1, key=jax.random.key(0)),
            "also wants gradients of single examples",
        ),
        (optax.contrib.sam(optax.sgd(0.1), optax.sgd(0.1), opaque_mode=True), "this one also wants"),
    ],
)
def test_what_wants_functions_is_refused(optimizer, message):
    with pytest.raises(ValueError, match=message) as error:
        optimizers.check(optimizer, "a rule")
    assert "\n" not in str(error.value)


def test_one_that_only_takes_certain_parameters_is_told_by_them():
    optimizer = optax.masked(optax.polyak_sgd(0.1), {"w": True, "frozen": False})
    optimizers.check(optimizer, "a rule")
    params = {"w": jnp.arange(3.0), "frozen": jnp.ones(2)}
    assert optimizers.needs_value(optimizer)
    updates, _ = optimizers.update(optimizer, params, optimizer.init(params), params, jnp.float32(0.5))
    np.testing.assert_allclose(updates["w"], -0.1 * params["w"], rtol=1e-6)  # 0.5 / |g|^2 is its step, below 0.1


def test_errors_of_an_optimiser_stay_what_they_are():
    def fail(updates, state, params=None):
        raise TypeError("no such thing")

    broken = optax.GradientTransformation(lambda params: (), fail)
    with pytest.raises(TypeError, match="no such thing"):
        optimizers.update(broken, 1.0, (), 1.0, jnp.zeros(()))

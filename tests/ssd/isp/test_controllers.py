import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.ssd.device import presets
from framework.ssd.isp import controllers
from framework.ssd.isp.controllers import Controllers

DESIGN = presets.isp_ml(channels=4)


def durations(design=DESIGN, cost=None, **numbers):
    cost = controllers.softmax_regression(784, 10, 10) if cost is None else cost
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, controllers.durations(design, Controllers(**numbers), cost))


def test_a_page_of_softmax_regression_takes_what_arithmetic_says():
    """164,650 products and as many sums of 2 cycles, 100 exponentials of 20, at 400 MHz; 31.4 KB do not fit."""
    result = durations()
    products = 2 * 78_400 + 7_850
    crossing = 4 * 7_850 / 1.6
    assert result.compute.tolist() == [int(np.ceil(2.5 * (4 * products + 20 * 100) + 2 * crossing))] * 4
    assert result.transfer == int(np.ceil(crossing))
    assert result.sense == 290 + 75_000
    assert result.fetch == 30 + 24_576
    assert result.apply == int(2.5 * 2 * 7_850)


def test_what_fits_the_buffer_is_not_streamed():
    small = durations(parameter_bytes=2.0)
    assert durations().compute[0] - small.compute[0] == pytest.approx(2 * 4 * 7850 / 1.6, abs=1)
    assert durations(parameter_bytes=2.0, width=8.0).compute[0] == pytest.approx(small.compute[0] / 8, abs=1)
    assert durations(parameter_bytes=2.0, slowness=np.array([1.0, 1, 1, 3])).compute[3] == 3 * small.compute[0]


def test_the_cost_of_a_loss_is_counted_in_its_program():
    def loss(w, batch):
        x, y = batch
        return -jnp.mean(jax.nn.log_softmax(x @ w["w"] + w["b"])[jnp.arange(10), y])

    params = {"w": jnp.zeros((784, 10)), "b": jnp.zeros(10)}
    counted = controllers.work(loss, params, (jnp.zeros((10, 784)), jnp.zeros(10, int)))
    formula = controllers.softmax_regression(784, 10, 10)
    assert counted.parameters == formula.parameters == 7850
    assert counted.multiplications == pytest.approx(formula.multiplications, rel=0.02)
    assert 0 < counted.exponentials <= 4 * formula.exponentials


@pytest.mark.parametrize("cost", [-1.0, float("nan"), float("inf")])
def test_a_cost_that_is_none_is_refused(cost):
    with pytest.raises(ValueError, match="adds of a minibatch must be at least 0 and finite, got"):
        durations(cost=controllers.MinibatchCost(cost, 1, 1, 1))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"clock_mhz": 0.0}, "clock_mhz must be above 0, got 0.0"),
        ({"slowness": np.ones(3)}, r"one for each of 4 channels, got the shape \(3,\)"),
    ],
)
def test_what_is_no_processor_is_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        durations(**numbers)

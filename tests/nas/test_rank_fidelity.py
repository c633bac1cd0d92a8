import json

import jax
import numpy as np
import pytest
from scipy import stats

from framework.nas import rank_fidelity


@pytest.mark.slow
@pytest.mark.parametrize("levels", [1000, 4])
def test_tau_is_scipys_with_and_without_ties(levels):
    x, y = np.random.default_rng(0).integers(0, levels, (2, 40)).astype(np.float32)
    assert rank_fidelity.kendall(x, y + x) == pytest.approx(stats.kendalltau(x, y + x).statistic, abs=1e-6)


def test_tau_of_one_order_its_reverse_and_none():
    x = np.arange(5.0)
    assert [float(rank_fidelity.kendall(x, y)) for y in (x**3, -x, 0 * x)] == pytest.approx([1, -1, 0])
    counts = np.arange(5, dtype=np.uint8)
    assert float(rank_fidelity.kendall(counts, counts[::-1])) == pytest.approx(-1)
    assert float(rank_fidelity.kendall(counts > 2, counts)) == pytest.approx(stats.kendalltau(counts > 2, counts)[0])
    with pytest.raises(ValueError, match=r"\[N\] each"):
        rank_fidelity.kendall(x, x[:3])


@pytest.mark.slow
def test_a_bootstrap_spreads_as_tau_does_over_samples():
    """Its standard deviation against that over fresh samples of the same law."""
    rng = np.random.default_rng(0)
    fresh = lambda: (lambda t: (np.stack([t + rng.normal(size=30), -t]), t))(rng.normal(size=30))
    taus = [stats.kendalltau(r[0], t).statistic for r, t in (fresh() for _ in range(300))]
    drawn = np.asarray(rank_fidelity.bootstrap(jax.random.key(0), *fresh(), draws=300))
    assert drawn.shape == (300, 2)
    assert 0.6 < drawn[:, 0].std() / np.std(taus) < 1.6
    np.testing.assert_allclose(drawn[:, 1], -1, atol=1e-6)


def test_the_ceiling_of_nas_bench_macro(shared):
    """Two runs of the table against each other, on 400 of its architectures: near the .882 of all."""
    table = json.loads(shared("proxy_nas", "nb_macro", "nas-bench-macro_cifar10.json").read_text())
    runs = np.array([entry["test_acc"][:2] for entry in table.values()], np.float32)[:: len(table) // 400].T
    assert rank_fidelity.kendall(*runs) == pytest.approx(0.882, abs=0.03)

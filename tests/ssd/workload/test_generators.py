import dataclasses

import jax
import numpy as np
import pytest

from framework import ssd
from framework.ssd.device import presets
from framework.ssd.workload import generators

KEY = jax.random.key(0)


@pytest.mark.slow
def test_poisson_arrivals_have_the_laws_rate_and_variance():
    gaps = np.diff(generators.poisson(KEY, 50_000, 1e5).arrival)
    assert gaps.mean() == pytest.approx(1e4, rel=0.02)
    assert gaps.std() == pytest.approx(1e4, rel=0.02)


@pytest.mark.slow
def test_a_key_gives_the_same_load_and_another_key_another():
    one, two, three = (generators.poisson(key, 50, 1e5, read_ratio=0.5) for key in (KEY, KEY, jax.random.key(1)))
    np.testing.assert_array_equal(one.offset, two.offset)
    assert (one.arrival != three.arrival).any()
    assert (one.kind != three.kind).any()


def test_the_mixture_is_as_asked():
    made = generators.poisson(KEY, 20_000, 1e5, read_ratio=0.7, size=(4096, 16384), span=2**24)
    assert (made.kind == generators.READ).mean() == pytest.approx(0.7, abs=0.02)
    assert (made.size == 4096).mean() == pytest.approx(0.5, abs=0.02)
    assert set(made.size.tolist()) == {4096, 16384}
    assert (made.offset + made.size).max() <= 2**24
    assert made.uniform == 0
    assert generators.closed(KEY, 10, 2).uniform == 8192


def counts(**choices):
    made = generators.closed(KEY, 50_000, 1, span=1000 * 8192, **choices)
    return np.bincount(made.offset // 8192, minlength=1000)


def test_patterns_ask_for_places_as_they_say():
    uniform = counts()
    assert uniform.min() > 20
    zipf = np.sort(counts(pattern="zipf", skew=0.99))[::-1]
    assert zipf[0] / zipf[99] == pytest.approx(100**0.99, rel=0.4)
    harmonic = np.sort(counts(pattern="zipf", skew=1.0))[::-1]
    assert harmonic[0] / 50_000 == pytest.approx(np.log(2) / np.log(1001), rel=0.05)  # the continuous law's first place
    assert harmonic[0] / harmonic[99] == pytest.approx(np.log(2) / np.log(101 / 100), rel=0.4)
    assert counts(pattern="zipf", skew=0.0).min() > 20
    hot = counts(pattern="hot-cold", hot=0.1, heat=0.9)
    assert hot[:100].sum() / hot.sum() == pytest.approx(0.9, abs=0.01)
    assert set(counts(pattern="sequential").tolist()) == {50}


@pytest.mark.parametrize("slots", [1, 2, 3, 64, 1000, 1001, 4095])
def test_popular_places_are_spread_over_the_span_and_stay_apart(slots):
    places = generators._scatter(np.arange(slots), slots)
    assert sorted(places.tolist()) == list(range(slots))
    if slots > 9:  # of every ten places that follow each other in popularity some lie in each half
        tens = places[: slots // 10 * 10].reshape(-1, 10) >= slots / 2
        assert (tens.any(1) & ~tens.all(1)).all()


@pytest.mark.parametrize(
    ("choices", "what"),
    [
        ({"rate": 0}, "rate must be positive"),
        ({"requests": 0}, "requests must be an integer of at least 1"),
        ({"rate": 1e-9}, "more than 13 days"),
        ({"size": 1000}, "multiples of 512"),
        ({"size": (4096, 4096.7)}, "multiples of 512"),
        ({"size": ()}, "multiples of 512"),
        ({"read_ration": 0.5}, "no choice 'read_ration'; it has read_ratio, size, span"),
        ({"span": 2**24 / 3}, "span must be an integer"),
        ({"align": 8192.0}, "align must be an integer"),
        ({"read_ratio": 1.5}, "read_ratio must be a share"),
        ({"span": 512}, "holds no request of 8192"),
        ({"pattern": "random"}, "pattern must be one of uniform"),
        ({"align": 100}, "align must be"),
        ({"pattern": "zipf", "skew": -1.0}, "skew must be at least 0"),
        ({"skew": 0.5}, "skew is for pattern='zipf', and has no effect on 'uniform'"),
        ({"pattern": "zipf", "heat": 0.5}, "heat is for pattern='hot-cold', and has no effect on 'zipf'"),
        ({"pattern": "sequential", "hot": 0.5}, "hot is for pattern='hot-cold'"),
    ],
)
def test_what_is_no_load_is_refused(choices, what):
    with pytest.raises(ValueError, match=what):
        generators.poisson(KEY, **({"requests": 10, "rate": 1e5} | choices))
    with pytest.raises(ValueError, match="queue_depth must be an integer of at least 1"):
        generators.closed(KEY, 10, 0)


def test_a_closed_replay_keeps_requests_and_their_order():
    load = generators.poisson(KEY, 20, 1e4, read_ratio=0.5)
    again = generators.closed_replay(load, 4)
    assert again.queue_depth == 4
    assert again.arrival.tolist() == [0] * 20
    for name in ("offset", "size", "kind"):
        np.testing.assert_array_equal(getattr(again, name), getattr(load, name))
    with pytest.raises(ValueError, match="queue_depth must be an integer of at least 1, got 0"):
        generators.closed_replay(load, 0)


def test_a_load_that_is_not_as_uniform_as_it_says_is_refused():
    load = generators.poisson(KEY, 20, 1e4, size=4096)
    assert load.uniform == 4096
    other = dataclasses.replace(load, uniform=8192)
    with pytest.raises(
        ValueError, match="a uniform load has requests of 8192 bytes at multiples of it; request 0: 4096"
    ):
        ssd.simulate(presets.isp_ml(), other)

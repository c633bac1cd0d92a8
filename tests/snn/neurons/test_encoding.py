import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from framework.snn.neurons import coding, encoding

CLOCKED = {
    "real": coding.real(),
    "rate": coding.rate(),
    "phase": coding.phase(8),
    "burst": coding.burst(),
    "clocked burst": coding.burst(reload=6),
    "burst_isi": coding.burst_isi(),
    "ttfs": coding.ttfs(16, 4.0),
}
IMAGES = jnp.asarray(np.random.default_rng(0).integers(0, 257, (5, 2, 3)) / 256, jnp.float32)


def encode(code, images, steps, key=None):
    """Payloads [T, B, ...], and how often x was loaded up to each step, [T, B] or [T]."""
    encoder = code.encoder

    def step(state, t):
        reloaded = jnp.zeros(()) if encoder.reloaded is None else encoder.reloaded(state)
        state, payload = encoder.step(state, None if key is None else jax.random.fold_in(key, t))
        return state, (payload, reloaded)

    return lax.scan(step, encoder.init(images), jnp.arange(steps))[1]


def test_real_brings_the_image_in_every_step():
    payloads, _ = encode(coding.real(), -IMAGES, 3)
    np.testing.assert_array_equal(payloads, np.stack([-IMAGES] * 3))
    assert not coding.real().encoder.spikes


def test_rate_brings_the_image_to_one_spike_over_steps():
    payloads, _ = encode(coding.rate(), IMAGES, 64)
    np.testing.assert_array_equal(payloads.sum(0), np.floor(64 * IMAGES))


@pytest.mark.slow
def test_poisson_fires_with_the_probability_of_the_pixel():
    steps = 4000
    payloads, _ = jax.jit(lambda: encode(coding.poisson(), IMAGES, steps, jax.random.key(0)))()
    assert set(np.unique(payloads)) == {0.0, 1.0}
    spread = np.sqrt(IMAGES * (1 - IMAGES) / steps)
    assert np.all(np.abs(payloads.mean(0) - IMAGES) <= 5 * spread)
    ends = jnp.array([[0.0, 1.0]])
    np.testing.assert_array_equal(encode(coding.poisson(), ends, 50, jax.random.key(1))[0].mean(0), ends)


@pytest.mark.slow
def test_poisson_spikes_follow_the_key_folded_with_the_step():
    seeds = jnp.arange(3)
    swept = jax.vmap(lambda s: encode(coding.poisson(), IMAGES, 7, jax.random.key(s))[0])(seeds)
    for s in seeds:
        keys = [jax.random.fold_in(jax.random.key(s), t) for t in range(7)]
        np.testing.assert_array_equal(swept[s], [jax.random.uniform(k, IMAGES.shape) < IMAGES for k in keys])
    assert not np.array_equal(swept[0], swept[1])


def test_poisson_without_a_key_says_so():
    with pytest.raises(ValueError, match="the poisson code draws spikes at random: give it a key"):
        encode(coding.poisson(), IMAGES, 1)


@jax.jit
def three_periods(images):
    return encode(coding.phase(8), images, 24)[0]


@settings(max_examples=30, deadline=None)
@given(levels=st.lists(st.integers(0, 256), min_size=6, max_size=6))
def test_phase_brings_eight_digits_in_every_period(levels):
    payloads = np.asarray(three_periods(jnp.array([levels]) / 256))
    for start in (0, 8, 16):
        period = payloads[start : start + 8].sum(0)[0]
        np.testing.assert_array_equal(period, np.minimum(levels, 255) / 256)
    assert (payloads[:8] > 0).sum() == sum(min(n, 255).bit_count() for n in levels)


def drain_by_loop(image, threshold, steps):
    """The oracle: one sample, loaded again after a silent step in which it has drained."""
    payloads, fills, u, g = [], [], image.copy(), np.ones_like(image)
    fill = True
    for _ in range(steps):
        u = image.copy() if fill else u
        fills.append(fill)
        fires = u >= threshold * g
        payloads.append(fires * threshold * g)
        u -= payloads[-1]
        g = np.where(fires, 2 * g, 1.0)
        fill = not fires.any() and u.max() < threshold
    return np.array(payloads), np.array(fills)


@pytest.mark.slow
def test_burst_fills_each_sample_anew_when_it_has_drained():
    images = IMAGES * jnp.array([1, 0.5, 0.25, 0.125, 1])[:, None, None]
    payloads, reloaded = encode(coding.burst(), images, 40)
    for b, image in enumerate(np.asarray(images)):
        expected, fills = drain_by_loop(image, 0.125, 40)
        np.testing.assert_array_equal(payloads[:, b], expected)
        np.testing.assert_array_equal(reloaded[:, b], fills)
        ends = np.flatnonzero(fills)[1:]
        decoded = np.floor(image * 8) / 8
        np.testing.assert_array_equal(payloads[: ends[-1], b].sum(0), len(ends) * decoded)
    assert len({tuple(row) for row in np.asarray(reloaded).T}) > 1  # samples go their own ways


def test_a_clocked_burst_is_filled_every_reload_steps():
    payloads = encode(coding.burst(reload=6), IMAGES, 18)[0]
    decoded = np.floor(IMAGES * 8) / 8
    for start in (0, 6, 12):
        np.testing.assert_array_equal(payloads[start : start + 6].sum(0), decoded)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLOCKED)
def test_a_batch_of_samples_equals_samples_alone(name):
    batch = encode(CLOCKED[name], IMAGES, 30)[0]
    single = [encode(CLOCKED[name], IMAGES[b : b + 1], 30)[0] for b in range(len(IMAGES))]
    np.testing.assert_array_equal(batch, jnp.concatenate(single, axis=1))


@pytest.mark.parametrize("name", CLOCKED)
def test_compiled_encoders_agree_and_repeat(name):
    code = CLOCKED[name]
    payloads = np.asarray(encode(code, IMAGES, 48)[0])
    compiled = jax.jit(lambda images: encode(code, images, 48)[0])(IMAGES)
    np.testing.assert_allclose(compiled, payloads, rtol=1e-6)
    if code.encoder.repeats:
        period = code.encoder.period
        np.testing.assert_array_equal(payloads[period:], payloads[:-period])


@pytest.mark.slow
def test_burst_isi_encodes_by_number_and_interval():
    x = np.append(np.arange(0, 1, 1 / 64), 1.0).astype(np.float32)
    code = coding.burst_isi(spikes=4, shortest=2, longest=6, window=24)
    trains = np.asarray(encode(code, jnp.asarray(x)[None], 48)[0])[:, 0] > 0
    np.testing.assert_array_equal(trains[:24], trains[24:])
    for value, train in zip(x, trains[:24].T, strict=True):
        times = np.flatnonzero(train)
        interval = np.ceil((6 - 2) * (1 - value) + 2)
        np.testing.assert_array_equal(times, np.arange(np.ceil(4 * value)) * interval)
    assert code.encoder.period == 24
    np.testing.assert_allclose(encode(code, jnp.ones((1, 1)), 24)[0].sum(), 1.0)


@pytest.mark.parametrize(("spikes", "shortest", "longest"), [(5, 1, 4), (1, 3, 9), (8, 2, 2), (3, 1, 20)])
def test_the_shortest_window_holds_every_burst(spikes, shortest, longest):
    code = coding.burst_isi(spikes, shortest, longest)
    x = jnp.linspace(0, 1, 2001)[None]
    payloads = encode(code, x, code.period)[0]
    np.testing.assert_array_equal((payloads > 0).sum(0), np.ceil(spikes * x))
    with pytest.raises(ValueError, match=f"must hold the longest burst, {code.period} steps"):
        coding.burst_isi(spikes, shortest, longest, window=code.period - 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "spread"), [(n, s) for n in coding.PAIRS for s in (False, True) if not s or "phase" in n]
)
def test_every_pair_tells_a_weighted_sum_with_its_bias(name, spread):
    """One neuron: what it sent, divided by how often x was brought, tends to relu(w x + b), whatever the two clocks."""
    hidden = {} if "burst" in name.split("-")[1] else {"threshold": 1.0}
    input_code, hidden_code = coding.pair(name, hidden_options=hidden)
    x = jnp.array([[0.0, 0.375], [0.5, 1.0], [0.75, 0.25]])
    weights, biases = jnp.array([0.5, -0.25]), jnp.array([0.125, -0.25, 0.0])
    decoded = jnp.ceil(5 * x) / 5 if input_code.name == "burst_isi" else x
    expected = jax.nn.relu((decoded @ weights)[:, None] + biases)
    scaling = encoding.input_scaling(input_code, hidden_code, spread)
    steps = 160 if hidden_code.name == "ttfs" else 2048

    def step(state, t):
        source, unit, sent, input_count = state
        reloaded = None if input_code.encoder.reloaded is None else input_code.encoder.reloaded(source)[:, None]
        source, payload = input_code.encoder.step(source, jax.random.fold_in(jax.random.key(7), t))
        bias_scale = scaling.bias_scale(t, reloaded)
        unit, out = hidden_code.step(
            unit, ((scaling.input_scale(t) * payload) @ weights)[:, None] + bias_scale * biases
        )
        return (source, unit, sent + out, input_count + bias_scale), None

    start = (input_code.encoder.init(x), hidden_code.init((3, 3), layer=1), jnp.zeros((3, 3)), jnp.zeros((3, 1)))
    _, _, sent, input_count = jax.jit(lambda: lax.scan(step, start, jnp.arange(steps))[0])()
    error = jnp.abs(sent / input_count - expected)
    if hidden_code.name == "ttfs":
        allowed = 0.1 * (expected + jnp.abs(weights) @ x.T[:, :, None].squeeze(-1).max(1)) + 0.02
        assert jnp.all(error <= allowed), error
    else:
        assert error.max() < (0.03 if input_code.name == "poisson" else 0.01), error


def test_input_scaling_follows_the_slower_code():
    scaling = encoding.input_scaling(coding.real(), coding.phase(8))
    assert (scaling.period, scaling.input_scale(3)) == (8, 1 / 8)
    assert [float(scaling.bias_scale(t)) for t in range(9)] == [1.0] + [0.0] * 7 + [1.0]
    assert encoding.input_scaling(coding.real(), coding.phase(8), spread=True).bias_scale(3) == 1 / 8
    same = encoding.input_scaling(coding.phase(8), coding.burst())
    assert (same.period, same.input_scale(3), float(same.bias_scale(8))) == (8, 1.0, 1.0)
    plain = encoding.input_scaling(coding.real(), coding.burst())
    assert (plain.period, plain.input_scale(3), plain.bias_scale(3)) == (1, 1.0, 1.0)
    once = encoding.input_scaling(coding.real(), coding.ttfs())
    assert (
        [float(once.input_scale(t)) for t in (0, 1, 80)]
        == [1.0, 0.0, 0.0]
        == [float(once.bias_scale(t)) for t in (0, 1, 80)]
    )


@pytest.mark.parametrize(
    ("input_code", "hidden_code", "message"),
    [
        (coding.multispike(), coding.rate(), "multispike-rate: the multispike code has no role at the input"),
        (coding.real(), coding.poisson(), "real-poisson: the poisson code has no role in hidden layers"),
        (coding.poisson(), coding.ttfs(), "poisson-ttfs: hidden layers with ttfs take real or ttfs input"),
        (coding.ttfs(), coding.rate(), "ttfs-rate: .* a ttfs input only feeds those"),
        (coding.burst(), coding.phase(8), r"burst-phase: the input needs a clock, as in burst\(reload=8\)"),
    ],
)
def test_codes_that_do_not_go_together_are_refused(input_code, hidden_code, message):
    with pytest.raises(ValueError, match=message):
        encoding.input_scaling(input_code, hidden_code)


def test_a_drained_burst_needs_the_reloaded_samples():
    with pytest.raises(ValueError, match=r"give encoder.reloaded\(state\)"):
        encoding.input_scaling(coding.burst(), coding.rate()).bias_scale(0)


@pytest.mark.parametrize(
    ("code", "images", "message"),
    [
        (
            coding.phase(),
            [[0.5], [-2.1]],
            r"images for the phase code must lie in \[0, 1\], found -2.1 .*real",
        ),
        (coding.poisson(), [[1.5]], r"images for the poisson code must lie in \[0, 1\], found 1.5 in image 0"),
        (coding.rate(0.5), [[0.75]], r"images for the rate code must lie in \[0, 0.5\], found 0.75"),
        (coding.real(), [[0.0], [float("nan")]], "images must be finite, found nan in image 1"),
        (coding.multispike(), [[0.5]], "the multispike code has no role at the input"),
        (coding.real(), np.zeros((1, 2), np.uint8), "divide bytes by 255"),
    ],
)
def test_images_that_a_code_cannot_carry_are_refused(code, images, message):
    with pytest.raises(ValueError, match=message):
        encoding.check(code, np.asarray(images) if isinstance(images, np.ndarray) else jnp.array(images))


def test_images_that_a_code_carries_pass():
    for code in (coding.make(name) for name in coding.INPUTS + ("ttfs",)):
        encoding.check(code, np.array([[0.0, 1.0]], np.float32))
    encoding.check(coding.real(), np.array([[-2.0, 3.0]]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: coding.burst_isi(spikes=0), "at least 1 spike"),
        (lambda: coding.burst_isi(spikes=2.5), "at least 1 spike .*got spikes=2.5"),
        (lambda: coding.burst_isi(window=30.5), "must hold the longest burst, .*got 30.5"),
        (lambda: coding.burst_isi(shortest=0), "1 <= shortest <= longest steps"),
        (lambda: coding.burst_isi(shortest=5, longest=4), "got spikes=5, shortest=5, longest=4"),
    ],
)
def test_intervals_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()

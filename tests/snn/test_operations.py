import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from framework.snn import layers, operations


def convolve(x, kernel, strides, padding):
    """Cross-correlation by plain loops."""
    batch, height, width, _ = x.shape
    kh, kw, _, out = kernel.shape
    if padding == "HALF":
        x = np.pad(x, ((0, 0), (kh // 2, kh // 2), (kw // 2, kw // 2), (0, 0)))
        height, width = x.shape[1:3]
    if padding == "SAME":
        rows, columns = -(-height // strides[0]), -(-width // strides[1])
        down = max((rows - 1) * strides[0] + kh - height, 0)
        across = max((columns - 1) * strides[1] + kw - width, 0)
        x = np.pad(x, ((0, 0), (down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0)))
    else:
        rows, columns = (height - kh) // strides[0] + 1, (width - kw) // strides[1] + 1
    y = np.zeros((batch, rows, columns, out))
    for i, j in itertools.product(range(rows), range(columns)):
        statistics = x[:, i * strides[0] : i * strides[0] + kh, j * strides[1] : j * strides[1] + kw]
        y[:, i, j] = np.einsum("bhwc,hwco->bo", statistics, kernel)
    return y


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 2, operations.PATCH_CHANNELS + 1])
@pytest.mark.parametrize(("kernel", "strides"), [((3, 3), (1, 1)), ((5, 2), (2, 1)), ((1, 1), (2, 3))])
@pytest.mark.parametrize("padding", layers.PADDINGS)
def test_a_convolution_is_that_of_plain_loops(channels, kernel, strides, padding):
    """Few channels and many take two ways."""
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(2, 7, 6, channels)), rng.normal(size=(*kernel, channels, 3))
    spec = layers.conv(3, kernel, strides, padding, bias=False)
    with jax.enable_x64(True):
        y = operations.affine(spec, {"kernel": weights}, x)
        assert y.shape[1:] == operations.output_shape(spec, x.shape[1:])
        timed = operations.affine(spec, {"kernel": weights}, np.stack([x, x]))
    np.testing.assert_allclose(y, convolve(x, weights, strides, padding), atol=1e-12)
    np.testing.assert_allclose(timed, np.stack([y, y]), atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "strides"), [((3, 3), (1, 1)), ((5, 2), (2, 1)), ((1, 1), (2, 3)), ((4, 3), (3, 2))]
)
@pytest.mark.parametrize("padding", layers.PADDINGS)
def test_the_gradients_of_a_convolution_are_those_of_jax(kernel, strides, padding):
    rng = np.random.default_rng(0)
    x, weights = (
        rng.normal(size=(2, 9, 8, operations.PATCH_CHANNELS + 1)),
        rng.normal(size=(*kernel, operations.PATCH_CHANNELS + 1, 3)),
    )
    spec, numbers = layers.conv(3, kernel, strides, padding, bias=False), ("NHWC", "HWIO", "NHWC")
    ours = lambda weights, x: jnp.sin(operations.affine(spec, {"kernel": weights}, x)).sum()
    pads = [(k // 2, k // 2) for k in kernel] if padding == "HALF" else padding
    plain = lambda w, x: jnp.sin(lax.conv_general_dilated(x, w, strides, pads, dimension_numbers=numbers)).sum()
    with jax.enable_x64(True):
        for gradient, expected in zip(*(jax.grad(f, (0, 1))(weights, x) for f in (ours, plain)), strict=True):
            np.testing.assert_allclose(gradient, expected, atol=1e-12)


@pytest.mark.parametrize("kind", layers.POOLS)
def test_pooling_equals_reduce_window_and_drops_the_rest(kind):
    x = np.random.default_rng(0).normal(size=(4, 7, 8, 3)).astype(np.float32)
    spec = layers.pool(kind, (2, 3))
    start, reduce = (-np.inf, lax.max) if kind == "max" else (0.0, lax.add)
    expected = lax.reduce_window(x, start, reduce, (1, 2, 3, 1), (1, 2, 3, 1), "VALID") / (1 if kind == "max" else 6)
    np.testing.assert_allclose(operations.pool_or_flatten(spec, x, lead=1), expected, atol=1e-6)
    assert operations.output_shape(spec, (7, 8, 3)) == (3, 2, 3)


def test_flattening_keeps_the_leading_axes():
    x = np.arange(2 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6)
    np.testing.assert_array_equal(operations.pool_or_flatten(layers.flatten(), x, lead=2), x.reshape(2, 3, -1))


@pytest.mark.parametrize(("over", "axes"), [("step", (1, 2, 3)), ("time", (0, 1, 2, 3)), ("threshold", (0, 1, 2, 3))])
def test_norm_statistics_by_axes_and_running_update(over, axes):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 4, 5, 5, 2)) * np.arange(1, 4)[:, None, None, None, None]
    layer_params = {
        "scale": np.array([2.0, 3.0]),
        "shift": np.array([0.5, 0.0]),
        "mean": np.zeros(2),
        "var": np.ones(2),
    }
    spec = layers.norm(momentum=0.75, over=over)
    with jax.enable_x64(True):
        y, updated = operations.normalize(spec, layer_params, x, True, True, threshold=0.5)
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    scale = layer_params["scale"] * (0.5 if over == "threshold" else 1)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5) * scale + layer_params["shift"], atol=1e-9)
    running = layer_params["mean"], layer_params["var"]
    for statistics in zip(mean.reshape(-1, 2), var.reshape(-1, 2), strict=True):
        running = tuple(0.75 * r + 0.25 * s for r, s in zip(running, statistics, strict=True))
    np.testing.assert_allclose((updated["mean"], updated["var"]), running, atol=1e-12)


def test_a_norm_that_is_not_trained_uses_the_running_statistics():
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    layer_params = {"scale": np.ones(3), "shift": np.zeros(3), "mean": np.full(3, 0.5), "var": np.full(3, 4.0)}
    y, same = operations.normalize(layers.norm(), layer_params, x, False, False, 1.0)
    np.testing.assert_allclose(y, (x - 0.5) / 2, atol=1e-5)
    assert same is layer_params


@pytest.mark.slow
def test_curvature_is_the_same_forward_and_reverse_over_reverse():
    """Hessian-vector products through the convolution whose gradient is written out."""
    spec = layers.conv(3, 3, 2, bias=False)
    channels = operations.PATCH_CHANNELS + 1
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        kernel, x, direction = (
            jax.numpy.asarray(rng.normal(size=size))
            for size in ((3, 3, channels, 3), (2, 5, 6, channels), (3, 3, channels, 3))
        )
        loss = lambda kernel: (operations.affine(spec, {"kernel": kernel}, x) ** 4).sum()
        forward = jax.jvp(jax.grad(loss), (kernel,), (direction,))[1]
        reverse = jax.grad(lambda kernel: (jax.grad(loss)(kernel) * direction).sum())(kernel)
        np.testing.assert_allclose(forward, reverse, rtol=1e-9)

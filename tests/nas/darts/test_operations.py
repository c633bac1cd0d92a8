import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.nas.darts import operations

RNG = np.random.default_rng(0)


def draw(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def plain_depthwise(x, kernel, dilation, stride):
    """One channel of one image, place by place: [H, W] by [k, k]."""
    reach = kernel.shape[0] // 2
    out = np.zeros((-(-x.shape[0] // stride), -(-x.shape[1] // stride)))
    for row, column in np.ndindex(out.shape):
        for i, j in np.ndindex(kernel.shape):
            at = stride * row + dilation * (i - reach), stride * column + dilation * (j - reach)
            if 0 <= at[0] < x.shape[0] and 0 <= at[1] < x.shape[1]:
                out[row, column] += x[at] * kernel[i, j]
    return out


@pytest.mark.parametrize("form", operations.FORMS)
@pytest.mark.parametrize(("size", "dilation", "stride"), [(3, 1, 1), (5, 2, 1), (5, 1, 2), (3, 2, 2)])
def test_a_depthwise_convolution_is_that_of_plain_loops(form, size, dilation, stride):
    x, kernels = draw(2, 3, 8, 4), draw(2, size, size)
    result = operations.depthwise(x, kernels, dilation, stride, form)
    for channel, image in np.ndindex(2, 3):
        expected = plain_depthwise(x[channel, image], kernels[channel], dilation, stride)
        np.testing.assert_allclose(result[channel, image], expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("form", operations.FORMS)
def test_shared_images_are_those_of_each_kernel(form):
    x, kernels = draw(2, 3, 2, 8, 8), draw(2, 4, 3, 5, 5)
    result = operations.shared_depthwise(x, kernels, 2, 2, form)
    for state, kernel in np.ndindex(2, 4):
        alone = operations.depthwise(x[state], kernels[state, kernel], 2, 2, form)
        np.testing.assert_allclose(result[state, kernel], alone, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("stride", [1, 2])
def test_pools_are_the_largest_and_the_mean_of_what_lies_inside(stride):
    x = draw(2, 3, 6, 8)
    largest, mean = operations.max_pool(x, stride), operations.average_pool(x, stride)
    for row, column in np.ndindex(largest.shape[2:]):
        near = [slice(max(stride * index - 1, 0), stride * index + 2) for index in (row, column)]
        window = x[:, :, near[0], near[1]]
        np.testing.assert_allclose(largest[:, :, row, column], window.max((2, 3)))
        np.testing.assert_allclose(mean[:, :, row, column], window.mean((2, 3)), atol=1e-6)


@pytest.mark.slow
def test_the_first_of_equal_maxima_has_the_gradient():
    slope = jax.grad(lambda x: operations.max_pool(x, 2).sum())(jnp.zeros((1, 1, 4, 4)))
    expected = np.zeros((4, 4))
    expected[0, 0] = expected[0, 1] = expected[1, 0] = expected[1, 1] = 1
    np.testing.assert_array_equal(slope[0, 0], expected)


def test_half_the_resolution_comes_from_even_and_from_odd_places():
    x, kernels = draw(3, 2, 4, 4), draw(2, 3, 5)
    result = operations.factorized_reduce(x, kernels)
    even = np.einsum("cbhw,cd->dbhw", x[:, :, ::2, ::2], kernels[0])
    odd = np.einsum("cbhw,cd->dbhw", x[:, :, 1::2, 1::2], kernels[1])
    np.testing.assert_allclose(result, np.concatenate([even, odd]), atol=1e-5)
    several = draw(1, 4, 2, 3, 5)
    many = operations.factorized_reduce(x[None], several)
    for kernel in range(4):
        np.testing.assert_allclose(many[0, kernel], operations.factorized_reduce(x, several[0, kernel]), atol=1e-5)


def test_a_convolution_is_xlas():
    x, kernel = draw(3, 2, 6, 4), draw(3, 3, 3, 5)
    numbers = ("CNHW", "IHWO", "CNHW")
    expected = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=numbers)
    np.testing.assert_allclose(operations.convolution(x, kernel), expected, atol=1e-5)


@pytest.mark.slow
def test_batch_norm_updates_statistics_as_torch():
    x, local = draw(3, 4, 2, 2), {"mean": jnp.ones(3), "var": jnp.full(3, 2.0)}
    y, after = operations.batch_norm(x, local, train=True)
    np.testing.assert_allclose(np.mean(y, (1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(np.var(y, (1, 2, 3)), 1, atol=1e-3)
    np.testing.assert_allclose(after["mean"], 0.9 + 0.1 * x.mean((1, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(after["var"], 1.8 + 0.1 * x.var((1, 2, 3), ddof=1), rtol=1e-5)
    still, same = operations.batch_norm(x, local, train=False)
    np.testing.assert_allclose(still, (x - 1) / np.sqrt(2 + 1e-5), atol=1e-5)
    np.testing.assert_array_equal(same["var"], local["var"])

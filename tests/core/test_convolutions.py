import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from framework.core import convolutions

IMAGES = np.random.default_rng(0).normal(size=(2, 7, 6, 3)).astype(np.float32)
KERNEL = np.random.default_rng(1).normal(size=(3, 3, 3, 4)).astype(np.float32)
NHWC = ("NHWC", "HWIO", "NHWC")


def loss(images, kernel, stride=1, groups=1, order=NHWC):
    @jax.jit
    def inside(images):
        x = lax.conv_general_dilated(
            images, kernel, (stride, 1), "SAME", dimension_numbers=order, feature_group_count=groups
        )
        return jax.nn.relu(x)

    return jnp.sum(jnp.sin(inside(images)))


@pytest.mark.slow
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("argnum", [0, 1])
def test_gradients_stay_what_they_are(stride, argnum):
    gradient = jax.grad(lambda i, k: loss(i, k, stride), argnum)
    np.testing.assert_allclose(
        convolutions.canonicalize_convolutions(gradient)(IMAGES, KERNEL), gradient(IMAGES, KERNEL), atol=1e-5
    )


@pytest.mark.slow
def test_other_orders_of_axes_and_groups_stay_what_they_are():
    images, kernel = IMAGES.transpose(0, 3, 1, 2), KERNEL[:, :, :1, :3].transpose(3, 2, 0, 1)
    gradient = jax.grad(lambda i: loss(i, kernel, groups=3, order=("NCHW", "OIHW", "NCHW")))
    np.testing.assert_allclose(convolutions.canonicalize_convolutions(gradient)(images), gradient(images), atol=1e-5)


def test_no_convolution_keeps_a_slow_layout():
    gradient = jax.grad(loss, (0, 1))
    plain = [str(e.params["dimension_numbers"]) for e in equations(gradient)]
    ordered = {str(e.params["dimension_numbers"]) for e in equations(convolutions.canonicalize_convolutions(gradient))}
    assert len(set(plain)) == 3
    assert ordered == {plain[0]}


def equations(function):
    result, todo = [], [jax.make_jaxpr(function)(IMAGES, KERNEL).jaxpr]
    for jaxpr in todo:
        for equation in jaxpr.eqns:
            if equation.primitive.name == "conv_general_dilated":
                result.append(equation)
            todo += [p.jaxpr for p in equation.params.values() if hasattr(p, "jaxpr")]
    return result


@pytest.mark.slow
def test_weights_outside_and_transformations_around_are_fine():
    gradient = jax.grad(lambda i: loss(i, KERNEL))
    ordered = convolutions.canonicalize_convolutions(gradient)
    many = jnp.stack([IMAGES, 2 * IMAGES])
    np.testing.assert_allclose(jax.jit(jax.vmap(ordered))(many)[1], gradient(2 * IMAGES), atol=1e-5)
    looped = lax.fori_loop(0, 2, lambda _, x: x + 0.1 * ordered(x), IMAGES)
    plain = IMAGES + 0.1 * gradient(IMAGES)
    np.testing.assert_allclose(looped, plain + 0.1 * gradient(plain), atol=1e-5)


@pytest.mark.parametrize("looped", [False, True])
def test_fast_gradients_equal_plain_gradients(looped):
    plain = lambda x, k: lax.conv_general_dilated(x, k, (2, 2), ((1, 1), (1, 1)), dimension_numbers=NHWC)
    ours = lambda x, k: convolutions.convolve(x, k, (2, 2))
    gradients = lambda conv: jax.grad(lambda x, k: jnp.sin(conv(x, k)).sum(), (0, 1))(IMAGES, KERNEL)
    result = lax.scan(lambda carry, _: (carry, gradients(ours)), 0, length=2)[1] if looped else gradients(ours)
    for one, other in zip(result, gradients(plain), strict=True):
        np.testing.assert_allclose(one[1] if looped else one, other, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "strides"), [(24, (1, 1)), (24, (2, 1)), (11, (1, 1))])
def test_large_batches_have_the_gradients_of_jax(count, strides):
    rng = np.random.default_rng(2)
    images = rng.normal(size=(count, 16, 16, 64)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 64, 8)).astype(np.float32)
    assert images.size > convolutions.PART
    plain = lambda x, k: lax.conv_general_dilated(x, k, strides, ((1, 1), (1, 1)), dimension_numbers=NHWC)
    gradients = lambda source: jax.jit(jax.grad(lambda x, k: jnp.sum(jnp.square(source(x, k))), (0, 1)))(images, kernel)
    ours = gradients(lambda x, k: convolutions.convolve(x, k, strides))
    for result, expected in zip(ours, gradients(plain), strict=True):
        np.testing.assert_allclose(result, expected, atol=1e-5 * np.abs(expected).max())

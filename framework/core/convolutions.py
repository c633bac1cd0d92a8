"""Convolutions at full speed inside compiled loops on a CPU.

XLA's CPU compiler brings a convolution into the one order of axes that its fast kernels take (images `[batch, height,
width, channels]`, kernels `[height, width, in, out]`) only outside of loops. Gradients of convolutions have another
order, so that inside `scan`, `fori_loop` or `while_loop` they run 4 to 60 times slower. `convolve`, for networks of our
own, has gradients in that order, in branches too; `canonicalize_convolutions` writes it out in anybody's function.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core

CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "custom_jvp_call": "call_jaxpr"}
DIMENSIONS = ("NHWC", "HWIO", "NHWC")
# numbers of a batch that the gradient of a kernel looks at together: XLA's is up to 7 times slower on more
PART = 2**17
FEWEST = 8  # images that may stand together whatever their size
Pads = tuple[tuple[int, int], tuple[int, int]]  # (before, after) along height and width


def _plain(strides: tuple[int, int], pads: Pads, kernel: jax.Array, x: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=DIMENSIONS)


def _gradients(strides, pads, residuals: tuple[jax.Array, jax.Array], g: jax.Array) -> tuple[jax.Array, jax.Array]:
    kernel, x = residuals
    sides = zip(x.shape[1:3], kernel.shape, g.shape[1:3], strides, pads, strict=False)
    # (side, of the kernel, from the first output to the last, pad before)
    sides = [(side, k, (out - 1) * stride + 1, low) for side, k, out, stride, (low, _) in sides]
    full = [(k - 1 - low, side - reach + low) for side, k, reach, low in sides]
    along = [(low, reach + k - 1 - side - low) for side, k, reach, low in sides]
    turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    convolve = functools.partial(lax.conv_general_dilated, window_strides=(1, 1), dimension_numbers=DIMENSIONS)

    def to_kernel(x: jax.Array, g: jax.Array) -> jax.Array:
        return convolve(x.transpose(3, 1, 2, 0), g.transpose(1, 2, 0, 3), padding=along, rhs_dilation=strides)

    kernel_gradient = lax.platform_dependent(x, g, cpu=functools.partial(_in_parts, to_kernel), default=to_kernel)
    return kernel_gradient.transpose(1, 2, 0, 3), convolve(g, turned, padding=full, lhs_dilation=strides)


def _in_parts(function: Callable[..., jax.Array], x: jax.Array, g: jax.Array) -> jax.Array:
    """The sum of a function over parts of the batch, each small enough for a core's cache."""
    count, size = len(x), x.size // max(len(x), 1)
    part = max(d for d in range(1, count + 1) if count % d == 0 and (d == 1 or d * size <= PART or d <= FEWEST))
    if part == count:
        return function(x, g)
    parts = (leaf.reshape(count // part, part, *leaf.shape[1:]) for leaf in (x, g))
    return lax.map(lambda part: function(*part), tuple(parts)).sum(0)


# XLA's convolution, whose gradients are convolutions with `DIMENSIONS` too: jax's have others, for which XLA on CPUs is
# 30 to 60 times slower inside a loop.
_convolution = jax.custom_vjp(_plain, nondiff_argnums=(0, 1))
_convolution.defvjp(lambda strides, pads, kernel, x: (_plain(strides, pads, kernel, x), (kernel, x)), _gradients)


def convolve(x: jax.Array, kernel: jax.Array, strides: tuple[int, int] = (1, 1), pads: Pads | None = None) -> jax.Array:
    """A cross-correlation, as convolutions of networks are; `jvp` works on its gradient, not on it alone.

    Args:
      x: `[N, h, w, channels]`.
      kernel: `[rows, columns, channels, features]`.
      strides: along height and width.
      pads: zeros around the image; by default k // 2 on each side of a kernel of k, as
        torch's padding=k // 2 sets them.

    Returns:
      `[N, h', w', features]`.
    """
    pads = tuple((side // 2, side // 2) for side in kernel.shape[:2]) if pads is None else pads
    return _convolution(strides, pads, kernel, x)


def canonicalize_convolutions(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function with every convolution in the order of axes that is fast inside loops.

    Take it around a gradient, `ordered(jax.grad(loss))`: what is differentiated afterwards is in no order again.
    Convolutions within loops of the function's own stay as they are.

    Args:
      function: of pytrees of arrays to a pytree of arrays, traceable.
    """

    @functools.wraps(function)
    def same(*args: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*args)
        results = _evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shape), results)

    return same


def _evaluate(jaxpr: core.Jaxpr, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))
    read = lambda atom: atom.val if isinstance(atom, core.Literal) else values[atom]
    for equation in jaxpr.eqns:
        name, inputs = equation.primitive.name, [read(atom) for atom in equation.invars]
        if name == "conv_general_dilated":
            results = [_in_order(*inputs, **equation.params)]
        elif name in CALLS:
            inner = equation.params[CALLS[name]]
            results = _evaluate(inner.jaxpr, inner.consts, inputs)
        else:
            results = equation.primitive.bind(*inputs, **equation.primitive.get_bind_params(equation.params))
            results = results if equation.primitive.multiple_results else [results]
        values.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _in_order(images: jax.Array, kernel: jax.Array, *, dimension_numbers: Any, **how: Any) -> jax.Array:
    """`conv_general_dilated` between transpositions; the numbers are the axes of (batch, features, height, width)."""
    lhs, rhs, out = dimension_numbers
    rank = images.ndim
    last = lambda axes: (axes[0], *axes[2:], axes[1])
    spatial = "".join(chr(ord("0") + axis) for axis in range(rank - 2))
    result = lax.conv_general_dilated(
        lax.transpose(images, last(lhs)),
        lax.transpose(kernel, (*rhs[2:], rhs[1], rhs[0])),
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
        **how,
    )
    back = sorted(range(rank), key=last(out).__getitem__)
    return lax.transpose(result, back)

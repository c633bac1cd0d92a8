"""Dynamics of NIR's nodes: checks of their inputs, states at rest, and one step of time.

`interpreter` states the equations and runs a graph with these functions. Arrays are [B, ...].
"""

import numbers
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from framework.core.tracing import is_traced
from framework.snn.neurons.surrogate import Surrogate
from framework.snn.nir.primitives import NEURONS, Node

PASSES = ("Input", "Output")
Fire = Callable[[jax.Array, jax.Array], jax.Array]  # (v [B, ...], threshold) -> spikes, 0 or 1 in the dtype of v
_DELAY_TOLERANCE = 1e-3  # largest distance of a delay from a whole number of steps
_TAU_TOLERANCE = (
    1e-5  # relative amount by which a time constant may be below dt: snnTorch writes dt / (1 - beta) in float32
)
_TIMES = ("tau", "tau_mem", "tau_syn", "delay")


def spike(surrogate: Surrogate, at_threshold: bool = False) -> Fire:
    """Makes the spike function: 1 where v > threshold, with the derivative of a surrogate of v - threshold.

    Args:
      surrogate: of `neurons.surrogate`; only its derivative is used.
      at_threshold: whether v = threshold fires, too.

    Returns:
      `fire(v, threshold) -> spikes`.
    """

    @jax.custom_jvp
    def fire(v: jax.Array, threshold: jax.Array) -> jax.Array:
        return (v >= threshold if at_threshold else v > threshold).astype(v.dtype)

    @fire.defjvp
    def _(primals, tangents):
        (v, threshold), (dv, dthreshold) = primals, tangents
        return fire(v, threshold), jax.jvp(surrogate, (v - threshold,), (dv - dthreshold,))[1]

    return fire


def time_step(nodes: dict[str, Node], dt: float | None) -> float:
    """Checks the length of a step, which must not exceed any time constant.

    Args:
      nodes: by name.
      dt: the length, or None: 1 where no node has a time constant or a delay.

    Returns:
      The length as a float.

    Raises:
      ValueError: if dt is no plain number, not positive and finite, missing, or longer than a time constant; names the
        node.

    Warns:
      UserWarning: if dt is not 1 and a neuron without a leak has r = 1, as several programs write for steps of 1.
    """
    for name, node in nodes.items():
        for field in _TIMES:
            if dt is None and field in node.values:
                raise ValueError(
                    f"dt is missing: node {name!r} ({node.type}) has {field} = {_least(node.values[field])}, and a "
                    "file does not state its step: give dt in the same unit, at most the shortest time constant"
                )
    dt = 1.0 if dt is None else dt
    if is_traced(dt) or np.ndim(dt) or not isinstance(np.asarray(dt)[()], numbers.Real):
        raise ValueError(f"dt must be one plain number, got {type(dt).__name__}")
    if not 0 < dt < np.inf:
        raise ValueError(f"dt must be above 0 and finite, got {dt}")
    for name, node in nodes.items():
        for field in _TIMES[:-1]:
            tau = node.values.get(field)
            if tau is None or is_traced(tau):
                continue
            shortest = float(np.min(tau))
            if dt > shortest * (1 + _TAU_TOLERANCE):
                raise ValueError(
                    f"node {name!r} ({node.type}): {field} is {shortest:g}, and dt = {dt:g} is longer: a step would "
                    f"overshoot rest, and diverge from twice {field} on. Take dt of at most {shortest:g}, in the unit "
                    "of the file (snnTorch writes seconds for steps of 1e-4; norse writes tau times its own step)"
                )
    _warn_unit_steps(nodes, float(dt))
    return float(dt)


def _warn_unit_steps(nodes: dict[str, Node], dt: float) -> None:
    for name, node in nodes.items():
        r = node.values.get("r") if node.type in ("I", "IF") else None
        if r is not None and dt != 1 and not is_traced(r) and np.all(np.asarray(r) == 1):
            warnings.warn(
                f"node {name!r} ({node.type}) has r = 1, so that a step of dt = {dt:g} adds {dt:g} times its input: "
                "norse, sinabs and spyx write r = 1 for steps of 1",
                stacklevel=4,
            )
            return


def _least(value: Any) -> str:
    return "a traced number" if is_traced(value) else f"{float(np.min(value)):g}"


def rest(node: Node, x: jax.Array, dt: float, length: int) -> dict[str, Any] | None:
    """State of a node at rest.

    Args:
      node: the node.
      x: one input, `[B, ...]`.
      dt: length of a step.
      length: number of steps of the inputs.

    Returns:
      The state by name; None for a node without memory.
    """
    if node.type == "Delay":
        steps = _delay(node, dt, length)
        return {
            "past": jnp.zeros((int(steps.max(initial=0)), *jnp.broadcast_shapes(x.shape, steps.shape)), x.dtype),
            "steps": jnp.asarray(steps),
        }
    if node.type not in NEURONS:
        return None
    potential = node.values.get("v_leak", node.values.get("v_reset", np.zeros(1)))
    state = {"v": jnp.broadcast_to(jnp.asarray(potential, x.dtype), x.shape)}
    return state | ({"i": jnp.zeros_like(x)} if "tau_syn" in node.values else {})


def check_input(node: Node, shape: tuple[int, ...], sample_axes: set[tuple[int, ...]]) -> None:
    """Refuses an input of a shape that a node does not take; a parameter of one number fits all shapes.

    Args:
      node: the node.
      shape: of one input, without a batch.
      sample_axes: additional first axes, without those of length 1, that the shapes of a file may have.

    Raises:
      ValueError: if it does not fit; states the expected shape.
    """
    values = node.values
    if node.type in ("Affine", "Linear"):
        expected = (*values["weight"].shape[:-2], values["weight"].shape[-1])
    elif node.type in PASSES:
        expected = _strip_sample_axes(values["shape"], shape, sample_axes)
    elif node.type == "Flatten" and "input_type" in values:
        expected = _strip_sample_axes(values["input_type"], shape, sample_axes)
    elif "input_shape" in values:
        expected = (*shape[:1], *np.ravel(values["input_shape"]).tolist())
    else:
        parameter = next((values[name] for name in ("r", "scale", "threshold", "delay") if name in values), None)
        expected = shape if parameter is None or np.size(parameter) == 1 else np.shape(parameter)
    if shape != expected:
        raise ValueError(f"it takes {expected}")
    axes = {"Flatten": len(shape) or 1, "Conv1d": 2, "Conv2d": 3, "SumPool2d": 3, "AvgPool2d": 3}.get(node.type)
    if axes not in (None, len(shape)):
        raise ValueError(f"it takes {axes} axes")


def _strip_sample_axes(
    stated: np.ndarray, shape: tuple[int, ...], sample_axes: set[tuple[int, ...]]
) -> tuple[int, ...]:
    """Shape stated in a file, without the first axes that belong to the sample with which it was written."""
    stated = tuple(np.ravel(stated).tolist())
    extra = len(stated) - len(shape)
    return stated[extra:] if extra > 0 and shape and drop_ones(stated[:extra]) in sample_axes else stated


def drop_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Drops the axes of length 1 from a shape."""
    return tuple(length for length in shape if length != 1)


def _delay(node: Node, dt: float, length: int) -> np.ndarray:
    """Steps of each delay, at most the number of steps of the inputs."""
    steps = node.values["delay"].astype(float) / dt
    if (steps < 0).any() or (abs(steps - np.round(steps)) > _DELAY_TOLERANCE).any():
        raise ValueError(f"a delay must be a whole number of steps of {dt}")
    return np.minimum(np.round(steps), length).astype(np.int32)


def rest_output(node: Node, state: dict, x: jax.Array) -> jax.Array:
    """Output of a node with memory while it is silent.

    Args:
      node: the node.
      state: of `rest`.
      x: one input, `[B, ...]`.

    Returns:
      `[B, ...]`.
    """
    silent = node.type == "Delay" or "v_threshold" in node.values
    return jnp.zeros_like(x) if silent else state["v"]


def advance(node: Node, state: dict, x: jax.Array, dt: float, fire: Fire) -> tuple[dict, jax.Array]:
    """One step of a node with memory.

    Args:
      node: the node.
      state: of the step before, or of `rest`.
      x: its input, `[B, ...]`.
      dt: length of a step.
      fire: of `spike`.

    Returns:
      The next state, and the output `[B, ...]`.
    """
    if node.type == "Delay":
        line = jnp.concatenate([x[None], state["past"]])
        index = jnp.broadcast_to(state["steps"], x.shape)[None]
        return state | {"past": line[:-1]}, jnp.take_along_axis(line, index, axis=0)[0]
    values = {name: _as_float64(value, x.dtype) for name, value in node.values.items()}
    number = lambda value: jnp.asarray(value, x.dtype)
    state = dict(state)
    if "i" in state:
        state["i"] = x = state["i"] + number(dt / values["tau_syn"]) * (number(values["w_in"]) * x - state["i"])
    if "v_leak" in values:
        rate = number(dt / values.get("tau", values.get("tau_mem")))
        state["v"] = state["v"] + rate * ((number(values["v_leak"]) - state["v"]) + number(values["r"]) * x)
    else:
        state["v"] = state["v"] + number(dt * values["r"]) * x
    if "v_threshold" not in values:
        return state, state["v"]
    spikes = fire(state["v"], number(values["v_threshold"]))
    state["v"] = jnp.where(spikes > 0, number(values["v_reset"]), state["v"])
    return state, spikes


def _as_float64(value: Any, dtype: Any) -> Any:
    """Converts a parameter to float64, so that a rate is rounded once; a traced one to the type of the inputs."""
    return jnp.asarray(value, dtype) if is_traced(value) else np.asarray(value, np.float64)


def apply(node: Node, x: jax.Array, fire: Fire) -> jax.Array:
    """Applies a node without memory.

    Args:
      node: the node.
      x: its input, `[B, ...]`.
      fire: of `spike`.

    Returns:
      `[B, ...]`.
    """
    values = node.values
    number = lambda name: jnp.asarray(values[name], x.dtype)
    if node.type in ("Affine", "Linear"):
        y = jnp.einsum("...oi,b...i->b...o", number("weight"), x)
        return y + number("bias") if "bias" in values else y
    if node.type == "Scale":
        return x * number("scale")
    if node.type == "Threshold":
        return fire(x, number("threshold"))
    if node.type == "Flatten":
        sides = x.shape[1:]
        sample_axes = max(np.size(values["input_type"]) - len(sides), 0) if "input_type" in values else 0
        dims = (int(values[name]) for name in ("start_dim", "end_dim"))
        start, end = (dim % len(sides) if dim < 0 else max(dim - sample_axes, 0) % len(sides) for dim in dims)
        return x.reshape(len(x), *sides[:start], -1, *sides[end + 1 :])
    if node.type in ("Conv1d", "Conv2d"):
        y = _convolve(values, number("weight"), x)
        return y + number("bias").reshape(-1, *(1,) * (x.ndim - 2))
    if node.type in ("SumPool2d", "AvgPool2d"):
        window, stride, padding = (_sides(values[name], 2) for name in ("kernel_size", "stride", "padding"))
        pads = ((0, 0), (0, 0), *((p, p) for p in padding))
        total = lax.reduce_window(x, 0.0, lax.add, (1, 1, *window), (1, 1, *stride), pads)
        return total / np.prod(window).astype(x.dtype) if node.type == "AvgPool2d" else total
    return x


def _convolve(values: dict[str, Any], weight: jax.Array, x: jax.Array) -> jax.Array:
    stride, dilation = _sides(values["stride"], x.ndim - 2), _sides(values["dilation"], x.ndim - 2)
    if not isinstance(values["padding"], str):
        padding = [(p, p) for p in _sides(values["padding"], x.ndim - 2)]
    elif values["padding"] == "same" and max(stride) > 1:
        raise ValueError("padding 'same' is defined for stride 1 only")
    else:
        padding = values["padding"].upper()
    groups = int(values["groups"])
    return lax.conv_general_dilated(x, weight, stride, padding, rhs_dilation=dilation, feature_group_count=groups)


def _sides(value: np.ndarray, axes: int) -> list[int]:
    return np.broadcast_to(value, (axes,)).tolist()

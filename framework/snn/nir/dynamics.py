"""What NIR's nodes do: the inputs they take, their state at rest, and one step of time.

The equations stand in `nir_interpreter`, which walks a graph with these functions. Arrays are [B, ...].
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
_WHOLE = 1e-3  # how far from a whole number of steps a delay may be
_ROUNDED = 1e-5  # how far below dt a time constant may lie: snnTorch writes dt / (1 - beta) in float32
_TIMES = ("tau", "tau_mem", "tau_syn", "delay")


def spike(surrogate: Surrogate, at_threshold: bool = False) -> Fire:
    """1 where v > threshold, exactly, with the derivative of a surrogate of v - threshold.

    Args:
      surrogate: of `snn.surrogate`; its derivative alone counts.
      at_threshold: whether v = threshold fires, too.
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
    """The length of a step, which no time constant may be shorter than.

    Args:
      nodes: by name.
      dt: the length, or None: 1 where no node has a time constant or a delay.

    Raises:
      ValueError: if dt is no plain number, not positive and finite, missing, or longer than a time constant; names the
        node.

    Warns:
      UserWarning: if dt is not 1 and a neuron without a leak has r = 1, as several programs write it for steps of 1.
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
            if dt > shortest * (1 + _ROUNDED):
                raise ValueError(
                    f"node {name!r} ({node.type}): {field} is {shortest:g}, and dt = {dt:g} is longer: a step would go "
                    f"beyond rest, and from twice {field} on diverge. Take dt of at most {shortest:g}, in the unit of "
                    "the file (snnTorch writes seconds for steps of 1e-4; norse writes tau times its own step)"
                )
    _warn_of_steps_of_one(nodes, float(dt))
    return float(dt)


def _warn_of_steps_of_one(nodes: dict[str, Node], dt: float) -> None:
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
    """The state of a node at rest, None for one without memory."""
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


def fit(node: Node, shape: tuple[int, ...], left_out: set[tuple[int, ...]]) -> None:
    """Refuses an input of a shape that a node does not take; a single number as its parameter serves all.

    Args:
      node: the node.
      shape: of one input, without a batch.
      left_out: first axes that the shapes of a file may have besides, those of one number left out.

    Raises:
      ValueError: with the shape that it takes.
    """
    own = node.values
    if node.type in ("Affine", "Linear"):
        wanted = (*own["weight"].shape[:-2], own["weight"].shape[-1])
    elif node.type in PASSES:
        wanted = _without(own["shape"], shape, left_out)
    elif node.type == "Flatten" and "input_type" in own:
        wanted = _without(own["input_type"], shape, left_out)
    elif "input_shape" in own:
        wanted = (*shape[:1], *np.ravel(own["input_shape"]).tolist())
    else:
        parameter = next((own[name] for name in ("r", "scale", "threshold", "delay") if name in own), None)
        wanted = shape if parameter is None or np.size(parameter) == 1 else np.shape(parameter)
    if shape != wanted:
        raise ValueError(f"it takes {wanted}")
    axes = {"Flatten": len(shape) or 1, "Conv1d": 2, "Conv2d": 3, "SumPool2d": 3, "AvgPool2d": 3}.get(node.type)
    if axes not in (None, len(shape)):
        raise ValueError(f"it takes {axes} axes")


def _without(stated: np.ndarray, shape: tuple[int, ...], left_out: set[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape that a file states, without first axes that belong to the sample it was written with."""
    stated = tuple(np.ravel(stated).tolist())
    more = len(stated) - len(shape)
    return stated[more:] if more > 0 and shape and without_ones(stated[:more]) in left_out else stated


def without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of more than one number."""
    return tuple(length for length in shape if length != 1)


def _delay(node: Node, dt: float, length: int) -> np.ndarray:
    """Steps of each delay; beyond the end of the inputs all are alike."""
    steps = node.values["delay"].astype(float) / dt
    if (steps < 0).any() or (abs(steps - np.round(steps)) > _WHOLE).any():
        raise ValueError(f"a delay must be a whole number of steps of {dt}")
    return np.minimum(np.round(steps), length).astype(np.int32)


def at_rest(node: Node, state: dict, x: jax.Array) -> jax.Array:
    """What a node with memory gives while it is silent."""
    silent = node.type == "Delay" or "v_threshold" in node.values
    return jnp.zeros_like(x) if silent else state["v"]


def advance(node: Node, state: dict, x: jax.Array, dt: float, fire: Fire) -> tuple[dict, jax.Array]:
    """One step of a node with memory."""
    if node.type == "Delay":
        line = jnp.concatenate([x[None], state["past"]])
        place = jnp.broadcast_to(state["steps"], x.shape)[None]
        return state | {"past": line[:-1]}, jnp.take_along_axis(line, place, axis=0)[0]
    own = {name: _precise(value, x.dtype) for name, value in node.values.items()}
    number = lambda value: jnp.asarray(value, x.dtype)
    state = dict(state)
    if "i" in state:
        state["i"] = x = state["i"] + number(dt / own["tau_syn"]) * (number(own["w_in"]) * x - state["i"])
    if "v_leak" in own:
        rate = number(dt / own.get("tau", own.get("tau_mem")))
        state["v"] = state["v"] + rate * ((number(own["v_leak"]) - state["v"]) + number(own["r"]) * x)
    else:
        state["v"] = state["v"] + number(dt * own["r"]) * x
    if "v_threshold" not in own:
        return state, state["v"]
    spikes = fire(state["v"], number(own["v_threshold"]))
    state["v"] = jnp.where(spikes > 0, number(own["v_reset"]), state["v"])
    return state, spikes


def _precise(value: Any, dtype: Any) -> Any:
    """A parameter in float64, so that a rate is rounded once; a traced one as the inputs are."""
    return jnp.asarray(value, dtype) if is_traced(value) else np.asarray(value, np.float64)


def apply(node: Node, x: jax.Array, fire: Fire) -> jax.Array:
    """A node without memory; x is [B, ...]."""
    own = node.values
    number = lambda name: jnp.asarray(own[name], x.dtype)
    if node.type in ("Affine", "Linear"):
        y = jnp.einsum("...oi,b...i->b...o", number("weight"), x)
        return y + number("bias") if "bias" in own else y
    if node.type == "Scale":
        return x * number("scale")
    if node.type == "Threshold":
        return fire(x, number("threshold"))
    if node.type == "Flatten":
        sides = x.shape[1:]
        more = max(np.size(own["input_type"]) - len(sides), 0) if "input_type" in own else 0  # axes of a sample's batch
        places = (int(own[name]) for name in ("start_dim", "end_dim"))
        start, end = (place % len(sides) if place < 0 else max(place - more, 0) % len(sides) for place in places)
        return x.reshape(len(x), *sides[:start], -1, *sides[end + 1 :])
    if node.type in ("Conv1d", "Conv2d"):
        y = _convolved(own, number("weight"), x)
        return y + number("bias").reshape(-1, *(1,) * (x.ndim - 2))
    if node.type in ("SumPool2d", "AvgPool2d"):
        window, stride, padding = (_sides(own[name], 2) for name in ("kernel_size", "stride", "padding"))
        pads = ((0, 0), (0, 0), *((p, p) for p in padding))
        total = lax.reduce_window(x, 0.0, lax.add, (1, 1, *window), (1, 1, *stride), pads)
        return total / np.prod(window).astype(x.dtype) if node.type == "AvgPool2d" else total
    return x


def _convolved(own: dict[str, Any], weight: jax.Array, x: jax.Array) -> jax.Array:
    stride, dilation = _sides(own["stride"], x.ndim - 2), _sides(own["dilation"], x.ndim - 2)
    if not isinstance(own["padding"], str):
        padding = [(p, p) for p in _sides(own["padding"], x.ndim - 2)]
    elif own["padding"] == "same" and max(stride) > 1:
        raise ValueError("padding 'same' is defined for stride 1 only")
    else:
        padding = own["padding"].upper()
    groups = int(own["groups"])
    return lax.conv_general_dilated(x, weight, stride, padding, rhs_dilation=dilation, feature_group_count=groups)


def _sides(value: np.ndarray, axes: int) -> list[int]:
    return np.broadcast_to(value, (axes,)).tolist()

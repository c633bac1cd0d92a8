"""Networks of a tuple of layers: as a DNN, and over time as a spiking network of neurons or neural codes.

Parameters are a tuple of dicts, one a layer: `kernel` and `bias`; `scale`, `shift` and the running `mean` and `var` of
a norm. The learned values of a unit are stored as `unit` with the weighted layer before it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from framework.core import checks, keys
from framework.core.types import Array, Key, Params
from framework.snn import operations
from framework.snn.conversion.activation import Activation, relu
from framework.snn.layers import Conv, Flatten, Layer, Norm, Pool, Stage, layer_name, network_stages
from framework.snn.neurons.neuron import Neuron

ORDERS = ("layer", "time")


class Outputs(NamedTuple):
    """Outputs of a spiking network at every step.

    Args:
      logits: `[T, B, classes]`, membrane potential of the last layer, which does not fire: its summed currents so far.
      spikes: `[T, B, layers with units]`.
    """

    logits: Float[Array, "steps batch classes"]
    spikes: Float[Array, "steps batch layers"]


def init(key: Key, layers: tuple[Layer, ...], shape: tuple[int, ...], unit: Neuron | None = None) -> Params:
    """Initial parameters: kernels by He et al., biases 0, norms with scale 1 and shift 0.

    Args:
      key: a typed key.
      layers: of `snn.layers`.
      shape: of one input, (height, width, channels) or (features,).
      unit: a neuron, code or activation; each layer with a unit holds its learnable values.

    Returns:
      A tuple of dicts, one a layer: `kernel`, `bias`; `scale`, `shift`, `mean`, `var` of a norm; and perhaps `unit`.

    Raises:
      ValueError: if the layers do not fit each other or the shape; names the layer.
    """
    shapes = input_shapes(layers, shape)
    units = {stage.weighted for stage in network_stages(layers) if stage.unit}
    params = []
    for i, (layer, size) in enumerate(zip(layers, shapes, strict=False)):
        layer_params = operations.init_params(keys.derive(key, f"layer {i}"), layer, size)
        if i in units and unit is not None and unit.params:
            layer_params["unit"] = {name: jnp.asarray(value, float) for name, value in unit.params.items()}
        params.append(layer_params)
    return tuple(params)


def input_shapes(layers: tuple[Layer, ...], shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Input shape of each layer, without a batch, followed by the shape of the logits.

    Args:
      layers: of `snn.layers`.
      shape: of one input, (height, width, channels) or (features,).

    Returns:
      One shape more than there are layers.

    Raises:
      ValueError: if a layer does not fit the output of the one before it.
    """
    network_stages(layers)
    shapes = [tuple(shape)]
    for i, layer in enumerate(layers):
        images = isinstance(layer, Conv | Pool)
        if isinstance(layer, Norm | Flatten):
            pass
        elif images and len(shapes[-1]) != 3:
            raise ValueError(f"layer {i} ({layer_name(layer)}) takes images (h, w, channels), got {shapes[-1]}")
        elif not images and len(shapes[-1]) != 1:
            raise ValueError(f"layer {i} ({layer_name(layer)}) takes vectors, got {shapes[-1]}: flatten them before")
        output = operations.output_shape(layer, shapes[-1])
        if min(output) < 1:
            raise ValueError(f"layer {i} ({layer_name(layer)}) has an empty output for an input of {shapes[-1]}")
        shapes.append(output)
    return shapes


def forward(
    layers: tuple[Layer, ...],
    params: Params,
    images: Float[Array, "batch ..."],
    activation: Activation = relu(),
    train: bool = False,
) -> tuple[Float[Array, "batch classes"], Params]:
    """Runs the layers as a DNN.

    Args:
      layers: of `snn.layers`.
      params: of `init`.
      images: `[B, ...]`.
      activation: of `conversion.activation`.
      train: whether norms use the statistics of the batch and update their running statistics.

    Returns:
      Logits `[B, classes]`, and the parameters with updated running statistics.

    Raises:
      ValueError: if the layers do not take such images, or the parameters hold a value that this activation does not
        learn.
    """
    _check_use(layers, params, jnp.shape(images)[1:], activation, "images are [B, ...]")
    x, updated = images, list(params)
    for stage in network_stages(layers):
        x, updated = current(layers, updated, stage, x, train)
        if stage.unit:
            x = activation.apply(x, params[stage.weighted].get("unit", {}))
    return x, tuple(updated)


def unroll(
    layers: tuple[Layer, ...],
    params: Params,
    inputs: Array,
    unit: Neuron,
    steps: int | None = None,
    *,
    order: str = "layer",
    train: bool = False,
) -> tuple[Outputs, Params]:
    """Runs the layers as a spiking network over time.

    Both orders compute the same. `layer` runs each layer through all steps before the next layer, with time folded into
    the batch of its product or convolution: faster to train, with more memory. `time` runs each step through all layers
    before the next step.

    Args:
      layers: of `snn.layers`.
      params: of `init` with this unit.
      inputs: `[T, B, ...]`; or `[B, ...]` with `steps`, for the same input at every step, whose currents are computed
        once.
      unit: a neuron or a code.
      steps: T of a constant input.
      order: `layer` or `time`.
      train: whether norms use the statistics of the batch and update their running statistics.

    Returns:
      `network.Outputs` of every step, `logits` `[T, B, classes]` (the sum of the last layer's currents so far) and
      `spikes` `[T, B, layers with units]`; and the parameters with updated running statistics.

    Raises:
      ValueError: for an unknown order, steps below 1, or statistics over time with the order `time`; if the layers do
        not take such inputs, or the parameters hold a value that this unit does not learn.
    """
    checks.one_of("order", order, ORDERS)
    if not hasattr(unit, "step"):
        raise ValueError(f"unit must be one neuron or code for all layers, got {type(unit).__name__}")
    if (count := len(inputs) if steps is None else steps) < 1 or count % 1:
        raise ValueError(f"a spiking network takes at least 1 step, got {count}")
    lead = "[T, B, ...]" if steps is None else "[B, ...] with steps"
    _check_use(layers, params, jnp.shape(inputs)[2 if steps is None else 1 :], unit, f"inputs are {lead}")
    return (_by_layer if order == "layer" else _by_time)(layers, params, inputs, unit, steps, train)


def _check_use(
    layers: tuple[Layer, ...], params: Params, shape: tuple[int, ...], unit: Neuron | Activation, hint: str
) -> None:
    """Refuses layers, parameters, an input shape and a unit that do not fit together."""
    try:
        shapes = input_shapes(layers, shape)
        for stage in network_stages(layers):
            i, layer_params = stage.weighted, params[stage.weighted]
            if (channels := layer_params["kernel"].shape[-2]) != shapes[i][-1]:
                raise ValueError(f"layer {i} ({layer_name(layers[i])}) has a kernel for {channels}, got {shapes[i]}")
    except ValueError as error:
        raise ValueError(f"{error}; {hint}, got {tuple(shape)} after the leading axes") from None
    check_unit_params(layers, params, unit)


def check_unit_params(layers: tuple[Layer, ...], params: Params, unit: Neuron | Activation) -> None:
    """Refuses parameters with learned values of another unit or activation.

    Args:
      layers: of `snn.layers`.
      params: of the network.
      unit: a neuron, code or activation.

    Raises:
      ValueError: if a layer holds a learned value that the unit does not know; names both.
    """
    for stage in network_stages(layers):
        if unknown := params[stage.weighted].get("unit", {}).keys() - unit.params.keys():
            where = f"layer {stage.weighted} ({layer_name(layers[stage.weighted])})"
            unit_name = unit.record[0] if unit.record else "this unit"
            raise ValueError(
                f"{where} has learned {min(unknown)!r}, which {unit_name} does not learn: take the unit of the training"
            )


def _by_layer(layers, params, inputs, unit, steps, train):
    x, updated, counts = inputs, list(params), []
    constant = steps is not None
    for stage in network_stages(layers):
        x, updated = current(layers, updated, stage, x, train, timed=not constant, unit=unit)
        if stage.unit:
            state = _init_state(unit, x.shape if constant else x.shape[1:], len(counts), x.dtype)
            x = fire(unit, state, params[stage.weighted], x, steps if constant else None)
            counts.append(spike_count(unit, x))
            constant = False
    x = jnp.broadcast_to(x, (steps, *x.shape)) if constant else x
    spikes = jnp.stack(counts, axis=-1) if counts else jnp.zeros((*x.shape[:2], 0), x.dtype)
    return Outputs(jnp.cumsum(x, axis=0), spikes), tuple(updated)


def _init_state(unit: Neuron, shape: tuple[int, ...], stage: int, dtype: Any) -> Any:
    """State of the units of one layer before the first step; `stage` counts layers with units from 0."""
    return unit.init(shape, layer=stage + 1, dtype=dtype)


def fire(
    unit: Neuron, state: Any, layer_params: dict[str, Any], currents: jax.Array, steps: int | None = None
) -> jax.Array:
    """Runs the units of one layer over all steps.

    Args:
      unit: a neuron or a code.
      state: of `unit.init`.
      layer_params: parameters of the layer: `unit` and `recurrent`, where it has them.
      currents: `[T, B, ...]`; or `[B, ...]` with `steps`, for constant currents.
      steps: T of constant currents.

    Returns:
      The payloads of the units, `[T, B, ...]`.
    """
    feedback = layer_params.get("recurrent")
    last = None if feedback is None else jnp.zeros(currents.shape[0 if steps is not None else 1 :], currents.dtype)

    def step(carry, now):
        state, last = carry
        now = currents if steps is not None else now
        state, output = unit.step(state, now if feedback is None else now + last @ feedback, layer_params.get("unit"))
        return (state, None if feedback is None else output), output

    return lax.scan(step, (state, last), None if steps is not None else currents, length=steps)[1]


def _by_time(layers, params, inputs, unit, steps, train):
    stages, constant = network_stages(layers), steps is not None
    if train and any(s.norm is not None and layers[s.norm].over != "step" for s in stages[constant:]):
        raise ValueError("a norm over all steps cannot be trained with order='time': take 'layer', or over='step'")
    batch = inputs if constant else inputs[0]
    updated, first = list(params), None
    if constant:
        first, updated = current(layers, updated, stages[0], batch, train, unit=unit)
    shapes = input_shapes(layers, batch.shape[1:])
    sizes = [(len(batch), *shapes[s.weighted + 1]) for s in stages if s.unit]
    norms = [s.norm for s in stages if s.norm is not None]

    def step(carry, x):
        states, last, potential, running = carry
        step_params = [layer_params | running.get(i, {}) for i, layer_params in enumerate(params)]
        next_states, outputs = [], []
        for i, stage in enumerate(stages):
            if constant and i == 0:
                x = first
            else:
                x, step_params = current(layers, step_params, stage, x, train, unit=unit)
            if stage.unit:
                weights = params[stage.weighted]
                x = x + last[i] @ weights["recurrent"] if "recurrent" in weights else x
                state, x = unit.step(states[i], x, weights.get("unit"))
                next_states.append(state)
                outputs.append(x)
        potential = potential + x
        counts = [spike_count(unit, output[None])[0] for output in outputs]
        spikes = jnp.stack(counts, axis=-1) if counts else jnp.zeros((len(batch), 0), x.dtype)
        return (next_states, outputs, potential, _running(step_params, norms)), Outputs(potential, spikes)

    states = [_init_state(unit, size, i, batch.dtype) for i, size in enumerate(sizes)]
    last = [jnp.zeros(size, batch.dtype) for size in sizes]
    start = (states, last, jnp.zeros((len(batch), *shapes[-1]), batch.dtype), _running(updated, norms))
    carry, outputs = lax.scan(step, start, None if constant else inputs, length=steps)
    return outputs, tuple(layer_params | carry[-1].get(i, {}) for i, layer_params in enumerate(params))


def _running(params: list[dict[str, Any]], norms: list[int]) -> dict[int, dict[str, jax.Array]]:
    """Running statistics of the norms, by the index of the norm."""
    return {i: {"mean": params[i]["mean"], "var": params[i]["var"]} for i in norms}


def spike_count(unit: Neuron, outputs: jax.Array) -> jax.Array:
    """Spikes of one layer at each step.

    Args:
      unit: a neuron or a code.
      outputs: payloads of the layer, `[T, B, ...]`.

    Returns:
      `[T, B]`.
    """
    return unit.count(outputs).sum(axis=tuple(range(2, outputs.ndim)))


def current(
    layers: tuple[Layer, ...],
    params: list[dict[str, Any]],
    stage: Stage,
    x: Array,
    train: bool = False,
    timed: bool = False,
    unit: Neuron | None = None,
) -> tuple[jax.Array, list[dict[str, Any]]]:
    """Current that drives the units of a stage.

    Args:
      layers, params: of the network.
      stage: one of `layers.network_stages(layers)`.
      x: `[B, ...]`, or with `timed` `[T, B, ...]`.
      train: whether its norm uses the statistics of the batch.
      timed: whether x has an axis of time.
      unit: the unit whose threshold a norm over `threshold` uses; 1 without it.

    Returns:
      The current, `[B, ...]` or `[T, B, ...]`, and the parameters with the updated running statistics of its norm.
    """
    for i in stage.preceding:
        x = operations.pool_or_flatten(layers[i], x, lead=2 if timed else 1)
    x = operations.affine(layers[stage.weighted], params[stage.weighted], x)
    if stage.norm is None:
        return x, params
    threshold = getattr(unit, "threshold", 1.0)
    x, norm_params = operations.normalize(layers[stage.norm], params[stage.norm], x, train, timed, threshold)
    return x, [*params[: stage.norm], norm_params, *params[stage.norm + 1 :]]

"""A tuple of layers at work: as a DNN, and over time as a spiking network with a neuron or a neural code as its unit.

Parameters are a tuple of dicts, one a layer: `kernel` and `bias`; `scale`, `shift` and the running `mean` and `var` of
a norm; what a unit learns stands as `unit` with the weighted layer before it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from framework.core import keys
from framework.core.types import Key, Params
from framework.snn import layers as described
from framework.snn import operations
from framework.snn.conversion.activation import Activation, relu
from framework.snn.layers import Layer, Stage, stages
from framework.snn.neurons.coding import Code

Unit = Any  # a Neuron or a Code: init(shape) -> state; step(state, current, params) -> (state, output); params
ORDERS = ("layer", "time")


class Outputs(NamedTuple):
    """What a spiking network gives, at every step.

    Args:
      logits: `[T, B, classes]`, potential of the last layer, which does not fire: the sum of its currents so far.
      spikes: `[T, B, layers with units]`.
    """

    logits: jax.Array
    spikes: jax.Array


def init(key: Key, layers: tuple[Layer, ...], shape: tuple[int, ...], unit: Unit | None = None) -> Params:
    """Parameters to begin with: kernels by He et al., biases 0, norms that change nothing.

    Args:
      key: a typed key.
      layers: of `snn.layer`.
      shape: of one input, (height, width, channels) or (features,).
      unit: a neuron, code or activation, whose learnable values each layer with a unit is to hold.

    Returns:
      A tuple of dicts, one a layer: `kernel`, `bias`; `scale`, `shift`, `mean`, `var` of a norm; and perhaps `unit`.

    Raises:
      ValueError: if the layers do not fit each other or the shape; names the layer.
    """
    shapes = input_shapes(layers, shape)
    units = {stage.weighted for stage in stages(layers) if stage.unit}
    params = []
    for i, (each, size) in enumerate(zip(layers, shapes, strict=False)):
        own = operations.initial(keys.named(key, f"layer {i}"), each, size)
        if i in units and unit is not None and unit.params:
            own["unit"] = {name: jnp.asarray(value, float) for name, value in unit.params.items()}
        params.append(own)
    return tuple(params)


def input_shapes(layers: tuple[Layer, ...], shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The shape that each layer is given, without a batch, and at the end that of the logits.

    Raises:
      ValueError: if a layer cannot take what the one before it gives.
    """
    stages(layers)
    shapes = [tuple(shape)]
    for i, each in enumerate(layers):
        images = isinstance(each, described.Conv | described.Pool)
        if isinstance(each, described.Norm | described.Flatten):
            pass
        elif images and len(shapes[-1]) != 3:
            raise ValueError(f"layer {i} ({described.name(each)}) takes images (h, w, channels), got {shapes[-1]}")
        elif not images and len(shapes[-1]) != 1:
            raise ValueError(f"layer {i} ({described.name(each)}) takes vectors, got {shapes[-1]}: flatten them before")
        after = operations.output_shape(each, shapes[-1])
        if min(after) < 1:
            raise ValueError(f"layer {i} ({described.name(each)}) leaves nothing of an input of {shapes[-1]}")
        shapes.append(after)
    return shapes


def forward(
    layers: tuple[Layer, ...],
    params: Params,
    images: jax.Array,
    activation: Activation = relu(),
    train: bool = False,
) -> tuple[jax.Array, Params]:
    """The layers as a DNN.

    Args:
      layers: of `snn.layer`.
      params: of `init`.
      images: `[B, ...]`.
      activation: of `snn.activation`.
      train: whether norms take the statistics of the batch, and running ones move.

    Returns:
      Logits `[B, classes]`, and the parameters with their running statistics moved.

    Raises:
      ValueError: if the layers do not take such images, or the parameters hold what this activation does not learn.
    """
    _check_use(layers, params, jnp.shape(images)[1:], activation, "images are [B, ...]")
    x, moved = images, list(params)
    for stage in stages(layers):
        x, moved = current(layers, moved, stage, x, train)
        if stage.unit:
            x = activation.apply(x, params[stage.weighted].get("unit", {}))
    return x, tuple(moved)


def unroll(
    layers: tuple[Layer, ...],
    params: Params,
    inputs: jax.Array,
    unit: Unit,
    steps: int | None = None,
    *,
    order: str = "layer",
    train: bool = False,
) -> tuple[Outputs, Params]:
    """The layers as a spiking network over time.

    Both orders give the same. `layer` takes one layer after the other through all steps, with time folded into the
    batch of its product or convolution: faster to train, and more to remember. `time` takes one step after the other
    through all layers.

    Args:
      layers: of `snn.layer`.
      params: of `init` with this unit.
      inputs: `[T, B, ...]`; or `[B, ...]` with `steps`, for the same input at every step, whose currents are computed
        once.
      unit: a neuron or a code.
      steps: T of an input that stays the same.
      order: `layer` or `time`.
      train: whether norms take the statistics of the batch, and running ones move.

    Returns:
      `network.Outputs` of every step, `logits` `[T, B, classes]` (the sum of the last layer's currents so far) and
      `spikes` `[T, B, layers with units]`; and the parameters with their running statistics moved.

    Raises:
      ValueError: for an unknown order, steps below 1, or statistics over time that the order `time` cannot know; if
        the layers do not take such inputs, or the parameters hold what this unit does not learn.
    """
    if order not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(ORDERS)}, got {order!r}")
    if not hasattr(unit, "step"):
        raise ValueError(f"unit must be one neuron or code for all layers, got {type(unit).__name__}")
    if (count := len(inputs) if steps is None else steps) < 1 or count % 1:
        raise ValueError(f"a spiking network takes at least 1 step, got {count}")
    lead = "[T, B, ...]" if steps is None else "[B, ...] with steps"
    _check_use(layers, params, jnp.shape(inputs)[2 if steps is None else 1 :], unit, f"inputs are {lead}")
    return (_by_layer if order == "layer" else _by_time)(layers, params, inputs, unit, steps, train)


def _check_use(
    layers: tuple[Layer, ...], params: Params, shape: tuple[int, ...], unit: Unit | Activation, what: str
) -> None:
    """Whether layers, parameters, inputs of a shape and a unit go together."""
    try:
        shapes = input_shapes(layers, shape)
        for stage in stages(layers):
            i, own = stage.weighted, params[stage.weighted]
            if (takes := own["kernel"].shape[-2]) != shapes[i][-1]:
                raise ValueError(f"layer {i} ({described.name(layers[i])}) has a kernel for {takes}, got {shapes[i]}")
    except ValueError as error:
        raise ValueError(f"{error}; {what}, got {tuple(shape)} behind the axes before") from None
    check_learned(layers, params, unit)


def check_learned(layers: tuple[Layer, ...], params: Params, unit: Unit | Activation) -> None:
    """Refuses parameters that were trained with another unit or activation, as far as they show it.

    Raises:
      ValueError: if a layer holds a learned value that the unit does not know; names both.
    """
    for stage in stages(layers):
        if unknown := params[stage.weighted].get("unit", {}).keys() - unit.params.keys():
            where = f"layer {stage.weighted} ({described.name(layers[stage.weighted])})"
            by = unit.made[0] if unit.made else "this unit"
            raise ValueError(
                f"{where} has learned {min(unknown)!r}, which {by} does not know: take that of the training"
            )


def _by_layer(layers, params, inputs, unit, steps, train):
    x, moved, counts = inputs, list(params), []
    constant = steps is not None
    for stage in stages(layers):
        x, moved = current(layers, moved, stage, x, train, timed=not constant, unit=unit)
        if stage.unit:
            state = _rest(unit, x.shape if constant else x.shape[1:], len(counts), x.dtype)
            x = fire(unit, state, params[stage.weighted], x, steps if constant else None)
            counts.append(spike_count(unit, x))
            constant = False
    x = jnp.broadcast_to(x, (steps, *x.shape)) if constant else x
    spikes = jnp.stack(counts, axis=-1) if counts else jnp.zeros((*x.shape[:2], 0), x.dtype)
    return Outputs(jnp.cumsum(x, axis=0), spikes), tuple(moved)


def _rest(unit: Unit, shape: tuple[int, ...], place: int, dtype: Any) -> Any:
    """The state of the units of one layer before the first step; a code may look at the layer's place."""
    return unit.init(shape, layer=place + 1, dtype=dtype) if isinstance(unit, Code) else unit.init(shape, dtype=dtype)


def fire(unit: Unit, state: Any, own: dict[str, Any], currents: jax.Array, steps: int | None = None) -> jax.Array:
    """A layer's units over all steps.

    Args:
      unit: a neuron or a code.
      state: of `unit.init`.
      own: the layer's parameters: `unit` and `recurrent` if there are such.
      currents: `[T, B, ...]`; or `[B, ...]` with `steps`, for currents that stay the same.
      steps: T of currents that stay the same.

    Returns:
      What the units send, `[T, B, ...]`.
    """
    feedback = own.get("recurrent")
    last = None if feedback is None else jnp.zeros(currents.shape[0 if steps is not None else 1 :], currents.dtype)

    def step(carry, now):
        state, last = carry
        now = currents if steps is not None else now
        state, output = unit.step(state, now if feedback is None else now + last @ feedback, own.get("unit"))
        return (state, None if feedback is None else output), output

    return lax.scan(step, (state, last), None if steps is not None else currents, length=steps)[1]


def _by_time(layers, params, inputs, unit, steps, train):
    walked, constant = stages(layers), steps is not None
    if train and any(s.norm is not None and layers[s.norm].over != "step" for s in walked[constant:]):
        raise ValueError("a norm over all steps cannot be trained with order='time': take 'layer', or over='step'")
    batch = inputs if constant else inputs[0]
    moved, first = list(params), None
    if constant:
        first, moved = current(layers, moved, walked[0], batch, train, unit=unit)
    shapes = input_shapes(layers, batch.shape[1:])
    sizes = [(len(batch), *shapes[s.weighted + 1]) for s in walked if s.unit]
    norms = [s.norm for s in walked if s.norm is not None]

    def step(carry, x):
        states, last, potential, running = carry
        own = [each | running.get(i, {}) for i, each in enumerate(params)]
        reached, outputs = [], []
        for place, stage in enumerate(walked):
            if constant and place == 0:
                x = first
            else:
                x, own = current(layers, own, stage, x, train, unit=unit)
            if stage.unit:
                weights = params[stage.weighted]
                x = x + last[place] @ weights["recurrent"] if "recurrent" in weights else x
                state, x = unit.step(states[place], x, weights.get("unit"))
                reached.append(state)
                outputs.append(x)
        potential = potential + x
        counts = [spike_count(unit, each[None])[0] for each in outputs]
        spikes = jnp.stack(counts, axis=-1) if counts else jnp.zeros((len(batch), 0), x.dtype)
        return (reached, outputs, potential, _running(own, norms)), Outputs(potential, spikes)

    states = [_rest(unit, size, place, batch.dtype) for place, size in enumerate(sizes)]
    last = [jnp.zeros(size, batch.dtype) for size in sizes]
    start = (states, last, jnp.zeros((len(batch), *shapes[-1]), batch.dtype), _running(moved, norms))
    carry, outputs = lax.scan(step, start, None if constant else inputs, length=steps)
    return outputs, tuple(each | carry[-1].get(i, {}) for i, each in enumerate(params))


def _running(params: list[dict[str, Any]], norms: list[int]) -> dict[int, dict[str, jax.Array]]:
    """The running statistics of the norms, by their places."""
    return {i: {"mean": params[i]["mean"], "var": params[i]["var"]} for i in norms}


def value_and_grad(loss: Callable[..., tuple[jax.Array, Any]], parts: int = 1) -> Callable[..., tuple[Any, Params]]:
    """A loss and its gradient over a batch, one part of the batch after another.

    What the backward pass wants remembered is that of a part, which fits the cache of a CPU: a convolutional network
    is trained several times faster in parts of a few images. A norm takes the statistics of its part.

    Args:
      loss: (params, inputs `[T, B, ...]`, labels `[B, ...]`) -> a mean over the batch, and a pytree of further means.
      parts: how many, a divisor of B; with 1 this is `jax.value_and_grad(loss, has_aux=True)`.

    Returns:
      (params, inputs, labels) -> ((mean, further means), gradient).

    Raises:
      ValueError: when called, if the batch does not divide.
    """
    one = jax.value_and_grad(loss, has_aux=True)

    def all_parts(params: Params, inputs: jax.Array, labels: jax.Array):
        steps, size = inputs.shape[:2]
        if parts < 1 or size % parts:
            raise ValueError(f"a batch of {size} does not divide into {parts} parts")
        inputs = inputs.reshape(steps, parts, size // parts, *inputs.shape[2:]).swapaxes(0, 1)
        labels = labels.reshape(parts, size // parts, *labels.shape[1:])
        nothing = jax.tree.map(jnp.zeros_like, jax.eval_shape(one, params, inputs[0], labels[0]))
        add = lambda total, part: (jax.tree.map(jnp.add, total, one(params, *part)), None)
        return jax.tree.map(lambda leaf: leaf / parts, lax.scan(add, nothing, (inputs, labels))[0])

    return one if parts == 1 else all_parts


def spike_count(unit: Unit, outputs: jax.Array) -> jax.Array:
    """Spikes of one layer at each step, `[T, B, ...] -> [T, B]`."""
    spikes = unit.count(outputs) if isinstance(unit, Code) else outputs
    return spikes.sum(axis=tuple(range(2, outputs.ndim)))


def current(
    layers: tuple[Layer, ...],
    params: list[dict[str, Any]],
    stage: Stage,
    x: jax.Array,
    train: bool = False,
    timed: bool = False,
    unit: Unit | None = None,
) -> tuple[jax.Array, list[dict[str, Any]]]:
    """What a stage's unit is driven with, and the parameters with its norm's running statistics moved.

    Args:
      layers, params: of the network.
      stage: one of `layer.stages(layers)`.
      train: whether its norm takes the statistics of the batch.
      timed: whether x has an axis of time.
      x: `[B, ...]`, or with `timed` `[T, B, ...]`.
      unit: whose threshold a norm over `threshold` takes; 1 without it.
    """
    for i in stage.before:
        x = operations.passed(layers[i], x, lead=2 if timed else 1)
    x = operations.affine(layers[stage.weighted], params[stage.weighted], x)
    if stage.norm is None:
        return x, params
    x, own = operations.normalised(
        layers[stage.norm], params[stage.norm], x, train, timed, getattr(unit, "threshold", 1.0)
    )
    return x, [*params[: stage.norm], own, *params[stage.norm + 1 :]]

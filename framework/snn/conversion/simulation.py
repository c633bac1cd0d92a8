"""A converted network at work: one step of time after another, all layers in order within a step.

What the input brings to the first layer is computed once, or once for each step of its period, where the code allows.
"""

import warnings
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from framework.core.tracing import is_traced
from framework.core.types import Key
from framework.snn import layers as described
from framework.snn import operations
from framework.snn.conversion.normalization import Spiking
from framework.snn.layers import stages
from framework.snn.meters import synops
from framework.snn.meters.rasters import Meter
from framework.snn.neurons import encoding, ttfs
from framework.snn.neurons.coding import Code
from framework.snn.trained import Trained
from framework.snn.trained import logits as trained_logits


class Outputs(NamedTuple):
    """What a converted network gives, at every step.

    Args:
      logits: `[T, B, classes]`, by its readout; that of the membrane tends to the DNN's own logits.
      spikes: `[T, B, layers]`, of the layers that fire: hidden ones, and the last where spikes are read out.
      input_spikes: `[T, B]`, none for real input.
      synops: `[T, B]`, synapses that the spikes of a step reach, those of the input included; before a max pool an
        upper bound, see `synops.fan_outs`.
      told: `[T, B]`, how often the input has been told so far: a layer's value is its payload divided by it.
    """

    logits: jax.Array
    spikes: jax.Array
    input_spikes: jax.Array
    synops: jax.Array
    told: jax.Array


class State(NamedTuple):
    """Where a simulation stands."""

    encoder: Any  # the input code's
    units: tuple  # of each layer that fires
    gates: dict[int, jax.Array]  # payload that each unit before a max pool has sent, by the pool's place
    told: jax.Array  # [B], as in `Outputs`
    potential: jax.Array  # [B, classes], of the last layer; its payload so far where it fires
    first: jax.Array  # [B, classes], step of the first spike of the last layer, inf before
    watched: tuple  # the meter's state of each layer that fires


class Entering(NamedTuple):
    """The input's spikes in one step."""

    spikes: jax.Array  # [B]
    synops: jax.Array  # [B], synapses that they reach


class Source(NamedTuple):
    """What the first layer is driven with, apart from its bias."""

    init: Any  # images -> state
    step: Any  # (state, t, key) -> (state, current, Entering, the encoder's fresh [B] or None)


def run(spiking: Spiking, images: Any, steps: int, key: Key | None = None) -> Outputs:
    """Simulates a batch of images.

    Args:
      spiking: of `snn.convert`.
      images: `[B, ...]`, floats.
      steps: time steps, at least 1; TTFS takes `ttfs.latency` of them.
      key: for the Poisson code.

    Returns:
      `simulation.Outputs` of every step: `logits` `[T, B, classes]`, `spikes` `[T, B, layers]`, `input_spikes`,
      `synops` and `told`, `[T, B]`.

    Raises:
      ValueError: if the images have another shape than those of the conversion, or the input code cannot carry them;
        if steps is below 1, or a key is wanted and not given.
    """
    return observe(spiking, images, steps, key)[0]


def observe(
    spiking: Spiking, images: Any, steps: int, key: Key | None = None, meter: Meter | None = None
) -> tuple[Outputs, tuple]:
    """As `run`, with a meter on each layer that fires.

    Args:
      spiking, images, steps, key: as of `run`.
      meter: of `snn.rasters`; it sees payloads `[B, ...]` step by step, so that no raster need be kept.

    Returns:
      The outputs, and what the meter says of each layer.

    Raises:
      ValueError: as in `run`.
    """
    if steps < 1 or steps % 1:
        raise ValueError(f"a spiking network takes at least 1 step, got {steps}")
    if np.shape(images)[1:] != spiking.shape:
        raise ValueError(f"images must be a batch of {spiking.shape}, as in the conversion, got {np.shape(images)}")
    if not is_traced(images):
        encoding.check(spiking.input_code, images)
    images = jnp.asarray(images, jnp.result_type(images, *jax.tree.leaves(spiking.params)))
    return _observe(spiking, images, steps, key, meter)


def predict(
    network: Spiking | Trained, images: Any, steps: int | None = None, key: Key | None = None, batch: int = 256
) -> np.ndarray:
    """The class of each image after so many steps, `[N]` int; simulated in batches of one size.

    Args:
      network: of `snn.convert`, or a `Trained`; as made, or of `snn.load`.
      images: `[N, ...]`, floats.
      steps: time steps; may be left out of a trained network, which knows its own.
      key: for the Poisson code.
      batch: images that are simulated at a time.

    Warns:
      UserWarning: if a network of TTFS is given fewer steps than it takes to answer.

    Raises:
      ValueError: as in `run`; if the steps of a converted network are left out, or batch is below 1.
    """
    if batch < 1 or batch % 1:
        raise ValueError(f"a batch takes at least 1 image, got {batch}")
    if steps is None and not isinstance(network, Trained):
        raise ValueError("a converted network wants its steps: predict(network, images, steps)")
    _warn_of_early_answers(network, steps)
    images, found = np.asarray(images), []
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        filled = np.concatenate([part, np.zeros((batch - len(part), *part.shape[1:]), part.dtype)])
        own = None if key is None else jax.random.fold_in(key, start)
        trained = isinstance(network, Trained)
        logits = trained_logits(network, filled, steps) if trained else run(network, filled, steps, own).logits[-1]
        found.append(np.asarray(logits.argmax(-1))[: len(part)])
    return np.concatenate(found) if found else np.zeros(0, int)


def _warn_of_early_answers(network: Spiking | Trained, steps: int | None) -> None:
    code = network.unit if isinstance(network, Trained) else network.hidden_code
    if not isinstance(code, Code) or code.name != "ttfs" or code.made is None:
        return
    hidden = sum(stage.unit for stage in stages(network.layers))
    needed = ttfs.latency(hidden, code.period, code.made[1]["early"])
    steps = network.steps if steps is None else steps
    if steps < needed:
        warnings.warn(
            f"TTFS answers after {needed} steps of {hidden} hidden layers; {steps} are simulated", stacklevel=3
        )


@partial(jax.jit, static_argnames=("steps", "meter"))
def _observe(spiking, images, steps, key, meter):
    walked = stages(spiking.layers)
    reached = synops.fan_outs(spiking.layers, spiking.shape)
    delivery = encoding.delivery(spiking.input_code, spiking.hidden_code, spiking.bias == "spread")
    source = _source(spiking, images, delivery)
    code = spiking.hidden_code
    biases = [spiking.params[stage.weighted].get("bias", 0.0) for stage in walked]

    def step(state: State, t: jax.Array) -> tuple[State, Outputs]:
        encoder, x, entering, fresh = source.step(state.encoder, t, key)
        share = jnp.broadcast_to(delivery.bias(t, fresh), images.shape[:1]).astype(images.dtype)
        units, watched, gates, spikes, reaching = [], [], dict(state.gates), [], entering.synops
        for place, stage in enumerate(walked):
            if place:
                x, gates = _between(spiking, stage, x, gates)
                x = _product(spiking, stage, x)
            x = x + biases[place] * share.reshape(-1, *[1] * (x.ndim - 1))
            if place < len(state.units):
                unit, x = code.step(state.units[place], x)
                units.append(unit)
                count = code.count(x)
                spikes.append(_total(count))
                reaching += _total(count * reached[place + 1]) if stage.unit else 0
                watched += [] if meter is None else [meter.step(state.watched[place], x)]
        told, potential = state.told + share, state.potential + x
        first = jnp.minimum(state.first, jnp.where(x > 0, t, jnp.inf))
        state = State(encoder, tuple(units), gates, told, potential, first, tuple(watched))
        fired = jnp.stack(spikes, -1) if spikes else jnp.zeros((len(images), 0), images.dtype)
        return state, Outputs(_read(spiking, state), fired, entering.spikes, reaching, told)

    state, outputs = lax.scan(step, _begin(spiking, images, source, meter), jnp.arange(steps))
    return outputs, tuple(meter.finish(each) for each in state.watched) if meter else ()


def _begin(spiking: Spiking, images: jax.Array, source: Source, meter: Meter | None) -> State:
    """The state before the first step, of the shapes that a step gives."""
    encoder = source.init(images)
    x = jax.eval_shape(lambda: source.step(encoder, 0, jax.random.key(0))[1])
    units, gates, shapes = [], {}, []
    walked = stages(spiking.layers)
    for place, stage in enumerate(walked):
        if place:
            for i in stage.before:
                if _is_gate(spiking.layers[i]):
                    gates[i] = jnp.zeros(x.shape, images.dtype)
                x = jax.eval_shape(lambda y, i=i: operations.passed(spiking.layers[i], y, lead=1), x)
            x = jax.eval_shape(lambda y, stage=stage: _product(spiking, stage, y), x)
        if stage.unit or spiking.readout != "membrane":
            units.append(spiking.hidden_code.init(x.shape, layer=place + 1, dtype=images.dtype))
            shapes.append(x.shape)
    watched = tuple(meter.init(shape) for shape in shapes) if meter else ()
    logits = jnp.zeros(x.shape, images.dtype)
    return State(encoder, tuple(units), gates, logits[:, 0], logits, jnp.full_like(logits, jnp.inf), watched)


def _source(spiking: Spiking, images: jax.Array, delivery: encoding.Delivery) -> Source:
    """The first layer's drive; computed before the simulation where the input repeats itself."""
    encoder = spiking.input_code.encode
    first = stages(spiking.layers)[0]
    if any(_is_gate(spiking.layers[i]) for i in first.before):
        raise ValueError("max pooling of the input itself has no spiking form: pool the images beforehand")

    def entered(payload: jax.Array) -> jax.Array:
        for i in first.before:
            payload = operations.passed(spiking.layers[i], payload, lead=1)
        return _product(spiking, first, payload)

    reached = synops.fan_outs(spiking.layers, spiking.shape)[0]

    def counted(payload: jax.Array) -> Entering:
        spikes = spiking.input_code.count(payload) if encoder.spikes else jnp.zeros_like(payload)
        return Entering(_total(spikes), _total(spikes * reached))

    def live(state, t, key):
        fresh = encoder.fresh(state) if encoder.fresh else None
        state, payload = encoder.step(state, None if key is None else jax.random.fold_in(key, t))
        return state, entered(payload * delivery.drive(t)), counted(payload), fresh

    if not encoder.repeats:
        return Source(encoder.init, live)
    payloads = lax.scan(lambda s, _: encoder.step(s), encoder.init(images), length=encoder.period)[1]
    currents, counts = lax.map(lambda payload: (entered(payload), counted(payload)), payloads)

    def stored(state, t, key):
        now = t % encoder.period
        return state, currents[now] * delivery.drive(t), jax.tree.map(lambda each: each[now], counts), None

    return Source(lambda images: (), stored)


def _between(spiking: Spiking, stage: described.Stage, x: jax.Array, gates: dict[int, jax.Array]):
    """Pools and flattening between two layers; a max pool lets the unit through that has sent most so far."""
    for i in stage.before:
        of = spiking.layers[i]
        if _is_gate(of):
            gates[i] = gates[i] + x
            x = gated(of, x, gates[i])
        else:
            x = operations.passed(of, x, lead=1)
    return x, gates


def gated(of: described.Pool, payload: jax.Array, sent: jax.Array) -> jax.Array:
    """Of each window the payload of the unit that has sent most so far, the first of equals.

    Args:
      of: the pool.
      payload: `[B, h, w, c]` of this step.
      sent: `[B, h, w, c]` so far, this step included.

    Reference: Rueckauer et al. 2017, section 2.2.4; the authors' program of arXiv 1809.03142.
    """
    chosen = _apart(of, sent).argmax(-2, keepdims=True)
    return jnp.take_along_axis(_apart(of, payload), chosen, axis=-2)[..., 0, :]


def _apart(of: described.Pool, x: jax.Array) -> jax.Array:
    """`[B, h, w, c] -> [B, rows, columns, units of a window, c]`."""
    seen = jnp.swapaxes(operations.windows(of, x), -4, -3)
    return seen.reshape(*seen.shape[:-3], -1, seen.shape[-1])


def _product(spiking: Spiking, stage: described.Stage, x: jax.Array) -> jax.Array:
    own = spiking.params[stage.weighted]
    return operations.affine(spiking.layers[stage.weighted], {"kernel": own["kernel"]}, x)


def _total(values: jax.Array) -> jax.Array:
    """`[B, ...] -> [B]`."""
    return values.sum(tuple(range(1, values.ndim)))


def _is_gate(of: described.Layer) -> bool:
    return isinstance(of, described.Pool) and of.kind == "max"


def _read(spiking: Spiking, state: State) -> jax.Array:
    if spiking.readout == "first_spike":
        return -state.first
    return state.potential / jnp.maximum(state.told, 1e-6)[:, None] * spiking.scales[-1]

"""Simulation of converted networks: step by step, with all layers in order within a step.

The current of the first layer is computed once, or once for each step of the input period, where the code allows it.
"""

import warnings
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from framework.core.tracing import is_traced
from framework.core.types import Array, Key
from framework.snn import operations
from framework.snn.conversion.normalization import SpikingNetwork
from framework.snn.layers import Layer, Pool, Stage, network_stages
from framework.snn.meters import synops
from framework.snn.meters.rasters import Meter
from framework.snn.neurons import encoding, ttfs
from framework.snn.trained import TrainedNetwork
from framework.snn.trained import logits as trained_logits


class Outputs(NamedTuple):
    """Outputs of a converted network at every step.

    Args:
      logits: `[T, B, classes]`, by its readout; with the membrane they tend to the logits of the DNN.
      spikes: `[T, B, layers]`, of the layers that fire: hidden ones, and the last where spikes are read out.
      input_spikes: `[T, B]`, none for real input.
      synops: `[T, B]`, synaptic operations of a step, those of the input included; before a max pool an upper bound,
        see `synops.fan_outs`.
      input_count: `[T, B]`, how often the input was sent so far: the value of a layer is its payload divided by it.
    """

    logits: Float[Array, "steps batch classes"]
    spikes: Float[Array, "steps batch layers"]
    input_spikes: Float[Array, "steps batch"]
    synops: Float[Array, "steps batch"]
    input_count: Float[Array, "steps batch"]


class State(NamedTuple):
    """State of a simulation."""

    encoder: Any  # of the input code
    units: tuple  # of each layer that fires
    pool_totals: dict[int, jax.Array]  # summed payload of each unit before a max pool, by the index of the pool
    input_count: jax.Array  # [B], as in `Outputs`
    potential: jax.Array  # [B, classes], of the last layer; its summed payload where it fires
    first_spike: jax.Array  # [B, classes], step of the first spike of the last layer, inf before
    meter_states: tuple  # of each layer that fires


class InputSpikes(NamedTuple):
    """Spikes of the input in one step."""

    spikes: jax.Array  # [B]
    synops: jax.Array  # [B], their synaptic operations


class Source(NamedTuple):
    """Current of the first layer, without its bias."""

    init: Any  # images -> state
    step: Any  # (state, t, key) -> (state, current, InputSpikes, the encoder's reloaded [B] or None)


def simulate(spiking: SpikingNetwork, images: Any, steps: int, key: Key | None = None) -> Outputs:
    """Simulates a batch of images.

    Args:
      spiking: of `snn.convert`.
      images: `[B, ...]`, floats.
      steps: time steps, at least 1; TTFS takes `ttfs.latency` of them.
      key: for the Poisson code.

    Returns:
      `simulation.Outputs` of every step: `logits` `[T, B, classes]`, `spikes` `[T, B, layers]`, `input_spikes`,
      `synops` and `input_count`, `[T, B]`.

    Raises:
      ValueError: if the images have another shape than those of the conversion, or the input code cannot encode
        them; if steps is below 1, or the code needs a key and there is none.
    """
    return simulate_with_meter(spiking, images, steps, key)[0]


def simulate_with_meter(
    spiking: SpikingNetwork, images: Any, steps: int, key: Key | None = None, meter: Meter | None = None
) -> tuple[Outputs, tuple]:
    """Simulates a batch of images with a meter on each layer that fires.

    Args:
      spiking, images, steps, key: as in `simulate`.
      meter: of `meters.rasters`; it takes payloads `[B, ...]` step by step, so that no raster is stored.

    Returns:
      The outputs, and the result of the meter for each layer.

    Raises:
      ValueError: as in `simulate`.
    """
    if steps < 1 or steps % 1:
        raise ValueError(f"a spiking network takes at least 1 step, got {steps}")
    if np.shape(images)[1:] != spiking.shape:
        raise ValueError(f"images must be a batch of {spiking.shape}, as in the conversion, got {np.shape(images)}")
    if not is_traced(images):
        encoding.check(spiking.input_code, images)
    images = jnp.asarray(images, jnp.result_type(images, *jax.tree.leaves(spiking.params)))
    return _simulate(spiking, images, steps, key, meter)


def predict(
    network: SpikingNetwork | TrainedNetwork,
    images: Any,
    steps: int | None = None,
    key: Key | None = None,
    batch: int = 256,
) -> np.ndarray:
    """Predicts the class of each image, in batches of one size.

    Args:
      network: of `snn.convert` or `snn.load`, or a `TrainedNetwork`.
      images: `[N, ...]`, floats.
      steps: time steps; by default those of the training, where the network is a `TrainedNetwork`.
      key: for the Poisson code.
      batch: images that are simulated at a time.

    Returns:
      Classes, `[N]` int.

    Warns:
      UserWarning: if a TTFS network runs for fewer steps than its latency.

    Raises:
      ValueError: as in `simulate`; if the steps of a converted network are left out, or batch is below 1.
    """
    if batch < 1 or batch % 1:
        raise ValueError(f"batch must be at least 1 image, got {batch}")
    if steps is None and not isinstance(network, TrainedNetwork):
        raise ValueError("a converted network needs its steps: predict(network, images, steps)")
    _warn_below_latency(network, steps)
    images, classes = np.asarray(images), []
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        padded = np.concatenate([part, np.zeros((batch - len(part), *part.shape[1:]), part.dtype)])
        batch_key = None if key is None else jax.random.fold_in(key, start)
        if isinstance(network, TrainedNetwork):
            logits = trained_logits(network, padded, steps)
        else:
            logits = simulate(network, padded, steps, batch_key).logits[-1]
        classes.append(np.asarray(logits.argmax(-1))[: len(part)])
    return np.concatenate(classes) if classes else np.zeros(0, int)


def _warn_below_latency(network: SpikingNetwork | TrainedNetwork, steps: int | None) -> None:
    code = network.unit if isinstance(network, TrainedNetwork) else network.hidden_code
    if code.name != "ttfs" or code.record is None:
        return
    hidden = sum(stage.unit for stage in network_stages(network.layers))
    latency = ttfs.latency(hidden, code.period, code.record[1]["early"])
    steps = network.steps if steps is None else steps
    if steps < latency:
        warnings.warn(
            f"TTFS answers after {latency} steps of {hidden} hidden layers; {steps} are simulated", stacklevel=3
        )


@partial(jax.jit, static_argnames=("steps", "meter"))
def _simulate(spiking, images, steps, key, meter):
    stages = network_stages(spiking.layers)
    fan_outs = synops.fan_outs(spiking.layers, spiking.shape)
    scaling = encoding.input_scaling(spiking.input_code, spiking.hidden_code, spiking.bias == "spread")
    source = _source(spiking, images, scaling)
    code = spiking.hidden_code
    biases = [spiking.params[stage.weighted].get("bias", 0.0) for stage in stages]

    def step(state: State, t: jax.Array) -> tuple[State, Outputs]:
        encoder, x, input_spikes, reloaded = source.step(state.encoder, t, key)
        bias_scale = jnp.broadcast_to(scaling.bias_scale(t, reloaded), images.shape[:1]).astype(images.dtype)
        units, meter_states, pool_totals, spikes, step_synops = [], [], dict(state.pool_totals), [], input_spikes.synops
        for i, stage in enumerate(stages):
            if i:
                x, pool_totals = _between(spiking, stage, x, pool_totals)
                x = _product(spiking, stage, x)
            x = x + biases[i] * bias_scale.reshape(-1, *[1] * (x.ndim - 1))
            if i < len(state.units):
                unit, x = code.step(state.units[i], x)
                units.append(unit)
                count = code.count(x)
                spikes.append(_total(count))
                step_synops += _total(count * fan_outs[i + 1]) if stage.unit else 0
                meter_states += [] if meter is None else [meter.step(state.meter_states[i], x)]
        input_count, potential = state.input_count + bias_scale, state.potential + x
        first_spike = jnp.minimum(state.first_spike, jnp.where(x > 0, t, jnp.inf))
        state = State(encoder, tuple(units), pool_totals, input_count, potential, first_spike, tuple(meter_states))
        spike_counts = jnp.stack(spikes, -1) if spikes else jnp.zeros((len(images), 0), images.dtype)
        return state, Outputs(_read(spiking, state), spike_counts, input_spikes.spikes, step_synops, input_count)

    state, outputs = lax.scan(step, _begin(spiking, images, source, meter), jnp.arange(steps))
    return outputs, tuple(meter.finish(meter_state) for meter_state in state.meter_states) if meter else ()


def _begin(spiking: SpikingNetwork, images: jax.Array, source: Source, meter: Meter | None) -> State:
    """State before the first step, with the shapes that a step returns."""
    encoder = source.init(images)
    x = jax.eval_shape(lambda: source.step(encoder, 0, jax.random.key(0))[1])
    units, pool_totals, shapes = [], {}, []
    stages = network_stages(spiking.layers)
    for j, stage in enumerate(stages):
        if j:
            for i in stage.preceding:
                if _is_max_pool(spiking.layers[i]):
                    pool_totals[i] = jnp.zeros(x.shape, images.dtype)
                x = jax.eval_shape(lambda y, i=i: operations.pool_or_flatten(spiking.layers[i], y, lead=1), x)
            x = jax.eval_shape(lambda y, stage=stage: _product(spiking, stage, y), x)
        if stage.unit or spiking.readout != "membrane":
            units.append(spiking.hidden_code.init(x.shape, layer=j + 1, dtype=images.dtype))
            shapes.append(x.shape)
    meter_states = tuple(meter.init(shape) for shape in shapes) if meter else ()
    logits = jnp.zeros(x.shape, images.dtype)
    return State(encoder, tuple(units), pool_totals, logits[:, 0], logits, jnp.full_like(logits, jnp.inf), meter_states)


def _source(spiking: SpikingNetwork, images: jax.Array, scaling: encoding.InputScaling) -> Source:
    """Current of the first layer; computed before the simulation where all periods of the input are the same."""
    encoder = spiking.input_code.encoder
    first = network_stages(spiking.layers)[0]
    if any(_is_max_pool(spiking.layers[i]) for i in first.preceding):
        raise ValueError("max pooling of the input itself has no spiking form: pool the images beforehand")

    def drive(payload: jax.Array) -> jax.Array:
        for i in first.preceding:
            payload = operations.pool_or_flatten(spiking.layers[i], payload, lead=1)
        return _product(spiking, first, payload)

    fan_out = synops.fan_outs(spiking.layers, spiking.shape)[0]

    def count_spikes(payload: jax.Array) -> InputSpikes:
        spikes = spiking.input_code.count(payload) if encoder.spikes else jnp.zeros_like(payload)
        return InputSpikes(_total(spikes), _total(spikes * fan_out))

    def encode_step(state, t, key):
        reloaded = encoder.reloaded(state) if encoder.reloaded else None
        state, payload = encoder.step(state, None if key is None else jax.random.fold_in(key, t))
        return state, drive(payload * scaling.input_scale(t)), count_spikes(payload), reloaded

    if not encoder.repeats:
        return Source(encoder.init, encode_step)
    payloads = lax.scan(lambda s, _: encoder.step(s), encoder.init(images), length=encoder.period)[1]
    currents, counts = lax.map(lambda payload: (drive(payload), count_spikes(payload)), payloads)

    def replay(state, t, key):
        now = t % encoder.period
        return state, currents[now] * scaling.input_scale(t), jax.tree.map(lambda leaf: leaf[now], counts), None

    return Source(lambda images: (), replay)


def _between(spiking: SpikingNetwork, stage: Stage, x: jax.Array, pool_totals: dict[int, jax.Array]):
    """Pools and flattens between two layers; a max pool passes the unit with the largest summed payload."""
    for i in stage.preceding:
        layer = spiking.layers[i]
        if _is_max_pool(layer):
            pool_totals[i] = pool_totals[i] + x
            x = max_pool(layer, x, pool_totals[i])
        else:
            x = operations.pool_or_flatten(layer, x, lead=1)
    return x, pool_totals


def max_pool(pool: Pool, payload: jax.Array, total: jax.Array) -> jax.Array:
    """Spiking max pool: in each window the payload of the unit with the largest sum so far, the first of equals.

    Args:
      pool: the layer.
      payload: `[B, h, w, c]` of this step.
      total: `[B, h, w, c]`, summed payload, this step included.

    Returns:
      `[B, rows, columns, c]`.

    Reference: Rueckauer et al. 2017, section 2.2.4; the authors' program of arXiv 1809.03142.
    """
    largest = _split_windows(pool, total).argmax(-2, keepdims=True)
    return jnp.take_along_axis(_split_windows(pool, payload), largest, axis=-2)[..., 0, :]


def _split_windows(pool: Pool, x: jax.Array) -> jax.Array:
    """`[B, h, w, c] -> [B, rows, columns, units of a window, c]`."""
    windows = jnp.swapaxes(operations.windows(pool, x), -4, -3)
    return windows.reshape(*windows.shape[:-3], -1, windows.shape[-1])


def _product(spiking: SpikingNetwork, stage: Stage, x: jax.Array) -> jax.Array:
    kernel = spiking.params[stage.weighted]["kernel"]
    return operations.affine(spiking.layers[stage.weighted], {"kernel": kernel}, x)


def _total(values: jax.Array) -> jax.Array:
    """`[B, ...] -> [B]`."""
    return values.sum(tuple(range(1, values.ndim)))


def _is_max_pool(layer: Layer) -> bool:
    return isinstance(layer, Pool) and layer.kind == "max"


def _read(spiking: SpikingNetwork, state: State) -> jax.Array:
    if spiking.readout == "first_spike":
        return -state.first_spike
    return state.potential / jnp.maximum(state.input_count, 1e-6)[:, None] * spiking.scales[-1]

"""Networks that are chains of spiking blocks: parameters, the walk over time, counts of parameters and spikes.

Every block takes all steps before the next one begins, with time folded into the batch of its convolutions; only the
neurons' elementwise dynamics are a scan. An image's stem convolution is computed once, for it is the same at every
step. The last block fires 10 spikes' worth of votes a class; their mean is the network's answer.

Reference: Na et al., arXiv 2201.12738.
"""

import dataclasses
import itertools
import math
import numbers
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from framework.core import keys
from framework.core.types import Key, Params
from framework.nas.autosnn.blocks import (
    Block,
    Branch,
    Reduce,
    Unit,
)
from framework.snn import layers as described
from framework.snn import network as spiking
from framework.snn import operations
from framework.snn.layers import Layer
from framework.snn.neurons import models as neurons

VOTES = 10  # neurons a class
RUNNING = ("mean", "var")
NEURONS: dict[str, Callable[[float], neurons.Neuron]] = {  # by name, of a time constant in steps
    "plif": lambda tau: neurons.plif(tau),
    "plif_unscaled": lambda tau: neurons.plif(tau, scaled_input=False),
    "lif": lambda tau: neurons.lif(1 - 1 / tau, reset="hard", scaled_input=True),
    "if": lambda tau: neurons.integrate_and_fire(reset="hard"),
}


@dataclasses.dataclass(frozen=True)
class Dynamics:
    """What is the same in all neurons and layers of a network.

    Args:
      steps: T, over which an image is shown; recordings bring their own.
      neuron: `plif`, `plif_unscaled` (whose input is not scaled by the leak), `lif` or `if`.
      tau: time constant in steps, above 1; where a PLIF begins.
      statistics: of batch norm: over each `step` apart, as the authors do, or over all `time`.

    Raises:
      ValueError: for a number out of range, or an unknown name.
    """

    steps: int = 8
    neuron: str = "plif"
    tau: float = 2.0
    statistics: str = "step"

    def __post_init__(self):
        if not isinstance(self.steps, numbers.Integral) or self.steps < 1:
            raise ValueError(f"steps must be at least 1 step of time, got {self.steps}")
        if self.neuron not in NEURONS:
            raise ValueError(f"neuron must be one of {', '.join(NEURONS)}, got {self.neuron!r}")
        if not 1 < self.tau < math.inf:
            raise ValueError(f"tau must be above 1 step and finite, got {self.tau}")
        if self.statistics not in ("step", "time"):
            raise ValueError(f"statistics must be 'step' or 'time', got {self.statistics!r}")

    @property
    def unit(self) -> neurons.Neuron:
        return NEURONS[self.neuron](self.tau)


class Outputs(NamedTuple):
    """What a network answers."""

    votes: jax.Array  # [B, classes], mean share of its voters that a class had in a step
    spikes: jax.Array  # [B, blocks], summed over the steps: of every neuron and every max pool


@dataclasses.dataclass(frozen=True)
class Network:
    """A chain of blocks, the last of which votes."""

    blocks: tuple[Block, ...]
    image: tuple[int, int, int]  # (height, width, channels)
    classes: int
    dynamics: Dynamics

    def init(self, key: Key) -> tuple[Params, Params]:
        """Parameters to begin with and batch statistics, each with an entry a block."""
        made = [
            init_block(*block_and_shape, self.dynamics)
            for block_and_shape in zip(self.blocks, self.shapes(), strict=False)
        ]
        return sample_params(key, tuple(params for params, _ in made)), tuple(state for _, state in made)

    def apply(self, params: Params, state: Params, images: jax.Array, train: bool = False) -> tuple[Outputs, Params]:
        """The network's answer.

        Args:
          params, state: of `init`.
          images: `[B, height, width, channels]`, or recordings `[B, T, height, width, channels]`.
          train: whether norms take the batch's statistics, and running ones move.

        Returns:
          `Outputs`, and the batch statistics.
        """
        x, counts, new_stats = begin(self.image, images), [], []
        for block, block_params, running in zip(self.blocks, params, state, strict=True):
            x, count, after = run_block(block, block_params, running, x, self.dynamics, train)
            counts.append(count)
            new_stats.append(after)
        return Outputs(votes(x, self.classes), jnp.stack(counts, axis=-1)), tuple(new_stats)

    def shapes(self) -> list[tuple[int, ...]]:
        """The shape that each block is given, and at the end that of the votes."""
        shapes = [tuple(self.image)]
        for block in self.blocks:
            shapes.append(unit_shapes(block, shapes[-1])[-1])
        return shapes

    def parameters(self) -> int:
        """How many numbers are learned; each PLIF layer has one."""
        shape = jax.eval_shape(lambda: self.init(jax.random.key(0))[0])
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shape))


def begin(image: tuple[int, int, int], images: jax.Array) -> jax.Array:
    """Images as they are, recordings with time first.

    Raises:
      ValueError: for another shape, or what is no floats.
    """
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(f"images must be floats, as the network is to see them, got {images.dtype}")
    if images.ndim not in (4, 5) or tuple(images.shape[-3:]) != tuple(image):
        raise ValueError(f"images must be [B, {', '.join(map(str, image))}], or [B, T, ...], got {images.shape}")
    return images if images.ndim == 4 else images.swapaxes(0, 1)


def votes(spikes: jax.Array, classes: int) -> jax.Array:
    """`[T, B, voters] -> [B, classes]`, the mean over a class's voters and over time."""
    return spikes.mean(0).reshape(spikes.shape[1], classes, -1).mean(-1)


def unit_shapes(block: Block, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The shape of the block's input, and of each unit's output; without batch and time.

    Raises:
      ValueError: if a layer does not fit its input.
    """
    shapes = [tuple(shape)]
    for unit in block.units:
        ends = {_through(block, branch, shapes[branch.source])[-1] for branch in unit.branches}
        if len(ends) > 1:
            raise ValueError(f"block {block.name}: branches of shapes {sorted(ends)} do not add up")
        shapes.append(ends.pop())
    return shapes


def _through(block: Block, branch: Branch, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Shapes before each layer of a branch, and behind the last."""
    shapes = [shape]
    for layer in branch.layers:
        shape = shapes[-1]
        after = operations.output_shape(as_convolution(layer), shape)
        if min(after) < 1:
            raise ValueError(f"block {block.name} leaves nothing of an input of {shape}: take a larger image")
        shapes.append(after)
    return shapes


def as_convolution(layer: Layer | Reduce) -> Layer:
    """`Reduce` as the convolution that it is; other layers as they are."""
    return described.conv(layer.features, 2, 2, "VALID", bias=False) if isinstance(layer, Reduce) else layer


def layer_params(layer: Layer | Reduce, params: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """A layer's numbers as `as_convolution` takes them."""
    if not isinstance(layer, Reduce):
        return params
    even, odd = params["kernel"]
    nothing = jnp.zeros((*even.shape[:1], layer.features), even.dtype)
    corner = jnp.concatenate([even, jnp.zeros_like(odd)], -1), jnp.concatenate([jnp.zeros_like(even), odd], -1)
    return {"kernel": jnp.stack([jnp.stack([corner[0], nothing]), jnp.stack([nothing, corner[1]])])}


class Uniform(NamedTuple):
    """A kernel yet to be drawn."""

    shape: tuple[int, ...]
    bound: float  # of its absolute values


def sample_params(key: Key, tree: Any) -> Params:
    """A tree with its kernels drawn, all at once."""
    keys.check(key)
    leaves, structure = jax.tree.flatten(tree, is_leaf=lambda leaf: isinstance(leaf, Uniform))
    kernels = _sample_uniforms(key, tuple(leaf for leaf in leaves if isinstance(leaf, Uniform)))
    return structure.unflatten([kernels.pop(0) if isinstance(leaf, Uniform) else leaf for leaf in leaves])


@partial(jax.jit, static_argnames="leaves")
def _sample_uniforms(key: Key, leaves: tuple[Uniform, ...]) -> list[jax.Array]:
    sizes = [math.prod(leaf.shape) for leaf in leaves]
    parts = jnp.split(jax.random.uniform(key, (sum(sizes),), minval=-1), list(itertools.accumulate(sizes))[:-1])
    return [leaf.bound * part.reshape(leaf.shape) for leaf, part in zip(leaves, parts, strict=True)]


def init_block(block: Block, shape: tuple[int, ...], dynamics: Dynamics) -> tuple[Params, Params]:
    """A block's parameters, kernels as bounds, and batch statistics: a dict a unit, one a layer of each branch.

    Kernels are uniform within 1 / sqrt(fan-in), as in PyTorch.
    """
    shapes, learned = unit_shapes(block, shape), dynamics.unit.params
    params, state = [], []
    for unit in block.units:
        made = [
            [
                _initial(layer, before)
                for layer, before in zip(branch.layers, _through(block, branch, shapes[branch.source]), strict=False)
            ]
            for branch in unit.branches
        ]
        part = lambda kept, made=made: tuple(
            tuple(
                {name: leaf for name, leaf in branch_leaves.items() if (name in RUNNING) == kept}
                for branch_leaves in branch
            )
            for branch in made
        )
        branch_leaves = {"branches": part(False)}
        if unit.fires and learned:
            branch_leaves["unit"] = {name: jnp.asarray(value, float) for name, value in learned.items()}
        params.append(branch_leaves)
        state.append({"branches": part(True)})
    return tuple(params), tuple(state)


def _initial(layer: Layer | Reduce, shape: tuple[int, ...]) -> dict[str, Any]:
    if isinstance(layer, Reduce):
        size, fan_in = (2, shape[-1], layer.features // 2), shape[-1]
    elif isinstance(layer, described.WEIGHTED):
        size = (*getattr(layer, "kernel", ()), shape[-1], layer.features)
        fan_in = math.prod(size[:-1])
    else:
        return operations.init_params(None, layer, shape)
    return {"kernel": Uniform(size, 1 / math.sqrt(fan_in))}


def run_block(
    block: Block, params: Params, state: Params, x: jax.Array, dynamics: Dynamics, train: bool
) -> tuple[jax.Array, jax.Array, Params]:
    """One block over all steps.

    Args:
      block: the description.
      params, state: of `init_block`.
      x: `[T, B, ...]`; or `[B, ...]` for an image that stays the same.
      dynamics: of the network.
      train: whether norms take the batch's statistics, and running ones move.

    Returns:
      Spikes `[T, B, ...]`, their number `[B]` in all units and steps, and the batch statistics.
    """
    outputs, counts, new_stats = walk_block(block, params, state, x, dynamics, train)
    batch = x.shape[0 if x.ndim in (2, 4) else 1]
    total = sum(counts, start=jnp.zeros(batch, x.dtype))
    return outputs[-1], total, new_stats


def walk_block(
    block: Block, params: Params, state: Params, x: jax.Array, dynamics: Dynamics, train: bool = False
) -> tuple[list[jax.Array], list[jax.Array], Params]:
    """As `run_block`: the input and the spikes of each unit, and the count of each unit, `[B]`."""
    outputs, counts, new_stats = [x], [], []
    for unit, unit_params, running in zip(block.units, params, state, strict=True):
        current, after = _current(unit, unit_params, running, outputs, train)
        spikes = _fire(unit, unit_params, current, dynamics)
        outputs.append(spikes)
        counts.append(spikes.sum(axis=(0, *range(2, spikes.ndim))))
        new_stats.append({"branches": after})
    return outputs, counts, tuple(new_stats)


def _current(unit: Unit, unit_params: dict[str, Any], running: dict[str, Any], outputs: list[jax.Array], train: bool):
    """The sum of a unit's branches, and their batch statistics."""
    total, new_stats = None, []
    for branch, params, state in zip(unit.branches, unit_params["branches"], running["branches"], strict=True):
        x, after = outputs[branch.source], []
        for layer, weights, statistics in zip(branch.layers, params, state, strict=True):
            timed = x.ndim in (3, 5)
            if isinstance(layer, described.Norm):
                x, layer_stats = operations.normalize(layer, weights | statistics, x, train, timed, 1.0)
                after.append({name: layer_stats[name] for name in RUNNING})
                continue
            after.append({})
            if isinstance(layer, described.Pool | described.Flatten):
                x = operations.pool_or_flatten(layer, x, lead=2 if timed else 1)
            else:
                x = operations.affine(as_convolution(layer), layer_params(layer, weights), x)
        total = x if total is None else total + x
        new_stats.append(tuple(after))
    return total, tuple(new_stats)


def _fire(unit: Unit, unit_params: dict[str, Any], current: jax.Array, dynamics: Dynamics) -> jax.Array:
    if not unit.fires:
        return current
    constant = current.ndim in (2, 4)
    rest = dynamics.unit.init(current.shape if constant else current.shape[1:], dtype=current.dtype)
    return spiking.fire(dynamics.unit, rest, unit_params, current, dynamics.steps if constant else None)

"""Sharding of independent rows over all devices of all processes.

With one device nothing changes. Several processes (`jax.distributed.initialize`) call the same functions in the same
order with the same arguments, and each is given the whole result.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from framework.core.tracing import is_traced

AXIS = "devices"  # of the mesh
Axes = Any  # 0: cut along the first axis, None: whole on every device; a tree's prefix, as `in_axes` of `vmap` is
Options = tuple[tuple[str, Any], ...]  # of the compiler, such as ("xla_backend_optimization_level", 0)


class Split(NamedTuple):
    """How a step function's work is divided.

    Either rows are independent, and each device takes its own through all steps; or (`DATA_PARALLEL`) every device has
    everything, and the step says by `shard_batch` what they share out.
    """

    state: Axes = 0
    fixed: Axes = None
    metrics: Axes = 0
    together: bool = False


DATA_PARALLEL = Split(None, None, None, together=True)


def mesh(count: int | None = None) -> Mesh:
    """The first `count` devices of all processes, all by default, along `AXIS`."""
    return Mesh(np.array(jax.devices()[:count]), (AXIS,), axis_types=(AxisType.Auto,))


def shard_over_devices(
    function: Callable, in_axes: tuple[Axes, ...], out_axes: Axes = 0, options: Options = ()
) -> Callable:
    """A compiled function of batches, whose rows are shared out over all devices.

    Rows that the devices do not divide are made up for by copies of the last one, and cut off again. Inside of another
    transformation it is the function as it is.

    Args:
      function: of batches `[n, ...]`, for any n, and of what all rows have in common; a row of its result depends on
        that row alone.
      in_axes: an entry an argument: 0 for batches, None for what they have in common, or a prefix of its tree.
      out_axes: 0, or None for what comes out the same for every part.
      options: of the compiler.

    Example:
      >>> from framework.core import devices
      >>> added = devices.shard_over_devices(lambda rows, offset: rows + offset, in_axes=(0, None))
      >>> added(np.arange(3), 1).tolist()
      [1, 2, 3]
    """
    compiled = functools.partial(jax.jit, compiler_options=dict(options))
    alone = compiled(function)

    @functools.cache
    def apart(structure: Any, axes: tuple[int | None, ...]) -> Callable:
        return compiled(chunk(lambda *leaves: function(*structure.unflatten(leaves)), axes, out_axes))

    def call(*arguments: Any) -> Any:
        leaves, structure = jax.tree.flatten(arguments)
        if jax.device_count() == 1 or is_traced(leaves):
            return alone(*arguments)
        axes = tuple(_axis_of_each(in_axes, arguments))
        # leaf by leaf: a class that looks at its arrays would not take those of other processes
        results = apart(structure, axes)(*map(_put_leaf, leaves, axes))
        return gather(results, out_axes, rows_of(arguments, in_axes))

    return call


def chunk(function: Callable, in_axes: Axes, out_axes: Axes) -> Callable:
    """`shard_map` over all devices; axes may also be specifications of JAX's."""
    specs = functools.partial(jax.tree.map, _spec, is_leaf=lambda axis: axis is None)
    # what is the same on all devices cannot be proved to be so, hence no check
    return jax.shard_map(function, mesh=mesh(), in_specs=specs(in_axes), out_specs=specs(out_axes), check_vma=False)


def put(tree: Any, axes: Axes) -> Any:
    """The tree on all devices, its batches filled up to a multiple of their number."""
    return jax.device_put(tree) if jax.device_count() == 1 else _by_axis(_put_leaf, axes, tree)


def part(tree: Any, axes: Axes) -> Any:
    """What one device is given of a tree: batches as their shapes and dtypes there, the rest as it is."""
    local = lambda leaf: (-(-len(leaf) // jax.device_count()), *np.shape(leaf)[1:])
    kind = lambda leaf: jax.dtypes.canonicalize_dtype(leaf.dtype, allow_extended_dtype=True)
    struct = lambda leaf: jax.ShapeDtypeStruct(local(leaf), kind(leaf))
    return _by_axis(lambda leaf, axis: leaf if axis is None else struct(leaf), axes, tree)


def gather(tree: Any, axes: Axes, rows: int | None) -> Any:
    """What `put` or a function of placed trees made, as arrays of this process; batches with so many rows again."""
    return _by_axis(lambda leaf, axis: _gather_leaf(leaf, None if axis is None else rows), axes, tree)


def rows_of(tree: Any, axes: Axes) -> int | None:
    """How many rows the batches of a tree have; None where there is no batch."""
    leaf_axes = zip(jax.tree.leaves(tree), _axis_of_each(axes, tree), strict=True)
    lengths = [len(leaf) for leaf, axis in leaf_axes if axis == 0]
    if len(set(lengths)) > 1:
        raise ValueError(f"batches that go together must be as long as each other, got {lengths}")
    return lengths[0] if lengths else None


def shard_batch(tree: Any) -> Any:
    """Shares a batch out over the devices in a step that they take `DATA_PARALLEL`; elsewhere it changes nothing.

    JAX then divides what follows, gradients included, and adds up where a sum goes over the batch. A batch that the
    devices do not divide stays whole.
    """
    around = jax.sharding.get_abstract_mesh()
    if AXIS not in around.auto_axes:
        return tree
    shared = lambda leaf: leaf if len(leaf) % around.shape[AXIS] else jax.lax.with_sharding_constraint(leaf, P(AXIS))
    return jax.tree.map(shared, tree)


def _by_axis(function: Callable, axes: Axes, tree: Any) -> Any:
    part = lambda axis, below: jax.tree.map(lambda leaf: function(leaf, axis), below)
    return jax.tree.map(part, axes, tree, is_leaf=lambda axis: axis is None)


def _axis_of_each(axes: Axes, tree: Any) -> list[int | None]:
    """The axis of each leaf, in their order."""
    leaf_axes: list[int | None] = []
    below = lambda axis, part: leaf_axes.extend([axis] * len(jax.tree.leaves(part)))
    jax.tree.map(below, axes, tree, is_leaf=lambda axis: axis is None)
    return leaf_axes


def _spec(axis: Any) -> P:
    return axis if isinstance(axis, P) else P() if axis is None else P(AXIS)


def _put_leaf(leaf: Any, axis: int | None) -> jax.Array:
    if _is_key(leaf):
        return jax.random.wrap_key_data(_put_leaf(jax.random.key_data(leaf), axis), impl=jax.random.key_impl(leaf))
    sharding = NamedSharding(mesh(), _spec(axis))
    if isinstance(leaf, jax.Array) and leaf.sharding == sharding:
        return leaf
    host = np.asarray(leaf)
    if axis == 0:
        host = np.concatenate([host, np.repeat(host[-1:], -len(host) % jax.device_count(), axis=0)])
    host = host.astype(jax.dtypes.canonicalize_dtype(host.dtype))
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def _gather_leaf(leaf: jax.Array, rows: int | None) -> jax.Array:
    if _is_key(leaf):
        return jax.random.wrap_key_data(_gather_leaf(jax.random.key_data(leaf), rows), impl=jax.random.key_impl(leaf))
    if leaf.is_fully_addressable or leaf.is_fully_replicated:
        return jnp.asarray(np.asarray(leaf)[:rows] if rows else np.asarray(leaf))
    return jnp.asarray(multihost_utils.process_allgather(leaf, tiled=True)[:rows])


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)

"""Workers on devices: W workers on D devices as (D, W / D, ...), `pmap` outside and `vmap` inside.

`shard_map` says the same in JAX's newer words; both forms are kept, and a test holds them equal.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import PartitionSpec as P

from framework.core.devices import AXIS, mesh

FORMS = ("pmap", "shard_map")


def devices_for(workers: int, devices: int | None = None) -> int:
    """How many devices to take: the largest number there is that divides the workers, or the one that is asked for.

    Several processes take all they have, or where that does not divide the workers, each does all the work on one.

    Raises:
      ValueError: if the number does not divide the workers, or is not there.
    """
    there = jax.device_count()
    if devices is None:
        if jax.process_count() == 1:
            return max(count for count in range(1, there + 1) if not workers % count)
        return there if not workers % there else 1
    if not 1 <= devices <= there:
        raise ValueError(f"devices must be 1 to {there}, as many as there are, got {devices}")
    if workers % devices:
        raise ValueError(f"devices must divide the {workers} workers, got {devices}")
    return devices


def place_workers(function: Callable, devices: int, form: str = "pmap") -> Callable:
    """A function of all workers from one that runs on each device with that device's workers.

    Args:
      function: (shared, own, axis) -> (shared, own); `axis` names the mapped axis for collectives, and is None on one
        device. What it returns as shared must be the same on every device.
      devices: D; with several processes all devices take part.
      form: `pmap`, for an outermost call; or `shard_map`, which composes with `jit` and `scan` around it.

    Returns:
      (shared, own) -> (shared, own), own with leaves `[W, ...]`.

    Raises:
      ValueError: for an unknown form, or fewer devices than several processes have.
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, got {form!r}")
    if jax.process_count() > 1 and devices not in (1, jax.device_count()):
        raise ValueError(f"{jax.process_count()} processes take 1 or all {jax.device_count()} devices, got {devices}")
    if devices == 1:
        return jax.jit(lambda shared, local: function(shared, local, None))
    mapped = lambda shared, local: function(shared, local, AXIS)
    return _pmap(mapped, devices) if form == "pmap" else _shard_map(mapped, devices)


def _pmap(mapped: Callable, devices: int) -> Callable:
    run = jax.pmap(mapped, AXIS, in_axes=(None, 0), out_axes=(None, 0), devices=_choose_devices(devices))
    local_devices = sum(device.process_index == jax.process_index() for device in _choose_devices(devices))

    def on_all(shared: Any, local: Any) -> tuple[Any, Any]:
        mine = jax.tree.map(lambda leaf: _part(leaf, devices, local_devices), local)
        shared, mine = run(shared, mine)
        return shared, jax.tree.map(_join, mine)

    return on_all


def _shard_map(mapped: Callable, devices: int) -> Callable:
    # what collectives make equal on all devices cannot be proved so, hence no check
    return jax.jit(
        jax.shard_map(mapped, mesh=mesh(devices), in_specs=(P(), P(AXIS)), out_specs=(P(), P(AXIS)), check_vma=False)
    )


def _choose_devices(devices: int) -> list[jax.Device]:
    return jax.devices()[:devices]


def _part(leaf: Any, devices: int, local: int) -> Any:
    """`[W, ...]` as this process's `[local devices, W / D, ...]`."""
    apart = leaf.reshape(devices, len(leaf) // devices, *leaf.shape[1:])
    return apart[jax.process_index() * local :][:local]


def _join(leaf: jax.Array) -> jax.Array:
    """`[local devices, W / D, ...]` as `[workers of this process, ...]`."""
    return leaf.reshape(-1, *leaf.shape[2:])

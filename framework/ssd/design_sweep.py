"""Many designs under one load: any mixture, grouped by structure, one program a group."""

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from framework.core import devices
from framework.core.precision import x64
from framework.ssd import report, simulation
from framework.ssd.device.design import Design
from framework.ssd.engine.closed_loop import Script
from framework.ssd.engine.invariants import InvariantError
from framework.ssd.engine.queues import Plan
from framework.ssd.workload import requests
from framework.ssd.workload.requests import Load

CHUNK_BYTES = 2**27  # of one request's times, all designs of a chunk together
WORKERS = 2  # chunks at a time


class Summary(NamedTuple):
    """One entry a design, `[designs]` float64; each number as `Report` has it, of reads and writes without TRIMs.

    Args:
      mean_us, p99_us, max_us: latencies, host link included.
      iops: requests a second.
      bandwidth: bytes a second.
      write_amplification: pages programmed for each page of the host that was; 1 where none was.
      energy_j: joules in all.
      collects: 1 where the device collects garbage, 0 for an ideal mapping.
      overloaded: 1 where an open load was beyond the device's capacity, so that latencies grow with its length.
    """

    mean_us: Any
    p99_us: Any
    max_us: Any
    iops: Any
    bandwidth: Any
    write_amplification: Any
    energy_j: Any
    collects: Any
    overloaded: Any


def sweep(designs: Sequence[Design], load: Load) -> Summary:
    """Simulates every design under one load.

    Args:
      designs: in any order and mixture; those of one `Design.structure` share a compiled program.
      load: the requests.

    Returns:
      A `Summary` of NumPy arrays, in the order given.

    Raises:
      ValueError: as `simulate` does; or if there is no design.
      InvariantError: if the times of a design contradict each other, naming it.
    """
    if not len(designs):
        raise ValueError("a sweep needs at least 1 design, got none")
    for design in designs:
        simulation.refuse_others(design, load)
    designs = [simulation.simplify(design, load) for design in designs]
    groups: dict[tuple, list[int]] = {}
    for number, design in enumerate(designs):
        groups.setdefault(design.structure, []).append(number)
    for structure in groups:
        requests.check(load, designs[groups[structure][0]].capacity)
    whole_summary = Summary(*(np.zeros(len(designs)) for _ in Summary._fields))
    with (
        tqdm(total=len(designs), desc="sweep", unit="design", disable=None, leave=False) as bar,
        ThreadPoolExecutor(WORKERS if jax.process_count() == 1 else 1) as pool,  # all processes in the same order
    ):
        for members, summary in pool.map(lambda job: _run(*job), _jobs(designs, groups, load)):
            for whole, part in zip(whole_summary, summary, strict=True):
                whole[members] = part
            bar.update(len(members))
    return whole_summary


def _jobs(designs: Sequence[Design], groups: dict[tuple, list[int]], load: Load) -> Iterator[tuple]:
    """Chunks of a group, each with the plan that the group has in common."""
    most = max(CHUNK_BYTES // (8 * len(load)), 1)
    for members in groups.values():
        with x64():
            prepared = simulation.prepare(designs[members[0]], load)
        differ = lambda *leaves: len(set(map(float, leaves))) > 1
        varying = jax.tree.map(differ, *(designs[number] for number in members))
        varying = varying.replace(read_us=jax.tree.map(lambda _: True, varying.timing.read_us))  # one at least
        size = min(most, -(-len(members) // WORKERS))
        for start in range(0, len(members), size):
            chunk = members[start : start + size]
            filled = chunk + [chunk[-1]] * (size - len(chunk))  # so that all chunks have one shape
            yield chunk, [designs[number] for number in filled], varying, load, prepared


def _run(
    chunk: list[int], designs: list[Design], varying: Design, load: Load, prepared: Any
) -> tuple[list[int], Summary]:
    stacked = jax.tree.map(
        lambda varies, *leaves: np.array(leaves if varies else leaves[0], np.float64), varying, *designs
    )
    leaves, structure = jax.tree.flatten(stacked)
    axes = tuple(0 if leaf.ndim else None for leaf in leaves)
    with x64():
        summaries = _summaries(structure, axes, prepared.steps, prepared.late)
        arguments = *simulation.split_arrays(load), prepared.planned, prepared.script
        summary, status = summaries(tuple(leaves), *arguments)
    status = np.asarray(status)[: len(chunk)]
    if simulation.may_be_late(prepared, status):
        return _run(chunk, designs, varying, load, prepared._replace(late=True))
    if status.any():
        first = int(np.argmax(status > 0))
        raise InvariantError(f"design {chunk[first]} of the sweep: {report.STATUS[status[first]]}")
    return chunk, Summary(*(np.asarray(column)[: len(chunk)] for column in summary))


@functools.lru_cache(maxsize=64)
def _summaries(structure: Any, axes: tuple[int | None, ...], steps: int, late: bool) -> Callable:
    """One program for all designs of a structure, shared out over the devices: `Summary` and status of each."""

    def one(leaves: tuple, load: Load, depth: jax.Array, planned: Plan, script: Script) -> tuple[Summary, jax.Array]:
        design = structure.unflatten(leaves)
        times, status = simulation.run(design, load, depth, script, steps, late, record=False)
        made = report.make_report(design, load, planned, times, status)
        whole = made.statistics(requests.READ, requests.WRITE)
        latencies = whole.mean_us, _percentile(made.latency, load.kind != requests.TRIM, 99), whole.max_us
        rest = made.write_amplification, made.energy.total, made.collects, made.overloaded
        return Summary(*latencies, whole.iops, whole.bandwidth, *rest), status

    in_axes = (axes, None, None, None, None)
    return devices.shard_over_devices(jax.vmap(one, in_axes=in_axes), in_axes=in_axes)


def _percentile(latency: jax.Array, among: jax.Array, percent: float) -> jax.Array:
    """The nearest rank in microseconds of some requests, by halving intervals: cheaper than a sort."""
    count = among.sum()
    rank = report.nearest_rank(percent, count)

    def halve(_, interval):
        low, high = interval
        middle = (low + high) // 2
        enough = ((latency <= middle) & among).sum() >= rank
        return jnp.where(enough, low, middle + 1), jnp.where(enough, middle, high)

    bound = jax.lax.fori_loop(0, 52, halve, (latency.min(), latency.max()))[1] / 1000
    return jnp.where(count > 0, bound, jnp.nan)

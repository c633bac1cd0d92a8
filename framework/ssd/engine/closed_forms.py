"""Closed forms: latencies of an idle device, bounds on throughput, queueing and garbage-collection laws.

Reference: Desnoyers, SYSTOR 2012, and Luojie and Kurkoski, arXiv 1110.4245, for write amplification.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.core.precision import x64
from framework.ssd.device import timing
from framework.ssd.device.design import Design
from framework.ssd.engine.bus_arbiter import transfer
from framework.ssd.workload import requests
from framework.ssd.workload.requests import Load


class UnloadedLatency(NamedTuple):
    """Latencies in int64 ns of one request of at most a page on an idle device, host link included."""

    read: Any
    write: Any


class Bounds(NamedTuple):
    """Requests a second that a device cannot exceed, of one page of the first page type, a command each.

    Args:
      host: by the host link.
      bus: by the channels.
      luns: by the dies, or chips that take turns.
      convoy: by LUNs that wait for one another under data-first arbitration.
    """

    host: Any
    bus: Any
    luns: Any
    convoy: Any


def unloaded_latency(design: Design, size: int | None = None) -> UnloadedLatency:
    """Latencies of an idle device; of the first page type, without a write buffer.

        read = command + array + set-up + data + link,   write = link + command + data + array

    Args:
      design: the device.
      size: bytes, at most a page; by default a page.

    Raises:
      ValueError: for a size of no or more than a page.
    """
    size = design.geometry.page_bytes if size is None else size
    if not 0 < size <= design.geometry.page_bytes:
        raise ValueError(f"size must be 1 to {design.geometry.page_bytes} bytes, a page, got {size}")
    with x64():
        phases = timing.phases(design.timing)
        data = transfer(size, phases.byte)
        link = timing.link(size, design.timing.host_gb_s)
        read = phases.read_command + phases.read[0] + phases.setup + data + link
        return jax.tree.map(np.asarray, UnloadedLatency(read, link + phases.program_command + data + phases.program[0]))


def least_latency(design: Design, load: Load) -> jax.Array:
    """Of each request, `[requests]` int64 ns: what it takes at least on an idle device, whatever its pages."""
    phases = timing.phases(design.timing)
    size = jnp.asarray(load.size, jnp.int64)
    kind = jnp.asarray(load.kind)
    link = timing.link(size, design.timing.host_gb_s)
    memory = timing.nanoseconds(design.timing.memory_us)
    page = design.geometry.page_bytes
    pages = (jnp.asarray(load.offset) + size - 1) // page - jnp.asarray(load.offset) // page + 1
    part = transfer(-(-size // pages), phases.byte)  # the largest of its pages is no smaller than the mean
    fastest = lambda durations: jnp.stack(durations).min(0)
    read = phases.read_command + fastest(phases.read) + phases.setup + part
    write = phases.program_command + fastest(phases.program) + part
    if design.cache.pages:
        read, write = memory, memory
    return jnp.where(kind == requests.READ, read + link, jnp.where(kind == requests.WRITE, write + link, memory))


def read_bounds(design: Design) -> Bounds:
    """Reads of one page a second; the convoy is reached by saturated queues of equal reads.

    convoy = channels LUNs / (array + LUNs (command + set-up + data))
    """
    with x64():
        phases = timing.phases(design.timing)
        page, channels, luns = design.geometry.page_bytes, design.geometry.channels, design.luns
        hold = phases.read_command + phases.setup + transfer(page, phases.byte)
        second = 1e9
        bounds = Bounds(
            second / timing.link(page, design.timing.host_gb_s),
            second * channels / hold,
            second * channels * luns / (phases.read[0] + hold),
            second * channels * luns / (phases.read[0] + luns * hold),
        )
        return jax.tree.map(float, bounds)


def write_bound(design: Design) -> float:
    """Writes of one page a second that the LUNs take, of the first page type, a command each.

    channels LUNs / (command + data + array)
    """
    with x64():
        phases = timing.phases(design.timing)
        hold = phases.program_command + transfer(design.geometry.page_bytes, phases.byte) + phases.program[0]
        return float(1e9 * design.geometry.channels * design.luns / hold)


def queueing(load: float) -> float:
    """Mean time in an M/D/1 queue, service included, over the service time: `1 + rho / (2 (1 - rho))`.

    Raises:
      ValueError: if the load is not in [0, 1).
    """
    if not 0 <= load < 1:
        raise ValueError(f"the load of a queue must be at least 0 and below 1, got {load}")
    return 1 + load / (2 * (1 - load))


def write_amplification(ratio: float) -> float:
    """Pages programmed for each page written at random, under FIFO collection: `a / (a + W(-a exp(-a)))`.

    W is the main branch of Lambert's function. Greedy collection stays a few percent below.

    Args:
      ratio: physical over logical pages, above 1; reserve and open blocks taken off, see `Ftl.ratio`.

    Raises:
      ValueError: if `ratio` is not above 1.

    Reference: arXiv 1110.4245.
    """
    if not ratio > 1:
        raise ValueError(f"physical over logical pages must be above 1, got {ratio}")
    from scipy.special import lambertw

    return float(ratio / (ratio + lambertw(-ratio * np.exp(-ratio)).real))

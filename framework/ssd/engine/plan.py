"""The plan of a load on a design: its operations and their order, without times.

Which pages go to flash, which are collected, what the buffer holds: all that follows from the order of requests alone,
since striping is static, collection stays in its plane and the buffer is first in, first out. When it happens is the
back end's business.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from framework.core.tracing import is_traced
from framework.ssd.device.design import Design
from framework.ssd.engine import bus_arbiter
from framework.ssd.engine.closed_loop import NO_OWNER, Script
from framework.ssd.engine.queues import (
    Plan,
    Work,
    page_types,
    queue,
    round_up,
)
from framework.ssd.ftl import ftl_plan
from framework.ssd.workload import requests
from framework.ssd.workload.requests import Load


def plan(design: Design, load: Load) -> Plan:
    """The operations of a load.

    Raises:
      ValueError: if the load is traced and the design has a page map or a cache, which need its addresses.
    """
    if is_traced(load) and (design.ftl.mapping != "ideal" or design.cache.pages):
        raise ValueError(
            "a design with mapping='page' or a cache needs the addresses of its load: hand the load in as it is, under "
            "vmap with in_axes=None, not traced"
        )
    pages = requests.split(load, design.geometry.page_bytes)
    if is_traced(load):
        return direct(design, pages)
    if design.ftl.mapping == "ideal" and not design.cache.pages and not (pages.kind == requests.TRIM).any():
        return direct(design, pages)
    return ftl_plan.plan(design, len(load), pages)


def direct(design: Design, pages: requests.Pages) -> Plan:
    """Every page to flash as it comes."""
    writes = pages.kind != requests.READ
    none = np.zeros(0, np.int32)
    xp = jnp if is_traced(pages) else np
    kind = xp.where(writes, bus_arbiter.PROGRAM, bus_arbiter.READ).astype(np.int32)
    work = Work(pages.page, kind, pages.size, page_types(design, pages.page, kind), ~writes)
    return Plan(work, pages.request, pages.request, none, none, none, writes.sum(), 0, 0, 0, 0)


def script(design: Design, load: Load, planned: Plan) -> tuple[Script, Any]:
    """The same for the back end, and the place of each operation in its queues."""
    number, never = len(load), len(load) + _pad_to_bucket(planned.buffered)
    queues, position = queue(design, planned.work, planned.ready_event, never)
    ending = lambda served: np.pad(served, (0, _pad_to_bucket(served) + 1 - len(served)), constant_values=never)
    if is_traced(planned):
        owner = jnp.full(len(queues.code), NO_OWNER, jnp.int32).at[position].set(planned.owner)
        pages = np.full(number, len(planned.owner) // number, np.int32)
        return Script(queues, owner, pages, ending(planned.hits), ending(planned.buffered), planned.eviction), position
    owner = np.full(len(queues.code), NO_OWNER, np.int32)
    owner[position] = planned.owner
    waits = np.concatenate([planned.owner[planned.owner >= 0], planned.hits, planned.buffered])
    pages = np.bincount(waits, minlength=number).astype(np.int32)
    eviction = np.pad(
        planned.eviction, (0, _pad_to_bucket(planned.eviction) - len(planned.eviction)), constant_values=-1
    )
    return Script(queues, owner, pages, ending(planned.hits), ending(planned.buffered), eviction), position


def _pad_to_bucket(array: Any) -> int:
    return round_up(len(array)) if len(array) else 0

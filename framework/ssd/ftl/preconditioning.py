"""A device that has been in use: filled once, or then written at random until the cost of collection is steady.

Of a device with more than `LARGE` pages only a few planes are worn in, which stand for the others: each plane is
collected apart from the rest.
"""

import dataclasses
import functools

import jax
import numpy as np

from framework.core import keys
from framework.core.precision import x64
from framework.ssd.device.design import Design
from framework.ssd.device.geometry import Geometry
from framework.ssd.ftl import translation
from framework.ssd.ftl.mapping import Ftl
from framework.ssd.ftl.translation import State
from framework.ssd.workload.requests import WRITE

WINDOW = 20_000  # writes that are looked at together, at least; else a device's worth of them
CLOSE = 0.02  # two windows after one another whose costs lie within so much are steady
MOST = 40  # windows
LARGE = 2**20  # logical pages from which on a part of the planes stands for all
PART = 2**18  # logical pages of that part, or one plane
MOST_PLANES = 16  # of it


def state_of(design: Design) -> State:
    """The map that a load finds, as `design.ftl.precondition` says.

    Raises:
      ValueError: if a steady state is not reached, with the write amplification of the last windows.
    """
    return (
        translation.empty(design) if design.ftl.precondition == "none" else _use_uniformly(design.geometry, design.ftl)
    )


@functools.lru_cache(maxsize=2)  # every load on a device finds it as it was, and a steady one takes long to make
def _use_uniformly(geometry: Geometry, ftl: Ftl) -> State:
    design = Design(geometry=geometry, ftl=ftl)
    with jax.ensure_compile_time_eval(), x64():
        if ftl.precondition == "full":
            return translation.fill(design)
        part = _part(design)
        worn = steady(part, translation.fill(part))
        return worn if part is design else _repeat_planes(design, worn)


def _part(design: Design) -> Design:
    """A device of the first few planes, where there are too many to write them all: planes are collected apart, and
    random writes wear all of them alike."""
    geometry, rows = design.geometry, design.ftl.rows(design.geometry)
    if design.logical_pages <= LARGE:
        return design
    planes = min(max(PART // rows, 1), MOST_PLANES)
    alike = dataclasses.replace(geometry, channels=1, chips=1, dies=1, planes=planes)
    return dataclasses.replace(design, geometry=alike)


def _repeat_planes(design: Design, state: State) -> State:
    """The state of a part's planes, again and again for all; each then written on for up to a block, out of step."""
    geometry, have = design.geometry, len(state.at)
    planes = np.arange(geometry.plane_count)
    state = jax.tree.map(lambda leaf: leaf[planes % have] if leaf.ndim else leaf, state)
    rng = np.random.default_rng(design.ftl.seed)
    plane = np.repeat(planes, rng.integers(0, geometry.pages, len(planes)))
    page = geometry.page_of(plane, rng.integers(0, design.ftl.rows(geometry), len(plane)))
    kind = np.full(len(page), WRITE, np.int32)
    return translation.translate(state, kind, page, design.ftl, geometry)[0]


def steady(design: Design, state: State) -> State:
    """Writes pages at random, in windows, until two windows cost the same."""
    window = max(WINDOW, design.logical_pages)
    key = keys.derive(jax.random.key(design.ftl.seed), "precondition")
    costs: list[float] = []
    for number in range(MOST):
        page = jax.random.randint(jax.random.fold_in(key, number), (window,), 0, design.logical_pages)
        kind = np.full(window, WRITE, np.int32)
        state, effect = translation.translate(state, kind, page, design.ftl, design.geometry)
        costs.append(1 + int(effect.relocated.sum()) / window)
        if number > 1 and costs[-1] > 1 and abs(costs[-1] - costs[-2]) <= CLOSE * costs[-1]:
            return state
    last = ", ".join(f"{cost:.3f}" for cost in costs[-3:])
    raise ValueError(
        f"precondition='steady': write amplification still moves after {MOST} windows of {window} random writes (the "
        f"last: {last}); take more blocks or over-provisioning, or precondition='full'"
    )

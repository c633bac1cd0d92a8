"""A device that has been in use: filled once, or then written at random until the cost of collection is steady."""

import functools

import jax
import numpy as np

from framework.core import keys
from framework.ssd import translation
from framework.ssd.design import Design
from framework.ssd.ftl import Ftl
from framework.ssd.geometry import Geometry
from framework.ssd.requests import WRITE
from framework.ssd.translation import State

WINDOW = 20_000  # writes that are looked at together, at least; else a device's worth of them
CLOSE = 0.02  # two windows after one another whose costs lie within so much are steady
MOST = 40  # windows


def state_of(design: Design) -> State:
    """The map that a load finds, as `design.ftl.precondition` says.

    Raises:
      ValueError: if a steady state is not reached, with the write amplification of the last windows.
    """
    return translation.empty(design) if design.ftl.precondition == "none" else _used(design.geometry, design.ftl)


@functools.lru_cache(maxsize=2)  # every load on a device finds it as it was, and a steady one takes long to make
def _used(geometry: Geometry, ftl: Ftl) -> State:
    design = Design(geometry=geometry, ftl=ftl)
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        state = translation.filled(design)
        return state if ftl.precondition == "full" else steady(design, state)


def steady(design: Design, state: State) -> State:
    """Writes pages at random, in windows, until two windows cost the same."""
    window = max(WINDOW, design.logical_pages)
    key = keys.named(jax.random.key(design.ftl.seed), "precondition")
    costs: list[float] = []
    for number in range(MOST):
        page = jax.random.randint(jax.random.fold_in(key, number), (window,), 0, design.logical_pages)
        kind = np.full(window, WRITE, np.int32)
        state, effect = translation.translate(state, kind, page, design.ftl, design.geometry)
        costs.append(1 + int(effect.moved.sum()) / window)
        if number > 1 and costs[-1] > 1 and abs(costs[-1] - costs[-2]) <= CLOSE * costs[-1]:
            return state
    last = ", ".join(f"{cost:.3f}" for cost in costs[-3:])
    raise ValueError(
        f"precondition='steady': write amplification still moves after {MOST} windows of {window} random writes (the "
        f"last: {last}); take more blocks or over-provisioning, or precondition='full'"
    )

"""A load on a design: what happens is planned from the order of requests, when it happens is then computed."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.core.precision import is_x64_enabled, x64
from framework.core.tracing import is_traced
from framework.ssd import report
from framework.ssd.device import timing
from framework.ssd.device.design import Design
from framework.ssd.engine import (
    closed_forms,
    closed_loop,
    host_link,
    invariants,
    open_loop,
)
from framework.ssd.engine import plan as planning
from framework.ssd.engine.closed_loop import Host, Script
from framework.ssd.engine.queues import Plan, busiest
from framework.ssd.engine.timeline import Schedule, schedule_of
from framework.ssd.report import Report, Times, make_report
from framework.ssd.workload import requests
from framework.ssd.workload.requests import Load


def refuse_narrow(tree: Any) -> None:
    """64-bit times cannot cross an outer transformation of a 32-bit caller.

    Raises:
      ValueError: if anything is traced and jax_enable_x64 is off.
    """
    if is_traced(tree) and not is_x64_enabled():
        raise ValueError(
            "times are int64 nanoseconds, which a transformation with jax_enable_x64=False would cut to 32 bits: call "
            "jax.config.update('jax_enable_x64', True) first, or simulate outside of jit and vmap"
        )


def refuse_others(design: Any, load: Any) -> None:
    """What is no device or no load.

    Raises:
      ValueError: with what was given.
    """
    if not isinstance(design, Design) or not isinstance(load, Load):
        got = f"{type(design).__name__} and {type(load).__name__}"
        raise ValueError(f"a simulation takes an ssd.Design and an ssd.Load, got {got}")


def simulate(design: Design, load: Load, check: bool = True) -> Report:
    """Serves all requests of a load on a device.

    Composes with `vmap` over the numbers of a design, and over uniform open loads on devices with ideal mapping and no
    cache; under a transformation the invariants that can be told from times alone end in `Report.status`.

    Args:
      design: the device.
      load: the requests.
      check: whether all invariants are checked, where nothing is traced; see `invariants.check`.

    Returns:
      A `Report`, of NumPy arrays where nothing is traced.

    Raises:
      ValueError: if the load is not valid or reaches past the end of the device, or 64-bit times would have to cross a
        transformation of a 32-bit caller.
      InvariantError: if the simulation contradicts itself.

    Example:
      >>> from framework import ssd
      >>> from framework.ssd.device import presets
      >>> from framework.ssd.workload import generators
      >>> load = generators.closed(jax.random.key(0), requests=50, queue_depth=1)
      >>> slow = presets.mqsim_default(read_us=100.0)
      >>> fast = slow.replace(read_us=60.0)
      >>> set((ssd.simulate(slow, load).latency - ssd.simulate(fast, load).latency).tolist())
      {40000}
    """
    refuse_others(design, load)
    refuse_narrow((design, load))
    requests.check(load, design.capacity)
    traced = is_traced((design, load))
    design = simplify(design, load)
    with x64():
        prepared = prepare(design, load)
        result, status = times(design, load, prepared, record=check and not traced)
        made = make_report(design, load, prepared.planned, result, status)
    refuse_narrow(made)
    if traced or is_traced(made):
        return made
    made = jax.tree.map(np.asarray, made)
    if check:
        invariants.check(design, load, prepared.planned, result, made)
    return made


def schedule(design: Design, load: Load) -> Schedule:
    """Who held which bus and which unit of flash, and when: of each operation on flash, in the order planned.

    Raises:
      ValueError: as `simulate`; nothing may be traced.
    """
    refuse_others(design, load)
    refuse_narrow((design, load))
    requests.check(load, design.capacity)
    design = simplify(design, load)
    with x64():
        prepared = prepare(design, load)
        result, _ = times(design, load, prepared, record=True)
        return schedule_of(design, prepared.planned, result)


def simplify(design: Design, load: Load) -> Design:
    """The same device with queues in order of arrival, where the load leaves reads no writes to go before.

    It serves that load at the same times, in a smaller program.
    """
    policy = design.policy
    alone = policy.scheduling == "read-first" and policy.suspend == "none"
    if not alone or is_traced(load) or design.ftl.mapping != "ideal" or design.cache.pages:
        return design
    kind = np.asarray(load.kind)
    if (kind == requests.READ).any() and (kind == requests.WRITE).any():
        return design
    return dataclasses.replace(design, policy=dataclasses.replace(policy, scheduling="fifo"))


class Prepared(NamedTuple):
    """A load on a structure, ready for any numbers of that structure."""

    planned: Plan
    script: Script
    position: Any  # [operations]: of each operation in the queues
    steps: int  # bus grants of the busiest channel, where channels stand apart; 0 where not
    late: bool  # whether times may exceed `host.latest`


def prepare(design: Design, load: Load) -> Prepared:
    """All that does not depend on a design's numbers.

    Raises:
      ValueError: if a closed load, or one for a page map or a cache, is traced.
    """
    planned = planning.plan(design, load)
    together = bool(load.queue_depth or design.cache.pages)
    if together and is_traced(planned):
        raise ValueError("a closed load cannot be traced: hand it in as it is, under vmap with in_axes=None")
    script, position = planning.script(design, load, planned)
    end = requests.LATEST if is_traced(load) else int(load.arrival[-1])
    steps = 0 if together else busiest(design, planned.work)
    return Prepared(planned, script, position, steps, late=end > host_link.latest(len(load)) // 4)


def times(design: Design, load: Load, prepared: Prepared, record: bool) -> tuple[Times, Any]:
    """All times of a load and a status, inside 64 bits."""
    result, status = _compiled(design, *split_arrays(load), prepared.script, prepared.steps, prepared.late, record)
    if not is_traced(status) and may_be_late(prepared, status):
        return times(design, load, prepared._replace(late=True), record)
    operations = (result.begun, result.done) if record else (None, None)
    return Times(
        result.issued,
        result.ended,
        *(None if column is None else column[prepared.position] for column in operations),
    ), status


def may_be_late(prepared: Prepared, status: Any) -> bool:
    """Whether times that are not possible may only have been too late for how the host link sorted them."""
    return bool(prepared.steps) and not prepared.late and bool(np.any(status))


def split_arrays(load: Load) -> tuple[Load, Any]:
    """A load without what no program depends on, and how many requests may be in flight."""
    depth = min(load.queue_depth or len(load), len(load))
    return dataclasses.replace(load, wrapped=0, skipped=0, queue_depth=min(load.queue_depth, 1)), jnp.asarray(
        depth, jnp.int32
    )


def run(
    design: Design, load: Load, depth: Any, script: Script, steps: int, late: bool, record: bool
) -> tuple[Times, jax.Array]:
    """Times of requests and of the places of operations, and whether they are possible ones."""
    script = jax.tree.map(jnp.asarray, script)
    sent = _requests(design, load)
    phases, memory = timing.phases(design.timing), timing.nanoseconds(design.timing.memory_us)
    if steps:
        result = _apart(design, sent, script, phases, memory, steps, late, record)
        horizon = report.HORIZON if late else min(report.HORIZON, host_link.latest(len(load)) // 2)
    else:
        choices = {"rules": design.rules, "flushes": design.cache.flushes, "record": record}
        result = Times(
            *over_designs(functools.partial(closed_loop.run, **choices))(script, sent, phases, memory, depth)
        )
        horizon = report.HORIZON
    return result, report.status_of(result, closed_forms.least_latency(design, load), horizon)


def _apart(
    design: Design, sent: Host, script: Script, phases: Any, memory: Any, steps: int, late: bool, record: bool
) -> Times:
    """An open load without a buffer."""
    arrival = host_link.fifo(sent.arrival, sent.inbound)
    serve = over_designs(functools.partial(open_loop.serve, rules=design.rules, steps=steps, record=record))
    begun, done = serve(script.queues, arrival, phases)
    count = len(sent.arrival)
    over = jnp.zeros(count, jnp.int64)
    over = over.at[jnp.where(script.owner >= 0, script.owner, count)].max(done, mode="drop")
    over = over.at[script.hits].max(arrival[jnp.minimum(script.hits, count - 1)] + memory, mode="drop")
    return Times(sent.arrival, host_link.outbound(over, sent.outbound, late), begun, done)


_compiled = jax.jit(run, static_argnames=("steps", "late", "record"))


def _requests(design: Design, load: Load) -> Host:
    """The requests as the host link has them."""
    link = timing.link(jnp.asarray(load.size, jnp.int64), design.timing.host_gb_s)
    kind = jnp.asarray(load.kind)
    only = lambda which: jnp.where(kind == which, link, 0)
    arrival = jnp.asarray(load.arrival, jnp.int64)
    return Host(jnp.zeros_like(arrival) if load.queue_depth else arrival, only(requests.WRITE), only(requests.READ))


def over_designs(run):
    """A function that takes numbers of one design or, with an axis more, of many, as one that vmap may batch.

    It gives `[designs, ...]`. Its first argument, the operations, all designs have in common; under a vmap over loads
    each load goes through it alone.
    """

    @jax.custom_batching.custom_vmap
    def single(operations, *numbers):
        return jax.tree.map(lambda leaf: leaf[0], run(operations, *numbers))

    @single.def_vmap
    def batch_rule(axis_size, in_batched, operations, *numbers):
        operations_batched, *numbers_batched = in_batched
        axes = lambda tree: jax.tree.map(lambda flag: 0 if flag else None, tree)
        if any(jax.tree.leaves(operations_batched)):
            one = lambda *values: jax.tree.map(lambda leaf: leaf[0], run(*values))
            result = jax.vmap(one, in_axes=(axes(operations_batched), *map(axes, numbers_batched)))(
                operations, *numbers
            )
        else:
            result = run(operations, *numbers)
        return result, jax.tree.map(lambda _: True, result)

    return single

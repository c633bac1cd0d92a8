"""Processors inside the device: one in each channel's controller, and a master in the cache controller.

Reference: Choe et al., arXiv 1610.02273. Its text was not at hand: what is marked `reported` was told by others, the
rest is this project's own choice.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.core.tracing import is_traced
from framework.core.types import Batch, Loss, Params
from framework.ssd.device import timing
from framework.ssd.device.design import Design


class Controllers(NamedTuple):
    """The numbers of in-storage processing; leaves above 0, which may be swept.

    Args:
      clock_mhz: reported; of channel and cache controllers.
      width: ours: floating-point units of a channel controller.
      add_cycles, multiply_cycles, exponential_cycles: ours, as the reported half an instruction a cycle; pipelined: one
        starts so often.
      buffer_bytes: reported; of a channel controller, next to its page buffer.
      parameter_bytes: ours: 32-bit floats.
      bus_gb_s: ours: on-chip bus between the controllers, 10^9 bytes a second.
      slowness: ours: times the computing of each worker; one number, or `[channels]`.
      operation_pj: ours: picojoules an instruction of a floating-point unit.
    """

    clock_mhz: Any = 400.0
    width: Any = 1.0
    add_cycles: Any = 2.0
    multiply_cycles: Any = 2.0
    exponential_cycles: Any = 20.0
    buffer_bytes: Any = 16384.0
    parameter_bytes: Any = 4.0
    bus_gb_s: Any = 1.6
    slowness: Any = 1.0
    operation_pj: Any = 5.0


class MinibatchCost(NamedTuple):
    """What one minibatch costs, and what is sent."""

    adds: Any
    multiplications: Any
    exponentials: Any
    parameters: Any  # how many

    @property
    def operations(self) -> Any:
        """Instructions in all."""
        return self.adds + self.multiplications + self.exponentials


class Durations(NamedTuple):
    """What the parts of a step take, int64 ns.

    Args:
      sense: command and array read of a page.
      fetch: the page from the array into the page buffer.
      compute: `[workers]`: gradient and local update, streamed parameters included.
      transfer: parameters once over the bus.
      apply: the master adds one worker's parameters.
    """

    sense: Any
    fetch: Any
    compute: Any
    transfer: Any
    apply: Any

    def page(self, chips: int = 1) -> Any:
        """A page in a steady run, `[workers]`, ns: arrays of so many chips sense the next ones while one is at work."""
        return jnp.maximum((self.sense + self.fetch) / chips, self.compute + self.fetch)


def work(loss: Loss, params: Params, batch: Batch) -> MinibatchCost:
    """The cost of a gradient of any loss and of the step along it, counted in the program before it is compiled.

    A fused multiplication and addition counts as one of each.

    Args:
      loss: (params, batch) -> scalar.
      params, batch: arrays, or their shapes.
    """
    analysis = jax.jit(jax.grad(loss)).lower(params, batch).cost_analysis()
    flops, transcendental = float(analysis["flops"]), float(analysis.get("transcendentals", 0.0))
    count = sum(int(np.prod(jnp.shape(leaf))) for leaf in jax.tree.leaves(params))
    return MinibatchCost(flops / 2 + count, flops / 2 + count, transcendental, count)


def softmax_regression(features: int, classes: int, samples: int) -> MinibatchCost:
    """The cost of a minibatch of softmax regression: forward, back and the update."""
    weights = (features + 1) * classes
    products = 2 * samples * features * classes + weights
    return MinibatchCost(products, products, samples * classes, weights)


def durations(design: Design, controllers: Controllers, cost: MinibatchCost) -> Durations:
    """What the parts of a step take on a device.

    Parameters that do not fit a controller's buffer stay in DRAM and are streamed over the bus, read and written once a
    step.

    Args:
      design: the device; page type 0 is read.
      controllers: its processors.
      cost: of one minibatch.

    Raises:
      ValueError: for a number that is not above 0, a cost below 0, or as many slownesses as the device has no channels.
    """
    check(design, controllers)
    for name, value in cost._asdict().items():
        if not is_traced(value) and not np.all(np.isfinite(value) & (np.asarray(value) >= 0)):
            raise ValueError(f"{name} of a minibatch must be at least 0 and finite, got {value}")
    phases = timing.phases(design.timing)
    cycle = 1000.0 / jnp.asarray(controllers.clock_mhz, jnp.float64)
    whole = lambda time: jnp.ceil(time).astype(jnp.int64)
    cycles = (
        cost.adds * controllers.add_cycles
        + cost.multiplications * controllers.multiply_cycles
        + cost.exponentials * controllers.exponential_cycles
    )
    size = cost.parameters * controllers.parameter_bytes
    crossing = size / jnp.asarray(controllers.bus_gb_s, jnp.float64)
    streamed = jnp.where(size > controllers.buffer_bytes, 2 * crossing, 0.0)
    computing = cycle * cycles / controllers.width * jnp.broadcast_to(controllers.slowness, (design.geometry.channels,))
    return Durations(
        phases.read_command + phases.read[0],
        phases.setup + whole(design.geometry.page_bytes * phases.byte),
        whole(computing + streamed),
        whole(crossing),
        whole(cycle * cost.parameters * controllers.add_cycles),
    )


def check(design: Design, controllers: Controllers) -> None:
    """Refuses what is no processor; what is traced passes.

    Raises:
      ValueError: by name.
    """
    for name, value in controllers._asdict().items():
        if not is_traced(value) and not np.all(np.asarray(value) > 0):
            raise ValueError(f"{name} must be above 0, got {value}")
    shape, channels = jnp.shape(controllers.slowness), design.geometry.channels
    if shape not in ((), (channels,)):
        raise ValueError(f"slowness takes one number, or one for each of {channels} channels, got the shape {shape}")

"""Energy estimates of a spiking network by published models.

None of these is a measurement. Spike counts alone omit memory access, which dominates real hardware: report
`memory_energy` as well. Payloads of different sizes (phase, burst) need more than an addition: a shift-add where the
sizes are powers of two, otherwise a multiplication, or a receiver that stores the gain. Synaptic operations do not
include this cost: set `ac` accordingly.
"""

from typing import NamedTuple

import jax
import numpy as np

AC, MAC = 0.9, 4.6  # pJ, float32 addition, and multiplication (3.7) with addition, 45 nm: Horowitz, ISSCC 2014
SRAM = {8 * 1024: 10 / 64, 32 * 1024: 20 / 64, 1024 * 1024: 100 / 64}  # bytes -> pJ a bit, 64-bit access, same source


class Chip(NamedTuple):
    """Shares of the energy of a chip in the reference run: `dynamic` grows with spikes, `static` with time."""

    dynamic: float
    static: float


TRUENORTH = Chip(0.4, 0.6)
SPINNAKER = Chip(0.64, 0.36)


def relative_energy(
    spikes: jax.Array,
    latency: jax.Array,
    reference_spikes: float | jax.Array,
    reference_latency: float | jax.Array,
    chip: Chip = TRUENORTH,
) -> jax.Array:
    """Energy relative to a reference run, from spikes and time alone.

        E = dynamic spikes / reference spikes + static latency / reference latency

    It is a weighted sum of two relative numbers, which depends on the reference and on the shares of the chip.

    Args:
      spikes: `[...]`, spikes per image of a run.
      latency: `[...]`, steps of the run.
      reference_spikes: spikes per image of the run with energy 1.
      reference_latency: steps of the run with energy 1.
      chip: `TRUENORTH` or `SPINNAKER`, or shares of your own.

    Returns:
      `[...]`, 1 for the reference.

    Reference: Park, Kim, Na and Yoon, "T2FSNN", DAC 2020, arXiv 2003.11741.
    """
    return chip.dynamic * spikes / reference_spikes + chip.static * latency / reference_latency


def arithmetic_energy(
    operations: float | jax.Array,
    analog_macs: float | jax.Array = 0.0,
    repeats: int = 1,
    ac: float = AC,
    mac: float = MAC,
) -> jax.Array:
    """Energy of the additions and multiplications, in pJ.

        E = ac SynOps + mac repeats MACs

    Updates of membranes are not counted. A DNN is `arithmetic_energy(0, macs)`.

    Args:
      operations: `[...]` SynOps.
      analog_macs: MACs of a first layer that gets real input, 0 for spikes at the input.
      repeats: number of times that these are computed: 1 if the response is stored, T if it is computed at every step.
      ac: pJ an addition; more for payloads of several sizes, which need a shift-add.
      mac: pJ a multiplication with addition.

    Returns:
      `[...]`, pJ.

    Reference: Horowitz, "Computing's energy problem", ISSCC 2014: 45 nm, float32, 0.9 and 3.7 + 0.9 pJ.
    """
    return ac * operations + mac * repeats * analog_macs


def sram_energy(size: float) -> float:
    """Energy of reading or writing one bit of an SRAM, in pJ.

    Horowitz's three caches (8 KiB, 32 KiB, 1 MiB: 10, 20, 100 pJ for 64 bits), and between them a power of the size,
    an interpolation of this project.

    Args:
      size: bytes, 8 KiB .. 1 MiB.

    Returns:
      pJ a bit.

    Raises:
      ValueError: outside of that range, which the source does not cover.

    Reference: Horowitz, ISSCC 2014, 45 nm.
    """
    sizes, prices = np.array(list(SRAM)), np.array(list(SRAM.values()))
    if not sizes[0] <= size <= sizes[-1]:
        valid = f"{sizes[0]} .. {sizes[-1]} bytes"
        raise ValueError(f"sram_energy covers sizes of {valid}, got {size}: use another source for pJ a bit")
    return float(np.exp(np.interp(np.log(size), np.log(sizes), np.log(prices))))


def memory_energy(
    operations: float | jax.Array,
    updates: float | jax.Array = 0.0,
    weight_bits: int = 32,
    membrane_bits: int = 32,
    states: int = 1,
    weight_energy: float = SRAM[1024 * 1024],
    membrane_energy: float = SRAM[32 * 1024],
) -> jax.Array:
    """Energy of memory access without reuse, in pJ; add it to `arithmetic_energy`.

        E = SynOps (weight_bits e_w + 2 membrane_bits e_m) + updates 2 states membrane_bits e_m

    An operation reads its weight, and reads and writes the membrane that it adds to; an update reads and writes the
    states of a neuron once a step, spike or not. The transport of events and activations is not
    counted. A DNN without reuse is `memory_energy(macs)`; one that reuses weights or sums needs much less.

    Args:
      operations: `[...]` SynOps, or MACs of a DNN.
      updates: neurons times steps; 0 for hardware that updates a neuron only at an event.
      weight_bits: bits of a stored weight; float32 by default.
      membrane_bits: bits of a stored membrane; float32 by default.
      states: stored numbers of a neuron: 1 a membrane, 2 a membrane and a gain.
      weight_energy: pJ a bit. Default: SRAM of 1 MiB, a size of our choice; see `sram_energy`.
      membrane_energy: pJ a bit. Default: SRAM of 32 KiB, a size of our choice.

    Returns:
      `[...]`, pJ.
    """
    membrane = 2 * membrane_bits * membrane_energy
    return operations * (weight_bits * weight_energy + membrane) + updates * states * membrane

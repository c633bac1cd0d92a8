"""Energy of a spiking network by published models.

None of these is a measurement. Spike counts alone leave out memory, which dominates real hardware: show `memory_energy`
beside them. Payloads that are not all of one size (phase, burst) need more than an addition: a shift-add where the
sizes are powers of two, a multiplication elsewhere, or a receiver that keeps the gain. Synaptic operations do not know
that: give `ac` that price.
"""

from typing import NamedTuple

import jax
import numpy as np

AC, MAC = 0.9, 4.6  # pJ, float32 addition, and multiplication (3.7) with addition, 45 nm: Horowitz, ISSCC 2014
SRAM = {8 * 1024: 10 / 64, 32 * 1024: 20 / 64, 1024 * 1024: 100 / 64}  # bytes -> pJ a bit, 64-bit access, same source


class Chip(NamedTuple):
    """Shares of a chip's energy in the reference run: of what grows with spikes, and of what grows with time."""

    dynamic: float
    static: float


TRUENORTH = Chip(0.4, 0.6)
SPINNAKER = Chip(0.64, 0.36)


def normalised_energy(
    spikes: jax.Array,
    latency: jax.Array,
    reference_spikes: float | jax.Array,
    reference_latency: float | jax.Array,
    chip: Chip = TRUENORTH,
) -> jax.Array:
    """Energy against a reference run, from spikes and time alone.

        E = dynamic spikes / reference spikes + static latency / reference latency

    A re-weighting of two columns, that depends on the reference row and on the chip's shares.

    Args:
      spikes: `[...]`, a run's spikes per image.
      latency: `[...]`, its steps.
      reference_spikes: those of the run that has energy 1.
      reference_latency: likewise.
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

    Updates of membranes are left out. A DNN is `arithmetic_energy(0, macs)`.

    Args:
      operations: `[...]` SynOps.
      analog_macs: MACs of a first layer that gets real input, 0 for spikes at the input.
      repeats: how often those are paid: 1 if the response is computed once and kept, T if at every step.
      ac: pJ an addition. Payloads of several sizes need a shift-add: more.
      mac: pJ a multiplication with addition.

    Returns:
      `[...]`, pJ.

    Reference: Horowitz, "Computing's energy problem", ISSCC 2014: 45 nm, float32, 0.9 and 3.7 + 0.9 pJ.
    """
    return ac * operations + mac * repeats * analog_macs


def sram_energy(size: float) -> float:
    """Energy of reading or writing one bit of an SRAM, in pJ.

    Horowitz's three caches (8 KiB, 32 KiB, 1 MiB: 10, 20, 100 pJ for 64 bits), and between them a power of the size,
    which is ours.

    Args:
      size: bytes, 8 KiB .. 1 MiB.

    Returns:
      pJ a bit.

    Raises:
      ValueError: outside that range, where the source says nothing.

    Reference: Horowitz, ISSCC 2014, 45 nm.
    """
    sizes, prices = np.array(list(SRAM)), np.array(list(SRAM.values()))
    if not sizes[0] <= size <= sizes[-1]:
        known = f"{sizes[0]} .. {sizes[-1]} bytes"
        raise ValueError(f"sram_energy knows sizes of {known}, got {size}: take another source's pJ a bit")
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
    """Energy of reads and writes when nothing is reused, in pJ; add it to `arithmetic_energy`.

        E = SynOps (weight_bits e_w + 2 membrane_bits e_m) + updates 2 states membrane_bits e_m

    An operation reads its weight, and reads and writes the membrane that it adds to; an update reads and writes the
    states of a neuron once a step, spike or not. Events and activations on their way are left out. A DNN with the same
    lack of reuse is `memory_energy(macs)`; one that reuses weights or sums needs much less.

    Args:
      operations: `[...]` SynOps, or MACs of a DNN.
      updates: neurons times steps; 0 for hardware that touches a neuron only when an event comes.
      weight_bits: as stored. Default: float32, as networks are here (ours).
      membrane_bits: likewise.
      states: numbers a neuron keeps: 1 a membrane, 2 a membrane and a gain.
      weight_energy: pJ a bit. Default: 1 MiB of SRAM (the size is ours, the price Horowitz's); see `sram_energy`.
      membrane_energy: pJ a bit. Default: 32 KiB of SRAM, likewise.

    Returns:
      `[...]`, pJ.
    """
    membrane = 2 * membrane_bits * membrane_energy
    return operations * (weight_bits * weight_energy + membrane) + updates * states * membrane

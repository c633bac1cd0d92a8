import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.snn.meters import energy

# spikes per image (10^6), latency, energy on TrueNorth and SpiNNaker, of rate, phase, burst and TTFS
TABLE = {
    "MNIST": [
        (0.077, 200, "1", "1"),
        (0.143, 16, ".79", "1.22"),
        (0.251, 87, "1.56", "2.24"),
        (0.009, 40, ".17", ".15"),
    ],
    "CIFAR-10": [
        (61.949, 10_000, "1", "1"),
        (35.196, 1_500, ".317", ".418"),
        (6.920, 1_125, ".112", ".112"),
        (0.069, 680, ".041", ".025"),
    ],
    "CIFAR-100": [
        (81.525, 10_000, "1", "1"),
        (258.379, 8_950, "1.805", "2.351"),
        (25.074, 3_100, ".309", ".308"),
        (0.084, 680, ".041", ".025"),
    ],
}


@pytest.mark.parametrize("data", TABLE)
def test_relative_energy_equals_the_published_columns(data):
    spikes, latency, truenorth, spinnaker = zip(*TABLE[data], strict=True)
    for chip, column in [(energy.TRUENORTH, truenorth), (energy.SPINNAKER, spinnaker)]:
        result = energy.relative_energy(np.array(spikes), np.array(latency), spikes[0], latency[0], chip)
        for value, printed in zip(result, column, strict=True):
            digits = len(printed.partition(".")[2])
            assert value == pytest.approx(float(printed), abs=0.5000001 * 10.0**-digits)


def test_the_shares_of_a_chip_make_the_reference_one():
    for chip in (energy.TRUENORTH, energy.SPINNAKER):
        assert energy.relative_energy(3.0, 7, 3.0, 7, chip) == pytest.approx(1)


def test_arithmetic_by_hand():
    assert energy.arithmetic_energy(1000) == pytest.approx(900)
    assert energy.arithmetic_energy(0, 1000) == pytest.approx(4600)
    assert energy.arithmetic_energy(1000, 10) == pytest.approx(946)
    assert energy.arithmetic_energy(1000, 10, repeats=8) == pytest.approx(900 + 8 * 46)
    assert energy.arithmetic_energy(1000, 10, ac=0.1, mac=3.2) == pytest.approx(132)


def test_arithmetic_energy_falls_below_five_operations_a_mac():
    ratio = energy.MAC / energy.AC
    assert energy.arithmetic_energy(ratio * 100) == pytest.approx(energy.arithmetic_energy(0, 100))


@pytest.mark.parametrize(("size", "access"), [(8, 10), (32, 20), (1024, 100)])
def test_sram_has_the_published_energy_of_a_64_bit_access(size, access):
    assert 64 * energy.sram_energy(size * 1024) == pytest.approx(access)


def test_sram_between_the_published_sizes_is_a_power_of_the_size():
    assert energy.sram_energy(16 * 1024) == pytest.approx(np.sqrt(10 * 20) / 64)
    sizes = np.geomspace(8 * 1024, 1024 * 1024, 20)
    assert (np.diff([energy.sram_energy(size) for size in sizes]) > 0).all()


def test_sram_beyond_the_source_is_refused():
    with pytest.raises(ValueError, match="pJ a bit"):
        energy.sram_energy(2**21)


def test_memory_equals_a_count_of_reads_and_writes():
    """Two neurons over three steps, five synaptic operations: each access of each number by itself."""
    pj = 0.0
    for _operation in range(5):
        pj += 8 * 2.0  # weight read
        pj += 16 * 0.5 + 16 * 0.5  # membrane read and written
    for _step in range(3):
        for _neuron in range(2):
            for _state in ("membrane", "gain"):
                pj += 16 * 0.5 + 16 * 0.5
    result = energy.memory_energy(
        5, updates=6, weight_bits=8, membrane_bits=16, states=2, weight_energy=2.0, membrane_energy=0.5
    )
    assert result == pytest.approx(pj)


def test_memory_dominates_arithmetic():
    assert energy.memory_energy(1.0) == pytest.approx(32 * 100 / 64 + 2 * 32 * 20 / 64)
    assert energy.memory_energy(1.0) > 50 * energy.arithmetic_energy(1.0)


def test_prices_can_be_swept():
    prices = jnp.array([0.1, 0.9])
    swept = jax.jit(jax.vmap(lambda ac: energy.arithmetic_energy(100.0, 3.0, ac=ac)))(prices)
    np.testing.assert_allclose(swept, [10 + 13.8, 90 + 13.8], rtol=1e-6)

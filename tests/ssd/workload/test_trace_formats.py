import pytest

from framework.ssd.workload import trace_formats
from framework.ssd.workload.trace_formats import UNITS


@pytest.mark.parametrize(
    ("text", "unit", "ns"),
    [
        ("12", "ns", 12),
        ("12", "100ns", 1200),
        ("12.5", "us", 12_500),
        ("1700000000123456789", "ns", 1_700_000_000_123_456_789),  # since 1970
        ("0.000001", "ms", 1),
        ("242.504709548", "s", 242_504_709_548),
        ("1.0000000019", "s", 1_000_000_001),  # what is below a nanosecond is cut
    ],
)
def test_times_are_exact_in_every_unit(text, unit, ns):
    assert trace_formats.time(text, "the time", UNITS[unit]) == ns


@pytest.mark.parametrize("text", ["-1", "1e9", "1.", ".5", "1_000", "nan", "", "1.5.2", "٣"])
@pytest.mark.parametrize("unit", ["ns", "s"])
def test_what_is_no_time_is_refused(text, unit):
    with pytest.raises(ValueError, match="the time must be an integer of at least 0"):
        trace_formats.time(text, "the time", UNITS[unit])


def test_an_address_of_too_many_digits_is_refused_with_its_limit():
    with pytest.raises(ValueError, match="the start sector must be an integer of at least 0 with at most 18 digits"):
        trace_formats.FORMATS["mqsim"].parse("0 0 1234567890123456789 8 1", 1)


def test_a_decimal_in_ns_is_refused_with_advice():
    with pytest.raises(ValueError, match="of times in seconds say so: time_unit='s'"):
        trace_formats.time("1.5", "the time", UNITS["ns"])


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("0 0 100 8 1", "mqsim"),
        ("128166372003061629,usr,0,Read,7014609920,24576,41286", "msr"),
        ("  8,0 1 1 0.000000000 697 Q WS 223490 + 8 [x]", "blkparse"),
        ("  8,0 1 1 0.000000000 697 D WS 223490 + 8 [x]", "blkparse"),
        ("419,W,8792731648,16384,1577808000000046", ""),
        ("", ""),
    ],
)
def test_the_form_of_a_line_is_told(line, form):
    assert trace_formats.form_of(line) == form

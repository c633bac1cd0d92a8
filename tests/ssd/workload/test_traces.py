import gzip

import pytest

from framework import ssd
from framework.ssd.device import presets
from framework.ssd.workload import generators, trace_formats, traces

LINES = {
    "mqsim": [f"{1000 + 500 * i} {i % 3} {16 * i} {8 + 8 * (i % 2)} {i % 2}" for i in range(20)],
    "msr": ["Timestamp,Hostname,Disk,Type,Offset,Size,ResponseTime"]
    + [
        f"{128166372003061629 + 7 * i},usr,{i % 2},{'Read' if i % 2 else 'Write'},{4096 * i},{4096 * (1 + i % 2)},900"
        for i in range(20)
    ],
    "blkparse": [
        line
        for i in range(20)
        for line in (
            f" 8,0  1  {2 * i + 1:6d}  0.{1000 + 50 * i:09d}  697  Q  {('W', 'R', 'DS')[i % 3]} {16 * i} + 8 [dd]",
            f" 8,0  1  {2 * i + 2:6d}  0.{1010 + 50 * i:09d}  697  G  W {16 * i} + 8 [dd]",
        )
    ]
    + ["CPU1 (sda):", " Reads Queued:           7,       28KiB"],
}


@pytest.fixture
def design():
    return presets.isp_ml(channels=1, blocks=64, pages=64)


@pytest.fixture
def written(tmp_path):
    def write(*lines):
        path = tmp_path / "a.trace"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_an_mqsim_trace_is_read(design, written):
    load = generators.read_trace(written(*LINES["mqsim"]), design)
    assert load.arrival.tolist() == [500 * i for i in range(20)]
    assert load.offset.tolist() == [16 * 512 * i for i in range(20)]
    assert load.size.tolist() == [512 * (8 + 8 * (i % 2)) for i in range(20)]
    assert load.kind.tolist() == [1 - i % 2 for i in range(20)]


def test_an_msr_trace_is_read(design, written):
    load = generators.read_trace(str(written(*LINES["msr"])), design, format="msr")
    assert load.arrival.tolist() == [700 * i for i in range(20)]
    assert load.size.tolist() == [4096 * (1 + i % 2) for i in range(20)]
    assert load.kind.tolist() == [1 - i % 2 for i in range(20)]


@pytest.mark.slow
def test_what_blkparse_prints_is_read(design, written):
    load = generators.read_trace(written(*LINES["blkparse"]), design, format="blkparse")
    assert load.arrival.tolist() == [50 * i for i in range(20)]
    assert load.kind.tolist() == [(generators.WRITE, generators.READ, generators.TRIM)[i % 3] for i in range(20)]
    assert ssd.simulate(design, load).requests == 20


def event(at, rest, action="Q", device="8,0"):
    return f"  {device}    1  1  {at:.9f}   697  {action} {rest}"


@pytest.mark.parametrize("name", ["dd", "jbd2/sda1-8", "Web Content", "my app [x] + y", "] [ 8 + 8"])
@pytest.mark.parametrize("elapsed", ["", "(   12345) "])
def test_events_of_blkparse_without_data_are_passed_over(design, written, name, elapsed):
    """Flushes and SCSI commands have no sectors; names are printed raw; `-t` puts a time before them."""
    lines = [
        event(0.0, f"  R 8 + 16 {elapsed}[{name}]"),
        event(0.001, f"FWS {elapsed}[{name}]"),
        event(0.002, f" FN {elapsed}[{name}]"),
        event(0.003, f"  R 36 (12 00 00 00 24 00) [{name}]"),
        event(0.004, f"FWFSM 64 + 8 {elapsed}[{name}]"),
        event(0.005, f"  N [{name}]", "P"),
        event(0.006, f"  N [{name}] 1", "U"),
        event(0.007, "  N cfq697S / alloced", "m"),
        event(0.008, f"  R 8 / 16 [{name}]", "X"),
        event(0.009, "  R 8 + 16 [0]", "C"),
        event(0.010, f"DS 80 + 8 {elapsed}[{name}]"),
        "CPU0 (sda):",
        " Reads Queued:           1,        8KiB",
        "Total (sda):",
    ]
    load = generators.read_trace(written(*lines), design, "blkparse")
    assert load.arrival.tolist() == [0, 4_000_000, 10_000_000]
    assert (load.offset // 512).tolist() == [8, 64, 80]
    assert (load.size // 512).tolist() == [16, 8, 8]
    assert load.kind.tolist() == [generators.READ, generators.WRITE, generators.TRIM]
    assert load.skipped == 3


def test_requests_of_msr_without_bytes_are_passed_over(design, written):
    load = generators.read_trace(written("1000,usr,0,Write,0,0,1", "3000,usr,0,Read,512,512,1"), design, "msr")
    assert (len(load), load.skipped) == (1, 1)


@pytest.mark.parametrize("format", LINES)
def test_a_file_compressed_by_gzip_is_read_as_it_is(design, written, tmp_path, format):
    path = written(*LINES[format])
    packed = tmp_path / "a.anything"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    one, other = (generators.read_trace(item, design, format) for item in (path, packed))
    assert one.arrival.tolist() == other.arrival.tolist()
    assert one.offset.tolist() == other.offset.tolist()
    packed.write_bytes(packed.read_bytes()[:-12])
    with pytest.raises(ValueError, match=r"a\.anything: compressed by gzip, and damaged"):
        generators.read_trace(packed, design, format)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x28\xb5\x2f\xfd1234", "compressed by zstd; a trace is read as text, or as text compressed by gzip"),
        (b"BZh91AY", "compressed by bzip2"),
        (b"\xfd7zXZ\x00", "compressed by xz"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x07tae\x01\x00", "blktrace's binary records: print them with blkparse -i"),
        ("0 0 0 8 1\n".encode("utf-16-le"), "not a text file"),
        (gzip.compress(b"\x07tae\x01\x00", mtime=0), "blktrace's binary records"),
    ],
)
def test_a_file_that_is_no_text_is_refused_in_words(design, tmp_path, content, what):
    (tmp_path / "a.trace").write_bytes(content)
    with pytest.raises(ValueError, match=f"a.trace: {what}"):
        generators.read_trace(tmp_path / "a.trace", design)


@pytest.mark.parametrize(
    ("format", "lines", "unit", "arrival"),
    [
        ("mqsim", ["242.5 0 0 8 1", "243.500000001 0 8 8 0"], "s", [0, 1_000_000_001]),
        ("mqsim", ["242 0 0 8 1", "243 0 8 8 0"], "us", [0, 1000]),
        ("msr", ["1201735740.5,usr,0,Read,0,512,1", "1201735741,usr,0,Read,0,512,1"], "s", [0, 500_000_000]),
        ("msr", ["7,usr,0,Read,0,512,1", "8,usr,0,Read,0,512,1"], "ms", [0, 1_000_000]),
    ],
)
def test_times_are_read_in_the_unit_that_is_named(design, written, format, lines, unit, arrival):
    load = generators.read_trace(written(*lines), design, format, time_unit=unit)
    assert load.arrival.tolist() == arrival


@pytest.mark.parametrize(
    ("format", "lines", "what"),
    [
        ("mqsim", ["242 0 0 8 1", "243 0 8 8 0", "244 0 8 8 0"], "3 requests within 2 ns, times being read in ns"),
        ("msr", [f"{i // 4},usr,0,Read,0,512,1" for i in range(8)], "8 requests within 100 ns"),
        ("msr", ["1201735740,usr,0,Read,0,512,1"], "look like Unix times in s; name the unit: time_unit='s'"),
        ("msr", ["1201735740123,usr,0,Read,0,512,1"], "time_unit='ms'"),
    ],
)
def test_times_that_cannot_be_in_their_unit_are_warned_of(design, written, format, lines, what):
    with pytest.warns(generators.TraceWarning, match=what):
        generators.read_trace(written(*lines), design, format)
    generators.read_trace(written(*lines), design, format, time_unit="ns")  # said to be meant so


def test_units_that_a_format_does_not_have_are_refused(design, written):
    for format, unit, what in (("mqsim", "min", "ns, us, ms, s, got 'min'"), ("blkparse", "ms", "one of s, got 'ms'")):
        with pytest.raises(ValueError, match=f"time_unit of a {format} trace must be one of {what}|one of s, got 'ms'"):
            generators.read_trace(written(*LINES[format]), design, format, time_unit=unit)
    with pytest.raises(ValueError, match="of times in seconds say so: time_unit='s'"):
        generators.read_trace(written("1.5 0 0 8 1"), design)


def test_a_trace_out_of_order_is_sorted_where_that_is_asked_for(design, written):
    path = written("1000 0 0 8 1", "3000 0 16 8 1", "2000 0 32 8 0", "2000 0 48 8 1")
    with pytest.raises(ValueError, match=r"line 3: arrives at 2000 ns, before line 2 at 3000; .* sort=True"):
        generators.read_trace(path, design)
    load = generators.read_trace(path, design, sort=True)
    assert load.arrival.tolist() == [0, 1000, 1000, 2000]
    assert (load.offset // 512).tolist() == [0, 32, 48, 16]
    first = generators.read_trace(path, design, sort=True, limit=2)
    assert first.arrival.tolist() == [0, 1000]


def test_windows_times_may_pass_any_moment(design, written):
    """On 14 December 2012 the count of 100 ns since 1601 passed 13 times 10^16."""
    lines = [f"{13 * 10**16 + tick},usr,0,Read,0,512,1" for tick in (-5, 5)]
    assert generators.read_trace(written(*lines), design, "msr").arrival.tolist() == [0, 1000]


def test_a_request_seen_by_two_devices_gives_a_warning(design, written):
    lines = [
        event(0.0, "R 100 + 8 [x]", device="253,0"),
        event(0.001, "R 2148 + 8 <- (253,0) 100", "A"),
        event(0.002, "R 2148 + 8 [x]"),
    ]
    with pytest.warns(generators.TraceWarning, match="253,0 with 1, 8,0 with 1.* a request may count twice"):
        generators.read_trace(written(*lines), design, "blkparse")
    assert len(generators.read_trace(written(*lines), design, "blkparse", device="8,0")) == 1
    with pytest.raises(ValueError, match=r"no request of device '9,9', but of '253,0' with 1, '8,0' with 1; exp"):
        generators.read_trace(written(*lines), design, "blkparse", device="9,9")


@pytest.mark.parametrize(("format", "device", "count"), [("mqsim", "2", 6), ("msr", "usr.1", 10)])
def test_the_requests_of_one_device_are_read(design, written, format, device, count):
    assert len(generators.read_trace(written(*LINES[format]), design, format, device=device)) == count


@pytest.mark.parametrize(
    ("format", "lines", "what"),
    [
        ("mqsim", ["1 0 0 8 1", "2 0 0 8"], "line 2: 4 columns instead of 5, got '2 0 0 8'; expected: arrival_ns"),
        ("mqsim", ["1 0 0 8 1", "", "0 0 0 8 1"], "line 3: arrives at 0 ns, before line 1 at 1"),
        ("mqsim", ["1 0 0 0 1"], "line 1: the size must be positive"),
        ("mqsim", ["1 0 -4 8 1"], "line 1: the start sector must be an integer of at least 0"),
        ("mqsim", ["1 0 0 8 2"], "the type must be 0 .write. or 1 .read."),
        ("mqsim", ["1.5 0 0 8 1"], "the arrival time must be an integer"),
        ("mqsim", [""], "holds no request; expected: arrival_ns"),
        ("mqsim", ["1 0 99999999 8 1"], "line 1: the request ends at byte .*, past the device's end of"),
        ("msr", ["1,usr,0,Read,0,4096"], "line 1: 6 columns instead of 7"),
        ("msr", ["1,usr,0,Erase,0,4096,1"], "the type must be Read or Write"),
        ("msr", ["1,usr,0,Read,0,x,1"], "the size must be an integer"),
        ("blkparse", ["8,0 1 1 0.000000000 697 Q W 16 + 8 [dd]", "8,0 1 2 0.0000"], "line 2: an event that is cut off"),
        ("blkparse", ["8,0 1 1 0.000000000 697 Q W 16 +"], "line 1: an event that is cut off"),
        ("blkparse", ["8,0 1 1 0.000000000 697 Q W 16 + 8"], "line 1: an event that is cut off"),
        ("blkparse", ["8,0 1 1 0.000000000 697 Q W 16 + 8 [d"], "line 1: an event that is cut off"),
        ("blkparse", ["8,0 1 1 0.000000000 697 Q FWS"], "line 1: an event that is cut off"),
        ("blkparse", ["8,0 1 1 0.000000000 697 Q FWS [d"], "line 1: an event that is cut off"),
        ("blkparse", ["1 0 0 8 1", "Reads: 1"], r"none of 2 lines is an event; traces are read as mqsim \(arrival_ns"),
        ("blkparse", ["8,0 1 1 0.0 697 D R 16 + 8 [dd]"], r"only events that are no requests \(1 D\); expected: MAJ"),
        ("blkparse", ["8,0 1 1 0.0 697 Q FN [dd]"], "holds no request with data, only 1 without data; expected: MAJ"),
        ("msr", ["1 0 0 8 1"], "1 columns instead of 7, .*; the line has the form of mqsim"),
        ("msr", ["Timestamp,Response,IOType,LUN,Offset,Size"], "line 1: a header of other columns"),
        ("mqsim", ["fio version 3 iolog", "16 f add"], "an iolog of fio, which is not read; traces are read as mqsim"),
        ("ascii", ["1 0 0 8 1"], "unknown trace format 'ascii': take one of mqsim, msr, blkparse"),
    ],
)
def test_a_bad_line_is_named_with_what_was_expected(design, written, format, lines, what):
    with pytest.raises(ValueError, match=what):
        generators.read_trace(written(*lines), design, format=format)


@pytest.mark.slow
def test_addresses_past_the_end_are_wrapped(design, written):
    path = written("1 0 0 8 1", "2000 0 99999999 8 1")
    load = generators.read_trace(path, design, wrapped=True)
    assert load.wrapped == 1
    assert load.offset[1] + load.size[1] <= design.capacity
    assert ssd.simulate(design, load).wrapped == 1


def test_bytes_that_are_no_sectors_are_rounded_outwards(design, written):
    load = generators.read_trace(written("1,usr,0,Read,700,400,1"), design, format="msr")
    assert (int(load.offset[0]), int(load.size[0])) == (512, 1024)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "requests"), [("tpcc-small.trace", 6999), ("wsrch-small.trace", 24783)])
def test_the_traces_of_mqsim_are_replayed_to_the_last_request(shared, name, requests):
    design = presets.mqsim_default()
    load = generators.read_trace(shared("ssd", name), design)
    report = ssd.simulate(design, load)
    assert report.requests == requests
    assert report.status == 0
    assert (report.ended > report.issued).all()


def test_formats_have_a_fixture_each():
    assert set(LINES) == set(trace_formats.FORMATS)


@pytest.mark.parametrize(
    ("form", "line", "message"),
    [
        ("mqsim", "0 0 999999999999999999 8 1", "line 1: times and bytes must be below"),
        (
            "blkparse",
            " 8,0 1 1 0.0 697 Q R 8 + 8 [dd]\n 8,0 1 1 999999999999.0 697 Q R 8 + 8 [dd]",
            "line 2: times and bytes must be below",
        ),
        ("mqsim", "0 0 0 999999999999 1", "a.trace: request 0 of .* bytes is larger than the device"),
        ("mqsim", "0 0 0 8 1\n9999999999999999 0 0 8 1", "a.trace: arrivals must be 0 to"),
    ],
)
def test_numbers_beyond_64_bits_or_the_device_are_refused(design, written, form, line, message):
    with pytest.raises(ValueError, match=message):
        traces.read_trace(written(line), design, form, wrapped=True)


def test_a_limit_below_zero_is_refused(design, written):
    with pytest.raises(ValueError, match="limit must be at least 1 request, or 0 for all, got -1"):
        traces.read_trace(written("0 0 0 8 1"), design, limit=-1)

import pytest

from framework import ssd
from framework.ssd import traces

LINES = {
    "mqsim": [f"{1000 + 50 * i} {i % 3} {16 * i} {8 + 8 * (i % 2)} {i % 2}" for i in range(20)],
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
    return ssd.presets.isp_ml(channels=1, blocks=64, pages=64)


@pytest.fixture
def written(tmp_path):
    def write(*lines):
        path = tmp_path / "a.trace"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_an_mqsim_trace_is_read(design, written):
    load = ssd.load.read_trace(written(*LINES["mqsim"]), design)
    assert load.arrival.tolist() == [50 * i for i in range(20)]
    assert load.offset.tolist() == [16 * 512 * i for i in range(20)]
    assert load.size.tolist() == [512 * (8 + 8 * (i % 2)) for i in range(20)]
    assert load.kind.tolist() == [1 - i % 2 for i in range(20)]


def test_an_msr_trace_is_read(design, written):
    load = ssd.load.read_trace(str(written(*LINES["msr"])), design, format="msr")
    assert load.arrival.tolist() == [700 * i for i in range(20)]
    assert load.size.tolist() == [4096 * (1 + i % 2) for i in range(20)]
    assert load.kind.tolist() == [1 - i % 2 for i in range(20)]


@pytest.mark.slow
def test_what_blkparse_prints_is_read(design, written):
    load = ssd.load.read_trace(written(*LINES["blkparse"]), design, format="blkparse")
    assert load.arrival.tolist() == [50 * i for i in range(20)]
    assert load.kind.tolist() == [(ssd.load.WRITE, ssd.load.READ, ssd.load.TRIM)[i % 3] for i in range(20)]
    assert ssd.simulate(design, load).requests == 20


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
        ("ascii", ["1 0 0 8 1"], "unknown trace format 'ascii': take one of mqsim, msr, blkparse"),
    ],
)
def test_a_bad_line_is_named_with_what_was_expected(design, written, format, lines, what):
    with pytest.raises(ValueError, match=what):
        ssd.load.read_trace(written(*lines), design, format=format)


@pytest.mark.slow
def test_addresses_past_the_end_are_wrapped_where_that_is_asked_for(design, written):
    path = written("1 0 0 8 1", "2 0 99999999 8 1")
    load = ssd.load.read_trace(path, design, wrapped=True)
    assert load.wrapped == 1
    assert load.offset[1] + load.size[1] <= design.capacity
    assert ssd.simulate(design, load).wrapped == 1


def test_bytes_that_are_no_sectors_are_rounded_outwards(design, written):
    load = ssd.load.read_trace(written("1,usr,0,Read,700,400,1"), design, format="msr")
    assert (int(load.offset[0]), int(load.size[0])) == (512, 1024)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "requests"), [("tpcc-small.trace", 6999), ("wsrch-small.trace", 24783)])
def test_the_traces_of_mqsim_are_replayed_to_the_last_request(shared, name, requests):
    design = ssd.presets.mqsim_default()
    load = ssd.load.read_trace(shared("ssd", name), design)
    report = ssd.simulate(design, load)
    assert report.requests == requests
    assert report.status == 0
    assert (report.ended > report.issued).all()


def test_formats_have_a_fixture_each():
    assert set(LINES) == set(traces.FORMATS)


@pytest.mark.parametrize(
    ("form", "line", "message"),
    [
        ("mqsim", "0 0 999999999999999999 8 1", "line 1: times and bytes must be below"),
        ("blkparse", " 8,0 1 1 999999999999.0 697 Q R 8 + 8 [dd]", "line 1: times and bytes must be below"),
        ("mqsim", "0 0 0 999999999999 1", "a.trace: request 0 of .* bytes is larger than the device"),
        ("mqsim", "0 0 0 8 1\n9999999999999999 0 0 8 1", "a.trace: arrivals must be 0 to"),
    ],
)
def test_numbers_beyond_64_bits_or_the_device_are_refused_with_the_file(design, written, form, line, message):
    with pytest.raises(ValueError, match=message):
        traces.read_trace(written(line), design, form, wrapped=True)


def test_a_limit_below_zero_is_refused(design, written):
    with pytest.raises(ValueError, match="limit must be at least 1 request, or 0 for all, got -1"):
        traces.read_trace(written("0 0 0 8 1"), design, limit=-1)

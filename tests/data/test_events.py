import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.events import EVENT, Recording, frames, read_events

NAMES = ["tonic_sample_nmnist.bin", "tonic_sample_ncars.dat", "tonic_sample.aedat4"]


def recorded(count=1000, size=(5, 7), seed=0):
    """Events in the order of time, some at the same time."""
    random = np.random.default_rng(seed)
    events = np.zeros(count, EVENT)
    events["x"], events["y"] = random.integers(0, size[1], count), random.integers(0, size[0], count)
    events["t"], events["p"] = np.sort(random.integers(100, 900, count)), random.integers(0, 2, count)
    return Recording(events, size, "drawn")


def packed_bin(events) -> bytes:
    """The N-MNIST layout, one event after another."""
    return b"".join(
        bytes([int(e["x"]), int(e["y"])]) + (int(e["p"]) << 23 | int(e["t"])).to_bytes(3, "big") for e in events
    )


def packed_dat(events, header=b"% Version 2\n") -> bytes:
    """The Prophesee layout, one event after another."""
    words = ((int(e["t"]), int(e["x"]) | int(e["y"]) << 14 | int(e["p"]) << 28) for e in events)
    return header + b"\x00\x08" + b"".join(t.to_bytes(4, "little") + w.to_bytes(4, "little") for t, w in words)


@pytest.fixture
def written(tmp_path):
    def write(raw: bytes, ending: str = ".bin"):
        (tmp_path / f"recording{ending}").write_bytes(raw)
        return tmp_path / f"recording{ending}"

    return write


def test_the_n_mnist_sample_equals_a_loop_over_its_bytes(shared):
    path = shared("snn", "tonic_sample_nmnist.bin")
    recording, raw = read_events(path), path.read_bytes()
    assert (len(recording.events), recording.size) == (4325, (34, 34))
    for k in range(0, 4325, 7):
        a, b, c, d, e = raw[5 * k : 5 * k + 5]
        assert recording.events[k].tolist() == (a, b, (c & 127) * 65536 + d * 256 + e, c > 127)
    assert (recording.events["t"][0], recording.events["t"][-1]) == (654, 311175)
    assert recording.events["p"].mean() == pytest.approx(0.496, abs=5e-4)
    assert str(recording) == "4,325 events of 34x34 pixels in 310,521 us, from tonic_sample_nmnist.bin (bin)"


def test_the_n_cars_sample_is_read_whole(shared):
    recording = read_events(shared("snn", "tonic_sample_ncars.dat"))
    assert (len(recording.events), recording.size) == (2009, (42, 78))
    assert recording.events[:3].tolist() == [(25, 8, 0, False), (67, 35, 35, False), (56, 27, 152, True)]
    assert recording.events["t"][-1] == 99952


@pytest.mark.parametrize(("ending", "pack"), [(".bin", packed_bin), (".dat", packed_dat)])
def test_what_is_written_event_by_event_is_read_back(written, ending, pack):
    events = recorded().events
    recording = read_events(written(pack(events), ending), size=(5, 7))
    np.testing.assert_array_equal(recording.events, events)
    assert recording.size == (5, 7)


def test_a_dat_header_may_name_the_sensor(written):
    raw = packed_dat(recorded().events, b"% Version 2\n% Height 480\n% Width 640\n% no key\n")
    recording = read_events(written(raw, ".dat"))
    assert (recording.size, recording.source) == ((480, 640), "recording.dat (dat)")


def test_a_guessed_size_is_reported(written):
    recording = read_events(written(packed_dat(recorded().events), ".dat"))
    assert recording.size == (5, 7)
    assert "size not stated: the smallest field that holds all events" in str(recording)
    assert "not stated" not in read_events(written(packed_dat(recorded().events), ".dat"), size=(5, 7)).source


def test_row_240_of_a_bin_file_advances_the_clock(written):
    raw = bytes([1, 2, 0, 0, 9, 0, 240, 0, 0, 9, 3, 4, 128, 0, 5])
    assert read_events(written(raw)).events.tolist() == [(1, 2, 9, False), (3, 4, 8192 + 5, True)]


@pytest.mark.parametrize("by", ["count", "time"])
@pytest.mark.parametrize("steps", [1, 3, 7, 64])
def test_frames_equal_a_loop_over_events(by, steps):
    recording = recorded()
    events, first = recording.events, int(recording.events["t"][0])
    span, expected = int(events["t"][-1]) - first + 1, np.zeros((steps, 5, 7, 2), np.int32)
    for k, (x, y, t, p) in enumerate(events.tolist()):
        frame = min(k // (1000 // steps), steps - 1) if by == "count" else (t - first) * steps // span
        expected[frame, y, x, int(p)] += 1
    counted = frames(recording, steps, by)
    np.testing.assert_array_equal(counted, expected)
    assert counted.dtype == np.int32


@pytest.mark.parametrize("name", NAMES[:2])
@pytest.mark.parametrize("by", ["count", "time"])
def test_no_event_of_a_real_recording_is_lost(shared, name, by):
    recording = read_events(shared("snn", name))
    assert frames(recording, 16, by).sum() == len(recording.events)


def test_equal_counts_are_equal_but_for_the_last_frame(shared):
    counts = frames(read_events(shared("snn", "tonic_sample_nmnist.bin")), 16).sum((1, 2, 3))
    np.testing.assert_array_equal(counts, [270] * 15 + [275])


def test_a_pixel_may_fire_more_often_than_16_bits_can_count():
    events = np.zeros(70_000, EVENT)
    assert frames(events, 1, size=(1, 1))[0, 0, 0, 0] == 70_000


def test_all_events_at_one_time_are_in_the_first_frame():
    assert frames(np.zeros(5, EVENT), 3, "time", size=(1, 1)).sum((1, 2, 3)).tolist() == [5, 0, 0]


def test_the_widest_times_do_not_overflow():
    events = np.zeros(3, EVENT)
    events["t"] = [-(2**63), 0, 2**63 - 1]
    assert frames(events, 1000, "time", size=(1, 1)).sum((1, 2, 3)).nonzero()[0].tolist() == [0, 500, 999]


def test_arrays_of_other_integer_types_are_counted_alike():
    recording = recorded()
    for wide in ([("x", "u2"), ("y", "u2"), ("t", "u4"), ("p", "i1")], [(name, "u8") for name in "xytp"]):
        for by in ("count", "time"):
            other = recording.events.astype(wide)
            np.testing.assert_array_equal(frames(other, 6, by, recording.size), frames(recording, 6, by))


def columns(**changes):
    """The drawn events as a dict, some columns replaced."""
    return {name: recorded().events[name] for name in "xytp"} | changes


def test_columns_in_any_order_or_by_title_count_alike():
    recording = recorded()
    titled = np.zeros(1000, [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (("p", "on"), "?")])
    for name in "xytp":
        titled[name] = recording.events[name]
    for events in (titled, columns(), columns(t=recording.events["t"].astype(float))):
        for by in ("count", "time"):
            np.testing.assert_array_equal(frames(events, 6, by, recording.size), frames(recording, 6, by))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shift", [0.0, -0.5])
def test_times_in_seconds_fall_into_the_bins_of_a_histogram(dtype, shift):
    t = np.sort(np.random.default_rng(0).random(1000)).astype(dtype) + dtype(shift)
    counted = frames(columns(t=t), 10, "time", (5, 7)).sum((1, 2, 3))
    np.testing.assert_array_equal(counted, np.histogram(t.astype(float), 10)[0])
    assert counted.min() > 50


def test_seconds_at_one_time_are_in_the_first_frame():
    assert frames(columns(t=np.full(1000, 0.25)), 3, "time", (5, 7)).sum((1, 2, 3)).tolist() == [1000, 0, 0]


def test_unsigned_times_beyond_2_to_the_53_are_exact():
    """Nanoseconds since 1970: float64 has one number in 256 there."""
    t = np.uint64(1_700_000_000_000_000_000) + np.arange(1000, dtype=np.uint64)
    assert frames(columns(t=t), 10, "time", (5, 7)).sum((1, 2, 3)).tolist() == [100] * 10


def test_a_bin_file_has_no_rows_beyond_240(written):
    raw = bytes([1, 2, 0, 0, 9])
    assert read_events(written(raw), size=(240, 304)).size == (240, 304)
    with pytest.raises(ValueError, match="row 240 moves the clock"):
        read_events(written(raw), size=(260, 346))


def test_stream_and_version_are_refused_where_unused(written):
    path = written(bytes([1, 2, 0, 0, 9]))
    with pytest.raises(ValueError, match="stream=0 belongs to files of kind aedat4, this one is of kind bin"):
        read_events(path, stream=0)
    with pytest.raises(ValueError, match="version=2 belongs to files of kind dat, this one is of kind bin"):
        read_events(path, version=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"steps": 2.5}, "steps must be a whole number of at least 1, got 2.5"),
        ({"steps": 1001}, "at most the 1,000 events"),
        ({"by": "number"}, "by 'count' or by 'time', not by 'number'"),
        ({"size": (5, 6)}, r"event \d+ lies at x = 6, outside the sensor of 5x6"),
        ({"recording": recorded().events}, r"give size=\(height, width\)"),
        ({"recording": recorded(0)}, "no events"),
        ({"recording": np.zeros((5, 4)), "size": (1, 1)}, "with the fields x, y, t and p, got float64"),
        ({"recording": [1, 2], "size": (1, 1)}, "with the fields x, y, t and p, got list"),
        ({"recording": {"x": 1, "time": 2}, "size": (1, 1)}, "with the fields x, y, t and p, got time, x"),
        ({"recording": columns(y=np.zeros(3, int)), "size": (5, 7)}, r"of one length, .*x \(1000,\), y \(3,\)"),
        ({"recording": columns(x=np.zeros(1000)), "size": (5, 7)}, "x must be integers, got float64"),
        ({"recording": columns(p=np.ones(1000)), "size": (5, 7)}, "p must be integers, got float64"),
        (
            {"recording": columns(t=np.arange(1000).astype("M8[us]")), "size": (5, 7)},
            "t must be integers, or floats in",
        ),
        ({"recording": columns(t=np.append(np.arange(999.0), np.nan)), "size": (5, 7)}, "event 999 has the time nan"),
        ({"recording": columns(t=np.arange(1000.0)[::-1]), "size": (5, 7)}, "backwards at event 1: 998.0 after 999.0$"),
        ({"recording": columns(p=np.ma.masked_equal(np.arange(1000) % 2, 1)), "size": (5, 7)}, "must not be masked"),
        ({"size": (5,)}, r"size must be \(height, width\) in whole pixels, got \(5,\)"),
        ({"size": (5.5, 7)}, r"size must be \(height, width\) in whole pixels, got \(5.5, 7\)"),
    ],
)
def test_frames_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        frames(**{"recording": recorded(), "steps": 4} | changes)


def test_polarities_other_than_0_and_1_are_refused():
    events = recorded().events.astype([("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")])
    events["p"][17] = -1
    with pytest.raises(ValueError, match="event 17 has a polarity"):
        frames(events, 2, size=(5, 7))


@pytest.mark.parametrize(
    ("raw", "ending", "message"),
    [
        (b"", ".bin", "the file is empty"),
        (bytes(13), ".bin", "cut short at byte 13: an event takes 5 bytes, and the one of byte 10 has 3"),
        (
            bytes([50, 0, 0, 0, 0]),
            ".bin",
            r"x = 50, outside the sensor of 34x34 pixels; .*\(180, 240\) for N-Caltech101",
        ),
        (bytes([0, 0, 0, 0, 9, 0, 0, 0, 0, 8]), ".bin", "backwards at event 1: 8 us after 9 us"),
        (bytes([0, 240, 0, 0, 0]), ".bin", "holds no events"),
        (b"% Version 2", ".dat", "cut short at byte 11, inside the header line of byte 0"),
        (b"% Version 2\n\0", ".dat", "cut short at byte 13: after the header stand two bytes"),
        (b"% Version 2\n\0\x08", ".dat", "holds no events"),
        (b"x", ".raw", "the ending '.raw' is of no known kind: take one of bin, dat, aedat4$"),
        (b"% evt 3.0\n% end\n", ".raw", "the file is Prophesee RAW, evt 3.0, which is not read: convert it to DAT"),
        (b"% format EVT21;height=2\n", ".dat", "it is not of kind dat; the file is Prophesee RAW, format EVT2"),
        (b"#!AER-DAT3.1\r\n", ".aedat", "the file is AEDAT 3, which is not read"),
        (b"#!AER-DAT2.0\r\n", ".aedat4", "it is not of kind aedat4; the file is AEDAT 2"),
        (b"#!AER-DAT4.0\r\n", ".dat", "it is not of kind dat; the file is AEDAT 4$"),
        (b"#!AER-DAT4.0\r\n", ".x", "'.x' is of no known kind: take one of bin, dat, aedat4; the file is AEDAT 4$"),
        (b"\x89HDF\r\n", ".bin", "it is not of kind bin; the file is HDF5"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_byte(written, raw, ending, message):
    with pytest.raises(ValueError, match=message) as error:
        read_events(written(raw, ending))
    assert str(error.value).startswith(str(written(raw, ending)))
    assert "\n" not in str(error.value)


def test_a_recording_without_events_can_be_told():
    assert str(recorded(0)) == "0 events of 5x7 pixels in 0 us, from drawn"


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_events(tmp_path / "none.bin")


def refusal(path, kind) -> str:
    """Why a file is refused; nothing if it is read."""
    try:
        read_events(path, kind)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", ["bin", "dat", "aedat4"])
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path_factory, kind):
    path = tmp_path_factory.mktemp("fuzz") / "recording"

    @settings(max_examples=150, deadline=None, database=None)
    @given(
        st.sampled_from([b"", b"% Version 1\n\0\x08", b"% Version 2\n\0\x08", b"#!AER-DAT4.0\r\n"]),
        st.binary(max_size=64),
    )
    def attempt(start, rest):
        path.write_bytes(start + rest)
        assert "\n" not in refusal(path, kind)

    attempt()


@pytest.mark.parametrize("height", ["0", "32769", "9" * 30, "9" * 5000])
def test_a_sensor_that_no_event_could_number_is_refused(written, height):
    raw = packed_dat(recorded().events, f"% Version 2\n% Height {height}\n% Width 7\n".encode())
    with pytest.raises(ValueError, match="a sensor has 1 to 32,768 rows and columns"):
        read_events(written(raw, ".dat"))

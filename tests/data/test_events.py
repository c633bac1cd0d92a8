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
    raw = packed_dat(recorded().events, b"% Height 480\n% Width 640\n% no key\n")
    assert read_events(written(raw, ".dat")).size == (480, 640)


def test_rows_240_move_the_clock_of_a_bin_file_on_and_are_no_events(written):
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
    wide = recording.events.astype([("x", "u2"), ("y", "u2"), ("t", "u4"), ("p", "i1")])
    for by in ("count", "time"):
        np.testing.assert_array_equal(frames(wide, 6, by, recording.size), frames(recording, 6, by))


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
        (bytes([50, 0, 0, 0, 0]), ".bin", "event 0 lies at x = 50, outside the sensor of 34x34 pixels"),
        (bytes([0, 0, 0, 0, 9, 0, 0, 0, 0, 8]), ".bin", "backwards at event 1: 8 us after 9 us"),
        (bytes([0, 240, 0, 0, 0]), ".bin", "holds no events"),
        (b"% Version 2", ".dat", "cut short at byte 11, inside the header line of byte 0"),
        (b"% Version 2\n\0", ".dat", "cut short at byte 13: after the header stand two bytes"),
        (b"%\n\x0e\x08", ".dat", "byte 2: events of type 14 and 8 bytes"),
        (b"%\n\0\x08", ".dat", "holds no events"),
        (b"%\n\0\x08" + bytes(9), ".dat", "cut short at byte 13: an event takes 8 bytes, and the one of byte 12 has 1"),
        (b"x", ".raw", "kind None is not known: take one of bin, dat, aedat4"),
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
    @given(st.sampled_from([b"", b"% a\n\0\x08", b"#!AER-DAT4.0\r\n"]), st.binary(max_size=64))
    def attempt(start, rest):
        path.write_bytes(start + rest)
        assert "\n" not in refusal(path, kind)

    attempt()


@pytest.mark.parametrize("height", ["0", "32769", "9" * 30, "9" * 5000])
def test_a_sensor_that_no_event_could_number_is_refused(written, height):
    raw = packed_dat(recorded().events, f"% Height {height}\n% Width 7\n".encode())
    with pytest.raises(ValueError, match="a sensor has 1 to 32,768 rows and columns"):
        read_events(written(raw, ".dat"))

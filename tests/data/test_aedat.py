import struct

import numpy as np
import pytest

from framework.data.events import frames, read_events


@pytest.fixture
def sample(shared, extra):
    extra("lz4", "events")
    return shared("snn", "tonic_sample.aedat4")


@pytest.fixture
def read(tmp_path):
    """Reads bytes as if they stood in a file."""

    def attempt(raw: bytes, **options):
        (tmp_path / "recording.aedat4").write_bytes(raw)
        return read_events(tmp_path / "recording.aedat4", **options)

    return attempt


def described(*streams, size=(4, 6)) -> str:
    """The header's text: (number, identifier, camera) of each stream."""
    side = lambda axis, length: f'<attr key="size{axis}">{length}</attr>'
    node = '<node name="{}"><attr key="typeIdentifier">{}</attr><node name="info"><attr key="source">{}</attr>' + (
        side("Y", size[0]) + side("X", size[1]) + "</node></node>"
    )
    return f'<dv version="2.0"><node name="outInfo">{"".join(node.format(*item) for item in streams)}</node></dv>'


def uncompressed(packets, size=(4, 6), description=None, compression=0, numbers=None, closed=True) -> bytes:
    """A file as the format describes it, built from its innermost part outwards; packets are of stream 1 by default."""
    text = description or described((1, "EVTS", "cam"), size=size)
    body = b""
    for number, events in zip(numbers or [1] * len(packets), packets, strict=True):
        rows = b"".join(struct.pack("<qhhB3x", t, x, y, p) for x, y, t, p in events)
        flat = struct.pack("<I4s3H2xiII", 16, b"EVTS", 6, 8, 4, 8, 4, len(events)) + rows
        flat = struct.pack("<I", len(flat)) + flat
        body += struct.pack("<ii", number, len(flat)) + flat
    layout = struct.pack("<5H", 10, 20, 4, 8, 16) + bytes(2)  # its own size, the table's, where its three fields stand
    before = len(b"#!AER-DAT4.0\r\n") + 4 + 8 + len(layout) + 20 + 4 + len(text)
    end = before + len(body) if closed else -1
    table = struct.pack("<iiqI", 12, compression, end, 4) + struct.pack("<I", len(text)) + text.encode()
    header = struct.pack("<I4s", 20, b"IOHE") + layout + table
    return b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(header)) + header + body


def counted_by_the_table(table: bytes) -> dict[int, int]:
    """Elements of each stream, from the uncompressed table of packets that closes a file."""

    def number(kind, at):
        return struct.unpack_from(f"<{kind}", table, at)[0]

    def field(start, slot):
        layout = start - number("i", start)
        return start + number("H", layout + 4 + 2 * slot)

    vector = field(4 + number("I", 4), 0)
    vector += number("I", vector)
    total = {}
    for k in range(number("I", vector)):
        entry = vector + 4 + 4 * k
        entry += number("I", entry)
        stream = number("i", field(entry, 1))
        total[stream] = total.get(stream, 0) + number("q", field(entry, 2))
    return total


def test_the_events_match_the_packet_table(sample, extra):
    recording, lz4 = read_events(sample), extra("lz4.frame", "events")
    assert counted_by_the_table(lz4.decompress(sample.read_bytes()[945_243:])) == {0: len(recording.events), 2: 475}
    assert (len(recording.events), recording.size) == (111_954, (240, 320))
    assert recording.events[0].tolist() == (154, 204, 1605537493718345, False)
    assert recording.events[-1].tolist() == (88, 237, 1605537494308262, True)


def test_no_event_of_the_recording_is_lost(sample):
    recording = read_events(sample)
    for by in ("count", "time"):
        assert frames(recording, 10, by).sum() == 111_954


def test_an_uncompressed_file_is_read_back(read):
    first, second = [(1, 2, 10, 0), (5, 3, 10, 1)], [(0, 0, 2**40, 1)]
    recording = read(uncompressed([first, [], second]))
    assert recording.size == (4, 6)
    assert recording.events.tolist() == [(*event[:3], bool(event[3])) for event in first + second]


def test_other_versions_are_named(read, shared):
    with pytest.raises(ValueError, match=r"not of kind aedat4; the file is AEDAT 2, which is not read"):
        read(shared("snn", "tonic_sample_aedat_header.aedat").read_bytes())


TWO = described((1, "EVTS", "left"), (3, "EVTS", "right"), (2, "FRME", "left"))


def test_one_of_two_cameras_must_be_chosen(read):
    raw = uncompressed([[(1, 2, 10, 0)], [(0, 0, 1, 1)], [(5, 3, 11, 1)]], description=TWO, numbers=[1, 3, 1])
    with pytest.raises(ValueError, match=r"by stream=: 1 \(events of left, 4x6\); 3 \(events of right, 4x6\)$"):
        read(raw)
    assert read(raw, stream=1).events.tolist() == [(1, 2, 10, False), (5, 3, 11, True)]
    assert read(raw, stream=3).events.tolist() == [(0, 0, 1, True)]
    with pytest.raises(ValueError, match=r"stream=2 is no event stream of it: take one of 1 \(events of left"):
        read(raw, stream=2)


def test_streams_that_are_passed_over_are_named(read, sample):
    raw = uncompressed([[(1, 2, 10, 0)], [(0, 0, 1, 1)]], description=TWO, numbers=[1, 3])
    others = "2 (frames of left, 4x6); 3 (events of right, 4x6)"
    assert read(raw, stream=1).source == f"recording.aedat4 (aedat4; stream 1; not read: {others})"
    assert read(uncompressed([[(1, 2, 10, 0)]])).source == "recording.aedat4 (aedat4)"
    assert "stream 0; not read: 2 (inertial measurements of DVXplorer_DXB00010); 3 (triggers" in str(
        read_events(sample)
    )


def test_a_packet_of_an_unknown_stream_is_refused(read):
    with pytest.raises(ValueError, match="belongs to stream 9, which the header does not name"):
        read(uncompressed([[(1, 2, 10, 0)], [(1, 2, 10, 0)]], numbers=[1, 9]))


def test_a_packet_of_another_kind_is_refused(read):
    raw = uncompressed([[(1, 2, 10, 0)]])
    index = raw.rindex(b"EVTS")
    with pytest.raises(ValueError, match="is damaged: it holds b'FRME' in a stream of events"):
        read(raw[:index] + b"FRME" + raw[index + 4 :])


def test_an_unclosed_file_is_read_with_a_warning(read):
    with pytest.warns(UserWarning, match="recording.aedat4: the recorder did not close the file"):
        assert len(read(uncompressed([[(1, 2, 10, 0)]], closed=False)).events) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"packets": [[(6, 0, 0, 0)]]}, "event 0 lies at x = 6, outside the sensor of 4x6"),
        ({"packets": [[(0, -1, 0, 0)]]}, "event 0 lies at y = -1"),
        ({"packets": [[(0, 0, 5, 0)], [(0, 0, 4, 0)]]}, "backwards at event 1"),
        ({"packets": [[(0, 0, 5, 7)]]}, "event 0 has a polarity"),
        ({"packets": []}, "no events"),
        ({"compression": 3}, r"compression 3 \(Zstandard\) is not read"),
        ({"description": "<dv><node><node name='0'/></node></dv>"}, "no stream of events"),
        ({"description": "<dv>"}, "XML is damaged"),
        ({"description": "<!DOCTYPE dv [<!ENTITY a 'b'>]><dv>&a;</dv>"}, "declarations"),
        (
            {"description": "<a><node><node name='x'><attr key='typeIdentifier'>EVTS</attr></node></node></a>"},
            "'x' has no number or no sensor size",
        ),
    ],
)
def test_what_a_file_must_not_hold_is_refused(read, changes, message):
    with pytest.raises(ValueError, match=message):
        read(uncompressed(**{"packets": [[(0, 0, 0, 0)]]} | changes))


def test_a_file_cut_anywhere_is_refused(read):
    raw = uncompressed([[(1, 2, 10, 0), (5, 3, 10, 1)]])
    read(raw)
    for end in range(len(raw)):
        with pytest.raises(ValueError, match=r"byte \d+|empty|no events"):
            read(raw[:end])


def test_the_recording_cut_anywhere_is_refused_with_the_byte(read, sample):
    raw = sample.read_bytes()
    for end in [1, 13, 20, 100, 2330, 2400, 945_242, 945_243, 945_250, len(raw) - 1]:
        with pytest.raises(ValueError, match=r"byte \d+"):
            read(raw[:end])


def refusal(read, raw) -> str:
    """Why a file is refused; nothing if it is read."""
    try:
        read(raw)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_bytes_are_read_or_refused_in_one_line(read, sample, compressed):
    random = np.random.default_rng(1)
    raw = sample.read_bytes() if compressed else uncompressed([[(1, 2, 10, 0)] * 5])
    for _ in range(60 if compressed else 300):
        damaged = bytearray(raw)
        for index in random.integers(0, min(len(raw), 30_000), random.integers(1, 9)):
            damaged[index] = random.integers(256)
        assert "\n" not in refusal(read, bytes(damaged))

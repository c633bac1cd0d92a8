import numpy as np
import pytest

from framework.data import dat

EVENTS = [(0, 0, 5, 0), (303, 239, 5, 1), (511, 255, 2**32 - 1, 1)]  # x, y, t, p; the widest that version 1 can hold


def packed(events, version, header=b"", kind=0) -> bytes:
    """A file of one version, an event after another."""
    x_bits, y_bits = {1: (9, 8), 2: (14, 14)}[version]
    words = ((t, x | y << x_bits | p << (x_bits + y_bits)) for x, y, t, p in events)
    body = b"".join(t.to_bytes(4, "little") + word.to_bytes(4, "little") for t, word in words)
    return b"%% Version %d\n" % version + header + bytes([kind, 8]) + body


def rows(raw, *options):
    return list(zip(*(column.tolist() for column in dat.read(raw, *options)[:4]), strict=True))


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("kind", [0, 12])
def test_both_versions_are_read_back(version, kind):
    raw = packed(EVENTS, version, b"% Width 512\n% Height 256\n", kind)
    assert rows(raw) == EVENTS
    assert dat.read(raw).size == (256, 512)


def test_bytes_of_the_package_faery_are_read_as_it_reads_them():
    """What faery 0.7.1 writes for three events in each version, from t = 100 and across the end of the clock."""
    events = [(303, 239, 100, 1), (1, 5, 101, 0), (2, 7, 2**32 + 5, 1)]
    sensor = b"% Width 304\n% Height 240\n% T0 100\n\x0c\x08"
    first = b"\0\0\0\0/\xdf\x03\0\x01\0\0\0\x01\n\0\0\xa1\xff\xff\xff\x02\x0e\x02\0"
    second = b"\0\0\0\0/\xc1;\x10\x01\0\0\0\x01@\x01\0\xa1\xff\xff\xff\x02\xc0\x01\x10"
    assert rows(b"% Version 1\n" + sensor + first) == events
    assert rows(b"% Version 2\n" + sensor + second) == events


def test_a_clock_that_begins_again_goes_on():
    events = [(0, 0, 2**32 - 2, 0), (0, 0, 3, 0), (0, 0, 2**32 - 1, 0), (0, 0, 1, 0)]
    times = [t for _, _, t, _ in rows(packed(events, 2))]
    assert times == [2**32 - 2, 2**32 + 3, 2**33 - 1, 2**33 + 1]


@pytest.mark.parametrize("line", [b"% geometry 304x240\n", b"% Height  240\n% Width 304 \n"])
def test_a_size_may_be_stated_in_two_ways(line):
    assert dat.read(packed(EVENTS, 2, line)).size == (240, 304)


def test_a_size_may_be_left_out():
    assert dat.read(packed(EVENTS, 1)).size is None


def test_a_version_may_be_given_where_none_is_stated():
    raw = packed(EVENTS, 1).removeprefix(b"% Version 1\n")
    assert rows(raw, 1) == EVENTS
    with pytest.raises(ValueError, match=r"states no version: give version=1 \(9 bits of x, 8 of y\) or version=2"):
        dat.read(raw)


def test_a_version_written_with_a_point_is_the_same():
    assert rows(packed(EVENTS, 2).replace(b"Version 2", b"Version 2.0")) == EVENTS


@pytest.mark.parametrize("content", [b"CD events", b"N9Chronocam7Event2dE events.", b"Event2D", b"TD events"])
def test_changes_of_contrast_go_by_several_names(content):
    assert rows(packed(EVENTS, 2, b"% Data file containing " + content + b"\n")) == EVENTS


def test_a_polarity_of_more_than_a_bit_stays_to_be_refused():
    assert [p for *_, p in rows(packed([(0, 0, 0, 3), (0, 0, 0, 9)], 1))] == [3, 9]
    assert [p for *_, p in rows(packed([(0, 0, 0, 3), (0, 0, 0, 9)], 2))] == [3, 9]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (packed(EVENTS, 2).replace(b"Version 2", b"Version 3"), "the header states version '3': only 1 and 2 are read"),
        (packed(EVENTS, 2).replace(b"Version 2", b"evt 3.0"), "states 'evt 3.0', a RAW file: convert it to DAT"),
        (packed(EVENTS, 2, b"% Version 1\n"), "byte 12: the header states version twice, as 2 and 1"),
        (packed(EVENTS, 2, b"% Height 240\n"), "half a size or none that can be read: height 240, width None"),
        (packed(EVENTS, 2, b"% Height 240\n% Width -3\n"), "height 240, width -3"),
        (packed(EVENTS, 2, b"% geometry 304\n"), "half a size or none"),
        (packed(EVENTS, 2, b"% T0 soon\n"), "states T0 'soon': it must be a whole number of us"),
        (packed(EVENTS, 2, b"% T0 9000000000000000000\n"), "states T0"),
        (packed(EVENTS, 2, b"% Data file containing EM events\n"), "it holds 'EM events': only changes of contrast"),
        (packed(EVENTS, 2, kind=14), "byte 12: external triggers of 8 bytes; only events of type 0 or 12"),
        (packed(EVENTS, 2, kind=3), "byte 12: events of type 3 of 8 bytes; only events"),
        (packed(EVENTS, 2)[:-1], "cut short at byte 37: an event takes 8 bytes, and the one of byte 30 has 7"),
        (b"% Version 2", "cut short at byte 11, inside the header line of byte 0"),
        (b"% Version 2\n\0", "cut short at byte 13: after the header stand two bytes"),
    ],
)
def test_what_is_not_understood_is_refused(raw, message):
    with pytest.raises(ValueError, match=message):
        dat.read(raw)


@pytest.mark.parametrize(("version", "stated"), [(3, "2"), (1, "2"), (0, "2")])
def test_another_version_than_the_stated_one_is_refused(version, stated):
    with pytest.raises(ValueError, match=f"version={version} was asked for: 1 or 2, and the header states {stated}"):
        dat.read(packed(EVENTS, 2), version)


def test_times_are_whole_numbers_of_64_bits():
    assert dat.read(packed(EVENTS, 2)).t.dtype == np.int64

import numpy as np
import pytest

from framework.data.raw_events import check, check_length


def columns(**changes):
    whole = {"x": np.array([0, 1, 2]), "y": np.array([0, 0, 1]), "t": np.array([3, 3, 4]), "p": np.array([0, 1, 1])}
    return whole | changes


def test_events_on_the_sensor_in_the_order_of_time_pass():
    check(**columns(), size=(2, 3))
    check(**columns(t=np.array([-1.5, -1.0, 0.0]), p=np.array([True, False, True])), size=(2, 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (1, 3)}, "event 2 lies at y = 1, outside the sensor of 1x3"),
        ({"x": np.array([0, -1, 0])}, "event 1 lies at x = -1"),
        ({"t": np.array([3, 2, 4])}, "time goes backwards at event 1: 2 us after 3 us"),
        ({"t": np.array([3, np.inf, 4])}, "event 1 has the time inf: times must be finite"),
        ({"p": np.array([0, 1, 2])}, "event 2 has a polarity that is neither 0 nor 1: 2"),
        ({"size": (0, 3)}, "1 to 32,768 rows and columns, got 0x3"),
    ],
)
def test_the_first_event_that_cannot_be_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        check(**{"size": (2, 3)} | columns() | changes)


def test_half_an_event_is_named():
    check_length(bytes(12), 2, 5)
    with pytest.raises(ValueError, match="cut short at byte 14: an event takes 5 bytes, and the one of byte 12 has 2"):
        check_length(bytes(14), 2, 5)

import numpy as np
import pytest

from framework.ssd.device import geometry


@pytest.mark.parametrize("striping", geometry.STRIPINGS)
def test_striping_gives_every_page_a_place_of_its_own_and_back(striping):
    device = geometry.Geometry(channels=3, chips=2, dies=2, planes=4, striping=striping)
    page = np.arange(5 * device.plane_count)
    plane, row = device.plane_of(page)
    assert len(set(zip(plane.tolist(), row.tolist(), strict=True))) == len(page)
    np.testing.assert_array_equal(device.page_of(plane, row), page)
    at = device.locate(page)
    first = {"C": at.channel, "W": at.chip, "D": at.die, "P": at.plane}[striping[0]]
    assert first[:2].tolist() == [0, 1]
    assert [int(x.max()) for x in at] == [2, 1, 1, 3, 4]


def test_cwdp_is_as_in_mqsim():
    device = geometry.Geometry(channels=8, chips=4)
    at = device.locate(8 * 4 * 2 + 8 * 3 + 5)
    assert (at.channel, at.chip, at.die, at.plane) == (5, 3, 0, 1)
    assert device.physical_bytes == 512 * 2**30
    assert str(device) == "8 x 4 x 2 x 2, 512 GiB"


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"channels": 0}, "channels must be an integer from 1 to 1024, got 0"),
        ({"pages": 2.5}, "pages must be an integer"),
        ({"chips": 64, "dies": 4}, "at most 128 a channel"),
        ({"page_bytes": 1000}, "multiple of 512"),
        ({"striping": "CWD"}, "order of the letters C, W, D, P"),
    ],
)
def test_what_is_no_geometry_is_refused(fields, what):
    with pytest.raises(ValueError, match=what):
        geometry.Geometry(**fields)

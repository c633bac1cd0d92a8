"""The fault campaign as tests: on a toy in CI, on every experiment before a release. See `tests/campaign.py`."""

import pytest

from tests import campaign


@pytest.fixture(scope="module")
def toy(tmp_path_factory, launch_environment):
    return campaign.prepare(campaign.flags_of("toy"), tmp_path_factory.mktemp("toy"), launch_environment, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [fault for fault in campaign.FAULTS if fault not in ("any file cut", "no flock")])
def test_after_a_fault_the_same_command_ends_with_the_same_files(toy, fault):
    if fault in campaign.MOUNTING and not campaign.can_mount():
        pytest.skip("this user may not mount a file system")
    result = list(campaign.FAULTS[fault](toy, 1))
    assert result
    assert set(result) <= {campaign.SAME, campaign.REFUSED}


@pytest.mark.long
@pytest.mark.parametrize("study", [study for study in campaign.STUDIES if study != "toy"])
def test_an_experiment_killed_ten_times_has_the_same_files(study, tmp_path, launch_environment):
    bench = campaign.prepare(campaign.flags_of(study), tmp_path, launch_environment, seed=0)
    assert list(campaign.kill(bench, 10)) == [campaign.SAME] * 10

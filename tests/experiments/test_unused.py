import pytest
from ml_collections import ConfigDict

from experiments._unused import refuse_unused


def settings(**changes):
    config = ConfigDict({"load": {"rate": 1.0, "depths": (1, 2)}, "seed": 0})
    config.update_from_flattened_dict(changes)
    return config


def test_a_setting_without_effect_is_refused_where_it_differs_from_its_preset():
    unused = {"load.rate": "the load is closed", "seed": "nothing is drawn"}
    refuse_unused(settings(), settings(), unused)
    refuse_unused(settings(**{"load.depths": (3,)}), settings(), unused)
    with pytest.raises(ValueError, match=r"load\.rate=2\.0 has no effect, since the load is closed; leave it out"):
        refuse_unused(settings(**{"load.rate": 2.0}), settings(), unused)
    with pytest.raises(ValueError, match="seed=3 has no effect, since nothing is drawn"):
        refuse_unused(settings(seed=3), settings(), unused)
    refuse_unused(settings(seed=3), settings(seed=3), unused)

import copy

import pytest
from ml_collections import ConfigDict, config_dict

from framework.runs.sweeps.grid import points, read


def config():
    settings = {"seed": 0, "preset": "smoke", "rate": 0.1, "on": True, "kind": "er", "shape": (1, 2)}
    return ConfigDict({**settings, "prior": {"weight": config_dict.placeholder(float)}}).lock()


def spread(*expressions):
    return points(config(), read(expressions))


def test_a_grid_is_every_combination_the_last_key_first():
    result = spread("config.prior.weight=[0, 0.5]", "config.seed=range(1, 6, 2)")
    assert [point.values for point in result] == [(weight, seed) for weight in (0.0, 0.5) for seed in (1, 3, 5)]
    assert [(point.config.prior.weight, point.config.seed) for point in result] == [point.values for point in result]
    assert [point.name for point in result][:2] == ["prior.weight=0.0,seed=1", "prior.weight=0.0,seed=3"]


def test_the_config_is_left_as_it_is():
    shared = config()
    before = copy.deepcopy(shared)
    points(shared, read(["config.rate=[1, 2.5]", "config.shape=[(3,), [4, 5]]"]))
    assert shared == before


def test_forbidden_characters_and_long_names_are_rewritten():
    names = [
        point.name for point in spread("config.kind=['a/b', '..', 'ü', '" + 300 * "x" + "1', '" + 300 * "x" + "2']")
    ]
    assert names[:3] == ["kind=a%2Fb", "kind=..", "kind=%C3%BC"]
    assert len(set(names)) == 5
    assert max(map(len, names)) <= 200


@pytest.mark.parametrize(
    ("expressions", "what"),
    [
        ([], "a sweep wants a grid"),
        (["seed=[1]"], "write config.KEY="),
        (["config.seed"], "write config.KEY="),
        (["config.sed=[1]"], "config.sed is no setting; did you mean config.seed"),
        (["config.prior.wieght=[1]"], "did you mean config.prior.weight"),
        (["config.prior=[1]"], "config.prior is a group of settings; did you mean config.prior.weight"),
        (["config.preset=['smoke']"], "cannot be swept"),
        (["config.seed=[]"], "an empty grid"),
        (["config.seed=range(0)"], "an empty grid"),
        (["config.seed=[1, 1]"], "two points would have the directory seed=1"),
        (["config.rate=[1, 1.0]"], "two points would have the directory rate=1.0"),
        (["config.seed=[1]", "config.seed=[2]"], "swept twice"),
        (["config.seed=['a']"], "config.seed is of type int; 'a' is of str"),
        (["config.seed=[1.0]"], "of type int; 1.0 is of float"),
        (["config.seed=[True]"], "of type int; True is of bool"),
        (["config.rate=[None]"], "of type float; None is of NoneType"),
        (["config.on=[1]"], "of type bool"),
        (["config.rate=[1e999]"], "must be finite"),
        (["config.seed=3"], "of type int, not a list"),
        (["config.seed=list(range(3))"], "neither a literal list nor a range"),
        (["config.seed=range(*[3])"], "neither a literal list nor a range"),
        (["config.seed=range(0, 1, 0)"], "neither a literal list nor a range"),
        (["config.seed=[__import__('os').getpid()]"], "neither a literal list nor a range"),
        (["config.seed=[1"], "neither a literal list nor a range"),
        (["config.seed=range(10**9)"], "neither a literal list nor a range"),
        (["config.seed=range(1000000000000)"], "more than 10,000 points"),
    ],
)
def test_a_bad_grid_is_refused(expressions, what):
    with pytest.raises(ValueError, match=r".") as error:
        spread(*expressions)
    assert what in str(error.value)

import jax
import numpy as np
import pytest

from framework import causal
from framework.causal import inputs


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(20, 3))


def replaced(x, row, column, value):
    x = x.copy()
    x[row, column] = value
    return x


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda x: replaced(x, 3, 2, np.nan), "row 3 of column 2 is nan"),
        (lambda x: replaced(x, 3, 2, np.inf), "row 3 of column 2 is inf"),
        (lambda x: replaced(x, slice(None), 1, 4.0), "column 1 is constant"),
        (lambda x: replaced(x, slice(None), 2, x[:, 0]), "column 2 is a copy of column 0"),
        (lambda x: replaced(replaced(x, 3, 2, np.nan), [4, 5], 1, np.inf), "2 in column 1, 1 in column 2"),
        (lambda x: replaced(x, slice(None), [0, 2], 4.0), r"column 0 is constant \(so is column 2\)"),
        (lambda x: replaced(x, slice(None), 1, 0.1 + 1e-17 * x[:, 0]), "column 1 is constant"),
        (lambda x: x[:2], "at least 3 rows"),
        (lambda x: x[0], r"a table \[rows, columns\]"),
        (lambda x: x[:, :0], "1 column is wanted"),
        (lambda x: x.astype(str), "a table of real numbers is wanted, got <U"),
        (lambda x: x * 1j, "a table of real numbers is wanted, got complex128"),
    ],
)
def test_bad_tables_are_refused(x, make, what):
    with pytest.raises(ValueError, match=what):
        causal.fit(make(x))


def test_given_names_stand_in_the_errors(x):
    with pytest.raises(ValueError, match="row 3 of beta is nan"):
        inputs.check(replaced(x, 3, 1, np.nan), None, causal.Config(), ["alpha", "beta", "gamma"])


def test_a_frame_gives_its_values_and_its_names(x, extra):
    values, _, names = inputs.check(extra("pandas").DataFrame(x, columns=["a", "b", 3]), None, causal.Config())
    np.testing.assert_array_equal(values, x)
    assert names == ("a", "b", "3")


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"a": [1, 2, 3], "b": ["x", "y", "z"]}, "column 'b' of the table holds something other than numbers"),
        ({"a": [1, 2, 3], "b": [1, None, 2]}, "row 1 of b is nan"),
        ({"a": [1, 2, 3], "b": [1, None, 2.5]}, "row 1 of b is nan"),
    ],
)
def test_bad_frames_are_refused_by_column(extra, columns, what):
    with pytest.raises(ValueError, match=what):
        inputs.check(extra("pandas").DataFrame(columns), None, causal.Config())


def test_nullable_integers_of_a_frame_are_numbers(extra):
    frame = extra("pandas").DataFrame({"a": [1, 2, 4], "b": [3, 1, 2]}, dtype="Int64")
    assert inputs.check(frame, None, causal.Config())[0].dtype == np.float64


def test_two_columns_of_one_name_are_refused(x, extra):
    with pytest.raises(ValueError, match="two columns of the table are called 'a'"):
        inputs.check(extra("pandas").DataFrame(x, columns=["a", "b", "a"]), None, causal.Config())


def test_knowledge_of_another_size_is_refused(x):
    with pytest.raises(ValueError, match="knowledge of 2 columns does not fit a table of 3"):
        causal.fit(x, causal.Knowledge(np.zeros((2, 2)), np.zeros((2, 2))))


def test_knowledge_and_configs_of_another_kind_are_refused(x):
    with pytest.raises(ValueError, match=r"knowledge must be a causal\.Knowledge or None, got ndarray"):
        causal.fit(x, np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"config must be a causal\.Config, got dict"):
        causal.fit(x, None, {"penalty": 0.1})


def test_logarithms_of_too_small_values_are_refused(x):
    with pytest.raises(ValueError, match=r"needs values above -10, but column \d goes down to"):
        causal.fit(x * 100, config=causal.Config(transform="log_standardize"))


def test_a_plain_result_is_numpy_and_a_traced_one_is_not():
    with jax.enable_x64(True):
        result = inputs.on_host({"a": jax.numpy.ones(2)})
        assert jax.jit(inputs.on_host)({"a": np.ones(2)})["a"].dtype == np.float64
    assert isinstance(result["a"], np.ndarray)
    assert (result["a"] * 2).dtype == np.float64


def test_the_logistic_score_takes_only_0_and_1(x):
    config = causal.Config(score="logistic", transform="none", finish="cut")
    with pytest.raises(ValueError, match="needs 0 and 1, but row 0 of column 0 is"):
        causal.fit(x, None, config)

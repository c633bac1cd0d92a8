import datetime
import decimal
import importlib.util
from typing import NamedTuple

import numpy as np
import pytest
import scipy.sparse

from framework import causal, data
from framework.causal import frames


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(20, 3))


class PolarsColumn(NamedTuple):
    """As much of a polars Series as is read; the types by the names that polars 2.1 gives them."""

    name: str
    dtype: str
    cells: np.ndarray

    def to_numpy(self):
        return self.cells


class PolarsFrame:
    """As much of a polars DataFrame as is read: it has no `iloc`, and `columns` are its names."""

    def __init__(self, **cells):
        self._columns = [PolarsColumn(name, dtype, np.asarray(values)) for name, (dtype, values) in cells.items()]

    @property
    def columns(self):
        return [column.name for column in self._columns]

    def get_columns(self):
        return self._columns

    def __len__(self):
        return len(self._columns[0].cells)


def polars_frame(x):
    """A frame of polars where it is installed, and else what stands in for it."""
    if importlib.util.find_spec("polars"):
        return importlib.import_module("polars").DataFrame(dict(zip("abc", x.T, strict=True)))
    return PolarsFrame(**{name: ("Float64", column) for name, column in zip("abc", x.T, strict=True)})


def arrow_table(x):
    import pyarrow

    return pyarrow.table(dict(zip("abc", x.T, strict=True)))


MAKERS = {
    "polars": polars_frame,
    "pyarrow table": arrow_table,
    "pyarrow batch": lambda x: arrow_table(x).to_batches()[0],
    "read_table": lambda x: data.Table(("a", "b", "c"), x, "a file"),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_frame_of_each_program_is_taken_with_its_names(x, make):
    result = causal.fit(make(x))
    assert result.names == ("a", "b", "c")
    np.testing.assert_array_equal(result.weights, causal.fit(x).weights)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_selected_columns_keep_order_and_missing_are_named(x, make):
    values, names = frames.from_frame(make(x), ("c", "a"))
    assert names == ("c", "a")
    np.testing.assert_array_equal(values, x[:, [2, 0]])
    with pytest.raises(ValueError, match="the rows lack the columns d, e of the fitted table"):
        frames.from_frame(make(x), ("a", "d", "e"))


def test_predict_matches_frame_columns_by_name(x, extra):
    result = causal.fit(arrow_table(x))
    frame = extra("pandas").DataFrame(x, columns=list("abc")).assign(when="today")[["when", "c", "a", "b"]]
    np.testing.assert_array_equal(causal.predict(result, frame), causal.predict(result, x))
    np.testing.assert_array_equal(causal.predict(result, polars_frame(x)), causal.predict(result, x))


DAYS = np.arange(20).astype("datetime64[D]")
GROUPS = [10, 20] * 10


def odd_columns(pandas):
    """Columns of a pandas frame that hold no numbers, and what is said of each."""
    series = lambda values, dtype=None: pandas.Series(values, dtype=dtype)
    return {
        "category": (pandas.Categorical(GROUPS), "2 categories, whose codes are no amounts"),
        "ordered": (pandas.Categorical(GROUPS, ordered=True), "2 categories"),
        "date": (series(DAYS), "dates or times; give a number"),
        "zone": (pandas.date_range("2024", periods=20, tz="UTC"), "dates or times"),
        "time": (series(DAYS) - series(DAYS[::-1]), "dates or times"),
        "period": (pandas.period_range("2024", periods=20), "20 of 20 cells are of type Period"),
        "complex": (series(np.arange(20) + 1j), "complex numbers"),
        "digits": (
            series([str(i) for i in range(20)]),
            r"20 of 20 cells are text \('0'\); convert it to numbers first",
        ),
        "text": (series(["x", *range(19)], object), r"1 of 20 cells are text \('x'\)"),
        "list": (series([[1]] * 20), "20 of 20 cells are of type list"),
        "day": (series([datetime.date(2024, 1, 1)] * 20, object), "20 of 20 cells are dates or times"),
    }


def test_all_non_numeric_columns_are_named_with_their_content(x, extra):
    pandas = extra("pandas")
    odd = odd_columns(pandas)
    for name, (values, what) in odd.items():
        with pytest.raises(
            ValueError, match=f"^column '{name}' of the table holds something other than numbers: {what}"
        ):
            causal.fit(pandas.DataFrame(x, columns=list("abc")).assign(**{name: values}))
    everything = pandas.DataFrame({"a": x[:, 0]} | {name: values for name, (values, _) in odd.items()})
    with pytest.raises(ValueError, match="holds something") as caught:
        causal.fit(everything)
    assert all(f"'{name}'" in str(caught.value) for name in odd)
    assert "\n" not in str(caught.value)


def test_numbers_of_every_type_of_a_frame_are_taken(x, extra):
    pandas = extra("pandas")
    frame = pandas.DataFrame(
        {
            "nullable": pandas.array(range(20), dtype="Int64"),
            "truths": pandas.array([True, False] * 10, dtype="boolean"),
            "plain": [True] * 5 + [False] * 15,
            "sparse": pandas.arrays.SparseArray([0, 0, 0, 1] * 5),
            "decimals": [decimal.Decimal(i) ** 2 for i in range(20)],
            "objects": pandas.Series([i % 7 for i in range(20)], dtype=object),
        }
    )
    values, _ = frames.from_frame(frame)
    columns = [np.arange(20), np.tile([1, 0], 10), np.arange(20) < 5, np.tile([0, 0, 0, 1], 5)]
    np.testing.assert_array_equal(values, np.stack([*columns, np.arange(20) ** 2, np.arange(20) % 7], axis=1))


def test_missing_cells_are_counted_by_column(extra):
    pandas = extra("pandas")
    frame = pandas.DataFrame({"a": pandas.array([1, None, 3], dtype="Int64"), "b": [True, None, None], "c": [1, 2, 4]})
    with pytest.raises(ValueError, match=r"row 1 of a is nan \(missing or infinite: 1 in a, 2 in b\)"):
        causal.fit(frame)


def test_pyarrow_and_polars_categories_are_refused(x):
    import pyarrow

    codes = pyarrow.array(GROUPS).dictionary_encode()
    with pytest.raises(ValueError, match=r"column 'g' of the table .*: 2 categories"):
        causal.fit(pyarrow.table({"a": x[:, 0], "g": codes}))
    for dtype in ("Categorical", "Enum(categories=['x', 'y'])"):
        with pytest.raises(ValueError, match=r"column 'g' of the table .*: 2 categories"):
            causal.fit(PolarsFrame(a=("Float64", x[:, 0]), g=(dtype, ["x", "y"] * 10)))
    nested = PolarsFrame(a=("Float64", x[:, 0]), g=("Struct", np.zeros((20, 2))))
    with pytest.raises(ValueError, match=r"'g' of the table .*: several values in a cell"):
        causal.fit(nested)


def test_all_names_that_stand_twice_are_said(x, extra):
    frame = extra("pandas").DataFrame(np.concatenate([x, x], axis=1), columns=list("abbaac"))
    with pytest.raises(ValueError, match="two columns of the table are called 'a', 'b'"):
        causal.fit(frame)


def test_a_table_of_another_program_is_refused_in_words():
    class LazyFrame:
        columns = ("a", "b")

    with pytest.raises(
        ValueError, match=r"LazyFrame is not understood: give an array, or a pandas, polars \(collected"
    ):
        causal.fit(LazyFrame())


@pytest.mark.parametrize("dtype", [float, np.float32, int])
def test_masked_values_are_missing_values(x, dtype):
    table = np.round(1000 * x).astype(dtype)
    table[[4, 9], 1] = -999
    with pytest.raises(ValueError, match=r"row 4 of column 1 is nan \(missing or infinite: 2 in column 1\)"):
        causal.fit(np.ma.masked_equal(table, -999))
    kept = np.ma.masked_equal(table[10:], -999)
    np.testing.assert_array_equal(causal.fit(kept).weights, causal.fit(table[10:]).weights)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (scipy.sparse.csr_matrix, r"must be dense, got csr_matrix: give x\.toarray\(\)"),
        (lambda x: {"a": x[:, 0]}, "an array .* or a DataFrame, got dict"),
        (lambda x: "table.csv", "an array .* or a DataFrame, got str"),
        (lambda x: [[1, 2], [3]], "an array .* or a DataFrame, got list"),
        (lambda x: None, "a table of real numbers is wanted, got object"),
        (lambda x: np.zeros(9, [("a", float), ("b", float)]), "a table of real numbers is wanted"),
        (lambda x: np.zeros((9, 2), "M8[s]"), r"a table of real numbers is wanted, got datetime64\[s\]"),
        (lambda x: np.zeros((9, 2), "m8[s]"), r"a table of real numbers is wanted, got timedelta64\[s\]"),
        (
            lambda x: np.array([["1", 2]] * 9, object),
            r"column 0 of the table .*: 9 of 9 cells are text \('1'\); convert",
        ),
        (lambda x: np.array([[1, datetime.date(2024, 1, 1)]] * 9, object), "column 1 .*: 9 of 9 cells are dates"),
        (lambda x: np.array([[1, None], [2, 3], [4, 5]], object), "row 0 of column 1 is nan"),
    ],
)
def test_what_is_no_array_of_real_numbers_is_refused(x, make, what):
    with pytest.raises(ValueError, match=what):
        causal.fit(make(x))


def test_arrays_of_every_kind_of_real_number_are_taken(x):
    import jax.numpy as jnp

    for same in (x.astype(object), x.tolist(), jnp.asarray(x), np.asfortranarray(x), np.ma.masked_equal(x, 99)):
        np.testing.assert_allclose(frames.from_array(same), x, rtol=1e-6)
        assert frames.from_array(same).dtype == np.float64
    np.testing.assert_allclose(frames.from_array(jnp.asarray(x, jnp.bfloat16)), x, rtol=1e-2)

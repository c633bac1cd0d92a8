import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework import data


@pytest.fixture
def written(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "table.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_a_table_is_read_with_its_names(written):
    table = data.read_table(written('a,"b, c"\n1,2.5\n\n-3e2, 4 \n'))
    assert table.names == ("a", "b, c")
    np.testing.assert_array_equal(table.values, [[1, 2.5], [-300, 4]])


def test_a_line_of_nothing_but_spaces_is_no_row(written):
    np.testing.assert_array_equal(data.read_table(written("a\n1\n\n  \n2\n\n")).values, [[1], [2]])


def test_a_header_alone_is_a_table_without_rows(written):
    table = data.read_table(written("a,b\n"))
    assert (table.names, table.values.shape) == (("a", "b"), (0, 2))


def test_sachs_is_read_as_numpy_reads_it(shared):
    path = shared("causal", "sachs", "sachs_obs853.csv")
    np.testing.assert_array_equal(data.read_table(path).values, np.loadtxt(path, delimiter=",", skiprows=1))


@given(values=st.lists(st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2), min_size=1, max_size=5))
def test_what_is_written_exactly_is_read_exactly(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("exact") / "t.csv"
    path.write_text("a,b\n" + "".join(f"{a!r},{b!r}\n" for a, b in values))
    np.testing.assert_array_equal(data.read_table(path).values, values)


def test_a_byte_order_mark_is_no_part_of_a_name(written):
    assert data.read_table(written("a,b\n1,2\n", "utf-8-sig")).names == ("a", "b")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "empty"),
        ("a,b\n1,x\n", "line 2, column 'b': 'x' is text"),
        ("a,b\n1,\n", "line 2, column 'b': the cell is missing"),
        ("a,b\n1,nan\n", "line 2, column 'b': 'nan' is not a finite number"),
        ("a,b\n1,2\n3,inf\n", "line 3, column 'b'"),
        ("a,b\n1,2\n,\n3,4\n", "line 3, column 'a': the cell is missing"),
        ("a,b\n1,2\n , \n", "line 3, column 'a': the cell is missing"),
        (",\na,b\n1,2\n", "column 1 of the header has no name"),
        ("a,b\n1\n", "line 2: 1 cells where the header has 2"),
        ("a,b\n1,2,3\n", "line 2: 3 cells"),
        ("a,a\n1,2\n", "names column 'a' twice"),
        ("a,\n1,2\n", "column 2 of the header has no name"),
        ('a,b\n1,"2\n', "not a CSV row"),
    ],
)
def test_a_bad_table_is_refused_with_line_and_column(written, text, what):
    with pytest.raises(ValueError, match=what):
        data.read_table(written(text))


def test_a_binary_file_is_refused(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"\x89PNG\r\n\xff\xfe")
    with pytest.raises(ValueError, match="not a text file in UTF-8"):
        data.read_table(tmp_path / "x.csv")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        data.read_table(tmp_path / "nowhere.csv")


def test_edges_are_read_with_the_callers_columns(written):
    edges = data.read_edges(written("source,target,kind\na, b ,required\n"), ["kind"])
    assert edges == [{"source": "a", "target": "b", "kind": "required"}]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("from,to\na,b\n", "needs the columns source,target and takes no others"),
        ("from,to\na,b\n", r"'from' is unknown \(is 'source' meant\?\), 'to' is unknown \(is 'target' meant\?\)$"),
        ("Source,target\na,b\n", r"'Source' is unknown \(is 'source' meant\?\)$"),
        ("source\na\n", "its header is source: 'target' is missing$"),
        ("source,target,kind\na,b,forbidden\n", "its header is source,target,kind: 'kind' is unknown$"),
        ("source,target\na,b,c\n", "line 2: 3 cells where the header has 2"),
        ("source,target,source\na,b,c\n", "names column 'source' twice"),
        ("source,target\na,\n", "source and target must both be named"),
        ("source,target\na,b\n,\n", "line 3: source and target must both be named, got ','"),
    ],
)
def test_a_bad_edge_list_is_refused(written, text, what):
    with pytest.raises(ValueError, match=what):
        data.read_edges(written(text))


def test_a_table_without_a_header_is_refused(written):
    with pytest.raises(ValueError, match=r"the header is missing: its first line holds only numbers, 1,2\.5"):
        data.read_table(written("1,2.5\n3,4\n"))


@pytest.mark.parametrize("cell", ["1_000", "\u0661\u0662"])
def test_numbers_are_those_of_other_programs_too(written, cell):
    with pytest.raises(ValueError, match="is text, a number is wanted"):
        data.read_table(written(f"a,b\n1,{cell}\n"))


def test_a_table_with_semicolons_is_told_so(written):
    with pytest.raises(ValueError, match="separated by commas, not semicolons"):
        data.read_table(written("a;b\n1,5;2,5\n"))


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("source,target,type", r"'type' is unknown \(is 'kind' meant\?\)$"),
        ("source,target,Kinds", r"'Kinds' is unknown \(is 'kind' meant\?\)$"),
        ("source,target,kind,weight", "'weight' is unknown$"),
        ("source,target,type,weight", r"'type' is unknown \(is 'kind' meant\?\), 'weight' is unknown$"),
        ("source,target", "'kind' is missing$"),
    ],
)
def test_further_columns_must_match_by_name(written, header, what):
    row = ",".join("ab12"[: header.count(",") + 1])
    with pytest.raises(ValueError, match=what):
        data.read_edges(written(f"{header}\n{row}\n"), ["kind"])


@pytest.mark.parametrize("form", [str, str.upper, str.lower])
def test_true_and_false_are_1_and_0_as_pandas_reads_them(written, extra, form):
    path = written("a,b\n" + "".join(f"{i},{form(str(i % 3 == 0))}\n" for i in range(5)))
    expected = extra("pandas").read_csv(path).astype(float)
    np.testing.assert_array_equal(data.read_table(path).values, expected)
    np.testing.assert_array_equal(data.read_table(path).values[:, 1], [1, 0, 0, 1, 0])


@pytest.mark.parametrize("cells", ["True,1", "False,no", "True,nan", "tRUE,False"])
def test_a_column_of_truths_and_other_things_is_refused(written, cells):
    first, second = cells.split(",")
    with pytest.raises(ValueError, match="is text, a number is wanted"):
        data.read_table(written(f"a,b\n1,{first}\n2,{second}\n"))


def test_all_bad_cells_are_counted_by_column(written):
    with pytest.raises(
        ValueError, match=r"line 2, column 'b': the cell is missing.*; 4 such cells in all: 3 in 'b', 1"
    ):
        data.read_table(written("a,b,c\n1,,1\n2,x,no\n3,inf,3\n"))


def test_an_index_without_a_name_is_told_how_to_leave_it_out(written):
    with pytest.raises(ValueError, match=r"column 1 of the header has no name; .*to_csv\(index=False\)"):
        data.read_table(written(",a\n0,1\n"))

import numpy as np
import pytest

from framework.selection import entropy_file
from framework.selection.entropy_file import parse_indices, read_entropy_list, write_entropy_list


@pytest.fixture
def path(tmp_path):
    return tmp_path / "list.txt"


def test_a_list_is_read_in_the_order_of_the_data_set(path):
    rng = np.random.default_rng(0)
    entropy = (10 ** rng.uniform(-20, 0.3, 40)).astype(np.float32)
    indices, classes = rng.permutation(40), rng.integers(0, 10, 40)
    write_entropy_list(path, indices, entropy, classes)
    assert [line.split("\t")[0] for line in path.read_text().splitlines()] == [str(i) for i in range(40)]
    entropy_list = read_entropy_list(path)
    np.testing.assert_array_equal(entropy_list.entropy[indices].astype(np.float32), entropy)
    np.testing.assert_array_equal(entropy_list.classes[indices], classes)


def test_the_published_list_is_written_as_it_is_read(path, shared):
    source = shared("proxy_nas", "entropy_list", "cifar10_resnet20_index_entropy_class.txt")
    entropy_list = read_entropy_list(source)
    write_entropy_list(path, np.arange(len(entropy_list.entropy)), entropy_list.entropy, entropy_list.classes)
    assert path.read_bytes() == source.read_bytes()
    with np.load(shared("cifar10", "train_lossless_first4000.npz")) as lossless:
        np.testing.assert_array_equal(entropy_list.classes[:4000], lossless["labels"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("0\t0.5\t1\n0\t0.25\t2\n", "index 0 comes twice"),
        ("0\t0.5\t1\n2\t0.25\t2\n", "index 2 is outside of 0 to 1"),
        ("0\t0.5\t1\n1\t0.0\t2\n", "line 2: must have one positive, finite entropy"),
        ("0\tnan\t1\n", "line 1: must have one positive, finite entropy"),
        ("0\t0.5\t1\n1 0.5 1\n", r"line 2: '1 0.5 1' is not 'index <tab> entropy <tab> class'"),
        ("0\t0.5\t1\t9\n", "line 1: must have one positive"),
    ],
)
def test_bad_files_are_refused(path, text, message):
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_entropy_list(path)


def test_a_list_of_another_data_set_is_refused(path):
    write_entropy_list(path, [0, 1, 2], np.array([0.1, 0.2, 0.3]), [5, 6, 7])
    assert read_entropy_list(path, labels=np.array([5, 6, 7])).entropy.tolist() == [0.1, 0.2, 0.3]
    with pytest.raises(ValueError, match="3 entropies do not fit a data set of 2 points"):
        read_entropy_list(path, labels=np.array([5, 6]))
    with pytest.raises(ValueError, match=r"2 of 3 classes differ, the first at index 0 \(5 against 6\)"):
        read_entropy_list(path, labels=np.array([6, 5, 7]))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="not a text file"):
        read_entropy_list(path)


def test_invalid_lists_are_not_written(path):
    for indices, entropy, message in (
        ([0.0, 1.0], [0.1, 0.2], "indices and classes must be whole numbers, got float64"),
        ([0, 0], [0.1, 0.2], "index 0 comes twice"),
        ([0, 1], [0.1, 0.0], "the entropy of point 1 is 0.0"),
        ([0], [0.1, 0.2], "must be as many"),
    ):
        with pytest.raises(ValueError, match=message):
            write_entropy_list(path, indices, np.array(entropy), [1] * len(indices))
    with pytest.raises(ValueError, match="indices and classes must be whole numbers, got float64"):
        write_entropy_list(path, [0, 1], np.array([0.1, 0.2]), [1.0, 2.5])
    assert not path.exists()


def test_indices_come_from_the_ids_of_the_data_set():
    assert parse_indices(["train_16399", "train_01680", "train/00017"]).tolist() == [16399, 1680, 17]
    with pytest.raises(ValueError, match="'first' does not end in an index"):
        parse_indices(["first"])
    with pytest.raises(ValueError, match="two ids end in the index 7"):
        entropy_file.parse_indices(["a_7", "b_007"])


@pytest.mark.parametrize(
    "row", ["0\t0.5\t9223372036854775808", "0\t0.5\t1_0", "0\t0_0.5\t1", "\u0660\t0.5\t1", "0\t0.5\t1.0"]
)
def test_numbers_outside_int64_or_in_python_syntax_are_refused(path, row):
    path.write_text(f"{row}\n")
    with pytest.raises(ValueError, match="line 1: "):
        read_entropy_list(path)


def test_ids_with_an_index_outside_int64_are_refused():
    with pytest.raises(ValueError, match="does not end in an index of at most 18 digits"):
        parse_indices(["train/00017", "train/9223372036854775808"])

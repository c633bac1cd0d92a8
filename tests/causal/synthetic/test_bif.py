import gzip
import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.causal.synthetic import bif

# the parents of `wet` stand in another order than their columns, and its rows in no order at all
WET = """network unknown {
}
variable rain {
  type discrete [ 2 ] { yes, no };
}
variable season {
  type discrete [ 3 ] { dry, wet, cold/dark };
}
variable wet {
  type discrete [ 2 ] { yes, no };
}
probability ( season ) {
  table 0.5, 0.25, 0.25;
}
probability ( rain | season ) {
  (dry) 0.1, 0.9;
  (wet) 0.6, 0.4;
  (cold/dark) 3e-1, 0.7;
}
probability ( wet | season, rain ) {
  (dry, no) 0.01, 0.99;
  (dry, yes) 0.9, 0.1;
  (wet, yes) 1.0, 0.0;
  (cold/dark, yes) 0.8, 0.2;
  (wet, no) 0.2, 0.8;
  (cold/dark, no) 0.3334, 0.6667;
}
"""

SIZES = {
    "asia": (8, 8),
    "cancer": (5, 4),
    "earthquake": (5, 4),
    "survey": (6, 6),
    "sachs": (11, 17),
    "child": (20, 25),
    "insurance": (27, 52),
    "alarm": (37, 46),
    "mildew": (35, 46),
    "water": (32, 66),
    "barley": (48, 84),
    "hepar2": (70, 123),
}


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    path = tmp_path_factory.mktemp("bif") / "network.bif"

    def network(content):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return bif.read_network(path)

    return network


@pytest.fixture(params=SIZES)
def published(request, shared):
    return shared("causal", "bif") / f"{request.param}.bif.gz", SIZES[request.param]


@pytest.fixture
def asia(shared):
    return bif.read_network(shared("causal", "bif") / "asia.bif.gz")


def is_sound(network):
    """Whether the tables are distributions of the right shapes, and the graph a DAG."""
    shapes = [
        tuple(len(network.states[p]) for p in (*np.flatnonzero(network.graph[:, j]), j))
        for j in range(len(network.names))
    ]
    closure = np.linalg.matrix_power(network.graph.astype(float), len(network.names))
    distributions = all(np.all(t >= 0) and np.allclose(t.sum(-1), 1, atol=1e-12) for t in network.tables)
    return [t.shape for t in network.tables] == shapes and distributions and not closure.any()


def test_a_network_by_hand(read):
    network = read(WET)
    assert network.names == ("rain", "season", "wet")
    assert network.states == (("yes", "no"), ("dry", "wet", "cold/dark"), ("yes", "no"))
    assert np.argwhere(network.graph).tolist() == [[0, 2], [1, 0], [1, 2]]
    rain, season, wet = network.tables
    np.testing.assert_allclose(season, [0.5, 0.25, 0.25])
    np.testing.assert_allclose(rain, [[0.1, 0.9], [0.6, 0.4], [0.3, 0.7]])
    np.testing.assert_allclose(wet[..., 0], [[0.9, 1, 0.8], [0.01, 0.2, 0.3334 / 1.0001]])  # [rain, season]


def test_compression_and_line_endings_give_the_same_network(read):
    for content in (gzip.compress(WET.encode()), WET.replace("\n", "\r\n"), WET.replace("\n", " ")):
        for one, other in zip(read(content).tables, read(WET).tables, strict=True):
            np.testing.assert_array_equal(one, other)


def test_properties_are_passed_over(read):
    noted = WET.replace(" };\n}", " };\n  property position = (1, 2);\n}").replace("{\n}", "{\n  property x y;\n}")
    assert noted.count("property") == 4
    np.testing.assert_array_equal(read(noted).graph, read(WET).graph)


def plain_rows(path):
    """The oracle: a reading line by line, good for such files only. (variable, parents' states by name, numbers)"""
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        if line.startswith("probability"):
            name, _, parents = line[len("probability (") : line.index(")")].partition("|")
            parents = [p.strip() for p in parents.split(",") if p.strip()]
        elif line.startswith(("  table", "  (")):
            condition, _, numbers = line.strip(" ;").replace("table", ")").rpartition(")")
            states = [s.strip() for s in condition.strip("( ").split(",") if s.strip()]
            yield name.strip(), dict(zip(parents, states, strict=True)), [float(n) for n in numbers.split(",")]


@pytest.mark.slow
def test_the_published_networks_are_read_row_by_row(published):
    path, (nodes, edges) = published
    network = bif.read_network(path)
    assert (len(network.names), int(network.graph.sum())) == (nodes, edges)
    assert is_sound(network)
    rows = 0
    index = {name: i for i, name in enumerate(network.names)}
    state_index = [{state: i for i, state in enumerate(levels)} for levels in network.states]
    for name, states, numbers in plain_rows(path):
        parents = sorted(index[parent] for parent in states)
        row = network.tables[index[name]][tuple(state_index[p][states[network.names[p]]] for p in parents)]
        assert np.abs(row * sum(numbers) - numbers).max() < 1e-12
        rows += 1
    assert rows == sum(table[..., 0].size for table in network.tables)


def joint(network):
    """The oracle: the probability of every state of all variables, by the product of the tables."""
    states = list(itertools.product(*(range(len(s)) for s in network.states)))
    factors = []
    for j, table in enumerate(network.tables):
        parents = np.flatnonzero(network.graph[:, j])
        factors.append([table[tuple(s[p] for p in parents)][s[j]] for s in states])
    return np.array(states), np.prod(factors, axis=0)


def assert_frequencies(network, samples=40000):
    """All single and pairwise marginals, within five standard errors of exact enumeration."""
    drawn = bif.sample(network, jax.random.key(0), samples)
    assert (drawn.shape, drawn.dtype) == ((samples, len(network.names)), np.int32)
    states, probability = joint(network)
    assert probability.sum() == pytest.approx(1)
    is_first, drawn_first = (states == 0).astype(float), (drawn == 0).astype(float)
    exact = is_first.T @ (probability[:, None] * is_first)
    error = np.sqrt(exact * (1 - exact) / samples)
    assert np.all(np.abs(drawn_first.T @ drawn_first / samples - exact) <= 5 * error + 1e-12)


def test_samples_of_asia_have_its_marginals(asia):
    assert_frequencies(asia)


def test_samples_have_the_marginals_of_the_joint_distribution(read):
    assert_frequencies(read(WET))


def test_a_state_of_probability_zero_is_never_drawn(asia):
    """In Asia `either` is the logical or of `tub` and `lung`."""
    drawn = bif.sample(asia, jax.random.key(1), 20000)
    tub, lung, either = (drawn[:, asia.names.index(name)] == 0 for name in ("tub", "lung", "either"))
    np.testing.assert_array_equal(either, tub | lung)


def test_zeros_at_both_ends_of_a_row_are_never_drawn():
    sure = bif.BayesianNetwork(("a",), (tuple("pqrs"),), np.zeros((1, 1), bool), (np.array([0, 0.9, 0.1, 0]),))
    assert set(bif.sample(sure, jax.random.key(0), 5000)[:, 0]) == {1, 2}


def test_a_sample_is_the_key_s_alone(read):
    network = read(WET)
    first, again, other = (bif.sample(network, jax.random.key(seed), 200) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    with jax.enable_x64(True):
        np.testing.assert_array_equal(bif.sample(network, jax.random.key(3), 200), first)
    assert bif.sample(network, jax.random.key(3), 0).shape == (0, 3)
    with pytest.raises(ValueError, match="samples must be a whole number of at least 0, got -1"):
        bif.sample(network, jax.random.key(3), -1)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("network unknown", "netting unknown", "line 1: expected 'network NAME {'"),
        ("[ 3 ]", "[ 4 ]", "line 7: '4' states are announced, 3 listed"),
        ("[ 3 ]", "[ x ]", "line 7: 'x' states are announced, 3 listed"),
        ("dry, wet, cold/dark }", "dry, wet, dry }", "line 7: a state stands twice in dry, wet, dry"),
        ("dry, wet, cold/dark }", "dry, wet cold/dark }", "line 7: expected 'a list with commas'"),
        ("type discrete [ 3 ]", "type continuous", "line 7: expected 'type discrete"),
        ("variable season", "variable rain", "line 6: 'rain' is declared twice"),
        ("probability ( season )", "probability ( rain )", "line 15: the probabilities of 'rain' are given twice"),
        (
            "( rain | season )",
            "( rain | reason )",
            "line 15: no variable 'reason'; the variables are rain, season, wet",
        ),
        ("( season )", "( sea )", "line 6: no probabilities are given for 'season'"),
        ("( season )", "( season | wet )", "line [0-9]+: the edges hold a cycle"),
        ("( season )", "( season | season )", "line 12: the edges hold a cycle, season -> season"),
        ("| season, rain )", "| season, season )", "line 20: a parent of 'wet' stands twice in season, season"),
        ("  (dry) 0.1, 0.9;\n", "", "line 15: 2 rows of probabilities for 'rain', but its parents have 3 states"),
        ("(dry) 0.1, 0.9", "(wet) 0.1, 0.9", r"line 17: the row \(wet\) of 'rain' stands twice"),
        ("(dry) 0.1, 0.9", "(damp) 0.1, 0.9", r"line 16: \(damp\) is no state of \(season\)"),
        ("(dry) 0.1, 0.9", "(dry, yes) 0.1, 0.9", r"line 16: \(dry, yes\) is no state of \(season\)"),
        ("(dry) 0.1, 0.9", "default 0.1, 0.9", "line 16: expected 'table NUMBERS; or"),
        ("(dry) 0.1, 0.9", "(dry) 0.1, 0.8, 0.1", "line 16: 3 probabilities for 2 states"),
        ("(dry) 0.1, 0.9", "(dry) 0.1, 0.91", "line 16: probabilities must not be negative and must sum to 1"),
        ("(dry) 0.1, 0.9", "(dry) -0.1, 1.1", "line 16: probabilities must not be negative"),
        ("(dry) 0.1, 0.9", "(dry) 0.1, nan", "line 16: not all numbers: '0.1 nan'"),
        ("(dry) 0.1, 0.9", "(dry) 1_0, 0.9", "line 16: not all numbers"),
        ("(dry) 0.1, 0.9", "(dry) 0.1.1, 0.9", "line 16: not all numbers"),
        ("(dry) 0.1, 0.9", "(dry) 1e999, 0.9", "line 16: probabilities must"),
        ("(dry) 0.1, 0.9", "(dry) 0.1 0.9", "line 16: expected 'a list with commas'"),
        ("(dry) 0.1", "(dry) \x00 0.1", r"line 16: not a text file \('\\x00' stands in it\)"),
        ("0.3334, 0.6667;\n}\n", "0.3334, 0.6667;\n", "line 27: the file ends where"),
        ("0.3334, 0.6667;\n}\n", "0.3334, 0.6667;\n}\n}\n", "line 28: expected 'variable NAME"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(read, old, new, what):
    assert WET.count(old) == 1
    with pytest.raises(ValueError, match=r"network\.bif, " + what):
        read(WET.replace(old, new))


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        bif.read_network(tmp_path / "none.bif")


def test_a_file_cut_anywhere_is_refused(read):
    content = WET.encode()
    for length in range(len(content.rstrip())):
        with pytest.raises(ValueError, match=r"network\.bif, line"):
            read(content[:length])


def test_a_compressed_file_cut_anywhere_is_refused(read):
    content = gzip.compress(WET.encode(), mtime=0)
    for length in range(len(content)):
        with pytest.raises(ValueError, match=r"network\.bif"):
            read(content[:length])


@given(data=st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_bytes_of_any_kind_are_refused(read, data):
    for content in (data, b"\x1f\x8b" + data, gzip.compress(data), b"network x {\n}\n" + data):
        with pytest.raises(ValueError, match=r"network\.bif"):
            read(content)


@pytest.mark.slow
@given(
    position=st.integers(0, len(WET) - 1),
    length=st.integers(0, 12),
    patch=st.binary(max_size=4) | st.text("{}()[],;| \n0.1ynodrywe-", max_size=4).map(str.encode),
)
@settings(max_examples=400, deadline=None)
def test_a_damaged_file_is_refused_or_still_a_sound_network(read, position, length, patch):
    content = WET.encode()
    try:
        network = read(content[:position] + patch + content[position + length :])
    except ValueError:
        return
    assert is_sound(network)


def test_a_small_file_of_endless_text_is_refused(read):
    with pytest.raises(ValueError, match="a text of more than 67,108,864 bytes"):
        read(gzip.compress(b" " * 2**24) * 5)

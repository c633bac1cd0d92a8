import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from framework.nas import darts
from framework.nas.darts import genotype
from framework.nas.darts.space import EDGES, OPERATIONS, Alphas

CELL = (
    ("sep_conv_3x3", 0),
    ("skip_connect", 1),
    ("dil_conv_5x5", 2),
    ("max_pool_3x3", 0),
    ("avg_pool_3x3", 3),
    ("sep_conv_5x5", 1),
    ("dil_conv_3x3", 4),
    ("sep_conv_3x3", 2),
)
KNOWN = genotype.Genotype(CELL, (2, 3, 4, 5), CELL[::-1][1:] + CELL[:1], (2, 3))
KNOWN = KNOWN._replace(reduce=CELL)


def plain_parse(alphas):
    """The rule of the published program, in plain loops."""
    weights = np.exp(alphas - alphas.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    gene, start = [], 0
    for i in range(4):
        rows = weights[start : start + i + 2]
        score = [max(row[k] for k in range(8) if k != 0) for row in rows]
        edges = sorted(range(i + 2), key=lambda x: -score[x])[:2]
        for edge in edges:
            best = None
            for k in range(8):
                if k != 0 and (best is None or rows[edge][k] > rows[edge][best]):
                    best = k
            gene.append((OPERATIONS[best], edge))
        start += i + 2
    return tuple(gene)


coarse = st.sampled_from([-2.0, -0.5, 0.0, 0.5, 3.0])  # so that ties are common


@given(arrays.arrays(np.float64, (2, 14, 8), elements=coarse))
def test_the_rule_is_that_of_the_published_program_ties_included(alphas):
    result = darts.derive_genotype(Alphas(*alphas))
    assert result.normal == plain_parse(alphas[0])
    assert result.reduce == plain_parse(alphas[1])
    assert "none" not in {operation for operation, _ in result.normal + result.reduce}
    assert darts.check(result) == result


def test_a_seed_is_no_key():
    for draw in (darts.init_alphas, lambda key: darts.init(key, darts.Supernet(2, 1, 3))):
        with pytest.raises(ValueError, match="a random key is wanted"):
            draw(0)


def test_alphas_are_rows_of_edges_node_after_node():
    assert EDGES[:5] == ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    alphas = np.zeros((14, 8))
    alphas[EDGES.index((4, 5)), OPERATIONS.index("dil_conv_5x5")] = 1
    alphas[EDGES.index((3, 5)), OPERATIONS.index("none")] = 9  # which takes weight from what stands next to it
    assert darts.derive_genotype(Alphas(alphas, alphas)).normal[6] == ("dil_conv_5x5", 4)


def test_a_genotype_survives_json_and_foreign_tuples():
    assert darts.from_json(darts.to_json(KNOWN)) == KNOWN
    theirs = {"normal": [list(edge) for edge in CELL], "normal_concat": range(2, 6)}
    theirs |= {"reduce": CELL, "reduce_concat": [2, 3]}
    assert darts.from_json(theirs) == KNOWN


def test_published_genotypes_are_read(shared):
    published = json.loads(shared("proxy_nas", "genotypes", "genotypes.json").read_text())
    for name, fields in published.items():
        assert json.loads(darts.to_json(darts.from_json(fields))) == fields, name


def changed(**fields):
    return json.dumps(KNOWN._asdict() | fields)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "must be JSON"),
        ("[]", "'normal' is missing"),
        ('{"normal": []}', "'normal_concat' is missing"),
        (changed(normal=CELL[:-1]), "normal must have 8 edges, two a node, got 7"),
        (changed(reduce=(("conv_7x7", 0), *CELL[1:])), "reduce, node 2: no operation 'conv_7x7': take one of max_pool"),
        (changed(normal=(("none", 0), *CELL[1:])), "no operation 'none'"),
        (changed(normal=(("skip_connect", 2), *CELL[1:])), "node 2: its sources are states 0 to 1, got 2"),
        (changed(normal_concat=(2, 6)), "normal_concat must name nodes of 2 to 5, got [2, 6]"),
        (changed(normal=3), "must be lists of [operation, source]"),
    ],
)
def test_what_is_no_genotype_is_refused(text, what):
    with pytest.raises(ValueError, match="genotype") as caught:
        darts.from_json(text)
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("alphas", "what"), [(np.zeros((13, 8)), "must be 14 x 8"), (np.full((14, 8), np.nan), "must be finite")]
)
def test_what_are_no_alphas_is_refused(alphas, what):
    with pytest.raises(ValueError, match=what):
        darts.derive_genotype(Alphas(alphas, alphas))


def test_the_graph_of_a_cell_has_its_edges():
    graph = darts.to_networkx(CELL)
    assert graph.number_of_edges() == 8 + 4
    assert graph["c_{k-1}"]["0"][0]["operation"] == "skip_connect"
    assert {start for start, _ in graph.in_edges("c_{k}")} == {"0", "1", "2", "3"}


def test_health_tells_a_collapsed_search():
    undecided, collapsed = np.zeros((14, 8)), np.zeros((14, 8))
    collapsed[:, OPERATIONS.index("skip_connect")] = 50
    assert darts.health(Alphas(collapsed, undecided)).skips == 8
    assert darts.health(Alphas(undecided, undecided)).entropy == pytest.approx(1)
    assert darts.health(Alphas(collapsed, collapsed)).entropy == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("source", "message"),
    [(1.9, "'float' object"), ("1", "'str' object"), (float("inf"), "'float' object"), (None, "'NoneType' object")],
)
def test_a_source_that_is_no_whole_number_is_refused(source, message):
    fields = KNOWN._asdict() | {"normal": [["skip_connect", source], *CELL[1:]]}
    with pytest.raises(ValueError, match=f"lists of .operation, source.: {message}"):
        darts.from_json(fields)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"normal": 1, "normal": 2}', None, 3])
def test_what_is_no_json_of_one_genotype_is_refused(text):
    with pytest.raises(ValueError, match="a genotype must be JSON"):
        darts.from_json(text)

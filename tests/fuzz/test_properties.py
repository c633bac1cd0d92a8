"""What is written is read back as it was, whatever it is; and no content of the right form ends in another error."""

import contextlib
import csv
import io
import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from framework import causal, data
from framework.causal.prior import answers as causal_answers
from framework.causal.prior import elicitation
from framework.core import files
from framework.nas import darts
from framework.runs.sweeps import grid
from framework.selection import entropy_file
from framework.ssd.device import presets
from framework.ssd.workload import traces
from tests.fuzz.readers import ANSWERS

often = settings(max_examples=int(os.environ.get("SEXTANT_FUZZ", "40")), derandomize=True, deadline=None, database=None)
finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.text("abc ,;\"'äß_-", min_size=1, max_size=6).filter(lambda name: name == name.strip() != "")
leaves = st.none() | st.booleans() | st.integers() | finite | st.text(max_size=8)
trees = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("properties")


def test_a_table_is_read_back_to_the_last_bit(folder):
    @often
    @given(st.lists(names, min_size=1, max_size=5, unique=True).flatmap(lambda result: st.tuples(
        st.just(result), st.lists(st.lists(finite, min_size=len(result), max_size=len(result)), max_size=5)
    )))  # fmt: skip
    def check(table):
        buffer = io.StringIO()
        csv.writer(buffer).writerows([table[0], *table[1]])
        (folder / "table.csv").write_text(buffer.getvalue(), encoding="utf-8", newline="")
        result = data.read_table(folder / "table.csv")
        assert result.names == tuple(table[0])
        assert result.values.tolist() == table[1]

    check()


@often
@given(trees)
def test_json_is_read_back(tree):
    assert files.parse_json(json.dumps(tree)) == tree


def test_arrays_are_read_back(folder):
    kinds = (
        arrays.boolean_dtypes() | arrays.integer_dtypes() | arrays.floating_dtypes() | arrays.unicode_string_dtypes()
    )

    @often
    @given(arrays.arrays(kinds, arrays.array_shapes(min_dims=0, min_side=0)))
    def check(array):
        np.savez(folder / "arrays.npz", a=array)
        np.testing.assert_array_equal(files.read_arrays(folder / "arrays.npz")["a"], array)

    check()


def test_entropies_are_read_back_to_the_last_bit(folder):
    positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)

    @often
    @given(st.lists(st.tuples(positive, st.integers(-(10**17), 10**17)), min_size=1).flatmap(
        lambda rows: st.tuples(st.just(rows), st.permutations(range(len(rows))))
    ))  # fmt: skip
    def check(drawn):
        rows, order = drawn
        entropy, classes = np.array([e for e, _ in rows]), np.array([c for _, c in rows])
        entropy_file.write_entropy_list(folder / "list.txt", np.array(order), entropy, classes)
        result = entropy_file.read_entropy_list(folder / "list.txt")
        assert result.entropy[list(order)].tolist() == entropy.tolist()
        assert result.classes[list(order)].tolist() == classes.tolist()

    check()


@pytest.mark.filterwarnings("ignore::framework.ssd.workload.generators.TraceWarning")  # times that no drive is asked at
def test_a_trace_is_read_back_to_the_nanosecond(folder):
    design = presets.isp_ml(channels=1, blocks=64, pages=64)
    sectors = design.capacity // 512

    @often
    @given(st.lists(st.tuples(st.integers(0, 2**49), st.integers(0, sectors - 1), st.integers(0, 1)), min_size=1))
    def check(drawn):
        rows = sorted(drawn)
        (folder / "trace").write_text("".join(f"{time} 0 {start} 1 {kind}\n" for time, start, kind in rows))
        load = traces.read_trace(folder / "trace", design)
        assert load.arrival.tolist() == [time - rows[0][0] for time, _, _ in rows]
        assert load.offset.tolist() == [512 * start for _, start, _ in rows]
        assert load.kind.tolist() == [1 - kind for _, _, kind in rows]

    check()


@often
@given(st.lists(st.integers() | finite | st.text(max_size=8) | st.booleans() | st.none(), min_size=1))
def test_a_grid_is_read_back(values):
    assert grid.read([f"config.key={values!r}"]) == {"key": values}


def test_answers_of_any_content_are_read_or_refused(folder):
    row = st.fixed_dictionaries({
        "sample": st.integers(-1, 2) | leaves, "a": st.sampled_from([*ANSWERS["variables"], 0]),
        "b": st.sampled_from([*ANSWERS["variables"], None]), "answer": st.sampled_from(["a->b", "none", "yes", 1]),
    })  # fmt: skip

    @often
    @given(st.lists(row, max_size=3), trees, st.sampled_from([*ANSWERS]))
    def check(rows, tree, field):
        (folder / "answers.json").write_text(json.dumps(ANSWERS | {"answers": rows} | {field: tree}))
        with contextlib.suppress(ValueError):
            answers = causal.read_answers(folder / "answers.json")
            assert answers.choices.shape == answers.samples.shape == answers.pairs.shape[:1]

    check()


@often
@given(st.fixed_dictionaries(dict.fromkeys(("normal", "normal_concat", "reduce", "reduce_concat"), trees)))
def test_genotypes_of_any_content_are_refused(fields):
    with pytest.raises(ValueError, match="genotype"):
        darts.from_json(fields)


@often
@given(st.text(max_size=40), st.sampled_from("ABCD"))
def test_replies_are_one_of_the_choices_or_unreadable(text, letter):
    question = elicitation.questionnaire("d", "c", {"a": "", "b": ""}).questions[0]
    assert elicitation.read_reply(question, text) in (*causal_answers.CHOICES, None)
    assert elicitation.read_reply(question, f"<think>{text}</think> **{letter}**") == dict(
        zip("ABCD", causal_answers.CHOICES, strict=True)
    )[letter]  # fmt: skip

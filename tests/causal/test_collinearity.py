import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework import causal
from framework.causal import collinearity

NAMES = ("age", "bp", "chol", "risk")


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(300, 4))


def joined(x, column):
    return np.concatenate([x, np.reshape(column, (len(x), -1))], axis=1)


@pytest.mark.parametrize("factor", [12, -1, 1e-6, 1 / 3, 2.54, 1e9])
@pytest.mark.parametrize("offset", [0, 32, -1000])
def test_a_copy_in_another_unit_is_found_with_its_factor(x, factor, offset):
    (relation,) = collinearity.relations(joined(x, factor * x[:, 1] + offset))
    assert (relation.column, relation.others) == (4, (1,))
    assert relation.coefficients == pytest.approx([factor], rel=1e-3)
    assert relation.constant == pytest.approx(offset, rel=1e-4, abs=1e-6)


def test_a_sum_is_found_with_its_coefficients(x):
    (relation,) = collinearity.relations(joined(x, 2 * x[:, 0] - x[:, 1] / 3 + 5))
    assert (relation.column, relation.others) == (4, (0, 1))
    assert relation.coefficients == pytest.approx([2, -1 / 3])
    assert relation.constant == pytest.approx(5)


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_exact_combinations_are_found_and_no_others(seed, columns, terms):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(columns + 2 + int(rng.integers(50)), columns)) @ rng.normal(size=(columns, columns))
    weights = np.where(np.arange(columns) < terms, rng.choice([-1, 1], columns) * rng.uniform(0.1, 10, columns), 0)
    assert collinearity.relations(x) == []
    (relation,) = collinearity.relations(joined(x, x @ weights + 7))
    assert relation.others == tuple(np.flatnonzero(weights))
    assert relation.coefficients == pytest.approx(weights[weights != 0], rel=1e-6)


@pytest.mark.parametrize("noise", [1e-2, 1e-4, 1e-6, 1e-9])
def test_noise_however_small_is_no_relation(x, noise):
    rest = np.random.default_rng(1).normal(size=300)
    assert collinearity.relations(joined(x, x[:, 0] + x[:, 1] + noise * rest)) == []
    assert collinearity.relations(joined(x, 12 * x[:, 0] + noise * rest)) == []


def test_rounding_does_not_hide_a_combination(x):
    single = (100 * x + 300).astype(np.float32)
    assert (
        len(collinearity.relations(joined(single, single[:, 0] * np.float32(0.37) + single[:, 1]).astype(float))) == 1
    )
    written = np.round(joined(10 * x, 4.536 * x[:, 0] + x[:, 1]), 4)
    assert [relation.others for relation in collinearity.relations(written)] == [(0, 1)]


def test_whole_numbers_that_only_nearly_fit_are_no_relation():
    rng = np.random.default_rng(0)
    x = rng.poisson(4, size=(500, 3))
    assert collinearity.relations(np.round(joined(x, x.sum(1) + rng.normal(size=500))).astype(float)) == []


def test_indicators_of_all_groups_add_up_to_one(x):
    groups = np.eye(3)[np.arange(300) % 3]
    (relation,) = collinearity.relations(joined(x, groups))
    assert (relation.column, relation.others, relation.constant) == (6, (4, 5), pytest.approx(1))
    assert relation.coefficients == pytest.approx([-1, -1])
    assert collinearity.relations(joined(x, groups[:, 1:])) == []


def test_few_rows_allow_only_copies_to_be_found(x):
    assert collinearity.relations(x[:4]) == []
    wide = np.random.default_rng(0).normal(size=(6, 9))
    wide[:, 8] = wide[:, 0] + wide[:, 1]
    assert collinearity.relations(wide) == []
    wide[:, 8] = 12 * wide[:, 0]
    assert [relation.others for relation in collinearity.relations(wide)] == [(0,)]


def test_numbers_of_any_size_are_compared(x):
    assert collinearity.relations(x * [1e300, 1e-300, 1, 1e-310]) == []
    assert len(collinearity.relations(joined(x, x[:, 0] * 1e-200))) == 1


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (
            lambda x: 12 * x[:, 0],
            "more is a copy of age: more = 12 age. No data can tell such columns apart: leave out more,",
        ),
        (lambda x: x[:, 1] + x[:, 2], "more is an exact sum of other columns: more = bp + chol. No"),
        (lambda x: 0.5 * x[:, 3] - x[:, 2] - 4, "more = -chol + 0.5 risk - 4. No"),
    ],
)
def test_the_columns_the_equation_and_the_advice_are_said(x, make, what):
    with pytest.raises(ValueError, match=re.escape(what)) as caught:
        collinearity.check(joined(x, make(x)), (*NAMES, "more"))
    assert "\n" not in str(caught.value)


def test_all_relations_are_said_at_once(x):
    table = joined(joined(x, 12 * x[:, 0]), x[:, 1] + x[:, 2])
    with pytest.raises(
        ValueError, match=r"months = 12 age; total = bp \+ chol\. .* leave out months, total, or another"
    ):
        collinearity.check(table, (*NAMES, "months", "total"))


def test_every_way_into_a_fit_refuses_them(x):
    import jax

    table = joined(x, 12 * x[:, 0])
    for call in (
        lambda: causal.fit(table),
        lambda: causal.fit(table, None, causal.Config.standardized()),
        lambda: causal.bootstrap(jax.random.key(0), table, 2),
        lambda: causal.choose(table),
    ):
        with pytest.raises(ValueError, match="column 4 is a copy of column 0: column 4 = 12 column 0"):
            call()


def test_leaving_the_column_out_as_advised_is_enough(x):
    table = joined(joined(x, x[:, 0] * 3 + 1), x.sum(1))
    advised = [relation.column for relation in collinearity.relations(table)]
    assert collinearity.relations(np.delete(table, advised, axis=1)) == []

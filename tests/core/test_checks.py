import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.core import checks

NAN = float("nan")


@pytest.mark.parametrize("count", [0, -1, 2.0, 2.5, "2", None, np.float32(1)])
def test_counts_refuse_by_name(count):
    with pytest.raises(ValueError, match=r"^pgd: steps must be a whole number of at least 1, got "):
        checks.counts("pgd: ", restarts=1, steps=count)


def test_counts_accept_whole_numbers_of_any_kind():
    checks.counts(steps=1, workers=np.int32(4), batch=2**40)


@pytest.mark.parametrize(
    ("check", "accepted", "refused", "message"),
    [
        (
            checks.at_least,
            [2, 2.0, np.array([2, 9]), np.inf],
            [1.9, NAN, "3", None, [1, 5]],
            "dt must be at least 2, got",
        ),
        (checks.in_interval, [0, 0.99, [0, 0.5]], [1, -0.1, NAN, "0"], r"dt must lie in \[0, 1\), got"),
    ],
)
def test_bounds_with_a_limit(check, accepted, refused, message):
    limit = 2 if check is checks.at_least else "[0, 1)"
    for value in accepted:
        check("dt", value, limit)
    for value in refused:
        with pytest.raises(ValueError, match=message):
            check("dt", value, limit)


@pytest.mark.parametrize(
    ("check", "accepted", "refused", "message"),
    [
        (
            checks.positive,
            [1, 0.1, np.float32(2)],
            [0, -1, np.inf, NAN, [1, 0], True],
            "must be above 0 and finite",
        ),
        (checks.non_negative, [0, 0.5, [0, 1]], [-1, np.inf, NAN], "must be at least 0 and finite, got"),
        (checks.finite, [-1, 0, [1e300]], [np.inf, [0, NAN], "x"], "must be finite, got"),
    ],
)
def test_bounds_without_a_limit(check, accepted, refused, message):
    for value in accepted:
        check("dt", value)
    for value in refused:
        with pytest.raises(ValueError, match=f"^dt {message}"):
            check("dt", value)


def test_positive_accepts_infinity_only_where_it_is_meant():
    checks.positive("clip", np.inf, finite=False)
    with pytest.raises(ValueError, match="clip must be above 0, got 0"):
        checks.positive("clip", 0, finite=False)


def test_half_precision_numbers_are_numbers():
    checks.positive("x", jnp.bfloat16(1))
    with pytest.raises(ValueError, match="x must be above 0 and finite, got -1"):
        checks.positive("x", jnp.asarray([1, -1], jnp.bfloat16))


def test_the_first_wrong_entry_is_named():
    with pytest.raises(ValueError, match=r"got -3\.0$"):
        checks.non_negative("dt", [1.0, -3.0, -4.0])


@pytest.mark.parametrize("value", ["c", None, 1, True, ["a"]])
def test_one_of_lists_the_choices(value):
    with pytest.raises(ValueError, match=r"^form must be one of a, b, got "):
        checks.one_of("form", value, ("a", "b"))
    checks.one_of("form", "a", ("a", "b"))


def test_one_of_tells_a_number_from_a_truth_value():
    with pytest.raises(ValueError, match="order must be one of 1, 2, got True"):
        checks.one_of("order", True, (1, 2))


def test_labels_are_whole_numbers_below_the_classes():
    checks.labels("labels", np.array([0, 2]), 3)
    with pytest.raises(ValueError, match="labels must be whole numbers from 0 to 2, got float64"):
        checks.labels("labels", np.array([0.0, 1.0]), 3)
    with pytest.raises(ValueError, match="labels must lie between 0 and 2, got -1 to 3"):
        checks.labels("labels", np.array([-1, 3]), 3)


def test_traced_values_pass():
    @jax.jit
    def checked(x, labels):
        checks.positive("x", x)
        checks.at_least("x", x, 5)
        checks.in_interval("x", x, "(0, 1]")
        checks.labels("labels", labels, 2)
        return x

    assert checked(jnp.float32(-1), jnp.array([7])) == -1

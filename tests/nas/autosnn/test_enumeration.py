import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.nas import autosnn
from framework.nas.autosnn import enumeration

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def table(supernet, halves):
    return autosnn.enumerate(supernet, *halves, batch=25)


@pytest.fixture(scope="module")
def one_by_one(supernet, halves):
    """Scores of each architecture by the one program for all, and how often that was compiled."""
    before = enumeration._evaluate._cache_size()
    space = supernet.space
    scores = [autosnn.evaluate(supernet, space.architecture(i), *halves, batch=25) for i in range(space.size)]
    return jax.tree.map(lambda *item: np.stack(item), *scores), enumeration._evaluate._cache_size() - before


def test_shared_beginnings_change_no_bit_of_any_score(table, one_by_one):
    scores, _ = one_by_one
    np.testing.assert_array_equal(table.accuracy, scores.accuracy)
    np.testing.assert_array_equal(table.spikes, scores.spikes)
    assert len(set(np.asarray(table.spikes).tolist())) == len(table.spikes)  # nine networks, not one nine times
    assert len(set(np.asarray(table.accuracy).tolist())) > 2


def test_one_program_serves_all_architectures(one_by_one):
    assert one_by_one[1] == 1


def test_an_inherited_network_has_the_supernets_scores(table, supernet, halves):
    images, labels = halves
    architecture = np.array([1, 2])
    index = supernet.space.index(architecture)
    net = autosnn.build_network(supernet.space, architecture)
    outputs, _ = jax.jit(net.apply)(*autosnn.inherit(supernet, architecture), images)
    assert np.mean(np.argmax(outputs.votes, -1) == labels) == pytest.approx(float(table.accuracy[index]))
    assert np.sum(outputs.spikes) / len(images) == pytest.approx(float(table.spikes[index]), rel=1e-6)


def test_parts_make_the_table_of_one_call(table, supernet, halves):
    part, fixed = jax.jit(enumeration.part), (supernet, *map(jnp.asarray, halves))
    parts = [part(number, fixed) for number in range(enumeration.parts(supernet))]
    result = enumeration.concatenate(jax.tree.map(lambda *item: np.stack(item), *parts))
    np.testing.assert_array_equal(result.accuracy, table.accuracy)
    np.testing.assert_array_equal(result.spikes, table.spikes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:0], y[:0]), "the validation set needs at least 1 image"),
        (lambda x, y: (x, y[:-1]), "a label for each"),
        (lambda x, y: (x, y + 1), r"labels of the validation set must lie in 0 .. 1, got 1 .. 2"),
        (lambda x, y: (x, 0.5 * y), "must be whole numbers from 0 to 1, got float64"),
        (lambda x, y: (x, 0 * y), "needs images of at least 2 classes, got only class 0"),
    ],
)
def test_validation_sets_that_say_nothing_are_refused(supernet, halves, change, message):
    with pytest.raises(ValueError, match=message):
        autosnn.enumerate(supernet, *change(*halves))
    with pytest.raises(ValueError, match=message):
        autosnn.evaluate(supernet, np.array([0, 1]), *change(*halves))


@pytest.mark.parametrize("architecture", [[0, 3], [0, -1], [0], [0, 1, 1]])
def test_architectures_outside_the_space_are_refused(supernet, halves, architecture):
    with pytest.raises(ValueError, match="an architecture of this space is 2 integers from 0 to 2"):
        autosnn.evaluate(supernet, architecture, *halves)
    with pytest.raises(ValueError, match="an architecture of this space is 2 integers from 0 to 2"):
        autosnn.inherit(supernet, architecture)


def test_no_image_at_a_time_is_refused(supernet, halves):
    for scores in (
        autosnn.enumerate,
        lambda *arguments, batch: autosnn.evaluate(arguments[0], [0, 1], *arguments[1:], batch),
    ):
        with pytest.raises(ValueError, match="a batch holds at least 1 image, got 0"):
            scores(supernet, *halves, batch=0)

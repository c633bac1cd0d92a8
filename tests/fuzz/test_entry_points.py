"""Public functions with one argument spoilt: a hang, a crash, a silent number or an obscure trace is now one line."""

import functools

import jax
import numpy as np
import pytest

from framework import causal, selection, snn
from framework.causal import graphs
from framework.snn import layers as snn_layers
from framework.snn.neurons import coding
from tests.fuzz.campaign import campaign
from tests.fuzz.entry_points import ROOMS, spoilt

REFUSED = [
    ("core", "keys.named", "key", "a seed", "a random key is wanted, as jax.random.key.0. makes it, got 3"),
    ("core", "keys.named", "key", "floats", "a random key is wanted, .* got float64 numbers"),
    ("selection", "sample", "key", "floats", "a random key is wanted"),
    ("selection", "coverage_centric", "key", "a seed", "a random key is wanted"),
    ("selection", "balance_classes", "key", "no key", "a random key is wanted"),
    ("attacks", "evaluate", "key", "a seed", "a random key is wanted"),
    ("data", "amplify", "key", "floats", "a random key is wanted"),
    ("nas", "rank_fidelity.bootstrap", "rankings", "an axis less", r"rankings must be \[M, N\]"),
    ("nas", "rank_fidelity.bootstrap", "rankings", "nothing", r"rankings must be \[M, N\]"),
    ("nas", "rank_fidelity.bootstrap", "draws", "0", "drawn at least once"),
    ("causal", "structural.linear", "samples", "-1", "samples must be a whole number of at least 1, got -1"),
    ("causal", "nonlinear.mlp", "samples", "a half", "samples must be a whole number of at least 1, got 5.5"),
    ("causal", "physics.draw", "key", "a seed", "a random key is wanted"),
    ("causal", "noise.unequal_scales", "nodes", "-1", "nodes must be a whole number of at least 1"),
    ("selection", "sample_many", "keys", "no key", "a random key is wanted, .* got None"),
    ("sgd", "shard", "key", "a seed", "a random key is wanted"),
    ("selection", "largest", "size", "a half", "points come in whole numbers, got 3.5"),
    ("selection", "sample by count", "count", "a half", "points come in whole numbers, got 6.5"),
    ("selection", "difficulty.el2n", "labels", "-1", "the label of point 0 is -1; labels are 0 to 2"),
    ("selection", "difficulty.el2n", "labels", "halves", "labels must be whole numbers"),
    ("selection", "difficulty.el2n", "logits", "a row less", "5 points need as many labels"),
    ("selection", "dynamics.update", "labels", "a million", "the label of point 0 is 1000000"),
    ("selection", "dynamics.update", "indices", "a million", "indices are 0 to 5"),
    ("selection", "moderate", "labels", "-1", "the label of point 0 is -1"),
    ("models", "training.accuracy", "batch", "0", "a batch at least 1 image"),
    ("models", "training.accuracy", "labels", "an axis more", r"6 images need as many labels, \[N\]"),
    ("models", "checks.labels", "values", "halves", "labels must be whole numbers from 0 to 2"),
    ("models", "resnet.recipe", "steps", "0", "steps must be a whole number of at least 1"),
    ("models", "resnet.recipe", "learning_rate", "NaN", "learning_rate must be at least 0 and finite"),
    ("sgd", "shard", "workers", "0", "workers must be a whole number of at least 1, got 0"),
    (
        "causal",
        "metrics.compare",
        "estimated_graph",
        "a row less",
        r"must be \[d, d\], all of one size; got true_graph",
    ),
    ("causal", "metrics.compare", "true_graph", "an axis less", r"must be \[d, d\]"),
    ("causal", "equivalence.cpdag", "graph", "a column less", r"must be \[d, d\]"),
    ("causal", "equivalence.cpdag_shd", "true_graph", "nothing", r"must be \[d, d\]"),
    ("causal", "equivalence.skeleton_scores", "true_graph", "an axis more", r"must be \[d, d\]"),
    ("causal", "intervention.sid", "estimated_graph", "an axis less", r"must be \[d, d\]"),
    ("causal", "ranking.auprc", "weights", "a column less", r"must be \[d, d\]"),
    ("causal", "dag", "weights", "a row less", r"must be \[d, d\]"),
    ("causal", "dag", "cut", "NaN", "cut must be finite and at least 0"),
    ("causal", "objective", "penalty", "-1", "penalty must be finite and at least 0"),
    ("causal", "Knowledge, hard", "forbidden", "NaN", "forbidden must be True or False, 1 or 0"),
    ("causal", "memory", "rows", "0", "at least 1 row"),
    ("nas", "space.architecture", "index", "-1", "an index of this space is a whole number from 0 to 124, got -1"),
    ("nas", "space.index", "architecture", "a million", "a choice of this space is a whole number from 0 to 4"),
    ("nas", "space.index", "architecture", "a row less", "an architecture has 3 choices"),
    ("nas", "augmentation.cutout", "size", "-1", "a side of 0 places or more"),
    ("nas", "augmentation.shifted_and_mirrored", "reach", "-1", "moved by 0 places or more"),
    ("nas", "advrush.Regulariser", "h", "NaN", "h and warmup must be finite"),
    ("nas", "advrush.Regulariser", "gamma", "infinity", "gamma and scale must be finite"),
    ("nas", "nasbench201.to_text", "architecture", "-1", "an architecture is 6 numbers from 0 to 4"),
    ("ssd", "load.poisson", "rate", "infinity", "rate must be positive and finite"),
]


@functools.cache
def calls(room):
    return {call.name: call for call in ROOMS[room]()}


@pytest.mark.parametrize(("room", "name", "argument", "word", "message"), REFUSED)
def test_a_corrupt_argument_is_refused_in_the_functions_words(room, name, argument, word, message):
    call = calls(room)[name]
    bad = dict(spoilt(call.arguments[argument]))[word]
    with pytest.raises(ValueError, match=message) as error:
        call.function(**call.arguments | {argument: bad})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_cycles_of_nan_weights_are_broken(weight):
    weights = np.array([[0, weight, 0], [0, 0, 2.0], [1.0, 0, 0]], np.float32)
    result = np.asarray(graphs.break_cycles(weights)) != 0
    assert graphs.is_dag(result)
    assert result.sum() == 2
    assert result[0, 1] == (weight == np.inf)


def test_a_period_that_no_memory_holds_is_refused():
    with pytest.raises(ValueError, match="period of phase must be at least 1 step, got 1099511627776, and at most 126"):
        coding.phase(2**40)


def test_no_point_may_be_asked_for_of_many_selections():
    assert selection.sample_many(jax.random.split(jax.random.key(0), 3), 0, count=5).shape == (3, 0)


def test_images_of_another_shape_are_refused_with_the_layer():
    layers = (snn_layers.flatten(), snn_layers.dense(3))
    params = snn.init(jax.random.key(0), layers, (4, 4, 1))
    with pytest.raises(ValueError, match=r"layer 1 \(dense\) takes"):
        snn.convert(layers, params, np.ones((2, 5, 4, 1), np.float32), hidden_code=coding.rate())


def test_a_column_named_twice_is_no_knowledge():
    with pytest.raises(ValueError, match="a name stands twice among the columns a, a"):
        causal.Knowledge(names=("a", "a"), tiers=[["a"]])


@pytest.mark.long
@pytest.mark.parametrize("room", ROOMS)
def test_corrupt_arguments_give_a_value_or_an_ordinary_error(room):
    """In a process of its own: no crash, no hang, no error of another kind."""
    kinds = {kind for item in campaign(room, 0) for kind in item["outcomes"]}
    assert kinds
    assert kinds <= {"accepted", "refused", "refused by a library", "NaN"}

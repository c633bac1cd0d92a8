import dataclasses

import numpy as np
import pytest

from framework import causal
from framework.causal.discrete import orientation
from framework.causal.learn import mlp

SHORT = (50, 50, 50, 50, 100)
CONFIGS = {
    "center": causal.Config.equal_variance(stage_steps=SHORT),
    "log_standardize": causal.Config.equal_variance(
        transform="log_standardize", cut=0.1, noise="unequal", stage_steps=SHORT
    ),
    "mlp": causal.Config.equal_variance(score="mlp", finish="cut", cut=0.1, hidden=3, stage_steps=SHORT),
}


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(0)
    a, e, f = rng.normal(size=(3, 300))
    return np.stack([a, 1.5 * a + e, a - e + f], axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_result_comes_back_as_it_was_saved(x, tmp_path, config, extra):
    frame = extra("pandas").DataFrame(x, columns=["a", "b", "c"])
    result = causal.fit(frame, None, config)
    causal.save(result, tmp_path / "fit.npz")
    loaded = causal.load(tmp_path / "fit.npz")
    assert (loaded.names, loaded.transform, loaded.score) == (("a", "b", "c"), config.transform, config.score)
    np.testing.assert_array_equal(loaded.weights, result.weights)
    np.testing.assert_array_equal(causal.predict(loaded, x), causal.predict(result, x))
    assert [path.name for path in tmp_path.iterdir()] == ["fit.npz"]


@pytest.mark.slow
def test_predictions_are_the_regressions_on_the_parents(x):
    result = causal.fit(x[:200] + 5, None, CONFIGS["center"])
    predicted = causal.predict(result, x[200:] + 5)
    for j in range(3):
        design = np.column_stack([np.ones(200), (x[:200] + 5)[:, result.graph[:, j]]])
        coefficients = np.linalg.lstsq(design, x[:200, j] + 5, rcond=None)[0]
        rows = np.column_stack([np.ones(100), (x[200:] + 5)[:, result.graph[:, j]]])
        np.testing.assert_allclose(predicted[:, j], rows @ coefficients, rtol=1e-6)


def test_columns_of_a_frame_are_matched_by_name(x, extra):
    frame = extra("pandas").DataFrame(x, columns=["a", "b", "c"])
    result = causal.fit(frame, None, CONFIGS["log_standardize"])
    np.testing.assert_array_equal(causal.predict(result, frame[["c", "a", "b"]]), causal.predict(result, x))
    with pytest.raises(ValueError, match="lack the columns b"):
        causal.predict(result, frame[["a", "c"]])


@pytest.mark.slow
def test_predict_matches_numbered_columns_and_ignores_others(x, extra):
    frame = extra("pandas").DataFrame(x)
    result = causal.fit(frame, None, CONFIGS["center"])
    mixed = frame.assign(who="somebody")[["who", 2, 0, 1]]
    np.testing.assert_array_equal(causal.predict(result, mixed), causal.predict(result, x))


def test_predictions_are_in_the_units_of_the_table():
    """By hand, x0 -> x1 with weight 2 in each transform and score, and an MLP of one unit."""
    graph = np.array([[False, True], [False, False]])
    made = lambda transform, score, network=None: causal.Result(
        2.0 * graph,
        graph,
        2.0 * graph,
        graph.astype(np.int8),
        np.int32(0),
        np.array([1.0, 3.0]),
        np.array([2.0, 5.0]),
        network,
        None,
        transform,
        score,
    )
    x = np.array([[4.0, 0.0], [0.0, 1.0], [1.0, 0.5]])
    standard = (x[:, 0] - 1) / 2
    predicted = causal.predict(made("standardize", "least_squares"), x)
    np.testing.assert_allclose(predicted, np.stack([np.full(3, 1.0), 3 + 5 * 2 * standard], 1))
    logged = (np.log(x[:, 0] + 10) - 1) / 2
    predicted = causal.predict(made("log_standardize", "least_squares"), x)
    np.testing.assert_allclose(predicted, np.exp(np.stack([np.full(3, 1.0), 3 + 5 * 2 * logged], 1)) - 10)
    plain = made("none", "logistic")
    plain = dataclasses.replace(plain, location=np.zeros(2), scale=np.ones(2))
    np.testing.assert_allclose(causal.predict(plain, x)[:, 1], 1 / (1 + np.exp(-2 * x[:, 0])))
    first = np.ones((2, 2, 1))  # from both columns to both, of which the graph leaves x0 to x1
    network = mlp.Network(first, np.full((2, 1), 0.3), np.full((2, 1), 4.0), np.array([0.1, 0.2]))
    hidden = lambda inner: 1 / (1 + np.exp(-inner - 0.3))
    expected = np.stack([1 + 2 * (0.1 + 4 * hidden(np.zeros(3))), 3 + 5 * (0.2 + 4 * hidden(standard))], 1)
    np.testing.assert_allclose(causal.predict(made("standardize", "mlp", network), x), expected)
    with pytest.raises(ValueError, match="log_standardize needs values above -10, but column 0 goes down to -15"):
        causal.predict(made("log_standardize", "least_squares"), x - [[15.0, 0.0]])


@pytest.mark.parametrize(
    ("rows", "what"), [(np.zeros((4, 2)), "rows of 3 columns"), (np.full((4, 3), np.nan), "must be finite")]
)
def test_bad_rows_are_refused(x, rows, what):
    with pytest.raises(ValueError, match=what):
        causal.predict(causal.fit(x, None, CONFIGS["center"]), rows)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut short"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "fit.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"fit\.npz: not a saved result"):
        causal.load(path)


def test_archives_of_other_things_and_missing_files_are_refused(x, tmp_path):
    np.savez(tmp_path / "other.npz", weights=np.zeros((2, 2)))
    with pytest.raises(ValueError, match="not a saved result"):
        causal.load(tmp_path / "other.npz")
    np.savez(tmp_path / "pickled.npz", static=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="not a saved result"):
        causal.load(tmp_path / "pickled.npz")
    with pytest.raises(FileNotFoundError):
        causal.load(tmp_path / "absent.npz")
    with pytest.raises(ValueError, match=r"is saved as \.npz"):
        causal.save(causal.fit(x, None, CONFIGS["center"]), tmp_path / "fit.pkl")


def result_of(graph):
    size = len(graph)
    direction = np.where(graph, orientation.COMPELLED, orientation.NONE)
    return causal.Result(
        graph * 1.0, graph, graph * 1.0, direction, np.int32(0), np.zeros(size), np.ones(size), network=None
    )


def test_of_a_file_without_directions_only_the_class_is_known(tmp_path):
    """0 -> 1 <- 2 is a collider, 3 -> 4 is open whatever it once owed its direction to."""
    graph = np.zeros((5, 5), bool)
    graph[[0, 2, 3], [1, 1, 4]] = True
    causal.save(result_of(graph), tmp_path / "fit.npz")
    with np.load(tmp_path / "fit.npz") as content:
        np.savez(tmp_path / "old.npz", **{name: content[name] for name in content.files if name != "direction"})
    direction = causal.load(tmp_path / "old.npz").direction
    assert [orientation.DIRECTIONS[direction[edge]] for edge in ((0, 1), (2, 1), (3, 4))] == ["compelled"] * 2 + [
        "open"
    ]
    assert np.count_nonzero(direction) == 3


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weights", np.zeros((3, 2)), r"weights must be finite numbers \(3, 3\)"),
        ("weights", np.full((3, 3), np.nan), "weights must be finite"),
        ("graph", np.ones((3, 3)), "graph must be finite numbers"),
        ("direction", np.zeros((3, 3), np.int8), "edges and their directions"),
        ("direction", np.full((3, 3), 9, np.int8), "edges and their directions"),
        ("status", np.array(7), "its score, transform or status"),
        ("static", np.array('{"names": ["a", "a", "b"], "transform": "center", "score": "golem_ev"}'), "other names"),
        ("offsets", np.zeros(3), "it holds offsets too, of another version"),
        (
            "static",
            np.array('{"names": null, "transform": "center", "score": "golem_ev", "unit": "m"}'),
            "it holds unit too",
        ),
        ("static", np.array('{"names": null, "transform": "x", "score": "golem_ev"}'), "its score, transform"),
        ("static", np.array('{"names": null, "transform": "center", "score": "mlp"}'), "'mlp' and the network"),
    ],
)
def test_results_whose_parts_do_not_fit_are_refused(tmp_path, name, value, message):
    graph = np.triu(np.ones((3, 3), bool), 1)
    causal.save(result_of(graph), tmp_path / "fit.npz")
    with np.load(tmp_path / "fit.npz") as content:
        np.savez(tmp_path / "fit.npz", **dict(content) | {name: value})
    with pytest.raises(ValueError, match=rf"fit\.npz: not a saved result of causal\.fit .*{message}"):
        causal.load(tmp_path / "fit.npz")

"""Saving, loading and prediction with a fitted result."""

import dataclasses
import io
import json
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import frames, graphs, inputs
from framework.causal.config import SCORES
from framework.causal.discrete import equivalence, orientation
from framework.causal.learn import mlp, moments
from framework.causal.learner import STATUS, Result
from framework.core.files import parse_json, read_arrays, write_bytes
from framework.core.precision import x64

_STATIC = ("names", "transform", "score")


def save(result: Result, path: str | os.PathLike) -> None:
    """Writes a result to an `.npz` file atomically, names included.

    Args:
      result: one result of `fit`.
      path: the file, which must end in `.npz`.

    Raises:
      ValueError: if the path does not end in `.npz`, or the result is a batch.
      OSError: if the file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"{path}: a result is saved as .npz")
    if np.ndim(result.graph) != 2:
        raise ValueError(f"{path}: one result is saved at a time, got a batch of shape {np.shape(result.graph)}")
    arrays = {name: np.asarray(getattr(result, name)) for name in _arrays()}
    if result.network is not None:
        arrays |= {f"network.{name}": np.asarray(leaf) for name, leaf in result.network._asdict().items()}
    static = json.dumps({name: getattr(result, name) for name in _STATIC})
    buffer = io.BytesIO()
    np.savez(buffer, static=np.array(static), **arrays)
    write_bytes(path, buffer.getvalue())


def load(path: str | os.PathLike) -> Result:
    """Reads a file that `save` wrote; nothing in the file is executed.

    Old files have no directions. Their edges are then `compelled` or `open` by the graph's equivalence class;
    directions that came from knowledge, a prior or an assumption are lost.

    Args:
      path: the file.

    Returns:
      The result.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is not a saved result, or holds anything that this version would leave out.
    """
    try:
        content = read_arrays(path)
        static = parse_json(str(content.pop("static")))
        layers = {name.partition(".")[2]: leaf for name, leaf in content.items() if name.startswith("network.")}
        names = None if static["names"] is None else tuple(static["names"])
        if "direction" not in content:
            content["direction"] = _directions(content["graph"])
        arrays = {name: content[name] for name in _arrays()}
        unknown = [name for name in content if name not in arrays and not name.startswith("network.")]
        if unknown := unknown + sorted(set(static) - set(_STATIC)):
            raise ValueError(f"it holds {', '.join(unknown)[:200]} too, of another version or program")
        network = mlp.Network(**layers) if layers else None
        result = Result(**arrays, network=network, names=names, transform=static["transform"], score=static["score"])
        _check(result)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a saved result of causal.fit ({error})") from None
    return result


def predict(result: Result, x: Any) -> np.ndarray:
    """Predicts each column from its parents in the graph.

    A column without parents is predicted by its mean in the table that was fitted. After `log_standardize` the
    expectation is taken of the logarithm; with the logistic score it is the probability of a 1.

    Args:
      result: what `fit` returned, or `load`.
      x: rows of the same columns, `[n, d]`, or a DataFrame, whose columns are then matched by name.

    Returns:
      The expected values, `[n, d]` float64 in the units of x.

    Raises:
      ValueError: if x has other columns, is not finite, or has no logarithm where one is taken.
    """
    x = frames.from_frame(x, result.names)[0] if frames.is_frame(x) else frames.from_array(x)
    if x.ndim != 2 or x.shape[1] != len(result.graph):
        raise ValueError(f"rows of {len(result.graph)} columns are wanted, [n, {len(result.graph)}], got {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("rows to predict must be finite")
    inputs.check_logarithms(x, result.transform, result.names or inputs.default_names(x.shape[1]))
    with x64():
        return np.asarray(_predict(result, jnp.asarray(x)))


def _predict(result: Result, x: jax.Array) -> jax.Array:
    values = (moments.take_logarithm(x, result.transform) - result.location) / np.where(
        result.scale == 0, np.inf, result.scale
    )
    if result.score == "mlp":
        network = result.network._replace(first=result.network.first * result.graph[:, :, None])
        expected = mlp.predict(network, values)
    else:
        expected = values @ result.weights
    if result.score == "logistic":
        return jax.nn.sigmoid(expected)
    expected = expected * result.scale + result.location
    return jnp.exp(expected) - moments.LOG_SHIFT if result.transform == "log_standardize" else expected


def _directions(graph: np.ndarray) -> np.ndarray:
    """The directions that follow from the equivalence class of the graph."""
    graphs.require_square(graph=graph)
    compelled = np.asarray(equivalence.compelled_edges(graph))
    return np.where(compelled, orientation.COMPELLED, np.where(graph, orientation.OPEN, orientation.NONE))


def _check(result: Result) -> None:
    """Refuses a result whose parts are inconsistent."""
    size, names = np.shape(result.graph)[-1], result.names
    shapes = dict.fromkeys(("weights", "graph", "direction", "uncut"), (size, size)) | dict.fromkeys(
        ("location", "scale"), (size,)
    )
    parts = {name: (getattr(result, name), shape) for name, shape in shapes.items()} | {"status": (result.status, ())}
    if (result.network is None) == (result.score == "mlp"):
        raise ValueError(f"the score {result.score!r} and the network do not go together")
    if result.network is not None:
        hidden = np.shape(result.network.first)[-1]
        layer_shapes = ((size, size, hidden), (size, hidden), (size, hidden), (size,))
        parts |= {
            f"network.{k}": part for k, *part in zip(mlp.Network._fields, result.network, layer_shapes, strict=True)
        }
    for name, (value, shape) in parts.items():
        kinds = {"graph": "b", "direction": "i", "status": "iu"}.get(name, "f")
        if value.shape != shape or value.dtype.kind not in kinds or not np.isfinite(value).all():
            raise ValueError(f"{name} must be finite numbers {shape}, got {value.dtype}{value.shape}")
    valid = (result.direction >= 0) & (result.direction < len(orientation.DIRECTIONS))
    if not valid.all() or ((result.direction != orientation.NONE) != result.graph).any():
        raise ValueError("its edges and their directions do not go together")
    if names is not None and (len(set(names)) != size or not all(isinstance(name, str) for name in names)):
        raise ValueError(f"{size} columns have other names than one each")
    if result.score not in SCORES or result.transform not in moments.TRANSFORMS or not 0 <= result.status < len(STATUS):
        raise ValueError("its score, transform or status is none of this program's")


def _arrays() -> list[str]:
    return [field.name for field in dataclasses.fields(Result) if field.name not in (*_STATIC, "network")]

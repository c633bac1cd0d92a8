"""Networks on disk: arrays as an orbax checkpoint, and beside them the structure as JSON.

    PATH/arrays/          params, and the scales of a converted network
    PATH/network.json     layers, codes or neuron by name and options, and a digest of each file of `arrays`

A network is built in a directory beside its path and moved there, so that PATH is whole or absent. A surrogate is not
saved, since it changes no spike: who trains a loaded network on makes its unit anew.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from framework.core.files import parse_json, write_bytes
from framework.snn import layers as described
from framework.snn.conversion import normalization
from framework.snn.conversion.normalization import Spiking
from framework.snn.layers import Layer
from framework.snn.network import check_learned
from framework.snn.neurons import coding, encoding, models
from framework.snn.neurons.factories import Record, remade
from framework.snn.trained import Trained, check_params

FORMAT = "snn network 1"
ARRAYS, STRUCTURE = "arrays", "network.json"

LAYERS = {
    each.__name__: each
    for each in (
        described.dense,
        described.recurrent,
        described.conv,
        described.pool,
        described.norm,
        described.flatten,
    )
}
NEURONS = {
    each.__name__: each
    for each in (
        models.integrate_and_fire,
        models.lif,
        models.plif,
        models.adaptive_lif,
        models.synaptic_lif,
        models.leaky_integrator,
    )
}
UNITS = NEURONS | coding.CODES


def save(network: Spiking | Trained, path: str | os.PathLike) -> None:
    """Writes a converted or a trained network to a new directory, which is whole or absent.

    Raises:
      ValueError: if the path exists, the parameters do not fit the layers, or a code or neuron has no record of how it
        was made: one made by hand, or with numbers that are traced or have axes.
      OSError: if it cannot be written.
    """
    import orbax.checkpoint as ocp

    path = Path(path).absolute()
    if os.path.lexists(path):
        raise ValueError(f"{path} exists: a network is saved to a new path")
    structure, arrays = _structure(network), _arrays(network)
    _check(network)
    beside = path.with_name(f".{path.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)  # of a save that was cut
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(beside / ARRAYS, arrays)
        structure["files"] = _digests(beside)
        whole = {"format": FORMAT, "digest": _digest(_canonical(structure)), "network": structure}
        write_bytes(beside / STRUCTURE, json.dumps(whole, indent=1).encode())
        os.rename(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def load(path: str | os.PathLike) -> Spiking | Trained:
    """Reads what `save` wrote; nothing in the files is executed.

    Raises:
      FileNotFoundError: if there is no such path.
      ValueError: if it is not a saved network, or one that was cut or damaged.
    """
    path = Path(path).absolute()
    if not path.exists():
        raise FileNotFoundError(f"no such network: {path}")
    try:
        structure = _read(path / STRUCTURE)
        found = _digests(path)
        for name, digest in structure["files"].items():
            if found.get(name) != digest:
                raise ValueError(f"{name} is {'damaged' if name in found else 'missing'}")
        network = _network(structure, _restore(path / ARRAYS))
        _check(network)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: not a whole saved network: {' '.join(str(error).split())[:300]}") from None
    return network


def _structure(network: Spiking | Trained) -> dict[str, Any]:
    """All but the arrays, as JSON has it."""
    common = {"layers": [_described(i, each) for i, each in enumerate(network.layers)], "shape": list(network.shape)}
    if isinstance(network, Trained):
        return {"kind": "trained", **common, "unit": _record("unit", network.unit), "steps": int(network.steps)}
    codes = {name: _record(name, getattr(network, name)) for name in ("input_code", "hidden_code")}
    return {"kind": "spiking", **common, **codes, "readout": network.readout, "bias": network.bias}


def _network(structure: dict[str, Any], arrays: dict[str, Any]) -> Spiking | Trained:
    layers = tuple(remade(record, LAYERS) for record in structure["layers"])
    if unknown := arrays["params"].keys() - {str(i) for i in range(len(layers))}:
        raise ValueError(f"{ARRAYS} hold parameters of a layer {min(unknown)!r}, of {len(layers)}")
    params = tuple(arrays["params"].get(str(i), {}) for i in range(len(layers)))
    shape = tuple(structure["shape"])
    if structure["kind"] == "trained":
        return Trained(params, layers, shape, remade(structure["unit"], UNITS), structure["steps"])
    codes = [remade(structure[name], coding.CODES) for name in ("input_code", "hidden_code")]
    return Spiking(params, arrays["scales"], layers, shape, *codes, structure["readout"], structure["bias"])


def _described(i: int, layer: Layer) -> Record:
    name = described.name(layer)
    if name not in LAYERS:
        raise ValueError(f"layer {i}, a {type(layer).__name__}, is none of snn.layer")
    return name, dict(vars(layer))


def _record(what: str, unit: Any) -> Record:
    made = getattr(unit, "made", None)
    if made is None or made[0] not in UNITS:
        raise ValueError(
            f"{what} has no record of how it was made: make it with a factory of snn.neuron or snn.coding, of plain "
            "numbers"
        )
    return made


def _arrays(network: Spiking | Trained) -> dict[str, Any]:
    """A tree of dicts, without empty ones."""
    params = {str(i): own for i, own in enumerate(network.params) if own}
    scales = {} if isinstance(network, Trained) else {"scales": network.scales}
    return jax.tree.map(np.asarray, {"params": params, **scales})


def _restore(path: Path) -> dict[str, Any]:
    import orbax.checkpoint as ocp

    try:
        with ocp.StandardCheckpointer() as checkpointer:
            return jax.tree.map(jnp.asarray, checkpointer.restore(path))
    except Exception as error:  # noqa: BLE001  (orbax and tensorstore raise many kinds)
        raise ValueError(f"{path.name} cannot be read: {error}") from None


def _read(path: Path) -> dict[str, Any]:
    whole = parse_json(path.read_bytes())
    if whole["format"] != FORMAT:
        raise ValueError(f"{path.name} has the format {whole['format']!r}, not {FORMAT!r}")
    if whole["digest"] != _digest(_canonical(whole["network"])):
        raise ValueError(f"{path.name} is damaged")
    return whole["network"]


def _check(network: Spiking | Trained) -> None:
    """Whether the parts of a network go together."""
    check_params(network.layers, network.params, network.shape)
    if isinstance(network, Trained):
        if network.unit.step is None:
            raise ValueError(f"the {network.unit.name} code has no role in hidden layers")
        check_learned(network.layers, network.params, network.unit)
        if network.steps < 1 or network.steps % 1:
            raise ValueError(f"a spiking network takes at least 1 step, got {network.steps}")
        return
    encoding.delivery(network.input_code, network.hidden_code, network.bias == "spread")
    for name, choices in (("readout", normalization.READOUTS), ("bias", normalization.BIASES)):
        if getattr(network, name) not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(network, name)!r}")
    if np.shape(network.scales) != (wanted := (len(described.stages(network.layers)) + 1,)):
        raise ValueError(f"scales must have shape {wanted}, got {np.shape(network.scales)}")


def _digests(path: Path) -> dict[str, str]:
    """Of each file of the arrays, by its path."""
    files = [file for file in sorted((path / ARRAYS).rglob("*")) if file.is_file()]
    return {file.relative_to(path).as_posix(): _digest(file.read_bytes()) for file in files}


def _canonical(structure: dict[str, Any]) -> bytes:
    return json.dumps(structure, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

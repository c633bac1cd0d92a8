"""Storage of networks on disk: arrays as an orbax checkpoint, and the structure as JSON.

    PATH/arrays/          params, and the scales of a converted network
    PATH/network.json     layers, codes or neuron by name and options, and a digest of each file of `arrays`

A network is written to a temporary directory next to PATH and renamed, so that PATH is complete or absent. A surrogate
is not saved, because it changes no spike: to continue the training of a loaded network, make its unit again.
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

from framework.core import checks
from framework.core.files import parse_json, write_bytes
from framework.snn.conversion import normalization
from framework.snn.conversion.normalization import SpikingNetwork
from framework.snn.layers import Layer, conv, dense, flatten, layer_name, network_stages, norm, pool, recurrent
from framework.snn.network import check_unit_params
from framework.snn.neurons import coding, encoding, models
from framework.snn.neurons.factories import Record, rebuild
from framework.snn.trained import TrainedNetwork, check_params

FORMAT = "snn network 1"
ARRAYS, STRUCTURE = "arrays", "network.json"

LAYERS = {factory.__name__: factory for factory in (dense, recurrent, conv, pool, norm, flatten)}
NEURONS = {
    factory.__name__: factory
    for factory in (
        models.integrate_and_fire,
        models.lif,
        models.plif,
        models.adaptive_lif,
        models.synaptic_lif,
        models.leaky_integrator,
    )
}
UNITS = NEURONS | coding.CODES


def save(network: SpikingNetwork | TrainedNetwork, path: str | os.PathLike) -> None:
    """Saves a converted or a trained network to a new directory, which is complete or absent.

    Args:
      network: a converted or trained network.
      path: of the new directory.

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
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of an interrupted save
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(partial / ARRAYS, arrays)
        structure["files"] = _digests(partial)
        content = {"format": FORMAT, "digest": _digest(_canonical(structure)), "network": structure}
        write_bytes(partial / STRUCTURE, json.dumps(content, indent=1).encode())
        os.rename(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load(path: str | os.PathLike) -> SpikingNetwork | TrainedNetwork:
    """Loads a network that `save` wrote; nothing in the files is executed.

    Raises:
      FileNotFoundError: if there is no such path.
      ValueError: if it is not a saved network, or one that is incomplete or damaged.
    """
    path = Path(path).absolute()
    if not path.exists():
        raise FileNotFoundError(f"no such network: {path}")
    try:
        structure = _read(path / STRUCTURE)
        digests = _digests(path)
        for name, digest in structure["files"].items():
            if digests.get(name) != digest:
                raise ValueError(f"{name} is {'damaged' if name in digests else 'missing'}")
        network = _network(structure, _restore(path / ARRAYS))
        _check(network)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: not a complete saved network: {' '.join(str(error).split())[:300]}") from None
    return network


def _structure(network: SpikingNetwork | TrainedNetwork) -> dict[str, Any]:
    """Structure of a network without its arrays, as JSON."""
    layers = [_layer_record(i, layer) for i, layer in enumerate(network.layers)]
    common = {"layers": layers, "shape": list(network.shape)}
    if isinstance(network, TrainedNetwork):
        return {"kind": "trained", **common, "unit": _record("unit", network.unit), "steps": int(network.steps)}
    codes = {name: _record(name, getattr(network, name)) for name in ("input_code", "hidden_code")}
    return {"kind": "spiking", **common, **codes, "readout": network.readout, "bias": network.bias}


def _network(structure: dict[str, Any], arrays: dict[str, Any]) -> SpikingNetwork | TrainedNetwork:
    layers = tuple(rebuild(record, LAYERS) for record in structure["layers"])
    if unknown := arrays["params"].keys() - {str(i) for i in range(len(layers))}:
        raise ValueError(f"{ARRAYS} hold parameters of a layer {min(unknown)!r}, of {len(layers)}")
    params = tuple(arrays["params"].get(str(i), {}) for i in range(len(layers)))
    shape = tuple(structure["shape"])
    if structure["kind"] == "trained":
        return TrainedNetwork(params, layers, shape, rebuild(structure["unit"], UNITS), structure["steps"])
    codes = [rebuild(structure[name], coding.CODES) for name in ("input_code", "hidden_code")]
    return SpikingNetwork(params, arrays["scales"], layers, shape, *codes, structure["readout"], structure["bias"])


def _layer_record(i: int, layer: Layer) -> Record:
    name = layer_name(layer)
    if name not in LAYERS:
        raise ValueError(f"layer {i}, a {type(layer).__name__}, is none of snn.layers")
    return name, dict(vars(layer))


def _record(role: str, unit: Any) -> Record:
    record = getattr(unit, "record", None)
    if record is None or record[0] not in UNITS:
        raise ValueError(
            f"{role} has no record of how it was made: make it with a factory of neurons.models or neurons.coding, "
            "of plain numbers"
        )
    return record


def _arrays(network: SpikingNetwork | TrainedNetwork) -> dict[str, Any]:
    """A tree of dicts, without empty ones."""
    params = {str(i): layer_params for i, layer_params in enumerate(network.params) if layer_params}
    scales = {} if isinstance(network, TrainedNetwork) else {"scales": network.scales}
    return jax.tree.map(np.asarray, {"params": params, **scales})


def _restore(path: Path) -> dict[str, Any]:
    import orbax.checkpoint as ocp

    try:
        with ocp.StandardCheckpointer() as checkpointer:
            return jax.tree.map(jnp.asarray, checkpointer.restore(path))
    except Exception as error:  # noqa: BLE001  (orbax and tensorstore raise many kinds)
        raise ValueError(f"{path.name} cannot be read: {error}") from None


def _read(path: Path) -> dict[str, Any]:
    content = parse_json(path.read_bytes())
    if content["format"] != FORMAT:
        raise ValueError(f"{path.name} has the format {content['format']!r}, not {FORMAT!r}")
    if content["digest"] != _digest(_canonical(content["network"])):
        raise ValueError(f"{path.name} is damaged")
    return content["network"]


def _check(network: SpikingNetwork | TrainedNetwork) -> None:
    """Refuses a network whose parts do not fit together."""
    check_params(network.layers, network.params, network.shape)
    if isinstance(network, TrainedNetwork):
        if network.unit.step is None:
            raise ValueError(f"the {network.unit.name} code has no role in hidden layers")
        check_unit_params(network.layers, network.params, network.unit)
        if network.steps < 1 or network.steps % 1:
            raise ValueError(f"a spiking network takes at least 1 step, got {network.steps}")
        return
    encoding.input_scaling(network.input_code, network.hidden_code, network.bias == "spread")
    for name, choices in (("readout", normalization.READOUTS), ("bias", normalization.BIASES)):
        checks.one_of(name, getattr(network, name), choices)
    if np.shape(network.scales) != (expected := (len(network_stages(network.layers)) + 1,)):
        raise ValueError(f"scales must have shape {expected}, got {np.shape(network.scales)}")


def _digests(path: Path) -> dict[str, str]:
    """Digest of each file of the arrays, by its path."""
    files = [file for file in sorted((path / ARRAYS).rglob("*")) if file.is_file()]
    return {file.relative_to(path).as_posix(): _digest(file.read_bytes()) for file in files}


def _canonical(structure: dict[str, Any]) -> bytes:
    return json.dumps(structure, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

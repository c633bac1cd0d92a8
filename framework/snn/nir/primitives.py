"""NIR's primitives: nodes, their fields and checks, and graphs; both are pytrees of their parameters.

A neuron's parameters have one number for each neuron. Fields have NIR's names and layout.

Reference: Pedersen et al., "Neuromorphic intermediate representation", Nature Communications, 2024, arXiv 2311.14641.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.core.tracing import is_traced

NEURONS = {
    "I": ("r",),
    "IF": ("r", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
}
_CONV = ("weight", "stride", "padding", "dilation", "groups", "bias")
_POOL = ("kernel_size", "stride", "padding")
FIELDS = {
    "Input": ("shape",),
    "Output": ("shape",),
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Scale": ("scale",),
    "Conv1d": _CONV,
    "Conv2d": _CONV,
    "SumPool2d": _POOL,
    "AvgPool2d": _POOL,
    "Flatten": ("start_dim", "end_dim"),
    "Delay": ("delay",),
    "Threshold": ("threshold",),
} | NEURONS
OPTIONAL = {"Conv1d": "input_shape", "Conv2d": "input_shape", "Flatten": "input_type"}  # shapes of one input
_DEFAULTS = {  # of a field that a file omits
    "v_reset": lambda values: np.zeros_like(values["v_threshold"]),
    "w_in": lambda values: np.ones_like(values["v_leak"]),
    "bias": lambda values: np.zeros_like(values["weight"], shape=len(values["weight"])),
}
_STATIC = {  # fields that are no parameters
    *("shape", "stride", "padding", "dilation", "groups", "kernel_size", "start_dim", "end_dim", "delay"),
    *OPTIONAL.values(),
}
_AXES = {"Affine": 2, "Linear": 2, "Conv1d": 3, "Conv2d": 4}  # of a weight


class Node(NamedTuple):
    """One primitive of NIR; a pytree of its parameters, its structure (shapes, strides, delays) being static."""

    type: str  # one of FIELDS
    values: dict[str, Any]  # its fields by NIR's names: arrays, or `same` or `valid` as a convolution's padding


class Graph(NamedTuple):
    """Nodes and the edges between them; a node may be a graph itself, with one Input and one Output.

    A pytree of the nodes' parameters, for `jax.grad` and optax: see the example of `interpreter.run`.
    """

    nodes: dict[str, "Node | Graph"]
    edges: tuple[tuple[str, str], ...]  # (from, to)


def _flatten_node(node: Node):
    names = tuple(name for name in node.values if name not in _STATIC)
    static = tuple((name, _to_hashable(node.values[name])) for name in node.values if name in _STATIC)
    order = tuple(node.values)
    return [(jax.tree_util.DictKey(name), node.values[name]) for name in names], (node.type, names, static, order)


def _unflatten_node(structure: tuple, leaves: Iterable[Any]) -> Node:
    type, names, rest, order = structure
    values = dict(zip(names, leaves, strict=True)) | {name: _from_hashable(value) for name, value in rest}
    return Node(type, {name: values[name] for name in order})


def _to_hashable(value: Any) -> Any:
    """Converts an array to a tuple that can be compared and hashed."""
    if isinstance(value, str):
        return value
    value = np.asarray(value)
    return value.dtype.str, value.shape, value.tobytes()


def _from_hashable(value: Any) -> Any:
    return value if isinstance(value, str) else np.frombuffer(value[2], value[0]).reshape(value[1])


jax.tree_util.register_pytree_with_keys(Node, _flatten_node, _unflatten_node)
jax.tree_util.register_pytree_with_keys(
    Graph,
    lambda graph: (
        [(jax.tree_util.DictKey(name), child) for name, child in graph.nodes.items()],
        (tuple(graph.nodes), graph.edges),
    ),
    lambda structure, nodes: Graph(dict(zip(structure[0], nodes, strict=True)), structure[1]),
)


def node(type: str, **values: Any) -> Node:
    """Makes a primitive from its fields, by NIR's names and in NIR's layout.

    Args:
      type: such as `LIF`.
      **values: numbers, arrays, or the text of a padding; `v_reset`, `w_in` and a convolution's `bias` are optional.

    Returns:
      A `Node`.

    Raises:
      ValueError: if the type has no mapping here, or a field is missing, unknown, not finite, or of
        a wrong shape or range.
    """
    if type not in FIELDS:
        raise ValueError(f"a node of type {type!r} has no mapping: take one of {', '.join(FIELDS)}")
    _check_fields(type, values)
    keep = lambda value: isinstance(value, str) or is_traced(value)
    fields = {name: value if keep(value) else np.asarray(value) for name, value in values.items()}
    for name in FIELDS[type]:
        try:
            fields[name] = fields[name] if name in fields else _DEFAULTS[name](fields)
        except KeyError:
            raise ValueError(f"{type} lacks its field {name!r}") from None
    _check(type, fields)
    return Node(type, fields)


def check_node(name: str, node: Node) -> None:
    """Refuses a node that the function `node` would not make.

    Args:
      name: of the node, for messages.
      node: the node.

    Raises:
      ValueError: if a field is missing, unknown, not finite, or of a wrong shape or range; with the name.
    """
    try:
        _check_fields(node.type, node.values)
        if missing := [field for field in FIELDS[node.type] if field not in node.values]:
            raise ValueError(f"{node.type} lacks its field {missing[0]!r}")
        _check(node.type, node.values)
    except ValueError as error:
        raise ValueError(f"node {name!r}: {error}") from None


def _check_fields(type: str, values: dict[str, Any]) -> None:
    if unknown := sorted(values.keys() - {*FIELDS[type], OPTIONAL.get(type)}):
        raise ValueError(f"{type} has no field {unknown[0]!r}, only {', '.join(FIELDS[type])}")


def _check(type: str, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, str):
            if name != "padding" or value not in ("same", "valid"):
                raise ValueError(
                    f"{type}: {name} must be numbers (or 'same' or 'valid' as padding), got {value[:80]!r}"
                )
        elif not is_traced(value):
            _check_numbers(f"{type}: {name}", name, value)
    if type in NEURONS and len(shapes := {values[name].shape for name in NEURONS[type]}) > 1:
        raise ValueError(f"{type}: all parameters must have one shape, got {', '.join(map(str, sorted(shapes)))}")
    bounds = [values[name] for name in ("v_reset", "v_threshold") if name in values]
    traced = is_traced(bounds)
    if len(bounds) == 2 and not traced and (bounds[0] > bounds[1]).any():
        raise ValueError(f"{type}: v_reset must not be above v_threshold, or it fires forever")
    if "weight" in values and values["weight"].ndim < _AXES[type]:
        raise ValueError(f"{type}: weight must have {_AXES[type]} axes, got shape {values['weight'].shape}")
    if "bias" in values and values["bias"].shape != (expected := _outputs(type, values["weight"])):
        raise ValueError(f"{type}: bias must have shape {expected}, got {values['bias'].shape}")


def _check_numbers(what: str, name: str, value: Any) -> None:
    dtype = getattr(value, "dtype", np.dtype(object))
    if not (dtype.kind in "iu" or jnp.issubdtype(dtype, jnp.floating)) or not np.isfinite(value).all():
        raise ValueError(f"{what} must be finite numbers in an array")
    if name.startswith("tau") and not (value > 0).all():
        raise ValueError(f"{what} must be positive")
    least = {"stride": 1, "kernel_size": 1, "dilation": 1, "groups": 1, "padding": 0}.get(name)
    if least is not None and not (value >= least).all():
        raise ValueError(f"{what} must be at least {least}")


def _outputs(type: str, weight: np.ndarray) -> tuple[int, ...]:
    return weight.shape[:-1] if type == "Affine" else weight.shape[:1]

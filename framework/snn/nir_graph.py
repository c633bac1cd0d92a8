"""Networks in the terms of NIR, the Neuromorphic Intermediate Representation: nodes, edges, and how ours become them.

A `Graph` holds nodes by name; where several edges enter a node, what they carry is summed. Images are channels first,
`[channels, height, width]`, kernels `[out, in, height, width]` and `[out, in]`; the builders below take this project's
layouts, `[height, width, channels]`, `[height, width, in, out]` and `[in, out]`, and turn them round. A neuron's
parameters have one number for each neuron. NIR knows no batch normalisation, no maximum and no soft reset.

Reference: Pedersen et al., "Neuromorphic intermediate representation", Nature Communications, 2024, arXiv 2311.14641.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np

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
_LEFT_OUT = {  # what a field is where a file leaves it out
    "v_reset": lambda values: np.zeros_like(values["v_threshold"]),
    "w_in": lambda values: np.ones_like(values["v_leak"]),
    "bias": lambda values: np.zeros_like(values["weight"], shape=len(values["weight"])),
}
_AXES = {"Affine": 2, "Linear": 2, "Conv1d": 3, "Conv2d": 4}  # of a weight


class Node(NamedTuple):
    """One primitive of NIR."""

    type: str  # one of FIELDS
    values: dict[str, Any]  # its fields by NIR's names: arrays, or `same` or `valid` as a convolution's padding


class Graph(NamedTuple):
    """Nodes and the edges between them; a node may be a graph itself, with one Input and one Output."""

    nodes: dict[str, "Node | Graph"]
    edges: tuple[tuple[str, str], ...]  # (from, to)


def node(type: str, **values: Any) -> Node:
    """A primitive from its fields, by NIR's names and in NIR's layout.

    Args:
      type: such as `LIF`.
      **values: numbers, arrays, or the text of a padding; `v_reset`, `w_in` and a convolution's `bias` may be left out.

    Raises:
      ValueError: if the type has no mapping here, or a field is missing, unknown, not finite, or of
        a wrong shape or range.
    """
    if type not in FIELDS:
        raise ValueError(f"a node of type {type!r} has no mapping: take one of {', '.join(FIELDS)}")
    known = {*FIELDS[type], OPTIONAL.get(type)}
    if unknown := sorted(values.keys() - known):
        raise ValueError(f"{type} has no field {unknown[0]!r}, only {', '.join(FIELDS[type])}")
    given = {name: value if isinstance(value, str) else np.asarray(value) for name, value in values.items()}
    for name in FIELDS[type]:
        try:
            given[name] = given[name] if name in given else _LEFT_OUT[name](given)
        except KeyError:
            raise ValueError(f"{type} lacks its field {name!r}") from None
    _check(type, given)
    return Node(type, given)


def graph(
    shape: tuple[int, ...],
    nodes: dict[str, Node | Graph],
    outputs: tuple[int, ...],
    edges: tuple[tuple[str, str], ...] | None = None,
) -> Graph:
    """A graph around nodes, with an Input called `input` and an Output called `output`.

    Args:
      shape: of one input, (height, width, channels) or (features,).
      nodes: by name.
      outputs: shape of one output, as `shape`.
      edges: all of them, `input` and `output` included; by default the nodes are a chain. A residual connection is a
        second edge into the neuron, a recurrent one leads back.

    Raises:
      ValueError: as `check`.
    """
    ends = {
        "input": node("Input", shape=channels_first(shape)),
        "output": node("Output", shape=channels_first(outputs)),
    }
    names = ["input", *nodes, "output"]
    chain = tuple(itertools.pairwise(names))
    made = Graph({"input": ends["input"], **nodes, "output": ends["output"]}, chain if edges is None else tuple(edges))
    check(made)
    return made


def check(of: Graph, within: str = "") -> None:
    """Refuses a graph that does not hang together.

    Raises:
      ValueError: if an edge names no node or stands twice, a node has no mapping, a nested graph has not just one Input
        and one Output, or there is none at all; names the node.
    """
    for a, b in of.edges:
        if missing := {a, b} - of.nodes.keys():
            raise ValueError(f"edge {a!r} -> {b!r}: there is no node {within + missing.pop()!r}")
    if len(set(of.edges)) < len(of.edges):
        twice = next(edge for edge in of.edges if of.edges.count(edge) > 1)
        raise ValueError(f"edge {twice[0]!r} -> {twice[1]!r} stands there twice")
    for a, b in of.edges:
        if getattr(of.nodes[b], "type", "") == "Input" or getattr(of.nodes[a], "type", "") == "Output":
            raise ValueError(f"edge {a!r} -> {b!r} leads into an Input or out of an Output")
    for end in ("Input", "Output"):
        count = sum(isinstance(each, Node) and each.type == end for each in of.nodes.values())
        if count == 0 or (within and count > 1):
            raise ValueError(
                f"{'node ' + repr(within[:-1]) if within else 'the graph'} has {count} {end} nodes, not one"
            )
    for name, each in of.nodes.items():
        if isinstance(each, Graph):
            check(each, f"{within}{name}/")
        elif each.type not in FIELDS:
            raise ValueError(f"node {within + name!r} of type {each.type!r} has no mapping")


def channels_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(height, width, channels) -> (channels, height, width); other shapes as they are."""
    return (shape[2], *shape[:2]) if len(shape) == 3 else tuple(shape)


def dense(kernel: np.ndarray, bias: np.ndarray | None = None, images: tuple[int, int, int] | None = None) -> Node:
    """x W + b: Affine, or Linear without a bias.

    Args:
      kernel: [in, out].
      bias: [out].
      images: (height, width, channels) of what was flattened before it, if so: the rows are put in NIR's order.
    """
    kernel = np.asarray(kernel)
    if images is not None:
        kernel = kernel.reshape(*images, -1).transpose(2, 0, 1, 3).reshape(len(kernel), -1)
    weight = np.ascontiguousarray(kernel.T)
    return node("Linear", weight=weight) if bias is None else node("Affine", weight=weight, bias=bias)


def conv(
    kernel: np.ndarray,
    bias: np.ndarray | None,
    size: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: str = "SAME",
) -> Node:
    """Conv2d. NIR pads both sides alike: where `SAME` pads one side more, the kernel begins with zeros instead.

    Args:
      kernel: [height, width, in, out].
      bias: [out].
      size: (height, width) of the images.
      strides, padding: `SAME`, `VALID` or `HALF`, as in `layer.conv`.
    """
    weight, pads = np.asarray(kernel).transpose(3, 2, 0, 1), [0, 0]
    if padding == "HALF":
        pads = [k // 2 for k in weight.shape[2:]]
    if padding == "SAME":
        for axis, (length, stride, k) in enumerate(zip(size, strides, weight.shape[2:], strict=True)):
            total = max((-(-length // stride) - 1) * stride + k - length, 0)
            pads[axis] = total - total // 2
            front = [(0, 0)] * 4
            front[2 + axis] = (total % 2, 0)
            weight = np.pad(weight, front)
    values = {} if bias is None else {"bias": bias}
    weight = np.ascontiguousarray(weight)
    return node(
        "Conv2d", input_shape=size, weight=weight, stride=strides, padding=pads, dilation=(1, 1), groups=1, **values
    )


def folded(
    kernel: np.ndarray,
    bias: np.ndarray | None,
    scale: np.ndarray,
    shift: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    epsilon: float = 1e-5,
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias that do what they and the batch normalisation behind them do in evaluation.

        W' = W g,   b' = (b - mean) g + shift,   g = scale / sqrt(var + epsilon)

    All but the kernel `[..., out]` are [out].
    """
    gain = np.asarray(scale) / np.sqrt(np.asarray(var) + np.asarray(epsilon, np.asarray(var).dtype))
    return np.asarray(kernel) * gain, ((0 if bias is None else np.asarray(bias)) - mean) * gain + shift


def average_pool(window: tuple[int, int]) -> Node:
    """Means of windows that do not overlap."""
    return node("AvgPool2d", kernel_size=window, stride=window, padding=(0, 0))


def max_pool(window: tuple[int, int], shape: tuple[int, int, int], dtype: Any = np.float32) -> tuple[Node, Node]:
    """Maxima of windows of binary spikes: their sum, and a neuron without memory of it that fires above 1/2.

    Args:
      window: (height, width).
      shape: (height, width, channels) of the input.
    """
    height, width, channels = shape
    full = np.ones((channels, height // window[0], width // window[1]), dtype)
    return (
        node("SumPool2d", kernel_size=window, stride=window, padding=(0, 0)),
        node("IF", r=full, v_threshold=full / 2, v_reset=full * 0),
    )


def flatten(shape: tuple[int, int, int]) -> Node:
    """Images (height, width, channels) to vectors, in NIR's order: the dense layer behind it takes `images=shape`."""
    return node("Flatten", input_type=channels_first(shape), start_dim=0, end_dim=-1)


def integrate_and_fire(
    shape: tuple[int, ...], threshold: float = 1.0, reset_to: float = 0.0, dt: float = 1.0, dtype: Any = np.float32
) -> Node:
    """IF with a hard reset: u + x at every step of length dt.

    It fires at and above `threshold`, as all neurons of this project do, although NIR's fire strictly above theirs: the
    next smaller number is written.
    """
    full = np.ones(channels_first(shape), dtype)
    return node("IF", r=full / dt, v_threshold=_just_below(threshold, full), v_reset=full * reset_to)


def leaky(
    shape: tuple[int, ...],
    decay: float,
    threshold: float = 1.0,
    reset_to: float = 0.0,
    scaled_input: bool = False,
    dt: float = 1.0,
    dtype: Any = np.float32,
) -> Node:
    """LIF with a hard reset: tau = dt / k with k = 1 - decay, r = 1 for scaled input and 1 / k for unscaled.

    It fires as `integrate_and_fire` does. A PLIF that has learned w has decay = 1 - sigmoid(w).

    Raises:
      ValueError: if the decay is not in [0, 1); without a leak it is `integrate_and_fire`.
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay must lie in [0, 1), got {decay}: without a leak take integrate_and_fire")
    full, rate = np.ones(channels_first(shape), dtype), 1 - decay
    return node(
        "LIF",
        tau=full * (dt / rate),
        r=full if scaled_input else full / rate,
        v_leak=full * reset_to,
        v_threshold=_just_below(threshold, full),
        v_reset=full * reset_to,
    )


def _just_below(threshold: float, full: np.ndarray) -> np.ndarray:
    return np.nextafter(full * threshold, -np.inf, dtype=full.dtype)


def _check(type: str, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, str):
            if name != "padding" or value not in ("same", "valid"):
                raise ValueError(
                    f"{type}: {name} must be numbers (or 'same' or 'valid' as padding), got {value[:80]!r}"
                )
        elif value.dtype.kind not in "fiu" or not np.isfinite(value).all():
            raise ValueError(f"{type}: {name} must be finite numbers")
        elif name.startswith("tau") and not (value > 0).all():
            raise ValueError(f"{type}: {name} must be positive")
        elif name in ("stride", "kernel_size", "dilation", "groups") and not (value >= 1).all():
            raise ValueError(f"{type}: {name} must be at least 1")
    if type in NEURONS and len(shapes := {values[name].shape for name in NEURONS[type]}) > 1:
        raise ValueError(f"{type}: all parameters must have one shape, got {', '.join(map(str, sorted(shapes)))}")
    if "weight" in values and values["weight"].ndim < _AXES[type]:
        raise ValueError(f"{type}: weight must have {_AXES[type]} axes, got shape {values['weight'].shape}")
    if "bias" in values and values["bias"].shape != (wanted := _outputs(type, values["weight"])):
        raise ValueError(f"{type}: bias must have shape {wanted}, got {values['bias'].shape}")


def _outputs(type: str, weight: np.ndarray) -> tuple[int, ...]:
    return weight.shape[:-1] if type == "Affine" else weight.shape[:1]

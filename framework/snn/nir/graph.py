"""Graphs of NIR, the Neuromorphic Intermediate Representation, and builders of nodes from this project's layers.

A `Graph` holds nodes by name; the input of a node is the sum over its incoming edges. Images are channels first,
`[channels, height, width]`, kernels `[out, in, height, width]` and `[out, in]`; the builders below take this project's
layouts, `[height, width, channels]`, `[height, width, in, out]` and `[in, out]`, and transpose them. A neuron's
parameters have one number for each neuron. NIR knows no batch normalisation, no maximum and no soft reset.

Reference: Pedersen et al., "Neuromorphic intermediate representation", Nature Communications, 2024, arXiv 2311.14641.
"""

import itertools
from typing import Any

import numpy as np

from framework.core import checks
from framework.snn.layers import PADDINGS
from framework.snn.nir.primitives import (
    FIELDS,
    NEURONS,
    OPTIONAL,
    Graph,
    Node,
    check_node,
    node,
)

__all__ = [
    "FIELDS",
    "NEURONS",
    "OPTIONAL",
    "Graph",
    "Node",
    "average_pool",
    "channels_first",
    "check",
    "conv",
    "dense",
    "flatten",
    "fold_norm",
    "graph",
    "integrate_and_fire",
    "leaky",
    "max_pool",
    "node",
]


def graph(
    shape: tuple[int, ...],
    nodes: dict[str, Node | Graph],
    outputs: tuple[int, ...],
    edges: tuple[tuple[str, str], ...] | None = None,
) -> Graph:
    """Makes a graph of nodes, with an Input named `input` and an Output named `output`.

    Args:
      shape: of one input, (height, width, channels) or (features,).
      nodes: by name.
      outputs: shape of one output, in the form of `shape`.
      edges: all of them, `input` and `output` included; by default the nodes are a chain. A residual connection is a
        second edge into the neuron, a recurrent one leads back.

    Returns:
      A `Graph`.

    Raises:
      ValueError: as in `check`.
    """
    ends = {
        "input": node("Input", shape=channels_first(shape)),
        "output": node("Output", shape=channels_first(outputs)),
    }
    names = ["input", *nodes, "output"]
    chain = tuple(itertools.pairwise(names))
    result = Graph(
        {"input": ends["input"], **nodes, "output": ends["output"]}, chain if edges is None else tuple(edges)
    )
    check(result)
    return result


def check(graph: Graph, prefix: str = "") -> None:
    """Refuses an inconsistent graph.

    Args:
      graph: the graph.
      prefix: path of the graph, for messages.

    Raises:
      ValueError: if an edge names no node or occurs twice, a node has no mapping, lacks a field or holds numbers that
        are not finite, a nested graph has not just one Input and one Output, or there is none; names the node.
    """
    for a, b in graph.edges:
        if missing := {a, b} - graph.nodes.keys():
            raise ValueError(f"edge {a!r} -> {b!r}: there is no node {prefix + missing.pop()!r}")
    if len(set(graph.edges)) < len(graph.edges):
        twice = next(edge for edge in graph.edges if graph.edges.count(edge) > 1)
        raise ValueError(f"edge {twice[0]!r} -> {twice[1]!r} occurs twice")
    for a, b in graph.edges:
        if getattr(graph.nodes[b], "type", "") == "Input" or getattr(graph.nodes[a], "type", "") == "Output":
            raise ValueError(f"edge {a!r} -> {b!r} leads into an Input or out of an Output")
    for end in ("Input", "Output"):
        count = sum(isinstance(child, Node) and child.type == end for child in graph.nodes.values())
        if count == 0 or (prefix and count > 1):
            raise ValueError(
                f"{'node ' + repr(prefix[:-1]) if prefix else 'the graph'} has {count} {end} nodes, not one"
            )
    for name, child in graph.nodes.items():
        if isinstance(child, Graph):
            check(child, f"{prefix}{name}/")
        elif child.type not in FIELDS:
            raise ValueError(f"node {prefix + name!r} of type {child.type!r} has no mapping")
        else:
            check_node(prefix + name, child)


def channels_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Moves channels first, (height, width, channels) -> (channels, height, width); other shapes stay."""
    return (shape[2], *shape[:2]) if len(shape) == 3 else tuple(shape)


def dense(kernel: np.ndarray, bias: np.ndarray | None = None, images: tuple[int, int, int] | None = None) -> Node:
    """Dense layer, x W + b: Affine, or Linear without a bias.

    Args:
      kernel: [in, out].
      bias: [out].
      images: (height, width, channels) of the images flattened before it, if any: the rows are put in NIR's order.

    Returns:
      A `Node`.
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
    """Convolution, Conv2d.

    NIR pads both sides equally: where `SAME` pads one side more, the kernel begins with zeros instead.

    Args:
      kernel: [height, width, in, out].
      bias: [out].
      size: (height, width) of the images.
      strides, padding: `SAME`, `VALID` or `HALF`, as in `layers.conv`.

    Returns:
      A `Node`.

    Raises:
      ValueError: for another padding.
    """
    checks.one_of("conv: padding", padding, PADDINGS)
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


def fold_norm(
    kernel: np.ndarray,
    bias: np.ndarray | None,
    scale: np.ndarray,
    shift: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    epsilon: float = 1e-5,
) -> tuple[np.ndarray, np.ndarray]:
    """Folds the batch normalisation after a layer, in evaluation, into its kernel and bias.

        W' = W g,   b' = (b - mean) g + shift,   g = scale / sqrt(var + epsilon)

    Args:
      kernel: [..., out].
      bias: [out].
      scale, shift, mean, var: of the norm, [out].
      epsilon: of the norm.

    Returns:
      The kernel and the bias.
    """
    gain = np.asarray(scale) / np.sqrt(np.asarray(var) + np.asarray(epsilon, np.asarray(var).dtype))
    return np.asarray(kernel) * gain, ((0 if bias is None else np.asarray(bias)) - mean) * gain + shift


def average_pool(window: tuple[int, int]) -> Node:
    """Average pool of windows that do not overlap."""
    return node("AvgPool2d", kernel_size=window, stride=window, padding=(0, 0))


def max_pool(window: tuple[int, int], shape: tuple[int, int, int], dtype: Any = np.float32) -> tuple[Node, Node]:
    """Max pool of binary spikes: the sum of a window, and a neuron without memory that fires above 1/2.

    Args:
      window: (height, width).
      shape: (height, width, channels) of the input.
      dtype: of the numbers of the neuron.

    Returns:
      The nodes of the sum and of the neuron.
    """
    height, width, channels = shape
    full = np.ones((channels, height // window[0], width // window[1]), dtype)
    return (
        node("SumPool2d", kernel_size=window, stride=window, padding=(0, 0)),
        node("IF", r=full, v_threshold=full / 2, v_reset=full * 0),
    )


def flatten(shape: tuple[int, int, int]) -> Node:
    """Flattens images (height, width, channels) in NIR's order: the next dense layer needs `images=shape`."""
    return node("Flatten", input_type=channels_first(shape), start_dim=0, end_dim=-1)


def integrate_and_fire(
    shape: tuple[int, ...], threshold: float = 1.0, reset_to: float = 0.0, dt: float = 1.0, dtype: Any = np.float32
) -> Node:
    """Integrate-and-fire neuron, IF, with a hard reset: u + x at every step of length dt.

    It fires at and above `threshold`, as all neurons of this project do. NIR's neurons fire strictly above theirs, so
    that the next smaller number is written.

    Args:
      shape: (height, width, channels) or (features,).
      threshold: the potential at and above which it fires.
      reset_to: potential after a spike.
      dt: length of a step.
      dtype: of the numbers.

    Returns:
      A `Node`.

    Raises:
      ValueError: if dt is not positive and finite.
    """
    _check_step(dt)
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
    """Leaky integrate-and-fire neuron, LIF, with a hard reset.

    tau = dt / k with k = 1 - decay, r = 1 for scaled input and 1 / k for unscaled.

    It fires as `integrate_and_fire` does. A PLIF with the learned w has decay = 1 - sigmoid(w).

    Args:
      shape: (height, width, channels) or (features,).
      decay: the share of the membrane that is left after a step, in [0, 1).
      threshold: the potential at and above which it fires.
      reset_to: potential after a spike, and at rest.
      scaled_input: whether the input is multiplied by 1 - decay.
      dt: length of a step.
      dtype: of the numbers.

    Returns:
      A `Node`.

    Raises:
      ValueError: if dt is not positive and finite, or the decay not in [0, 1); without a leak it is
        `integrate_and_fire`.
    """
    _check_step(dt)
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


def _check_step(dt: float) -> None:
    checks.positive("dt", dt)


def _just_below(threshold: float, full: np.ndarray) -> np.ndarray:
    return np.nextafter(full * threshold, -np.inf, dtype=full.dtype)

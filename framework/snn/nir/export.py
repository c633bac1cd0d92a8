"""Export of trained networks as NIR graphs, for other programs and for neuromorphic chips.

A dense, convolutional or recurrent layer and its norm become one node, its unit an IF or a LIF; a recurrent layer's
unit also feeds back through a linear node. A max pool of binary spikes becomes a sum and an IF without memory. The last
layer's currents are the Output.

NIR's neurons integrate, leak and reset to a fixed potential: a network that is to be exported is trained with
`integrate_and_fire`, `lif` or `plif` and reset="hard".

Reference: Pedersen et al., "Neuromorphic intermediate representation", Nature Communications, 2024, arXiv 2311.14641.
"""

from typing import Any

import jax
import numpy as np

from framework.core import checks
from framework.core.types import Params
from framework.snn import network
from framework.snn.layers import Conv, Flatten, Layer, Pool, Stage, layer_name, network_stages
from framework.snn.neurons.neuron import Neuron
from framework.snn.nir import graph
from framework.snn.nir.graph import Graph, Node
from framework.snn.trained import TrainedNetwork, check_params

MAPPED = ("integrate_and_fire", "lif", "plif")


def to_nir(
    layers: tuple[Layer, ...] | TrainedNetwork,
    params: Params | None = None,
    shape: tuple[int, ...] | None = None,
    unit: Neuron | None = None,
    dt: float = 1.0,
) -> Graph:
    """Exports a trained network as a NIR graph.

    The graph spikes as `network.unroll` in evaluation, up to the rounding of folded norms and of leaks.

    Nodes are named by kind and index in `layers`: `conv_0`, `neuron_0`, `pool_1`, `fire_1` after the sum of a max
    pool, `flatten_2`, `feedback_3` of a recurrent layer. Images are channels first, as in NIR.

    Args:
      layers: of `snn.layers`; or a `TrainedNetwork`, which includes all arguments but dt.
      params: of the trained network; each layer has its learned decay of a PLIF.
      shape: of one input, (height, width, channels) or (features,).
      unit: the neuron of the training.
      dt: length of a step, in the unit of time of the reader of the graph, which must run it with the same dt.

    Returns:
      A `Graph`.

    Raises:
      ValueError: if an argument is missing, dt is not positive and finite, a layer or its unit has no mapping, or
        parameters do not fit or are not finite; names the layer.
    """
    if isinstance(layers, TrainedNetwork):
        layers, params, shape, unit = layers.layers, layers.params, layers.shape, layers.unit
    if not isinstance(layers, tuple | list) or params is None or shape is None or unit is None:
        raise ValueError(
            f"to_nir takes a TrainedNetwork, or layers, params, shape and unit; got {type(layers).__name__}. A "
            "converted network (SpikingNetwork) resets by subtraction and has no mapping"
        )
    checks.positive("dt", dt)
    check_params(layers, params, shape)
    network.check_unit_params(layers, params, unit)
    shapes = network.input_shapes(layers, shape)
    by_index = {stage.weighted: stage for stage in network_stages(layers)}
    nodes, edges, last = {}, [], "input"
    for i, layer in enumerate(layers):
        try:
            if i in by_index:
                chain = _weighted_nodes(layers, params, shapes, by_index[i], unit, dt)
            else:
                chain = _pool_nodes(layers, shapes, i, dt)
            feedback = (
                {f"feedback_{i}": graph.dense(_floats(params[i]["recurrent"]))} if "recurrent" in params[i] else {}
            )
        except ValueError as error:
            raise ValueError(f"layer {i} ({layer_name(layer)}): {error}") from None
        for kind, node in chain.items():
            edges.append((last, f"{kind}_{i}"))
            last = f"{kind}_{i}"
            nodes[last] = node
        nodes |= feedback
        edges += [edge for name in feedback for edge in ((last, name), (name, last))]
    return graph.graph(shape, nodes, shapes[-1], (*edges, (last, "output")))


def _weighted_nodes(
    layers: tuple[Layer, ...],
    params: Params,
    shapes: list[tuple[int, ...]],
    stage: Stage,
    unit: Neuron,
    dt: float,
) -> dict[str, Node]:
    """Nodes of a weighted layer with its norm, and of its unit."""
    i = stage.weighted
    layer, layer_params = layers[i], params[i]
    kernel = _floats(layer_params["kernel"])
    bias = _floats(layer_params["bias"]) if "bias" in layer_params else None
    if stage.norm is not None:
        norm = {name: _floats(value) for name, value in params[stage.norm].items()}
        if layers[stage.norm].over == "threshold":
            norm["scale"] = norm["scale"] * float(getattr(unit, "threshold", 1.0))
        kernel, bias = graph.fold_norm(kernel, bias, **norm, epsilon=layers[stage.norm].epsilon)
    if isinstance(layer, Conv):
        product = graph.conv(kernel, bias, shapes[i][:2], layer.strides, layer.padding)
    else:
        flattened = [shapes[j] for j in stage.preceding if len(shapes[j]) == 3 and len(shapes[j + 1]) == 1]
        product = graph.dense(kernel, bias, images=flattened[0] if flattened else None)
    chain = {layer_name(layer): product}
    if stage.unit:
        chain["neuron"] = neuron_node(unit, layer_params.get("unit"), shapes[i + 1], dt, kernel.dtype)
    return chain


def _pool_nodes(layers: tuple[Layer, ...], shapes: list[tuple[int, ...]], i: int, dt: float) -> dict[str, Node]:
    """Nodes of a pool or a flatten; a norm is part of the layer before it."""
    layer = layers[i]
    if isinstance(layer, Flatten) and len(shapes[i]) == 3:
        return {"flatten": graph.flatten(shapes[i])}
    if not isinstance(layer, Pool):
        return {}
    if layer.kind == "average":
        return {"pool": graph.average_pool(layer.window)}
    preceding = [other for other in layers[:i] if not (isinstance(other, Pool) and other.kind == "max")]
    if not preceding or isinstance(preceding[-1], Pool):
        raise ValueError("a maximum has a mapping only where binary spikes enter it, not images or averages")
    total, fire = graph.max_pool(layer.window, shapes[i])
    return {"pool": total, "fire": graph.node("IF", **fire.values | {"r": fire.values["r"] / np.float32(dt)})}


def neuron_node(unit: Neuron, learned: dict[str, Any] | None, shape: tuple[int, ...], dt: float, dtype: Any) -> Node:
    """Node of the units of one layer.

    Args:
      unit: a neuron.
      learned: its learned values in this layer, or None for the initial ones.
      shape: of the layer, (height, width, channels) or (features,).
      dt: length of a step.
      dtype: of the numbers of the node.

    Returns:
      A `Node`.

    Raises:
      ValueError: if the unit has no mapping in NIR; names the units that have one.
    """
    if unit.record is None:
        raise ValueError(
            "its unit has no record of how it was made: take a factory of neurons.models, with plain numbers"
        )
    name, options = unit.record
    if name not in MAPPED:
        raise ValueError(f"its unit, {name}, has no mapping in NIR: train with one of {', '.join(MAPPED)}")
    if options["reset"] != "hard":
        raise ValueError(f"its unit has reset={options['reset']!r}, which NIR does not have: train with reset='hard'")
    common = {"threshold": options["threshold"], "reset_to": options["reset_to"], "dt": dt, "dtype": dtype}
    learned = learned or unit.params
    decay = _plif_decay(learned["decay"]) if name == "plif" else options.get("decay", 1.0)
    scaled_input = options.get("scaled_input", False)
    if decay == 1 and not scaled_input:
        return graph.integrate_and_fire(shape, **common)
    return graph.leaky(shape, decay, scaled_input=scaled_input, **common)


def _plif_decay(raw: Any) -> float:
    if np.size(raw) != 1:
        raise ValueError(
            f"its unit has learned a decay of shape {np.shape(raw)}: one for the whole layer has a mapping"
        )
    return 1 - float(np.ravel(jax.nn.sigmoid(_floats(raw)))[0])


def _floats(values: Any) -> np.ndarray:
    """Converts numbers to the types of a file: float64 stays, shorter types become float32."""
    values = np.asarray(values)
    return values.astype(np.promote_types(values.dtype, np.float32))

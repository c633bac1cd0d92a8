"""Trained networks as NIR graphs, for other programs and for neuromorphic chips.

A dense, convolutional or recurrent layer and its norm become one node, its unit an IF or a LIF; a recurrent layer's
unit also feeds back through a linear node. Maxima of binary spikes become a sum and an IF without memory. The last
layer's currents are the Output.

NIR's neurons integrate, leak and reset to a fixed potential: a network that is to be exported is trained with
`integrate_and_fire`, `lif` or `plif` and reset="hard".

Reference: Pedersen et al., "Neuromorphic intermediate representation", Nature Communications, 2024, arXiv 2311.14641.
"""

from typing import Any

import jax
import numpy as np

from framework.core.types import Params
from framework.snn import layers as described
from framework.snn import network
from framework.snn.layers import Layer, Stage, stages
from framework.snn.nir import graph
from framework.snn.nir.graph import Graph, Node
from framework.snn.trained import Trained, check_params

MAPPED = ("integrate_and_fire", "lif", "plif")


def to_nir(
    layers: tuple[Layer, ...] | Trained,
    params: Params | None = None,
    shape: tuple[int, ...] | None = None,
    unit: network.Unit | None = None,
    dt: float = 1.0,
) -> Graph:
    """The graph that spikes as `network.unroll` does in evaluation, but for the rounding of folded norms and of leaks.

    Nodes are named by kind and place in `layers`: `conv_0`, `neuron_0`, `pool_1`, `fire_1` behind the sum of a max
    pool, `flatten_2`, `feedback_3` of a recurrent layer. Images are channels first, as NIR has them.

    Args:
      layers: of `snn.layer`; or a `Trained`, which has all but dt.
      params: of the trained network; the decay of a PLIF is each layer's own.
      shape: of one input, (height, width, channels) or (features,).
      unit: the neuron that it was trained with.
      dt: length of a step, in the unit of time of who reads the graph; the graph is run with the same.

    Raises:
      ValueError: if an argument is missing, dt is not positive and finite, a layer or its unit has no mapping, or
        parameters do not fit or are not finite; names the layer.
    """
    if isinstance(layers, Trained):
        layers, params, shape, unit = layers.layers, layers.params, layers.shape, layers.unit
    if not isinstance(layers, tuple | list) or params is None or shape is None or unit is None:
        raise ValueError(
            f"to_nir takes a Trained, or layers, params, shape and unit; got {type(layers).__name__}. A converted "
            "network (Spiking) resets by subtraction and has no mapping"
        )
    if not 0 < dt < np.inf:
        raise ValueError(f"dt must be above 0 and finite, got {dt}")
    check_params(layers, params, shape)
    network.check_learned(layers, params, unit)
    shapes = network.input_shapes(layers, shape)
    by_place = {stage.weighted: stage for stage in stages(layers)}
    nodes, edges, last = {}, [], "input"
    for i, each in enumerate(layers):
        try:
            if i in by_place:
                chain = _weighted(layers, params, shapes, by_place[i], unit, dt)
            else:
                chain = _passing(layers, shapes, i, dt)
            back = {f"feedback_{i}": graph.dense(_floats(params[i]["recurrent"]))} if "recurrent" in params[i] else {}
        except ValueError as error:
            raise ValueError(f"layer {i} ({described.name(each)}): {error}") from None
        for kind, node in chain.items():
            edges.append((last, f"{kind}_{i}"))
            last = f"{kind}_{i}"
            nodes[last] = node
        nodes |= back
        edges += [edge for name in back for edge in ((last, name), (name, last))]
    return graph.graph(shape, nodes, shapes[-1], (*edges, (last, "output")))


def _weighted(
    layers: tuple[Layer, ...],
    params: Params,
    shapes: list[tuple[int, ...]],
    stage: Stage,
    unit: network.Unit,
    dt: float,
) -> dict[str, Node]:
    """A product with its norm, and the unit behind it."""
    i = stage.weighted
    of, own = layers[i], params[i]
    kernel, bias = _floats(own["kernel"]), _floats(own["bias"]) if "bias" in own else None
    if stage.norm is not None:
        norm = {name: _floats(value) for name, value in params[stage.norm].items()}
        if layers[stage.norm].over == "threshold":
            norm["scale"] = norm["scale"] * float(getattr(unit, "threshold", 1.0))
        kernel, bias = graph.folded(kernel, bias, **norm, epsilon=layers[stage.norm].epsilon)
    if isinstance(of, described.Conv):
        product = graph.conv(kernel, bias, shapes[i][:2], of.strides, of.padding)
    else:
        flattened = [shapes[j] for j in stage.before if len(shapes[j]) == 3 and len(shapes[j + 1]) == 1]
        product = graph.dense(kernel, bias, images=flattened[0] if flattened else None)
    chain = {described.name(of): product}
    if stage.unit:
        chain["neuron"] = neuron_node(unit, own.get("unit"), shapes[i + 1], dt, kernel.dtype)
    return chain


def _passing(layers: tuple[Layer, ...], shapes: list[tuple[int, ...]], i: int, dt: float) -> dict[str, Node]:
    """A pool or a flattening; a norm is part of the layer before it."""
    of = layers[i]
    if isinstance(of, described.Flatten) and len(shapes[i]) == 3:
        return {"flatten": graph.flatten(shapes[i])}
    if not isinstance(of, described.Pool):
        return {}
    if of.kind == "average":
        return {"pool": graph.average_pool(of.window)}
    before = [each for each in layers[:i] if not (isinstance(each, described.Pool) and each.kind == "max")]
    if not before or isinstance(before[-1], described.Pool):
        raise ValueError("a maximum has a mapping only where binary spikes enter it, not images or averages")
    total, fire = graph.max_pool(of.window, shapes[i])
    return {"pool": total, "fire": graph.node("IF", **fire.values | {"r": fire.values["r"] / np.float32(dt)})}


def neuron_node(
    unit: network.Unit, learned: dict[str, Any] | None, shape: tuple[int, ...], dt: float, dtype: Any
) -> Node:
    """The unit of one layer, with what it has learned there.

    Args:
      unit: a neuron.
      learned: its values in this layer, or None for those of the start.
      shape: of the layer, (height, width, channels) or (features,).
      dt: length of a step.
      dtype: of the node's numbers.

    Raises:
      ValueError: if the unit has no mapping in NIR; says which have.
    """
    if unit.made is None:
        raise ValueError("its unit has no record of how it was made: take a factory of snn.neuron, with plain numbers")
    name, options = unit.made
    if name not in MAPPED:
        raise ValueError(f"its unit, {name}, has no mapping in NIR: train with one of {', '.join(MAPPED)}")
    if options["reset"] != "hard":
        raise ValueError(f"its unit has reset={options['reset']!r}, which NIR does not know: train with reset='hard'")
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
    """As a file holds them: float64 stays, what is shorter becomes float32."""
    values = np.asarray(values)
    return values.astype(np.promote_types(values.dtype, np.float32))

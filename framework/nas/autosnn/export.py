"""Networks of spiking blocks as NIR graphs, for other programs and for neuromorphic chips.

A branch's convolution and norm become one node; branches that meet in a unit are edges into its neuron, an identity
among them. Maxima of spikes become a sum and a neuron without memory, the votes a linear node that means over a class's
voters. The names say block, unit and branch: `b3_u2_conv1`, `b3_u2`.

Reference: Pedersen et al., arXiv 2311.14641.
"""

import numpy as np

from framework.core.types import Params
from framework.nas.autosnn import network as chain
from framework.nas.autosnn.blocks import Branch, Unit
from framework.nas.autosnn.network import VOTES, Network
from framework.snn import layers as described
from framework.snn.nir import graph
from framework.snn.nir.export import neuron_node
from framework.snn.nir.graph import Graph, Node


def to_nir(network: Network, params: Params, state: Params, dt: float = 1.0) -> Graph:
    """The graph that spikes as the network does in evaluation, but for the rounding of folded norms.

    Args:
      of: the network.
      params, state: of its training.
      dt: length of a step, in the unit of time of who reads the graph.

    Raises:
      ValueError: if dt is not positive and finite, or its neuron has no mapping.
    """
    if not 0 < dt < np.inf:
        raise ValueError(f"dt must be above 0 and finite, got {dt}")
    nodes, edges, last = {}, [], "input"
    for index, (block, block_params, running) in enumerate(zip(network.blocks, params, state, strict=True)):
        shapes, names = chain.unit_shapes(block, network.shapes()[index]), [last]
        for u, unit in enumerate(block.units):
            name = f"b{index}_u{u + 1}"
            made, joined = _unit(network, unit, block_params[u], running[u], shapes, u, name, names, dt)
            nodes |= made
            edges += joined
            names.append(name)
        last = names[-1]
    voters = np.repeat(np.eye(network.classes, dtype=np.float32) / VOTES, VOTES, axis=0)
    nodes["votes"] = graph.dense(voters)
    return graph.graph(network.image, nodes, (network.classes,), (*edges, (last, "votes"), ("votes", "output")))


def _unit(network: Network, unit: Unit, unit_params, running, shapes, u: int, name: str, names: list[str], dt: float):
    """Nodes of a unit, and the edges that lead into and through it."""
    if not unit.fires:
        total, fire = graph.max_pool(unit.branches[0].layers[0].window, shapes[0])
        fire = graph.node("IF", **fire.values | {"r": fire.values["r"] / np.float32(dt)})
        return {f"{name}_sum": total, name: fire}, [(names[0], f"{name}_sum"), (f"{name}_sum", name)]
    nodes = {name: neuron_node(network.dynamics.unit, unit_params.get("unit"), shapes[u + 1], dt, np.float32)}
    edges = []
    for b, branch in enumerate(unit.branches):
        last = names[branch.source]
        for kind, node in _branch(
            branch, unit_params["branches"][b], running["branches"][b], shapes[branch.source]
        ).items():
            label = f"{name}_{kind}{b + 1}"
            nodes[label] = node
            edges.append((last, label))
            last = label
        edges.append((last, name))
    return nodes, edges


def _branch(branch: Branch, branch_params, running, shape: tuple[int, ...]) -> dict[str, Node]:
    """The nodes of a branch, in their order."""
    nodes, images = {}, None
    for i, layer in enumerate(branch.layers):
        if isinstance(layer, described.Pool):
            nodes["pool"] = graph.average_pool(layer.window)
        elif isinstance(layer, described.Flatten):
            nodes["flatten"], images = graph.flatten(shape), shape
        elif isinstance(layer, described.Dense):
            nodes["dense"] = graph.dense(np.asarray(branch_params[i]["kernel"]), images=images)
        elif not isinstance(layer, described.Norm):
            convolution = chain.as_convolution(layer)
            kernel = np.asarray(chain.layer_params(layer, branch_params[i])["kernel"])
            norm = {name: np.asarray(leaf) for name, leaf in (branch_params[i + 1] | running[i + 1]).items()}
            weights = graph.fold_norm(kernel, None, **norm, epsilon=branch.layers[i + 1].epsilon)
            nodes["conv"] = graph.conv(*weights, shape[:2], convolution.strides, convolution.padding)
    return nodes

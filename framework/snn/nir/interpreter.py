"""Interpreter of NIR graphs: forward Euler in steps of dt, one scan over time.

NIR's equations are continuous, without a step or an order of evaluation. Here, in every step, the input of each node
is the sum over its incoming edges, sources first, and

    synapse   i <- i + dt / tau_syn (w_in x - i), and i takes the place of x
    leaky     v <- v + dt / tau ((v_leak - v) + r x)
    other     v <- v + dt r x
    spike     z = 1 where v > v_threshold, and there v <- v_reset

The output of a spiking neuron is z, that of an integrator v. All start at rest: v at v_leak, or else at v_reset, or
else at 0, and i at 0. A depth-first walk from the Inputs, along edges in the order of their names, determines the edge
that closes a cycle. That edge carries the output of its source in the step before; at first, the output while all
neurons are silent.

A file states neither its step nor its writer, nor a reset by subtraction, nor several spikes in a step. Agreement with
the simulator of the writer (snnTorch 1.0, norse 1.1, rockpool 3.1, sinabs and spyx 1.0 of 2025):

    snnTorch    spike for spike with dt=1e-4 and reset "zero"; its default, "subtract", is lost and run as a hard reset
    norse       spike for spike with dt=1e-6 for LIFBox and LI (it writes tau times its step of 1e-3), with dt=1 for IF;
                an LIFCell differs, since its input's weight is lost
    rockpool    dt=1e-3 or its own, and other spikes: its neurons decay by exponentials and reset by subtraction
    sinabs      dt=1; its default, a reset by subtraction with several spikes in a step, is lost; its ExpLeak does not
                scale its input and gives tau times as much
    spyx        dt=1, and other spikes: it writes r = 1 for a LIF whose input it does not scale, and resets softly
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from framework.core.tracing import is_traced
from framework.snn.neurons.surrogate import Surrogate, arctan
from framework.snn.nir import dynamics
from framework.snn.nir.dynamics import PASSES, Fire
from framework.snn.nir.graph import Graph, Node, check

_ARCTAN = arctan()


class _Plan(NamedTuple):
    """A graph without nesting, in the order of evaluation."""

    nodes: dict[str, Node]
    order: list[str]
    sources: dict[str, list[str]]
    delayed: set[tuple[str, str]]  # edges that carry the output of the step before


def run(
    graph: Graph,
    inputs: jax.Array | dict[str, jax.Array],
    dt: float | None = None,
    *,
    at_threshold: bool = False,
    outputs: tuple[str, ...] | None = None,
    surrogate: Surrogate = _ARCTAN,
) -> jax.Array | dict[str, jax.Array]:
    """Runs a graph over time. It compiles at each call that is not under `jit`.

    A graph is a pytree of its numbers, so that `jax.grad` and optax take it as parameters. Spikes are exact; their
    gradient is that of a surrogate of v - v_threshold, and no gradient passes a reset. Training can move a time
    constant below dt, which is refused where the graph is run outside of `jit`, and by `files.save` where it is not
    above 0.

    Args:
      graph: of `files.load` or of the builders in `nir.graph`.
      inputs: [T, B, ...], images channels first; by name where there are several Inputs. Where a file's Input has the
        shape of a sample with its batch, such as [1, 20], and the next nodes take [20], so does the Input.
      dt: length of a step in the graph's unit of time, which the file does not state; at most the shortest time
        constant. It is optional, and then 1, where no node has a time constant or a delay.
      at_threshold: whether neurons fire at and above their threshold, not strictly above it as NIR says.
      outputs: names of the nodes whose output is returned, by default the Outputs; in nested graphs as `outer/inner`.
      surrogate: of `neurons.surrogate`: the derivative of a spike.

    Returns:
      [T, B, ...]; or a dict of such by name, where there are several Outputs or `outputs` names nodes.

    Raises:
      ValueError: if the inputs do not fit or are not finite, a node takes no such input, holds numbers that are not
        finite, is not connected to any Input, has a time constant below dt or, without dt, any, or its delay is not a
        whole number of steps; names the node.

    Warns:
      UserWarning: if dt is not 1 and an I or IF node has r = 1, as several programs write for steps of 1.

    Example:
      >>> import optax
      >>> from framework.snn.nir import graph as nir_graph
      >>> from framework.snn.nir import interpreter
      >>> nodes = {"dense": nir_graph.dense(np.full((3, 2), 0.3, np.float32)), "lif": nir_graph.leaky((2,), 0.5)}
      >>> graph = nir_graph.graph((3,), nodes, (2,))
      >>> spikes = lambda graph: interpreter.run(graph, jnp.ones((8, 1, 3)), dt=1.0).sum()
      >>> labels = jax.tree.map(lambda leaf: "weights" if leaf.ndim == 2 else "neurons", graph)
      >>> rules = {"weights": optax.sgd(0.1), "neurons": optax.set_to_zero()}
      >>> optimizer = optax.multi_transform(rules, labels)
      >>> updates, _ = optimizer.update(jax.grad(spikes)(graph), optimizer.init(graph))
      >>> trained = optax.apply_updates(graph, updates)
      >>> values = lambda graph, name, field: graph.nodes[name].values[field]
      >>> differs = lambda *names: bool((values(trained, *names) != values(graph, *names)).all())
      >>> differs("dense", "weight"), differs("lif", "tau")
      (True, False)
    """
    check(graph)
    plan = _plan(graph)
    dt, fire = dynamics.time_step(plan.nodes, dt), dynamics.spike(surrogate, at_threshold)
    inputs = _inputs_by_name(graph, plan, inputs, dt, fire)
    ends = [name for name, node in graph.nodes.items() if isinstance(node, Node) and node.type == "Output"]
    if unknown := set(outputs or ()) - plan.nodes.keys():
        raise ValueError(f"there is no node {min(unknown)!r}: take one of {', '.join(plan.nodes)}")
    length = len(next(iter(inputs.values())))
    start = _start(plan, {name: jnp.zeros_like(x[0]) for name, x in inputs.items()}, dt, length, fire)

    def step(carry, now):
        states, last, current, next_states = *carry, {}, {}
        for name in plan.order:
            sources = [(last if (a, name) in plan.delayed else current)[a] for a in plan.sources[name]]
            x = sum(sources[1:], start=sources[0]) if sources else now[name]
            if name in states:
                next_states[name], current[name] = dynamics.advance(plan.nodes[name], states[name], x, dt, fire)
            else:
                current[name] = dynamics.apply(plan.nodes[name], x, fire)
        return (next_states, {a: current[a] for a in last}), {name: current[name] for name in outputs or ends}

    results = lax.scan(step, start, inputs)[1]
    return results if outputs or len(ends) > 1 else results[ends[0]]


def _inputs_by_name(graph: Graph, plan: _Plan, inputs, dt: float, fire: Fire) -> dict[str, jax.Array]:
    """Inputs by the names of the graph's Inputs, as floats."""
    shapes = _inputs(graph)
    named = inputs if isinstance(inputs, dict) else dict.fromkeys(list(shapes)[:1], inputs)
    if named.keys() != shapes.keys():
        raise ValueError(f"the graph has the Inputs {', '.join(shapes)}; got inputs for {', '.join(named)}")
    named = {name: jnp.asarray(x) for name, x in named.items()}
    if wrong := [name for name, x in named.items() if jnp.iscomplexobj(x)]:
        raise ValueError(f"Input {wrong[0]!r} takes real numbers, got complex ones")
    named = {name: x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float) for name, x in named.items()}
    if any(x.shape[2:] != shapes[name] for name, x in named.items()):
        shapes = _drop_batch_axes(plan, shapes, dt, fire)
    for name, x in named.items():
        if x.ndim < 2 or x.shape[2:] != shapes[name] or len(x) < 1:
            raise ValueError(f"Input {name!r} takes [T, B, {', '.join(map(str, shapes[name]))}], T >= 1, got {x.shape}")
        if not is_traced(x) and not jnp.isfinite(x).all():
            raise ValueError(f"Input {name!r} takes finite numbers, got NaN or infinity")
    return named


def _drop_batch_axes(plan: _Plan, shapes: dict[str, tuple[int, ...]], dt: float, fire: Fire):
    """Drops the fewest first axes from the shapes of the Inputs for which all nodes take them, or none."""
    for extra in range(max(map(len, shapes.values()))):
        fewer = {name: shape[min(extra, len(shape) - 1) :] if shape else shape for name, shape in shapes.items()}
        zeros = {name: jnp.zeros((1, *shape)) for name, shape in fewer.items()}
        try:
            jax.eval_shape(lambda zeros: _start(plan, zeros, dt, 1, fire), zeros)
        except ValueError:
            continue
        return fewer
    return shapes


def _inputs(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Shapes of the graph's Inputs."""
    inputs = {k: node for k, node in graph.nodes.items() if isinstance(node, Node) and node.type == "Input"}
    return {name: tuple(np.ravel(node.values["shape"]).tolist()) for name, node in inputs.items()}


def _plan(graph: Graph) -> _Plan:
    nodes, edges = _unnest(graph)
    order, delayed = _sort_nodes(edges, nodes, sorted(_inputs(graph)))
    if unconnected := nodes.keys() - set(order):
        name = min(unconnected)
        raise ValueError(f"node {name!r} ({nodes[name].type}) is not connected to any Input")
    sources = {name: [] for name in nodes}
    for a, b in sorted(edges):
        sources[b].append(a)
    return _Plan(nodes, order, sources, delayed)


def _unnest(graph: Graph, prefix: str = "") -> tuple[dict[str, Node], list[tuple[str, str]]]:
    """Flattens nested graphs into nodes and edges, named by their path."""
    nodes, edges, entry, exit = {}, [], {}, {}
    for name, child in graph.nodes.items():
        path = prefix + name
        if isinstance(child, Graph):
            inner, inner_edges = _unnest(child, path + "/")
            nodes, edges = nodes | inner, edges + inner_edges
            ends = {e.type: f"{path}/{k}" for k, e in child.nodes.items() if isinstance(e, Node) and e.type in PASSES}
            entry[name], exit[name] = ends["Input"], ends["Output"]
        else:
            nodes[path] = child
            entry[name] = exit[name] = path
    return nodes, edges + [(exit[a], entry[b]) for a, b in graph.edges]


def _sort_nodes(
    edges: list[tuple[str, str]], nodes: dict[str, Node], starts: list[str]
) -> tuple[list[str], set[tuple[str, str]]]:
    """Sorts nodes depth first from the Inputs, sources before targets, and returns the edges that close a cycle."""
    targets = {name: [] for name in nodes}
    for a, b in sorted(edges):
        targets[a].append(b)
    order, closing, visited, active = [], set(), set(), set()
    for start in starts:
        path = [(start, iter(targets[start]))]
        while path:
            name, rest = path[-1]
            visited.add(name)
            active.add(name)
            for following in rest:
                if following in active:
                    closing.add((name, following))
                elif following not in visited:
                    path.append((following, iter(targets[following])))
                    break
            else:
                path.pop()
                active.remove(name)
                order.append(name)
    return order[::-1], closing


def _start(plan: _Plan, zeros: dict[str, jax.Array], dt: float, length: int, fire: Fire) -> tuple[dict, dict]:
    """States at rest, and the initial values of delayed edges; checks the input shape of every node."""
    states, values, sample_axes = {}, {}, _sample_axes(plan, zeros)
    for name in plan.order:
        node, sources = plan.nodes[name], [values[a] for a in plan.sources[name] if (a, name) not in plan.delayed]
        if len(shapes := sorted({x.shape[1:] for x in sources})) > 1:
            raise ValueError(f"node {name!r} ({node.type}) has inputs of several shapes, {', '.join(map(str, shapes))}")
        x = sources[0] if sources else zeros[name]
        x = sum(sources[1:], start=x)
        try:
            dynamics.check_input(node, x.shape[1:], sample_axes)
            state = dynamics.rest(node, x, dt, length)
            values[name] = dynamics.apply(node, x, fire) if state is None else dynamics.rest_output(node, state, x)
        except (TypeError, ValueError) as error:
            raise ValueError(f"node {name!r} ({node.type}) cannot take {x.shape[1:]}: {error}") from None
        if state is not None:
            states[name] = state
    return states, {a: values[a] for a in sorted({a for a, _ in plan.delayed})}


def _sample_axes(plan: _Plan, zeros: dict[str, jax.Array]) -> set[tuple[int, ...]]:
    """Additional first axes of shapes in the file: those of the Inputs that the actual inputs lack."""
    stated = {name: tuple(np.ravel(plan.nodes[name].values["shape"]).tolist()) for name in zeros}
    return {()} | {dynamics.drop_ones(shape[: len(shape) - zeros[name].ndim + 1]) for name, shape in stated.items()}

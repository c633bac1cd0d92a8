"""NIR graphs at work: forward Euler in steps of dt, one scan over time.

NIR's equations are continuous; it fixes neither a step nor an order. Here, in every step, each node takes the sum of
what its edges carry, sources first, and

    synapse   i <- i + dt / tau_syn (w_in x - i), and i takes the place of x
    leaky     v <- v + dt / tau ((v_leak - v) + r x)
    other     v <- v + dt r x
    spike     z = 1 where v > v_threshold, and there v <- v_reset

A spiking neuron gives z, one that only integrates gives v. All start at rest: v at v_leak, or
else at v_reset, or else at 0, and i at 0. In a cycle, the edge that closes it, as a depth-first walk from the Inputs
along edges in the order of their names finds it, carries what its source gave in the step before; at first, what it
gives while all neurons are silent.

A file states neither its step nor its writer, nor a reset by subtraction, nor several spikes in a step. What its own
simulator would do is met as follows (snnTorch 1.0, norse 1.1, rockpool 3.1, sinabs and spyx 1.0 of 2025):

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
    late: set[tuple[str, str]]  # edges that carry the step before


def run(
    graph: Graph,
    inputs: jax.Array | dict[str, jax.Array],
    dt: float | None = None,
    *,
    at_threshold: bool = False,
    of: tuple[str, ...] | None = None,
    surrogate: Surrogate = _ARCTAN,
) -> jax.Array | dict[str, jax.Array]:
    """What a graph makes of inputs over time. Compiles at each call that is not under `jit`.

    A graph is a pytree of its numbers, so that `jax.grad` and optax take it as parameters. Spikes are exact; backward
    they have the slope of a surrogate of v - v_threshold, and no gradient passes a reset. Training may leave a time
    constant below dt, which is refused where the graph is run outside of `jit`, and by `interchange.save` where it is
    not above 0.

    Args:
      graph: of `interchange.load` or of the builders in `nir_graph`.
      inputs: [T, B, ...], images channels first; by name where there are several Inputs. Where a file's Input has the
        shape of a sample with its batch, such as [1, 20], and the nodes behind it take [20], so does the Input.
      dt: length of a step in the graph's unit of time, which the file does not state; at most the shortest time
        constant. It may be left out, and is then 1, where no node has a time constant or a delay.
      at_threshold: whether neurons fire at and above their threshold, not strictly above it as NIR says.
      of: names of the nodes whose output is wanted, by default the Outputs; those of nested graphs as `outer/inner`.
      surrogate: of `snn.surrogate`: the derivative of a spike.

    Returns:
      [T, B, ...]; or a dict of such by name, where there are several Outputs or `of` is given.

    Raises:
      ValueError: if the inputs do not fit or are not finite, a node takes no such input, holds numbers that are not
        finite, is not reached from any Input, has a time constant below dt or, without dt, any, or its delay is not a
        whole number of steps; names the node.

    Warns:
      UserWarning: if dt is not 1 and an I or IF node has r = 1, as several programs write it for steps of 1.

    Example:
      >>> import optax
      >>> from framework.snn import nir_graph, nir_interpreter
      >>> nodes = {"dense": nir_graph.dense(np.full((3, 2), 0.3, np.float32)), "lif": nir_graph.leaky((2,), 0.5)}
      >>> graph = nir_graph.graph((3,), nodes, (2,))
      >>> spikes = lambda graph: nir_interpreter.run(graph, jnp.ones((8, 1, 3)), dt=1.0).sum()
      >>> labels = jax.tree.map(lambda leaf: "weights" if leaf.ndim == 2 else "neurons", graph)
      >>> rules = {"weights": optax.sgd(0.1), "neurons": optax.set_to_zero()}
      >>> optimizer = optax.multi_transform(rules, labels)
      >>> updates, _ = optimizer.update(jax.grad(spikes)(graph), optimizer.init(graph))
      >>> trained = optax.apply_updates(graph, updates)
      >>> moved = lambda name, field: bool((trained.nodes[name].values[field] != graph.nodes[name].values[field]).all())
      >>> moved("dense", "weight"), moved("lif", "tau")
      (True, False)
    """
    check(graph)
    plan = _plan(graph)
    dt, fire = dynamics.time_step(plan.nodes, dt), dynamics.spike(surrogate, at_threshold)
    inputs = _named(graph, plan, inputs, dt, fire)
    wanted = [name for name, each in graph.nodes.items() if isinstance(each, Node) and each.type == "Output"]
    if unknown := set(of or ()) - plan.nodes.keys():
        raise ValueError(f"there is no node {min(unknown)!r}: take one of {', '.join(plan.nodes)}")
    length = len(next(iter(inputs.values())))
    start = _start(plan, {name: jnp.zeros_like(x[0]) for name, x in inputs.items()}, dt, length, fire)

    def step(carry, now):
        states, before, given, states_after = *carry, {}, {}
        for name in plan.order:
            sources = [(before if (a, name) in plan.late else given)[a] for a in plan.sources[name]]
            x = sum(sources[1:], start=sources[0]) if sources else now[name]
            if name in states:
                states_after[name], given[name] = dynamics.advance(plan.nodes[name], states[name], x, dt, fire)
            else:
                given[name] = dynamics.apply(plan.nodes[name], x, fire)
        return (states_after, {a: given[a] for a in before}), {name: given[name] for name in of or wanted}

    outputs = lax.scan(step, start, inputs)[1]
    return outputs if of or len(wanted) > 1 else outputs[wanted[0]]


def _named(graph: Graph, plan: _Plan, inputs, dt: float, fire: Fire) -> dict[str, jax.Array]:
    """The inputs by the names of the graph's Inputs, as floats."""
    shapes = _inputs(graph)
    named = inputs if isinstance(inputs, dict) else dict.fromkeys(list(shapes)[:1], inputs)
    if named.keys() != shapes.keys():
        raise ValueError(f"the graph has the Inputs {', '.join(shapes)}; inputs were given for {', '.join(named)}")
    named = {name: jnp.asarray(x) for name, x in named.items()}
    if wrong := [name for name, x in named.items() if jnp.iscomplexobj(x)]:
        raise ValueError(f"Input {wrong[0]!r} is given complex numbers: only real ones are carried")
    named = {name: x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float) for name, x in named.items()}
    if any(x.shape[2:] != shapes[name] for name, x in named.items()):
        shapes = _without_batch(plan, shapes, dt, fire)
    for name, x in named.items():
        if x.ndim < 2 or x.shape[2:] != shapes[name] or len(x) < 1:
            raise ValueError(f"Input {name!r} takes [T, B, {', '.join(map(str, shapes[name]))}], T >= 1, got {x.shape}")
        if not is_traced(x) and not jnp.isfinite(x).all():
            raise ValueError(f"Input {name!r} is given NaN or infinity, of which neurons fall silent")
    return named


def _without_batch(plan: _Plan, shapes: dict[str, tuple[int, ...]], dt: float, fire: Fire):
    """The Inputs' shapes without the fewest first axes for which all nodes take them; as they are if none do."""
    for more in range(max(map(len, shapes.values()))):
        fewer = {name: shape[min(more, len(shape) - 1) :] if shape else shape for name, shape in shapes.items()}
        zeros = {name: jnp.zeros((1, *shape)) for name, shape in fewer.items()}
        try:
            jax.eval_shape(lambda zeros: _start(plan, zeros, dt, 1, fire), zeros)
        except ValueError:
            continue
        return fewer
    return shapes


def _inputs(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Shapes of the graph's Inputs."""
    inputs = {k: each for k, each in graph.nodes.items() if isinstance(each, Node) and each.type == "Input"}
    return {name: tuple(np.ravel(each.values["shape"]).tolist()) for name, each in inputs.items()}


def _plan(graph: Graph) -> _Plan:
    nodes, edges = _flat(graph)
    order, late = _walk(edges, nodes, sorted(_inputs(graph)))
    if lost := nodes.keys() - set(order):
        raise ValueError(f"node {min(lost)!r} ({nodes[min(lost)].type}) is not reached from any Input")
    sources = {name: [] for name in nodes}
    for a, b in sorted(edges):
        sources[b].append(a)
    return _Plan(nodes, order, sources, late)


def _flat(graph: Graph, within: str = "") -> tuple[dict[str, Node], list[tuple[str, str]]]:
    """Nodes and edges without nesting, named by their path."""
    nodes, edges, entry, leave = {}, [], {}, {}
    for name, each in graph.nodes.items():
        path = within + name
        if isinstance(each, Graph):
            inner, between = _flat(each, path + "/")
            nodes, edges = nodes | inner, edges + between
            ends = {e.type: f"{path}/{k}" for k, e in each.nodes.items() if isinstance(e, Node) and e.type in PASSES}
            entry[name], leave[name] = ends["Input"], ends["Output"]
        else:
            nodes[path] = each
            entry[name] = leave[name] = path
    return nodes, edges + [(leave[a], entry[b]) for a, b in graph.edges]


def _walk(
    edges: list[tuple[str, str]], nodes: dict[str, Node], starts: list[str]
) -> tuple[list[str], set[tuple[str, str]]]:
    """Depth first from the Inputs: sources before targets, and the edges that close a cycle."""
    after = {name: [] for name in nodes}
    for a, b in sorted(edges):
        after[a].append(b)
    order, closing, seen, active = [], set(), set(), set()
    for start in starts:
        path = [(start, iter(after[start]))]
        while path:
            name, rest = path[-1]
            seen.add(name)
            active.add(name)
            for following in rest:
                if following in active:
                    closing.add((name, following))
                elif following not in seen:
                    path.append((following, iter(after[following])))
                    break
            else:
                path.pop()
                active.remove(name)
                order.append(name)
    return order[::-1], closing


def _start(plan: _Plan, zeros: dict[str, jax.Array], dt: float, length: int, fire: Fire) -> tuple[dict, dict]:
    """States at rest, and what late edges carry at first; here every node first meets the shape of its input."""
    states, given, left_out = {}, {}, _left_out(plan, zeros)
    for name in plan.order:
        each, sources = plan.nodes[name], [given[a] for a in plan.sources[name] if (a, name) not in plan.late]
        if len(shapes := sorted({x.shape[1:] for x in sources})) > 1:
            raise ValueError(f"node {name!r} ({each.type}) is given several shapes, {', '.join(map(str, shapes))}")
        x = sources[0] if sources else zeros[name]
        x = sum(sources[1:], start=x)
        try:
            dynamics.fit(each, x.shape[1:], left_out)
            state = dynamics.rest(each, x, dt, length)
            given[name] = dynamics.apply(each, x, fire) if state is None else dynamics.at_rest(each, state, x)
        except (TypeError, ValueError) as error:
            raise ValueError(f"node {name!r} ({each.type}) cannot take {x.shape[1:]}: {error}") from None
        if state is not None:
            states[name] = state
    return states, {a: given[a] for a in sorted({a for a, _ in plan.late})}


def _left_out(plan: _Plan, zeros: dict[str, jax.Array]) -> set[tuple[int, ...]]:
    """First axes that shapes in the file may have besides: those that Inputs have beside what they are given."""
    stated = {name: tuple(np.ravel(plan.nodes[name].values["shape"]).tolist()) for name in zeros}
    return {()} | {dynamics.without_ones(shape[: len(shape) - zeros[name].ndim + 1]) for name, shape in stated.items()}

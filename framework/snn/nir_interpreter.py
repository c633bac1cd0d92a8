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
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from framework.snn.nir_graph import NEURONS, Graph, Node, check

_PASSES = ("Input", "Output")
_WHOLE = 1e-3  # how far from a whole number of steps a delay may be


class _Plan(NamedTuple):
    """A graph without nesting, in the order of evaluation."""

    nodes: dict[str, Node]
    order: list[str]
    sources: dict[str, list[str]]
    late: set[tuple[str, str]]  # edges that carry the step before


def run(
    graph: Graph,
    inputs: jax.Array | dict[str, jax.Array],
    dt: float = 1.0,
    *,
    at_threshold: bool = False,
    of: tuple[str, ...] | None = None,
) -> jax.Array | dict[str, jax.Array]:
    """What a graph makes of inputs over time. Compiles at each call that is not under `jit`.

    Args:
      graph: of `interchange.load` or of the builders in `nir_graph`.
      inputs: [T, B, ...], images channels first; by name where there are several Inputs.
      dt: length of a step in the graph's unit of time, which the file does not state.
      at_threshold: whether neurons fire at and above their threshold, not strictly above it as NIR says.
      of: names of the nodes whose output is wanted, by default the Outputs; those of nested graphs as `outer/inner`.

    Returns:
      [T, B, ...]; or a dict of such by name, where there are several Outputs or `of` is given.

    Raises:
      ValueError: if the inputs do not fit, a node takes no such input, is not reached from any Input, or its delay is
        not a whole number of steps; names the node.
    """
    check(graph)
    if not dt > 0:
        raise ValueError(f"dt must be above 0, got {dt}")
    plan = _plan(graph)
    inputs = _named(graph, inputs)
    wanted = [name for name, each in graph.nodes.items() if isinstance(each, Node) and each.type == "Output"]
    if unknown := set(of or ()) - plan.nodes.keys():
        raise ValueError(f"there is no node {min(unknown)!r}: take one of {', '.join(plan.nodes)}")
    fires = jnp.greater_equal if at_threshold else jnp.greater
    length = len(next(iter(inputs.values())))
    start = _start(plan, {name: jnp.zeros_like(x[0]) for name, x in inputs.items()}, dt, length, fires)

    def step(carry, now):
        states, before, given, states_after = *carry, {}, {}
        for name in plan.order:
            sources = [(before if (a, name) in plan.late else given)[a] for a in plan.sources[name]]
            x = sum(sources[1:], start=sources[0]) if sources else now[name]
            if name in states:
                states_after[name], given[name] = _advance(plan.nodes[name], states[name], x, dt, fires)
            else:
                given[name] = _apply(plan.nodes[name], x, fires)
        return (states_after, {a: given[a] for a in before}), {name: given[name] for name in of or wanted}

    outputs = lax.scan(step, start, inputs)[1]
    return outputs if of or len(wanted) > 1 else outputs[wanted[0]]


def _named(graph: Graph, inputs) -> dict[str, jax.Array]:
    """The inputs by the names of the graph's Inputs, as floats."""
    shapes = _inputs(graph)
    named = inputs if isinstance(inputs, dict) else dict.fromkeys(list(shapes)[:1], inputs)
    if named.keys() != shapes.keys():
        raise ValueError(f"the graph has the Inputs {', '.join(shapes)}; inputs were given for {', '.join(named)}")
    named = {name: jnp.asarray(x) for name, x in named.items()}
    for name, x in named.items():
        if x.ndim < 2 or x.shape[2:] != shapes[name] or len(x) < 1:
            raise ValueError(f"Input {name!r} takes [T, B, {', '.join(map(str, shapes[name]))}], T >= 1, got {x.shape}")
    return {name: x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float) for name, x in named.items()}


def _inputs(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Shapes of the graph's Inputs."""
    inputs = {k: each for k, each in graph.nodes.items() if isinstance(each, Node) and each.type == "Input"}
    return {name: tuple(each.values["shape"].tolist()) for name, each in inputs.items()}


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
            ends = {e.type: f"{path}/{k}" for k, e in each.nodes.items() if isinstance(e, Node) and e.type in _PASSES}
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


def _start(plan: _Plan, zeros: dict[str, jax.Array], dt: float, length: int, fires) -> tuple[dict, dict]:
    """States at rest, and what late edges carry at first; here every node first meets the shape of its input."""
    states, given = {}, {}
    for name in plan.order:
        each, sources = plan.nodes[name], [given[a] for a in plan.sources[name] if (a, name) not in plan.late]
        if len(shapes := sorted({x.shape[1:] for x in sources})) > 1:
            raise ValueError(f"node {name!r} ({each.type}) is given several shapes, {', '.join(map(str, shapes))}")
        x = sources[0] if sources else zeros[name]
        x = sum(sources[1:], start=x)
        try:
            _fit(each, x.shape[1:])
            state = _rest(each, x, dt, length)
            given[name] = _apply(each, x, fires) if state is None else _at_rest(each, state, x)
        except (TypeError, ValueError) as error:
            raise ValueError(f"node {name!r} ({each.type}) cannot take {x.shape[1:]}: {error}") from None
        if state is not None:
            states[name] = state
    return states, {a: given[a] for a in sorted({a for a, _ in plan.late})}


def _rest(node: Node, x: jax.Array, dt: float, length: int) -> dict[str, Any] | None:
    """The state of a node at rest, None for one without memory."""
    if node.type == "Delay":
        steps = _delay(node, dt, length)
        return {
            "past": jnp.zeros((int(steps.max(initial=0)), *jnp.broadcast_shapes(x.shape, steps.shape)), x.dtype),
            "steps": jnp.asarray(steps),
        }
    if node.type not in NEURONS:
        return None
    potential = node.values.get("v_leak", node.values.get("v_reset", np.zeros(1)))
    state = {"v": jnp.broadcast_to(jnp.asarray(potential, x.dtype), x.shape)}
    return state | ({"i": jnp.zeros_like(x)} if "tau_syn" in node.values else {})


def _fit(node: Node, shape: tuple[int, ...]) -> None:
    """Whether a node takes inputs of a shape; a single number as its parameter serves all."""
    own = node.values
    if node.type in ("Affine", "Linear"):
        wanted = (*own["weight"].shape[:-2], own["weight"].shape[-1])
    elif node.type in _PASSES:
        wanted = tuple(own["shape"].tolist())
    else:
        parameter = next((own[name] for name in ("r", "scale", "threshold", "delay") if name in own), None)
        wanted = shape if parameter is None or parameter.size == 1 else parameter.shape
    if shape != wanted:
        raise ValueError(f"it takes {wanted}")
    axes = {"Flatten": len(shape) or 1, "Conv1d": 2, "Conv2d": 3, "SumPool2d": 3, "AvgPool2d": 3}.get(node.type)
    if axes not in (None, len(shape)):
        raise ValueError(f"it takes {axes} axes")


def _delay(node: Node, dt: float, length: int) -> np.ndarray:
    """Steps of each delay; beyond the end of the inputs all are alike."""
    steps = node.values["delay"].astype(float) / dt
    if (steps < 0).any() or (abs(steps - np.round(steps)) > _WHOLE).any():
        raise ValueError(f"a delay must be a whole number of steps of {dt}")
    return np.minimum(np.round(steps), length).astype(np.int32)


def _at_rest(node: Node, state: dict, x: jax.Array) -> jax.Array:
    silent = node.type == "Delay" or "v_threshold" in node.values
    return jnp.zeros_like(x) if silent else state["v"]


def _advance(node: Node, state: dict, x: jax.Array, dt: float, fires) -> tuple[dict, jax.Array]:
    """One step of a node with memory."""
    if node.type == "Delay":
        line = jnp.concatenate([x[None], state["past"]])
        place = jnp.broadcast_to(state["steps"], x.shape)[None]
        return state | {"past": line[:-1]}, jnp.take_along_axis(line, place, axis=0)[0]
    own = {name: np.asarray(value, np.float64) for name, value in node.values.items()}
    number = lambda value: jnp.asarray(value, x.dtype)
    state = dict(state)
    if "i" in state:
        state["i"] = x = state["i"] + number(dt / own["tau_syn"]) * (number(own["w_in"]) * x - state["i"])
    if "v_leak" in own:
        rate = number(dt / own.get("tau", own.get("tau_mem")))
        state["v"] = state["v"] + rate * ((number(own["v_leak"]) - state["v"]) + number(own["r"]) * x)
    else:
        state["v"] = state["v"] + number(dt * own["r"]) * x
    if "v_threshold" not in own:
        return state, state["v"]
    spikes = fires(state["v"], number(own["v_threshold"]))
    state["v"] = jnp.where(spikes, number(own["v_reset"]), state["v"])
    return state, spikes.astype(x.dtype)


def _apply(node: Node, x: jax.Array, fires) -> jax.Array:
    """A node without memory; x is [B, ...]."""
    own = node.values
    number = lambda name: jnp.asarray(own[name], x.dtype)
    if node.type in ("Affine", "Linear"):
        y = jnp.einsum("...oi,b...i->b...o", number("weight"), x)
        return y + number("bias") if "bias" in own else y
    if node.type == "Scale":
        return x * number("scale")
    if node.type == "Threshold":
        return fires(x, number("threshold")).astype(x.dtype)
    if node.type == "Flatten":
        sides = x.shape[1:]
        start, end = (int(own[name]) % len(sides) for name in ("start_dim", "end_dim"))
        return x.reshape(len(x), *sides[:start], -1, *sides[end + 1 :])
    if node.type in ("Conv1d", "Conv2d"):
        y = _convolved(own, number("weight"), x)
        return y + number("bias").reshape(-1, *(1,) * (x.ndim - 2))
    if node.type in ("SumPool2d", "AvgPool2d"):
        window, stride, padding = (_sides(own[name], 2) for name in ("kernel_size", "stride", "padding"))
        pads = ((0, 0), (0, 0), *((p, p) for p in padding))
        total = lax.reduce_window(x, 0.0, lax.add, (1, 1, *window), (1, 1, *stride), pads)
        return total / np.prod(window).astype(x.dtype) if node.type == "AvgPool2d" else total
    return x


def _convolved(own: dict[str, Any], weight: jax.Array, x: jax.Array) -> jax.Array:
    stride, dilation = _sides(own["stride"], x.ndim - 2), _sides(own["dilation"], x.ndim - 2)
    if not isinstance(own["padding"], str):
        padding = [(p, p) for p in _sides(own["padding"], x.ndim - 2)]
    elif own["padding"] == "same" and max(stride) > 1:
        raise ValueError("padding 'same' is defined for stride 1 only")
    else:
        padding = own["padding"].upper()
    groups = int(own["groups"])
    return lax.conv_general_dilated(x, weight, stride, padding, rhs_dilation=dilation, feature_group_count=groups)


def _sides(value: np.ndarray, axes: int) -> list[int]:
    return np.broadcast_to(value, (axes,)).tolist()

"""Other programs' spiking networks with one signature: a task in, a training step out.

All have the task's weights, inputs and labels, a leaky neuron that keeps .9 of its membrane, a threshold of 1 and a
reset by subtraction, the cross entropy of the last layer's mean current, and Adam. They differ in this: snnTorch resets
one step late, its default; spyx fires from the membrane of the step before; norse multiplies its input by .1, which its
weights make up for, and has a surrogate of its own. They are imported where they are called.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from framework.core.types import Params
from framework.snn import layers as layer
from framework.snn import network, training


class Task(NamedTuple):
    """A network and its data."""

    layers: tuple[layer.Layer, ...]
    params: Params
    inputs: np.ndarray  # [T, B, ...], images NHWC
    labels: np.ndarray  # [B]


class Trainer(NamedTuple):
    """A network in training; it holds its own weights."""

    step: Callable[[int], float]  # parts of the batch, one after another -> the loss before the step
    spikes: Callable[[], list[float]]  # of each layer, an image and step


def pytorch(task: Task) -> Trainer:
    """PyTorch alone: the neuron written by hand."""
    import torch

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return (x >= 0).to(x)

        @staticmethod
        def backward(ctx, g):
            return g / (1 + (math.pi * ctx.saved_tensors[0]).square())

    def unit(current, membrane):
        charged = current if membrane is None else 0.9 * membrane + current
        spikes = Spike.apply(charged - 1)
        return spikes, charged - spikes.detach()

    return _torch_trainer(task, lambda between: [unit] * (len(between) - 1))


def snntorch(task: Task) -> Trainer:
    """snnTorch's Leaky, its state handed on step by step."""
    import snntorch
    from snntorch import surrogate

    def unit():
        neuron = snntorch.Leaky(beta=0.9, spike_grad=surrogate.atan(alpha=2.0))
        return lambda current, membrane: neuron(current, neuron.reset_mem() if membrane is None else membrane)

    return _torch_trainer(task, lambda between: [unit() for _ in between[1:]])


def norse(task: Task) -> Trainer:
    """norse's LIFBoxCell, the one without a synaptic current."""
    import torch
    from norse.torch import LIFBoxCell, LIFBoxParameters
    from norse.torch.functional.reset import reset_subtract

    p = LIFBoxParameters(tau_mem_inv=torch.as_tensor(100.0), reset_method=reset_subtract)
    return _torch_trainer(task, lambda between: [LIFBoxCell(p, dt=0.001) for _ in between[1:]], gain=10.0)


def spikingjelly(task: Task) -> Trainer:
    """SpikingJelly, layer by layer over all steps."""
    from spikingjelly.activation_based import functional, layer, neuron, surrogate
    from torch import nn

    options = {"tau": 10.0, "decay_input": False, "v_reset": None, "detach_reset": True, "step_mode": "m"}
    between = _between(task, 1.0)
    units = [neuron.LIFNode(surrogate_function=surrogate.ATan(alpha=2.0), **options) for _ in between[1:]]
    units = nn.ModuleList(units)

    def forward(inputs):
        x, layer_spikes = inputs, []
        for before, unit in zip(between, units, strict=False):
            x = unit(layer.SeqToANNContainer(before)(x))
            layer_spikes.append(x)
        logits = layer.SeqToANNContainer(between[-1])(x).mean(0)
        functional.reset_net(units)
        return logits, layer_spikes

    return _trainer(task, between, forward)


def spyx(task: Task) -> Trainer:
    """spyx, all layers in one scan, compiled with Adam in one program."""
    import spyx.nn
    from flax import nnx

    shapes = network.input_shapes(task.layers, task.inputs.shape[2:])
    built = []
    for spec, layer_params, stage_shape in zip(task.layers, task.params, shapes, strict=False):
        built += _nnx(spec, layer_params, stage_shape, spyx)
    graph, weights = nnx.split(spyx.nn.Sequential(*built[:-1]), nnx.Param)  # no unit after the last layer
    adam = optax.adam(1e-3)
    state = {"weights": weights, "adam": adam.init(weights)}
    inputs, labels = jnp.asarray(task.inputs), jnp.asarray(task.labels)

    def loss(weights, inputs, labels):
        logits, _ = spyx.nn.run(nnx.merge(graph, weights), inputs)
        return optax.softmax_cross_entropy_with_integer_labels(logits.mean(0), labels).mean(), ()

    def spikes():
        layers = nnx.merge(graph, state["weights"]).layers
        ends = [i + 1 for i, module in enumerate(layers) if isinstance(module, spyx.nn.LIF)]
        outputs = [spyx.nn.run(spyx.nn.Sequential(*layers[:end]), inputs)[0] for end in ends]
        return [float(output.sum()) / inputs.shape[0] / inputs.shape[1] for output in outputs]

    steps = {}

    def step(parts):
        if parts not in steps:
            steps[parts] = jax.jit(update(adam, training.value_and_grad(loss, parts)))
        state["weights"], state["adam"], value = steps[parts](state["weights"], state["adam"], inputs, labels)
        return float(value)

    return Trainer(step, spikes)


def update(adam: optax.GradientTransformation, value_and_grad: Callable) -> Callable:
    """One training step of jax."""

    def update(weights, state, inputs, labels):
        (value, _), gradient = value_and_grad(weights, inputs, labels)
        updates, state = adam.update(gradient, state)
        return optax.apply_updates(weights, updates), state, value

    return update


def _nnx(spec: layer.Layer, layer_params: dict[str, Any], shape: tuple[int, ...], spyx: Any) -> list:
    """A layer of ours in flax, with a unit after it if it has weights."""
    from flax import nnx

    if isinstance(spec, layer.Flatten):
        return [spyx.nn.Flatten()]
    if isinstance(spec, layer.Pool):
        return [lambda x: nnx.avg_pool(x, spec.window, spec.window)]
    rngs = nnx.Rngs(0)
    if isinstance(spec, layer.Conv):
        module, after = nnx.Conv(shape[-1], spec.features, spec.kernel, rngs=rngs), (*shape[:2], spec.features)
    else:
        module, after = nnx.Linear(shape[0], spec.features, rngs=rngs), (spec.features,)
    module.kernel[...], module.bias[...] = layer_params["kernel"], layer_params["bias"]
    # its decay is learned, as it comes; one number
    return [module, spyx.nn.LIF(after, beta=0.9, activation=spyx.axn.arctan(2), rngs=rngs)]


def _between(task: Task, gain: float) -> Any:
    """The layers between the units, in PyTorch: a module a unit, and one for the last layer."""
    import torch
    from torch import nn

    shapes = network.input_shapes(task.layers, task.inputs.shape[2:])
    stages, now, image = [], [], None
    for spec, layer_params, shape in zip(task.layers, task.params, shapes, strict=False):
        if isinstance(spec, layer.Pool):
            now.append(nn.AvgPool2d(spec.window))
        elif isinstance(spec, layer.Flatten):
            now.append(nn.Flatten())
            image = shape
        else:
            kernel = np.asarray(layer_params["kernel"])
            if isinstance(spec, layer.Conv):
                module = nn.Conv2d(shape[-1], spec.features, spec.kernel, padding="same")
                kernel = kernel.transpose(3, 2, 0, 1)
            else:
                module = nn.Linear(shape[0], spec.features)
                # flattened with the channels first
                kernel = (
                    kernel if image is None else kernel.reshape(*image, -1).transpose(2, 0, 1, 3).reshape(shape[0], -1)
                )
                kernel, image = kernel.T, None
            last = spec is task.layers[-1]
            with torch.no_grad():
                module.weight.copy_(torch.tensor(kernel.copy()) * (1 if last else gain))
                module.bias.copy_(torch.tensor(np.array(layer_params["bias"])) * (1 if last else gain))
            stages.append(nn.Sequential(*now, module))
            now = []
    return nn.ModuleList(stages)


def _torch_trainer(task: Task, units_of: Callable, gain: float = 1.0) -> Trainer:
    """Step by step through all layers."""
    between = _between(task, gain)
    units = units_of(between)

    def forward(inputs):
        states, layer_spikes, logits = [None] * len(units), [[] for _ in units], 0
        for x in inputs.unbind(0):
            for index, (before, unit) in enumerate(zip(between, units, strict=False)):
                x, states[index] = unit(before(x), states[index])
                layer_spikes[index].append(x)
            logits = logits + between[-1](x)
        return logits / len(inputs), layer_spikes

    return _trainer(task, between, forward)


def _trainer(task: Task, between: Any, forward: Callable) -> Trainer:
    import torch

    inputs = torch.tensor(task.inputs.transpose(0, 1, 4, 2, 3).copy() if task.inputs.ndim == 5 else task.inputs)
    labels = torch.tensor(task.labels, dtype=torch.long)
    adam = torch.optim.Adam(between.parameters(), lr=1e-3)

    def step(parts):
        adam.zero_grad()
        total = 0.0
        for x, y in zip(inputs.chunk(parts, 1), labels.chunk(parts), strict=True):
            loss = torch.nn.functional.cross_entropy(forward(x)[0], y) / parts
            loss.backward()
            total += loss.item()
        adam.step()
        return total

    def spikes():
        with torch.no_grad():
            counts = [sum(float(values.sum()) for values in layer_spikes) for layer_spikes in forward(inputs)[1]]
        return [count / inputs.shape[0] / inputs.shape[1] for count in counts]

    return Trainer(step, spikes)


PEERS = {"PyTorch": pytorch, "snnTorch": snntorch, "SpikingJelly": spikingjelly, "norse": norse, "spyx": spyx}

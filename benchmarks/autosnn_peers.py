"""The published spiking cell in SpikingJelly: the same weights, neurons, loss and optimiser as ours.

It runs layer by layer with time folded into the batch, SpikingJelly's fastest way on a CPU; its batch norms therefore
see all steps at once (`statistics="time"` of ours) or, as in the authors' program, each step apart.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import functional, neuron, surrogate
from torch import nn

from framework.core.types import Params
from framework.nas.autosnn.blocks import Block, Branch
from framework.nas.autosnn.network import Network
from framework.snn import layers as described


def trainer(model: Network, params: Params, images: np.ndarray, labels: np.ndarray, rate: float) -> Callable[[], float]:
    """A function that takes one step of Adam on always the same batch and returns the loss before it.

    Args:
      of: of blocks without `Reduce`.
      params: of `Network.init`.
      images: `[B, height, width, channels]`.
      labels: `[B]`.
      rate: of Adam.
    """
    net = _Network(model, params)
    x = torch.tensor(images.transpose(0, 3, 1, 2).copy())
    targets = nn.functional.one_hot(torch.tensor(labels, dtype=torch.long), model.classes).float()
    adam = torch.optim.Adam(net.parameters(), lr=rate)

    def step() -> float:
        adam.zero_grad()
        loss = nn.functional.mse_loss(net(x), targets)
        loss.backward()
        adam.step()
        functional.reset_net(net)
        return loss.item()

    return step


class _Network(nn.Module):
    def __init__(self, model: Network, params: Params):
        super().__init__()
        self.block = model
        shapes = model.shapes()
        pairs = zip(model.blocks, params, shapes, strict=False)
        self.blocks = nn.ModuleList(_Block(block, weights, shape, model.dynamics) for block, weights, shape in pairs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return x.mean(0).unflatten(-1, (self.block.classes, -1)).mean(-1)


class _Block(nn.Module):
    """Units over all steps, `[T, B, channels, height, width]`; an image without time is repeated after its norm."""

    def __init__(self, block: Block, params: Params, shape: tuple[int, ...], dynamics: Any):
        super().__init__()
        self.block, self.dynamics = block, dynamics
        self.branches = nn.ModuleList(
            nn.ModuleList(
                nn.ModuleList(_layers(branch, branch_params, shape))
                for branch, branch_params in zip(unit.branches, weights["branches"], strict=True)
            )
            for unit, weights in zip(block.units, params, strict=True)
        )
        options = {"init_tau": dynamics.tau, "surrogate_function": surrogate.ATan(alpha=2.0)}
        unit = lambda: neuron.ParametricLIFNode(detach_reset=True, v_reset=0.0, step_mode="m", **options)
        self.neurons = nn.ModuleList(unit() if unit_spec.fires else nn.Identity() for unit_spec in block.units)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = [x]
        for unit, branches, fire in zip(self.block.units, self.branches, self.neurons, strict=True):
            pairs = zip(branches, unit.branches, strict=True)
            currents = [self._through(layers, outputs[branch.source]) for layers, branch in pairs]
            total = sum(currents[1:], start=currents[0])
            if total.ndim == 4:
                total = total.expand(self.dynamics.steps, *total.shape)
            outputs.append(fire(total))
        return outputs[-1]

    def _through(self, layers: nn.ModuleList, x: torch.Tensor) -> torch.Tensor:
        for layer in layers:
            if x.ndim == 4:
                x = layer(x)
            elif isinstance(layer, nn.BatchNorm2d) and self.dynamics.statistics == "step":
                x = torch.stack([layer(step) for step in x])
            else:
                x = functional.seq_to_ann_forward(x, layer)
        return x


def _layers(branch: Branch, params: Params, shape: tuple[int, ...]) -> list[nn.Module]:
    """A branch's layers with their weights; `shape` is that of the block's input, (height, width, channels)."""
    modules = []
    for layer, layer_params in zip(branch.layers, params, strict=True):
        if isinstance(layer, described.Norm):
            modules.append(nn.BatchNorm2d(len(layer_params["scale"]), layer.epsilon, 1 - layer.momentum))
        elif isinstance(layer, described.Pool):
            modules.append(nn.MaxPool2d(layer.window))
        elif isinstance(layer, described.Flatten):
            modules.append(nn.Flatten())
        else:
            modules.append(_load_weights(layer, np.asarray(layer_params["kernel"]), shape))
    return modules


def _load_weights(layer: described.Conv | described.Dense, kernel: np.ndarray, shape: tuple[int, ...]) -> nn.Module:
    if isinstance(layer, described.Conv):
        module = nn.Conv2d(*kernel.shape[2:], layer.kernel, layer.strides, padding=layer.kernel[0] // 2, bias=False)
        weights = kernel.transpose(3, 2, 0, 1)
    else:
        module = nn.Linear(*kernel.shape, bias=False)
        weights = kernel.reshape(*shape, -1).transpose(3, 2, 0, 1).reshape(kernel.shape[::-1])
    with torch.no_grad():
        module.weight.copy_(torch.tensor(weights.copy()))
    return module

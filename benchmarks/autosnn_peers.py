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


def trainer(of: Network, params: Params, images: np.ndarray, labels: np.ndarray, rate: float) -> Callable[[], float]:
    """A function that takes one step of Adam on always the same batch and returns the loss before it.

    Args:
      of: of blocks without `Reduce`.
      params: of `Network.init`.
      images: `[B, height, width, channels]`.
      labels: `[B]`.
      rate: of Adam.
    """
    net = _Network(of, params)
    x = torch.tensor(images.transpose(0, 3, 1, 2).copy())
    wanted = nn.functional.one_hot(torch.tensor(labels, dtype=torch.long), of.classes).float()
    adam = torch.optim.Adam(net.parameters(), lr=rate)

    def step() -> float:
        adam.zero_grad()
        loss = nn.functional.mse_loss(net(x), wanted)
        loss.backward()
        adam.step()
        functional.reset_net(net)
        return loss.item()

    return step


class _Network(nn.Module):
    def __init__(self, of: Network, params: Params):
        super().__init__()
        self.of = of
        shapes = of.shapes()
        pairs = zip(of.blocks, params, shapes, strict=False)
        self.blocks = nn.ModuleList(_Block(block, own, shape, of.dynamics) for block, own, shape in pairs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return x.mean(0).unflatten(-1, (self.of.classes, -1)).mean(-1)


class _Block(nn.Module):
    """Units over all steps, `[T, B, channels, height, width]`; an image without time is repeated behind its norm."""

    def __init__(self, of: Block, params: Params, shape: tuple[int, ...], dynamics: Any):
        super().__init__()
        self.of, self.dynamics = of, dynamics
        self.branches = nn.ModuleList(
            nn.ModuleList(
                nn.ModuleList(_layers(branch, own, shape))
                for branch, own in zip(unit.branches, weights["branches"], strict=True)
            )
            for unit, weights in zip(of.units, params, strict=True)
        )
        options = {"init_tau": dynamics.tau, "surrogate_function": surrogate.ATan(alpha=2.0)}
        unit = lambda: neuron.ParametricLIFNode(detach_reset=True, v_reset=0.0, step_mode="m", **options)
        self.neurons = nn.ModuleList(unit() if each.fires else nn.Identity() for each in of.units)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = [x]
        for unit, branches, fire in zip(self.of.units, self.branches, self.neurons, strict=True):
            currents = [self._through(b, outputs[each.source]) for b, each in zip(branches, unit.branches, strict=True)]
            total = sum(currents[1:], start=currents[0])
            if total.ndim == 4:
                total = total.expand(self.dynamics.steps, *total.shape)
            outputs.append(fire(total))
        return outputs[-1]

    def _through(self, layers: nn.ModuleList, x: torch.Tensor) -> torch.Tensor:
        for each in layers:
            if x.ndim == 4:
                x = each(x)
            elif isinstance(each, nn.BatchNorm2d) and self.dynamics.statistics == "step":
                x = torch.stack([each(step) for step in x])
            else:
                x = functional.seq_to_ann_forward(x, each)
        return x


def _layers(of: Branch, params: Params, shape: tuple[int, ...]) -> list[nn.Module]:
    """A branch's layers with their weights; `shape` is that of the block's input, (height, width, channels)."""
    found = []
    for each, own in zip(of.layers, params, strict=True):
        if isinstance(each, described.Norm):
            found.append(nn.BatchNorm2d(len(own["scale"]), each.epsilon, 1 - each.momentum))
        elif isinstance(each, described.Pool):
            found.append(nn.MaxPool2d(each.window))
        elif isinstance(each, described.Flatten):
            found.append(nn.Flatten())
        else:
            found.append(_weighted(each, np.asarray(own["kernel"]), shape))
    return found


def _weighted(of: described.Conv | described.Dense, kernel: np.ndarray, shape: tuple[int, ...]) -> nn.Module:
    if isinstance(of, described.Conv):
        module = nn.Conv2d(*kernel.shape[2:], of.kernel, of.strides, padding=of.kernel[0] // 2, bias=False)
        moved = kernel.transpose(3, 2, 0, 1)
    else:
        module = nn.Linear(*kernel.shape, bias=False)
        moved = kernel.reshape(*shape, -1).transpose(3, 2, 0, 1).reshape(kernel.shape[::-1])
    with torch.no_grad():
        module.weight.copy_(torch.tensor(moved.copy()))
    return module

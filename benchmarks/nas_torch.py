"""A plain PyTorch DARTS of the same space: modules as in the paper, no trick but those that PyTorch has itself.

Its weights are ours, copied over, so that both sides compute the same function.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from framework.nas.darts import space, supernet


def norm(channels: int, affine: bool = False) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, affine=affine)


class Reduce(nn.Module):
    """Half the resolution; the second convolution sees the image shifted by one place."""

    def __init__(self, wide: int, channels: int):
        super().__init__()
        self.one = nn.Conv2d(wide, channels // 2, 1, stride=2, bias=False)
        self.two = nn.Conv2d(wide, channels // 2, 1, stride=2, bias=False)
        self.norm = norm(channels)

    def forward(self, x):
        x = F.relu(x)
        return self.norm(torch.cat([self.one(x), self.two(x[:, :, 1:, 1:])], 1))


def pointwise(wide: int, channels: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Conv2d(wide, channels, 1, bias=False), norm(channels))


def separable(channels: int, size: int, stride: int, dilation: int = 1) -> list[nn.Module]:
    pad = dilation * (size // 2)
    depthwise = nn.Conv2d(channels, channels, size, stride, pad, dilation, groups=channels, bias=False)
    return [nn.ReLU(), depthwise, nn.Conv2d(channels, channels, 1, bias=False), norm(channels)]


class Edge(nn.Module):
    """All operations of one edge but `none`, in the order of the space."""

    def __init__(self, channels: int, stride: int):
        super().__init__()
        self.operations = nn.ModuleList(
            [
                nn.Sequential(nn.MaxPool2d(3, stride, 1), norm(channels)),
                nn.Sequential(nn.AvgPool2d(3, stride, 1, count_include_pad=False), norm(channels)),
                nn.Identity() if stride == 1 else Reduce(channels, channels),
                nn.Sequential(*separable(channels, 3, stride), *separable(channels, 3, 1)),
                nn.Sequential(*separable(channels, 5, stride), *separable(channels, 5, 1)),
                nn.Sequential(*separable(channels, 3, stride, 2)),
                nn.Sequential(*separable(channels, 5, stride, 2)),
            ]
        )

    def forward(self, x, weights):
        return sum(weight * operation(x) for weight, operation in zip(weights[1:], self.operations, strict=True))


class Cell(nn.Module):
    def __init__(self, incoming: tuple[int, int], channels: int, reduction: bool, shrinks: bool):
        super().__init__()
        self.reduction = reduction
        first = Reduce(incoming[0], channels) if shrinks else pointwise(incoming[0], channels)
        self.before = nn.ModuleList([first, pointwise(incoming[1], channels)])
        strides = [2 if reduction and source < space.INPUTS else 1 for source, _ in space.EDGES]
        self.edges = nn.ModuleList([Edge(channels, stride) for stride in strides])

    def forward(self, inputs, weights):
        states = [fit(x) for fit, x in zip(self.before, inputs, strict=True)]
        for node in range(space.INPUTS, space.STATES):
            rows = [row for row, (_, end) in enumerate(space.EDGES) if end == node]
            states.append(sum(self.edges[row](states[space.EDGES[row][0]], weights[row]) for row in rows))
        return torch.cat(states[space.INPUTS :], 1)


class Network(nn.Module):
    """The supernet; alphas are its buffers' peers, `alphas.normal` and `alphas.reduce`."""

    def __init__(self, net: supernet.Supernet, colours: int = 3):
        super().__init__()
        wide = supernet.STEM * net.channels
        self.stem = nn.Sequential(nn.Conv2d(colours, wide, 3, padding=1, bias=False), norm(wide, affine=True))
        self.cells = nn.ModuleList()
        incoming, channels, shrinks = (wide, wide), net.channels, False
        for i in range(net.cells):
            channels *= 1 + net.reduces(i)
            self.cells.append(Cell(incoming, channels, net.reduces(i), shrinks))
            incoming, shrinks = (incoming[1], space.NODES * channels), net.reduces(i)
        self.classifier = nn.Linear(incoming[1], net.classes)
        self.alphas = nn.ParameterList([nn.Parameter(torch.zeros(14, 8)) for _ in range(2)])

    def forward(self, images):
        weights = [F.softmax(alpha, -1) for alpha in self.alphas]
        inputs = (self.stem(images),) * 2
        for cell in self.cells:
            inputs = (inputs[1], cell(inputs, weights[cell.reduction]))
        return self.classifier(inputs[1].mean((2, 3)))

    def weights(self):
        return [parameter for name, parameter in self.named_parameters() if not name.startswith("alphas")]


def tensor(array) -> torch.Tensor:
    return torch.from_numpy(np.array(array))


@torch.no_grad()
def load_params(network: Network, params, alphas) -> Network:
    """The network with our weights."""
    put = lambda parameter, array: parameter.copy_(tensor(array).reshape(parameter.shape))
    put(network.stem[0].weight, np.transpose(params["stem"]["kernel"], (3, 0, 1, 2)))
    put(network.stem[1].weight, params["stem"]["scale"])
    put(network.stem[1].bias, params["stem"]["shift"])
    for cell, cell_params in zip(network.cells, params["cells"], strict=True):
        for fit, fit_params in zip(cell.before, cell_params["before"], strict=True):
            if isinstance(fit, Reduce):
                put(fit.one.weight, fit_params["kernel"][0].T)
                put(fit.two.weight, fit_params["kernel"][1].T)
            else:
                put(fit[1].weight, fit_params["kernel"].T)
        for index, row in enumerate(space.BY_SOURCE):
            operations = cell.edges[row].operations
            if isinstance(operations[2], Reduce):
                put(operations[2].one.weight, cell_params["skip"]["kernel"][index, 0].T)
                put(operations[2].two.weight, cell_params["skip"]["kernel"][index, 1].T)
            for k, (operation, size) in enumerate(zip(operations[3:], (3, 5, 3, 5), strict=True)):
                put(operation[1].weight, cell_params["first"][f"depthwise_{size}"][index, k // 2])
                put(operation[2].weight, cell_params["first"]["pointwise"][index, k].T)
                if k < 2:
                    put(operation[5].weight, cell_params["second"][f"depthwise_{size}"][index, 0])
                    put(operation[6].weight, cell_params["second"]["pointwise"][index, k].T)
    put(network.classifier.weight, params["classifier"]["kernel"].T)
    put(network.classifier.bias, params["classifier"]["bias"])
    for parameter, array in zip(network.alphas, alphas, strict=True):
        put(parameter, array)
    return network


def curvature(network: Network, images, labels, h: float):
    """mean ||g(x + z) - g(x)||^2 on running statistics, by double backward, as the published program takes it."""
    network.eval()
    gradient = lambda x: torch.autograd.grad(
        F.cross_entropy(network(x), labels, reduction="sum"), x, create_graph=True
    )[0]
    x = images.clone().requires_grad_()
    z = torch.autograd.grad(F.cross_entropy(network(x), labels, reduction="sum"), x)[0].sign().detach()
    z = h * z / z.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]
    change = gradient(x + z) - gradient(x)
    network.train()
    return change.flatten(1).square().sum(1).mean()

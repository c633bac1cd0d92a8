"""Attacks of PyTorch's libraries on the same weights and images as this framework's.

Images are `[N, H, W, C]` in [0, 1]; a network is that of `network`, with its weights as NumPy arrays.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import foolbox
import jax
import jax.numpy as jnp
import numpy as np
import pyautoattack
import torch
import torchattacks
from jax import lax
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from pyautoattack.fab_pt import FABAttack_PT

NORMS = {"linf": "Linf", "l2": "L2"}
LOSSES = {"cross_entropy": "ce", "dlr": "dlr"}
Weights = dict[str, Any]  # conv1, conv2 [3, 3, in, out], bias1, bias2, dense [pixels, classes], bias


class Verdicts(NamedTuple):
    robust: np.ndarray  # [N] bool
    seconds: float
    processor: float  # seconds of all cores together, which other programs on the machine lengthen less


class Watch:
    """Seconds by the clock and by the processor since it was made."""

    def __init__(self):
        self.begun = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self.begun[0], time.process_time() - self.begun[1]


def network(weights: Weights, images: jax.Array) -> jax.Array:
    """Two 3 x 3 convolutions of stride 2 with ReLUs, and a dense layer."""
    x = images
    for layer in ("1", "2"):
        x = lax.conv_general_dilated(
            x, weights[f"conv{layer}"], (2, 2), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x + weights[f"bias{layer}"])
    return x.reshape(len(x), -1) @ weights["dense"] + weights["bias"]


def initial(key: jax.Array, size: int, channels: tuple[int, int], classes: int = 10) -> Weights:
    """Weights by He et al. for images `[size, size, 1]`."""
    first, second = channels
    pixels = (-(-size // 4)) ** 2 * second
    shapes = {"conv1": (3, 3, 1, first), "conv2": (3, 3, first, second), "dense": (pixels, classes)}
    weights = {
        name: jax.random.normal(jax.random.fold_in(key, i), shape) * (2 / np.prod(shape[:-1])) ** 0.5
        for i, (name, shape) in enumerate(shapes.items())
    }
    return weights | {"bias1": jnp.zeros(first), "bias2": jnp.zeros(second), "bias": jnp.zeros(classes)}


class Module(torch.nn.Module):
    """The same network in PyTorch, `[N, C, H, W]`."""

    def __init__(self, weights: Weights):
        super().__init__()
        tensor = lambda value: torch.tensor(np.array(value))
        self.kernels = [tensor(weights[f"conv{layer}"]).permute(3, 2, 0, 1).contiguous() for layer in ("1", "2")]
        self.biases = [tensor(weights[f"bias{layer}"]) for layer in ("1", "2")]
        self.dense, self.bias = tensor(weights["dense"]), tensor(weights["bias"])
        self.anchor = torch.nn.Parameter(torch.zeros(1))  # libraries ask a model's parameters for its device

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for kernel, bias in zip(self.kernels, self.biases, strict=True):
            x = torch.nn.functional.relu(torch.nn.functional.conv2d(x, kernel, bias, stride=2, padding=1))
        return x.permute(0, 2, 3, 1).flatten(1) @ self.dense + self.bias


def tensors(images: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Images as `[N, C, H, W]`, and labels."""
    return torch.tensor(images).permute(0, 3, 1, 2).contiguous(), torch.tensor(np.array(labels)).long()


def _evaluate(model: Module, attack: Callable[..., torch.Tensor], images, labels, batch: int) -> Verdicts:
    """An attack that knows nothing of others, on images that are right."""
    x, y = tensors(images, labels)
    with torch.no_grad():
        robust = (model(x).argmax(1) == y).numpy()
    watch = Watch()
    for rows in np.split(np.flatnonzero(robust), range(batch, int(robust.sum()), batch)):
        adversarial = attack(x[rows], y[rows])
        with torch.no_grad():
            robust[rows] = (model(adversarial).argmax(1) == y[rows]).numpy()
    return Verdicts(robust, *watch.read())


def reference(
    model: Module, images: np.ndarray, labels: np.ndarray, epsilon: float, norm: str, attacks: str, batch: int = 250
) -> Verdicts:
    """pyautoattack: `standard`, or one of its four attacks."""
    logging.disable(logging.WARNING)
    chosen = {"version": "standard"} if attacks == "standard" else {"version": "custom", "attacks": [attacks]}
    attack = pyautoattack.AutoAttack(model, norm=NORMS[norm], eps=epsilon, seed=0, **chosen)
    attack.apgd.n_restarts = attack.fab.n_restarts = 1
    x, y = tensors(images, labels)
    watch = Watch()
    _, predictions = attack.run_standard_evaluation(x, y, batch_size=batch)
    return Verdicts((predictions == y).numpy(), *watch.read())


def torchattacks_of(model: Module, images, labels, epsilon: float, norm: str, name: str, batch: int = 250) -> Verdicts:
    """torchattacks, with as many steps as AutoAttack's standard version takes."""
    size, linf = {"eps": epsilon, "norm": NORMS[norm]}, norm == "linf"
    attack = {
        "fgsm": lambda: torchattacks.FGSM(model, eps=epsilon),
        "pgd-20": lambda: torchattacks.PGD(model, eps=epsilon, alpha=epsilon / 8, steps=20),
        "apgd-ce": lambda: torchattacks.APGD(model, steps=100, **size),
        "apgd-t": lambda: torchattacks.APGDT(model, steps=100, **size),
        "fab-t": lambda: torchattacks.FAB(model, steps=100, n_restarts=1, multi_targeted=True, n_classes=10, **size),
        "square": lambda: torchattacks.Square(model, n_queries=5000, **size),
    }[name if linf or name not in ("fgsm", "pgd-20") else ""]()
    return _evaluate(model, attack, images, labels, batch)


def foolbox_of(model: Module, images, labels, epsilon: float, norm: str, name: str, batch: int = 250) -> Verdicts:
    """foolbox, which has the attacks by single gradients only."""
    wrapped = foolbox.PyTorchModel(model.eval(), bounds=(0, 1), device="cpu")
    step = {"rel_stepsize": 1 / 8, "steps": 20}
    attack = {
        ("fgsm", "linf"): foolbox.attacks.LinfFastGradientAttack(),
        ("pgd-20", "linf"): foolbox.attacks.LinfPGD(**step),
        ("fgsm", "l2"): foolbox.attacks.L2FastGradientAttack(),
        ("pgd-20", "l2"): foolbox.attacks.L2PGD(**step),
    }[name, norm]
    return _evaluate(model, lambda x, y: attack(wrapped, x, y, epsilons=epsilon)[1], images, labels, batch)


def ascents(apply, images, labels, start, epsilons: dict[str, float]) -> list[dict[str, Any]]:
    """Results of pyautoattack's APGD in float64 from a fixed start, for each norm and loss."""
    x, y = tensors(images, labels)
    begin = tensors(start, labels)[0]
    cases = []
    for norm, epsilon in epsilons.items():
        for loss in ("cross_entropy", "dlr", "targeted_dlr"):
            how = {"n_iter": 100, "norm": NORMS[norm], "eps": epsilon}
            if loss == "targeted_dlr":
                attack = APGDAttack_targeted(apply, **how)
                attack.y_target = apply(x).sort(dim=1)[1][:, -2]
            else:
                attack = APGDAttack(apply, loss=LOSSES[loss], **how)
            attack.init_hyperparam(x)
            best, robust, value, _ = (tensor.detach() for tensor in attack.attack_single_run(x, y, x_init=begin))
            numbers = {"best_loss": value.tolist(), "best_sum": best.sum((1, 2, 3)).tolist()}
            cases.append({"norm": norm, "loss": loss, "epsilon": epsilon, **numbers, "robust": robust.bool().tolist()})
    return cases


def distances(apply, images, labels, norm: str, rank: int) -> list[float]:
    """The distance of FAB's adversary of one target class, in float32; 0 if there is none."""
    x, y = tensors(images, labels)
    attack = FABAttack_PT(apply, norm=NORMS[norm], n_iter=100, eps=1.0, targeted=True, device="cpu")
    attack.target_class = rank
    difference = (attack.attack_single_run(x, y, is_targeted=True) - x).flatten(1)
    return torch.linalg.vector_norm(difference, float("inf") if norm == "linf" else 2, dim=1).tolist()

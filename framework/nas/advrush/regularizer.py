"""AdvRush: an architecture search whose outer loss also asks for a smooth loss surface.

    L_val + gamma R,    R the curvature of `nas.curvature`, after a warm-up.

The paper's objective and the authors' program differ; both are named settings and nothing lies between them:
`paper` takes the squared norm, each image's own direction, the two halves of the training set; `official_code` takes
four times the norm itself, 1e-7 in the direction, both loaders unshuffled over all images, and leaves batch norms on
their running statistics while weights train after the warm-up.

Reference: Mok, Na, Choe and Yoon, "AdvRush: Searching for Adversarially Robust Neural Architectures", ICCV 2021,
arXiv 2108.01289, and the authors' program (nutellamok/advrush, a15b26a).
"""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from framework.core import checks
from framework.core.types import Params
from framework.nas import darts
from framework.nas.advrush import curvature
from framework.nas.advrush.curvature import KINDS, OFFICIAL_EPS, Kind
from framework.nas.regularization import OuterLoss, SummedLoss

RAMP = (0.0, 0.3, 0.6, 0.9, 1.2, 1.5)


@jax.tree_util.register_static
@dataclass(frozen=True)
class Regulariser:
    """What is added to the outer loss, and when; hashable, and static under `jit`.

    Args:
      gamma: the weight of R.
      h: the length of the step, in units of the images as the network sees them.
      warmup: epochs without it.
      squared: the square of the norm, or the norm itself.
      scale: in front of R.
      eps: added to the direction.
      kind: `difference` or `exact`; see `nas.curvature`.
      ramp: h of the first epochs, by absolute epoch; then `h`.

    Raises:
      ValueError: for a number out of range, or an unknown kind.
    """

    gamma: float = 0.01
    h: float = 1.5
    warmup: int = 50
    squared: bool = True
    scale: float = 1.0
    eps: float = 0.0
    kind: Kind = "difference"
    ramp: tuple[float, ...] = ()

    def __post_init__(self):
        if not self.warmup >= 0 or not all(0 <= h < math.inf for h in (self.h, *self.ramp)):
            raise ValueError(
                f"h and warmup must be finite and not negative, got {self.h}, {self.ramp} and {self.warmup}"
            )
        if not all(map(math.isfinite, (self.gamma, self.scale, self.eps))):
            raise ValueError(f"gamma and scale must be finite, and eps, got {self.gamma}, {self.scale} and {self.eps}")
        checks.one_of("the kind of curvature", self.kind, KINDS)

    def step_at(self, epoch: jax.Array) -> jax.Array:
        """h in an epoch, counted from 0."""
        hs = jnp.array([*self.ramp, self.h])
        return hs[jnp.minimum(epoch, len(self.ramp))]

    def penalty(
        self,
        loss: SummedLoss,
        params: Params,
        images: jax.Array,
        epoch: jax.Array,
        differentiate_all: bool = False,
    ) -> jax.Array:
        """R in an epoch, as `framework.nas.regularization` asks for it."""
        h = self.step_at(epoch)
        return self.scale * curvature.penalty(
            loss, params, images, h, self.squared, self.kind, self.eps, differentiate_all
        )


def paper_search(**changes: Any) -> darts.Config:
    """AdvRush's search as its paper states it.

    Args:
      **changes: fields of `darts.Config` with other values.

    Returns:
      The configuration of 60 epochs of batches of 32 augmented images under `paper()`.
    """
    return darts.Config(**{"epochs": 60, "batch": 32, "augment": True, "regulariser": paper()} | changes)


def official_search(**changes: Any) -> darts.Config:
    """AdvRush's search as its authors' program runs; pass all training images twice.

    Args:
      **changes: fields of `darts.Config` with other values.

    Returns:
      That of `paper_search`, but images in their order, norms frozen after the warm-up, and `official_code()`.
    """
    return paper_search(**{"shuffled": False, "frozen_norms": True, "regulariser": official_code()} | changes)


def paper() -> Regulariser:
    """The paper's: squared norm, gamma .01, h 1.5, 50 of 60 epochs of warm-up."""
    return Regulariser()


def official_code() -> Regulariser:
    """The authors' program's: four times the norm, 1e-7 in the direction, h by absolute epoch."""
    return Regulariser(squared=False, scale=4.0, eps=OFFICIAL_EPS, ramp=RAMP)


def regularize(
    loss: OuterLoss,
    gamma: float | jax.Array = 0.01,
    h: float | jax.Array = 1.5,
    per_example_loss: OuterLoss | None = None,
    squared: bool = True,
    kind: Kind = "difference",
    eps: float = 0.0,
    differentiate_all: bool = False,
) -> OuterLoss:
    """The loss plus gamma R.

    Args:
      loss: (alphas, weights, images, labels) -> (mean loss, aux).
      gamma: the weight of R; may be traced.
      h: see `curvature.penalty`; for inputs that are normalised, in those units.
      per_example_loss: likewise, the loss whose curvature R is: the mean of losses of which each depends on its own
        image, so with batch norms on running statistics; by default `loss` itself.
      squared, kind, eps, differentiate_all: see `curvature.penalty`. By default R has a derivative in alphas only.

    Returns:
      (alphas, weights, images, labels) -> (mean loss + gamma R, (aux, R)).
    """
    per_example_loss = per_example_loss or loss

    def regularized_loss(alphas, weights, images, labels):
        value, aux = loss(alphas, weights, images, labels)
        fixed_weights = weights if differentiate_all else jax.lax.stop_gradient(weights)
        images = images if differentiate_all else jax.lax.stop_gradient(images)
        summed = lambda a, x: len(x) * per_example_loss(a, fixed_weights, x, labels)[0]
        curvature_value = curvature.penalty(summed, alphas, images, h, squared, kind, eps, differentiate_all)
        return value + gamma * curvature_value, (aux, curvature_value)

    return regularized_loss

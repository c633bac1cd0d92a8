"""The interface between a search and a regulariser of its outer loss: the search calls it and knows no more of it."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax

from framework.core.types import Params

OuterLoss = Callable[[Params, Params, jax.Array, jax.Array], tuple[jax.Array, Any]]  # of (alphas, weights, x, labels)
SummedLoss = Callable[[Params, jax.Array], jax.Array]  # (parameters, images) -> the sum of the images' own losses


@runtime_checkable
class Regularizer(Protocol):
    """A term gamma * R of an outer loss; hashable, and static under `jit`.

    Fields:
      gamma: the weight of R.
      warmup: epochs without it.
    """

    gamma: float
    warmup: int

    def penalty(
        self,
        loss: SummedLoss,
        params: Params,
        images: jax.Array,
        epoch: jax.Array,
        differentiate_all: bool = False,
    ) -> jax.Array:
        """R in an epoch, counted from 0.

        Args:
          loss: (params, images) -> the sum of losses of which each depends on its own image only.
          params: what R is differentiated in.
          images: `[N, ...]`.
          epoch: `[]` integer.
          differentiate_all: if R also has a derivative in whatever else `loss` depends on.

        Returns:
          `[]`, the mean over the images.
        """
        ...

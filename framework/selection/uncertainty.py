"""Scores of uncertainty of a trained network about each point, from its logits: entropy, margin, least confidence."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from framework.core.types import Array

_LEAST = jnp.finfo(jnp.float32).tiny


def entropy(logits: Float[Array, "... classes"]) -> Float[Array, "..."]:
    """The entropy of the predicted classes, f = -sum_y p_y log p_y.

    With m the greatest logit and S = sum exp(logit - m), log p is computed as logit - (m + log S): published entropies
    carry the rounding of that sum. Each entropy is at least the least normal float32, so that it has a logarithm.

    Args:
      logits: `[..., classes]`, finite.

    Returns:
      `[...]`, in nats.

    Reference: arXiv 2106.04784, section 3.
    """
    top = logits.max(-1, keepdims=True)
    total = jnp.exp(logits - top).sum(-1, keepdims=True)
    logarithms = logits - (top + jnp.log(total))
    return jnp.maximum(-(jnp.exp(logarithms) * logarithms).sum(-1), _LEAST)


def margin(logits: Float[Array, "... classes"]) -> Float[Array, "..."]:
    """The probability of the most likely class less that of the second; small where the network is uncertain.

    Args:
      logits: `[..., classes]`, at least 2 classes.

    Returns:
      `[...]` in `[0, 1]`.

    Reference: Scheffer, Decomain and Wrobel, "Active hidden Markov models for information extraction" (2001).
    """
    first, second = jnp.moveaxis(jax.lax.top_k(jax.nn.softmax(logits), 2)[0], -1, 0)
    return first - second


def least_confidence(logits: Float[Array, "... classes"]) -> Float[Array, "..."]:
    """One less the probability of the most likely class; large where the network is uncertain.

    Args:
      logits: `[..., classes]`.

    Returns:
      `[...]` in `[0, 1 - 1 / classes]`.

    Reference: Lewis and Gale, "A sequential algorithm for training text classifiers", arXiv cmp-lg/9407020.
    """
    return 1 - jax.nn.softmax(logits).max(-1)

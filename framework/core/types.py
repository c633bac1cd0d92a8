"""Names for the types that packages pass to each other."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

Array = jax.Array | np.ndarray  # with jaxtyping: Float[Array, "rows columns"]
Params = Any  # a pytree of arrays
Batch = Any  # a pytree of arrays with a leading batch axis
State = Any  # a pytree of arrays: where a run stands
Key = jax.Array  # a typed key, `jax.random.key`
Metrics = dict[str, jax.Array]  # flat, scalars, always the same names
Loss = Callable[[Params, Batch], jax.Array]  # -> scalar
Step = Callable[[State, Any], tuple[State, Metrics]]  # (state, what stays the same) -> the next state

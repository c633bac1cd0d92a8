"""The one protocol of all spiking units: a state, a step, and the payload that the step sends.

Neuron models (`models`), the neural codes of hidden layers (`coding`) and those of the input are all a `Neuron`. A
payload is a spike times its amplitude; a neuron model sends spikes of amplitude 1.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from framework.snn.neurons.encoding import Encoder
from framework.snn.neurons.factories import Record
from framework.snn.neurons.surrogate import Number

State = Any  # a NamedTuple of arrays


def count_units(payload: jax.Array) -> jax.Array:
    """Returns the payload itself, which counts the spikes of amplitude 1."""
    return payload


class Neuron(NamedTuple):
    """A spiking unit as pure functions, with the values that it learns.

    Args:
      name: of the model or code.
      init: (shape with the batch axis, layer=0, dtype) -> state at rest. Layers are numbered from 1; layer 0 is the
        input. None: the code has no role in hidden layers.
      step: (state, current, params=None) -> (state, payload), shaped as the current; None as `init`.
      params: learnable values at the start; `step` takes them where its params are None.
      threshold: the potential at which a silent unit fires; at the start, where it is learned.
      count: payload -> the spikes in it.
      period: steps in which a hidden unit sends a value once.
      encoder: the code's role at the input; None where it has none.
      record: the factory and its options, for files; None where they are not plain.
    """

    name: str
    init: Callable[..., State] | None
    step: Callable[..., tuple[State, jax.Array]] | None
    params: dict[str, float]
    threshold: Number = 1.0
    count: Callable[[jax.Array], jax.Array] = count_units
    period: int = 1
    encoder: Encoder | None = None
    record: Record | None = None

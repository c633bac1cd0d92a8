"""Compiled programs that are found by what they compute, never by the identity of a function.

`jax.jit` knows a function by its identity and reads what it holds once: after the weights of a network object have
changed in place, it still computes with the old ones. Here a function is traced again where a computation begins. The
arrays that it holds become arguments, and functions whose computations are equal share one compiled program.
"""

import functools
import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import Literal

from framework.core import devices
from framework.core.devices import Axes, Options
from framework.core.tracing import is_traced

KEPT = 128  # programs that stay in memory
_RULED = ("custom_jvp_call", "custom_vjp_call")  # whose derivative rules no program needs any more


class Trace(NamedTuple):
    """What a function computes at the time of the trace."""

    program: Callable[..., Any]  # (constants, *arguments) -> results; one object for all equal computations
    constants: list[Any]  # the arrays that the function holds


def trace(function: Callable[..., Any], *like: Any) -> Trace:
    """Traces a function as it is now.

    The program must not be differentiated: it keeps the derivative rules of the first function that computes the same.

    Args:
      function: traceable; what it holds may have changed since the last call.
      *like: arguments, of which only structure, shapes and dtypes are looked at.

    Example:
      >>> from framework.core import programs
      >>> network = {"weight": jnp.ones(2)}
      >>> apply = lambda x: network["weight"] * x
      >>> before = programs.trace(apply, 1.0)
      >>> network["weight"] = 5 * jnp.ones(2)
      >>> after = programs.trace(apply, 1.0)
      >>> after.program is before.program, after.program(after.constants, 2.0).tolist()
      (True, [10.0, 10.0])
    """
    # JAX keeps traces by the identity of a function, hence a new one
    closed, shapes = jax.make_jaxpr(lambda *arguments: function(*arguments), return_shape=True)(*like)
    key = _Key(closed.jaxpr, jax.tree.structure(like), jax.tree.structure(shapes))
    return Trace(_program(key), list(closed.consts))


class _Snapshot:
    """A function read once for each structure and kind of arguments."""

    def __init__(self, function: Callable[..., Any], check: Callable[[list[Any]], None]):
        self.function, self.check = function, check
        self.read: dict[Any, tuple[Any, Any]] = {}

    def at(self, *arguments: Any) -> tuple[Any, Any]:
        leaves, structure = jax.tree.flatten(arguments)
        kinds = [(*_shape(leaf), _is_weak(leaf)) for leaf in leaves]
        key = structure, tuple(kinds)
        if key not in self.read:
            like = structure.unflatten([jax.ShapeDtypeStruct(*kind[:2], weak_type=kind[2]) for kind in kinds])
            jaxpr_and_shape = jax.make_jaxpr(lambda *arguments: self.function(*arguments), return_shape=True)(*like)
            self.check(jaxpr_and_shape[0].consts)
            self.read[key] = jaxpr_and_shape[0], jax.tree.structure(jaxpr_and_shape[1])
        return self.read[key]

    def __call__(self, *arguments: Any) -> Any:
        closed, structure = self.at(*arguments)
        return jax.tree.unflatten(
            structure, jax.core.eval_jaxpr(closed.jaxpr, closed.consts, *jax.tree.leaves(arguments))
        )


def snapshot(
    function: Callable[..., Any], check: Callable[[list[Any]], None] = lambda constants: None
) -> Callable[..., Any]:
    """A function that computes what the given one does now, and goes on doing so: read once for each shape.

    It can be differentiated and transformed as the function itself.

    Args:
      function: traceable.
      check: is given the arrays that the function holds, and may refuse them.
    """
    return _Snapshot(function, check)


def frozen(function: Callable[..., Any], *like: Any) -> Callable[..., Any]:
    """A function that computes what the given one does now: one object for all that compute the same with equal arrays.

    For what knows functions by their identity, as `jit` does: it compiles nothing twice, and nothing is stale.

    Args:
      function: traceable. One that is frozen already is given back.
      *like: arguments, of which only structure, shapes and dtypes are looked at.
    """
    if isinstance(function, _Snapshot):
        return function
    still = _Snapshot(function, lambda constants: None)
    closed, structure = still.at(*like)
    if is_traced(closed.consts):  # of a transformation around it
        return function
    key = _Key(closed.jaxpr, jax.tree.structure(like), structure, closed.consts)
    key.value = still
    return _first(key)


def vmap_over_devices(
    function: Callable[..., Any], in_axes: tuple[Axes, ...], options: Options = ()
) -> Callable[..., Any]:
    """`devices.spread` of a function as it is at the first call with each shape.

    Make it again where a computation begins, so that it sees what the function holds by then; equal computations share
    one compiled program. Arguments as for `devices.spread`.
    """
    traces: dict[Any, Trace] = {}

    def call(*arguments: Any) -> Any:
        leaves, structure = jax.tree.flatten(arguments)
        if is_traced(leaves):
            return function(*arguments)
        key = structure, tuple(map(_shape, leaves))
        if key not in traces:
            program, constants = trace(function, *devices.part(arguments, in_axes))
            traces[key] = Trace(program, devices.put(constants, None))
        program, constants = traces[key]
        return _vmap_over_devices(program, (None, *in_axes), options)(constants, *arguments)

    return call


class _Key:
    """A computation as a flat tuple of comparable parts; arrays inside of it by their bytes."""

    def __init__(self, jaxpr: Any, arguments: Any, results: Any, constants: Any = ()):
        self.jaxpr, self.results, self.value = jaxpr, results, None
        known: dict[int, tuple[int, Any]] = {}
        self.parts = (arguments, results, *_of_jaxpr(jaxpr, known), *_of_value(tuple(constants), known))
        self.hash = hash(self.parts)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _Key) and self.parts == other.parts


class _Same:
    """An object without a hash, equal to itself alone."""

    def __init__(self, held: Any):
        self.held = held  # so that its place in memory is not given away

    def __hash__(self) -> int:
        return id(self.held)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _Same) and self.held is other.held


@functools.lru_cache(maxsize=KEPT)
def _program(key: _Key) -> Callable[..., Any]:
    expected = [(variable.aval.shape, variable.aval.dtype) for variable in key.jaxpr.invars]

    def program(constants: list[Any], *arguments: Any) -> Any:
        leaves = jax.tree.leaves(arguments)
        if [_shape(leaf) for leaf in leaves] != expected:
            raise ValueError(f"this program was traced for {expected}, got {[_shape(leaf) for leaf in leaves]}")
        return jax.tree.unflatten(key.results, jax.core.eval_jaxpr(key.jaxpr, constants, *leaves))

    return program


@functools.lru_cache(maxsize=KEPT)
def _first(key: _Key) -> Any:
    """What the first of equal keys holds."""
    return key.value


@functools.lru_cache(maxsize=KEPT)
def _vmap_over_devices(program: Callable[..., Any], in_axes: tuple[Axes, ...], options: Options) -> Callable[..., Any]:
    return devices.shard_over_devices(program, in_axes=in_axes, options=options)


def _shape(leaf: Any) -> tuple[tuple[int, ...], Any]:
    dtype = leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
    return np.shape(leaf), jax.dtypes.canonicalize_dtype(dtype, allow_extended_dtype=True)


def _is_weak(leaf: Any) -> bool:
    return bool(getattr(leaf, "weak_type", isinstance(leaf, bool | int | float | complex)))


def _of_jaxpr(jaxpr: Any, known: dict[int, tuple[int, Any]]) -> list[Any]:
    """Every equation with its variables by number, and its parameters; `known` are jaxprs inside that came before."""
    if id(jaxpr) in known:
        return ["again", known[id(jaxpr)][0]]
    known[id(jaxpr)] = len(known), jaxpr
    names: dict[Any, int] = {}
    parts: list[Any] = []

    def variables(atoms: Any) -> None:
        for atom in atoms:
            if isinstance(atom, Literal):
                parts.extend(("literal", atom.aval, *_of_array(atom.val)))
            else:
                parts.extend((names.setdefault(atom, len(names)), atom.aval))
        parts.append("end")

    variables(jaxpr.constvars)
    variables(jaxpr.invars)
    for equation in jaxpr.eqns:
        parts.append(equation.primitive)
        variables(equation.invars)
        ruled = equation.primitive.name.startswith(_RULED)
        for name, value in equation.params.items():
            if hasattr(value, "eqns") or not ruled:
                parts.append(name)
                parts.extend(_of_value(value, known))
        parts.append(str(equation.ctx))
        variables(equation.outvars)
    variables(jaxpr.outvars)
    return parts


def _of_value(value: Any, known: dict[int, tuple[int, Any]]) -> list[Any]:
    if hasattr(value, "eqns"):  # a jaxpr inside, and the arrays that it holds
        inner = getattr(value, "jaxpr", value)
        return [*_of_jaxpr(inner, known), *_of_value(tuple(getattr(value, "consts", ())), known)]
    if isinstance(value, dict):
        return [dict, len(value), *(part for item in value.items() for part in _of_value(item, known))]
    if isinstance(value, list | tuple):
        return [type(value), len(value), *(part for item in value for part in _of_value(item, known))]
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return _of_array(value)
    if isinstance(value, float):
        return [float, repr(value)]  # 0.0 and -0.0 differ
    try:
        hash(value)
    except TypeError:
        value = _Same(value)
    return [type(value), value]


def _of_array(value: Any) -> list[Any]:
    if is_traced(value):
        return [_Same(value)]
    if isinstance(value, jax.Array) and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
        return ["key", str(value.dtype), *_of_array(jax.random.key_data(value))]
    array = np.asarray(value)
    return [str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).digest()]

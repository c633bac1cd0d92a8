"""NIR files: networks from and for other programs (extra `nir`).

A file is HDF5. It is written by the PyPI package `nir`; it is read here node by node, so that a file that is damaged,
asks for other files or for more memory than it can mean, or holds a node without a mapping, is refused by name.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from framework.snn.nir.graph import check
from framework.snn.nir.primitives import (
    FIELDS,
    OPTIONAL,
    Graph,
    Node,
    node,
)

_NEWEST = 1  # version of NIR whose meaning is known
_LARGEST = 2**31  # bytes of an array; a damaged or hostile file can claim anything
_SMALL, _DEFLATED = 2**16, 1032  # bytes that need not be stored, and how many times more than that gzip can hold
_DEEPEST = 16  # graphs within each other
_BESIDE = {"type", "metadata", "input_type", "output_type"}  # members of a node that change nothing of what it does
_TEXTS, _OBJECT = b"GCOL\x01\0\0\0", 16  # a collection of texts begins so; bytes in front of it and of each text
_DAMAGED = (OSError, KeyError, AttributeError, TypeError, RuntimeError, IndexError, OverflowError, MemoryError)


def load(path: str | os.PathLike) -> Graph:
    """The graph of a file; metadata are passed over.

    Raises:
      FileNotFoundError: if there is no such file.
      ModuleNotFoundError: without the extra `nir`.
      ValueError: if the file is damaged or of a version of NIR above 1, or a node has no mapping, lacks a field, has
        one without a mapping, or holds numbers that are not finite; names the node and its type.
    """
    h5py = _module("h5py")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        _check_texts(path.read_bytes())
        with h5py.File(path, "r") as file:
            seen: set[int] = set()
            _check_version(h5py, file, seen)
            graph = _read(h5py, _member(h5py, file, "node", "", seen), "", 0, seen)
    except ValueError as error:
        raise ValueError(f"{path}: {_line(error)}") from None
    except _DAMAGED as error:
        raise ValueError(f"{path}: not a NIR file, or a damaged one: {_line(error)}") from None
    if not isinstance(graph, Graph):
        raise ValueError(f"{path}: it holds a single node of type {graph.type}, not a graph")
    try:
        check(graph)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return graph


def save(graph: Graph, path: str | os.PathLike) -> None:
    """Writes a graph as a file that `load` and every other reader of NIR takes; all bits come back.

    Raises:
      ModuleNotFoundError: without the extra `nir`.
      ValueError: if the graph does not hang together, holds numbers that are not finite, or a convolution or Flatten
        does not know the shape of its input.
      OSError: if the file cannot be written.
    """
    nir = _module("nir")
    check(graph)
    partial = Path(f"{path}.partial")
    try:
        nir.write(partial, _written(nir, graph, ""))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _check_texts(raw: bytes) -> None:
    """Walks the collections in which HDF5 keeps texts: over an object of no length its library walks for ever."""
    start = raw.find(_TEXTS)
    while start >= 0:
        end = start + int.from_bytes(raw[start + 8 : start + 16], "little")
        at = start + _OBJECT
        while at + _OBJECT <= min(end, len(raw)):
            number, length = int.from_bytes(raw[at : at + 2], "little"), int.from_bytes(raw[at + 8 : at + 16], "little")
            step = _OBJECT + -(-length // 8) * 8 if number else length
            if step < _OBJECT or at + step > end:
                raise ValueError(f"damaged: the text of byte {at} has no possible length")
            at += step
        start = raw.find(_TEXTS, start + 1)


def _check_version(h5py, file, seen: set[int]) -> None:
    version = str(_value(_member(h5py, file, "version", "", seen))) if "version" in file else "1"
    major = version.partition(".")[0]
    if major.isdecimal() and int(major[:9]) > _NEWEST:
        raise ValueError(f"it is of version {version[:40]} of NIR: those up to {_NEWEST} are read")


def _read(h5py, group, name: str, depth: int, seen: set[int]) -> Node | Graph:
    """One node of a file with all that is in it."""
    kind = _value(_member(h5py, group, "type", name, seen))
    if kind != "NIRGraph":
        wanted = [field for field in (*FIELDS.get(kind, ()), OPTIONAL.get(kind, "")) if field and field in group]
        if kind in FIELDS and (unknown := sorted(set(group) - {*wanted, *_BESIDE})):
            raise ValueError(f"node {name!r} of type {kind!r} has a field {unknown[0]!r}, which has no mapping")
        try:
            return node(kind, **{field: _value(_member(h5py, group, field, name, seen)) for field in wanted})
        except ValueError as error:
            raise ValueError(f"node {name!r} of type {kind!r}: {error}") from None
    if depth == _DEEPEST:
        raise ValueError(f"node {name!r}: more than {_DEEPEST} graphs within each other")
    inner = _member(h5py, group, "nodes", name, seen)
    edges = np.atleast_2d(_member(h5py, group, "edges", name, seen)[()]).reshape(-1, 2)
    path = f"{name}/" if name else ""
    return Graph(
        {k: _read(h5py, _member(h5py, inner, k, path + k, seen), path + k, depth + 1, seen) for k in inner},
        tuple((_text(a), _text(b)) for a, b in edges.tolist()),
    )


def _member(h5py, group, key: str, name: str, seen: set[int]):
    """A member of a group, which must lie in the same file, at this place alone, and be no larger than it can be."""
    link = group.get(key, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"node {name!r} has no {key!r} of its own" if name else f"no {key!r} in the file")
    found = group[key]
    place = h5py.h5o.get_info(found.id).addr
    if place in seen:  # a few links to a group of links to a group ... would be read for ever
        raise ValueError(f"node {name!r}: {key!r} stands at another place in the file, too")
    seen.add(place)
    if isinstance(found, h5py.Dataset):
        if found.external or found.is_virtual:
            raise ValueError(f"node {name!r}: {key!r} lies in another file")
        if found.dtype.kind not in "fiuS" and h5py.check_string_dtype(found.dtype) is None:
            raise ValueError(f"node {name!r}: {key!r} holds neither numbers nor text")
        stored = min(found.id.get_storage_size(), found.file.id.get_filesize())
        if found.nbytes > min(_LARGEST, _SMALL + _DEFLATED * stored):
            raise ValueError(f"node {name!r}: {key!r} claims {found.nbytes:,} bytes")
    return found


def _value(dataset) -> Any:
    value = dataset[()]
    return _text(value) if isinstance(value, bytes | str) else np.asarray(value)


def _text(value: bytes | str) -> str:
    return value.decode("utf8") if isinstance(value, bytes) else str(value)


def _written(nir, graph: Graph, within: str):
    """A graph as objects of `nir`."""
    nodes = {}
    for name, each in graph.nodes.items():
        path = within + name
        if isinstance(each, Graph):
            nodes[name] = _written(nir, each, path + "/")
            continue
        # HDF5 compresses no single numbers: these go as such
        values = {k: v[()] if isinstance(v, np.ndarray) and v.ndim == 0 else v for k, v in each.values.items()}
        if each.type in OPTIONAL and OPTIONAL[each.type] not in values:
            raise ValueError(f"node {path!r} ({each.type}) needs {OPTIONAL[each.type]}, the shape of its input")
        if "shape" in values:
            values = {f"{each.type.lower()}_type": {each.type.lower(): values["shape"]}}
        if each.type == "Flatten":
            values["input_type"] = {"input": values["input_type"]}
        nodes[name] = getattr(nir, each.type)(**values)
    return nir.NIRGraph(nodes, list(graph.edges), type_check=False)


def _module(name: str):
    """A package of the extra `nir`."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ModuleNotFoundError("NIR files need the extra: in the checkout, pip install '.[nir]'") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]

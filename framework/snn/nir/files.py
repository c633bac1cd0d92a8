"""NIR files: exchange of networks with other programs (extra `nir`).

A file is HDF5. It is written by the PyPI package `nir`; it is read here node by node. A file is refused if it is
damaged, refers to other files, claims more memory than it can hold, or has a node without a mapping.
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

_NEWEST = 1  # latest version of NIR that is supported
_LARGEST = 2**31  # bytes of an array; a damaged or hostile file can claim any size
_UNSTORED, _GZIP_RATIO = 2**16, 1032  # bytes that may be claimed without storage; largest compression of gzip
_MAX_DEPTH = 16  # of nested graphs
_METADATA = {"type", "metadata", "input_type", "output_type"}  # members of a node without effect on its dynamics
_TEXTS, _OBJECT = (
    b"GCOL\x01\0\0\0",
    16,
)  # first bytes of a collection of texts; bytes of a header
_DAMAGED = (OSError, KeyError, AttributeError, TypeError, RuntimeError, IndexError, OverflowError, MemoryError)


def load(path: str | os.PathLike) -> Graph:
    """Loads the graph of a file; metadata are ignored.

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
            addresses: set[int] = set()
            _check_version(h5py, file, addresses)
            graph = _read(h5py, _member(h5py, file, "node", "", addresses), "", 0, addresses)
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
    """Saves a graph as a NIR file, without loss of precision.

    Args:
      graph: of `nir.graph` or `to_nir`.
      path: of the file.

    Raises:
      ModuleNotFoundError: without the extra `nir`.
      ValueError: if the graph is inconsistent or holds numbers that are not finite, or a convolution or Flatten lacks
        the shape of its input.
      OSError: if the file cannot be written.
    """
    nir = _module("nir")
    check(graph)
    partial = Path(f"{path}.partial")
    try:
        nir.write(partial, _to_package(nir, graph, ""))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _check_texts(raw: bytes) -> None:
    """Checks the collections of texts of HDF5: an object of length 0 would make its library loop forever."""
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


def _check_version(h5py, file, addresses: set[int]) -> None:
    version = str(_value(_member(h5py, file, "version", "", addresses))) if "version" in file else "1"
    major = version.partition(".")[0]
    if major.isdecimal() and int(major[:9]) > _NEWEST:
        raise ValueError(f"it is of version {version[:40]} of NIR: those up to {_NEWEST} are read")


def _read(h5py, group, name: str, depth: int, addresses: set[int]) -> Node | Graph:
    """Reads one node of a file, with nested nodes."""
    kind = _value(_member(h5py, group, "type", name, addresses))
    if kind != "NIRGraph":
        fields = [field for field in (*FIELDS.get(kind, ()), OPTIONAL.get(kind, "")) if field and field in group]
        if kind in FIELDS and (unknown := sorted(set(group) - {*fields, *_METADATA})):
            raise ValueError(f"node {name!r} of type {kind!r} has a field {unknown[0]!r}, which has no mapping")
        try:
            return node(kind, **{field: _value(_member(h5py, group, field, name, addresses)) for field in fields})
        except ValueError as error:
            raise ValueError(f"node {name!r} of type {kind!r}: {error}") from None
    if depth == _MAX_DEPTH:
        raise ValueError(f"node {name!r}: more than {_MAX_DEPTH} nested graphs")
    inner = _member(h5py, group, "nodes", name, addresses)
    edges = np.atleast_2d(_member(h5py, group, "edges", name, addresses)[()]).reshape(-1, 2)
    path = f"{name}/" if name else ""
    return Graph(
        {k: _read(h5py, _member(h5py, inner, k, path + k, addresses), path + k, depth + 1, addresses) for k in inner},
        tuple((_text(a), _text(b)) for a, b in edges.tolist()),
    )


def _member(h5py, group, key: str, name: str, addresses: set[int]):
    """Reads a member of a group, which must lie in the same file, at one address only, with a possible size."""
    link = group.get(key, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"node {name!r} has no {key!r}" if name else f"no {key!r} in the file")
    member = group[key]
    address = h5py.h5o.get_info(member.id).addr
    if address in addresses:  # nested links to the same group would be read forever
        raise ValueError(f"node {name!r}: {key!r} occurs twice in the file")
    addresses.add(address)
    if isinstance(member, h5py.Dataset):
        if member.external or member.is_virtual:
            raise ValueError(f"node {name!r}: {key!r} lies in another file")
        if member.dtype.kind not in "fiuS" and h5py.check_string_dtype(member.dtype) is None:
            raise ValueError(f"node {name!r}: {key!r} holds neither numbers nor text")
        stored = min(member.id.get_storage_size(), member.file.id.get_filesize())
        if member.nbytes > min(_LARGEST, _UNSTORED + _GZIP_RATIO * stored):
            raise ValueError(f"node {name!r}: {key!r} claims {member.nbytes:,} bytes")
    return member


def _value(dataset) -> Any:
    value = dataset[()]
    return _text(value) if isinstance(value, bytes | str) else np.asarray(value)


def _text(value: bytes | str) -> str:
    return value.decode("utf8") if isinstance(value, bytes) else str(value)


def _to_package(nir, graph: Graph, prefix: str):
    """Converts a graph to objects of the package `nir`."""
    nodes = {}
    for name, child in graph.nodes.items():
        path = prefix + name
        if isinstance(child, Graph):
            nodes[name] = _to_package(nir, child, path + "/")
            continue
        # HDF5 cannot compress single numbers: they are written as scalars
        values = {k: v[()] if isinstance(v, np.ndarray) and v.ndim == 0 else v for k, v in child.values.items()}
        if child.type in OPTIONAL and OPTIONAL[child.type] not in values:
            raise ValueError(f"node {path!r} ({child.type}) needs {OPTIONAL[child.type]}, the shape of its input")
        if "shape" in values:
            values = {f"{child.type.lower()}_type": {child.type.lower(): values["shape"]}}
        if child.type == "Flatten":
            values["input_type"] = {"input": values["input_type"]}
        nodes[name] = getattr(nir, child.type)(**values)
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

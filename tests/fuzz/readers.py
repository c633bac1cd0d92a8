"""Everything that reads what others wrote: valid samples, how they are spoilt, what must hold of what is accepted.

A room's readers are made by a function, which imports the room and nothing above it.
"""

import csv
import gzip
import hashlib
import importlib.util
import io
import json
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from framework.causal.discrete import orientation
from framework.causal.prior import answers as causal_answers
from framework.runs import experiment
from tests.fuzz.mutations import Make, bytewise, grafted, json_of, spoilt, zip_of


class Reader(NamedTuple):
    """One thing that is read."""

    name: str
    make: Make  # spoilt content
    read: Callable[[Path, bytes], Any]  # puts the content into a folder and reads it there
    holds: Callable[[Any], Any]  # asserts what must be true of anything accepted
    named: bool = True  # whether an error must name the file
    cost: int = 1  # that many times fewer inputs are tried
    memory: int = 2**28  # bytes that reading may take next to what the process has; threads of JAX alone take more


def _file(name: str, read: Callable[[Path], Any]) -> Callable[[Path, bytes], Any]:
    def put_and_read(folder: Path, content: bytes) -> Any:
        (folder / name).write_bytes(content)
        return read(folder / name)

    return put_and_read


def _text(read: Callable[[str], Any]) -> Callable[[Path, bytes], Any]:
    return lambda folder, content: read(content.decode("utf-8", "replace"))


def data(folder: Path) -> list[Reader]:
    from framework import data
    from tests.data.test_aedat import uncompressed
    from tests.data.test_events import packed_bin, packed_dat, recorded

    table = b'a,b,"c d"\n1,2,3\n-1.5,0,2e3\n\n0.25,1e-5,"7"\n'
    edges = b"source,target,kind\na,b,required\nb,c,forbidden\n"
    few = recorded(20).events
    events = lambda name: _file(name, lambda path: data.read_events(path))
    aedat = uncompressed([[(1, 2, 10, 0), (5, 3, 10, 1)], [(0, 0, 2**40, 1)]])
    outcome = [
        Reader("CSV table", bytewise(table, table.replace(b"\n", b"\r\n")), _file("t.csv", _table), _is_table),
        Reader(
            "CSV edge list", bytewise(edges), _file("e.csv", lambda path: data.read_edges(path, ["kind"])), _are_edges
        ),
        Reader("events, N-MNIST", bytewise(packed_bin(few)), events("e.bin"), _is_recording),
        Reader(
            "events, Prophesee",
            bytewise(packed_dat(few, b"% Version 2\n% Height 5\n% Width 7\n")),
            events("e.dat"),
            _is_recording,
        ),
        Reader("events, AEDAT 4", bytewise(aedat), events("e.aedat4"), _is_recording),
    ]
    sample = data.shared_path("snn", "tonic_sample.aedat4")
    if sample.exists() and importlib.util.find_spec("lz4"):
        lz4 = bytewise(sample.read_bytes())
        outcome.append(Reader("events, AEDAT 4 with LZ4", lz4, events("e.aedat4"), _is_recording, cost=20))
    return outcome


def _table(path: Path) -> tuple:
    from framework import data

    return data.read_table(path), path.read_text(encoding="utf-8-sig")


def _is_table(outcome: tuple) -> None:
    table, text = outcome
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text, newline=""))]
    header, *rows = [row for row in rows if len(row) > 1 or any(row)]
    assert table.names == tuple(header)
    assert len(set(header)) == len(header)
    assert table.values.tolist() == [[float(cell) for cell in row] for row in rows]
    assert np.isfinite(table.values).all()


def _are_edges(edges: list[dict[str, str]]) -> None:
    assert all(edge["source"] and edge["target"] for edge in edges)
    assert len({frozenset(edge) for edge in edges}) <= 1


def _is_recording(recording: Any) -> None:
    height, width = recording.size
    events = recording.events
    assert 0 < height <= 2**15 and 0 < width <= 2**15  # noqa: PT018
    assert 0 <= events["x"].min() <= events["x"].max() < width
    assert 0 <= events["y"].min() <= events["y"].max() < height
    assert (np.diff(events["t"]) >= 0).all()
    assert "\n" not in str(recording)


ANSWERS = {
    "domain": "pendulum",
    "caveat": "none",
    "variables": {"length": "of the string", "period": "", "mass": "of the bob"},
    "wordings": ["Does {a} cause {b}?", "Is {a} a parent of {b}?"],
    "answers": [
        {"sample": 0, "a": "length", "b": "period", "answer": "a->b"},
        {"sample": 0, "a": "mass", "b": "period", "answer": "none"},
        {"sample": 1, "a": "period", "b": "length", "answer": "b->a"},
        {"sample": 1, "a": "length", "b": "mass", "answer": "unknown"},
    ],
}
REPLIES = (
    "A",
    "**B**",
    "(c)",
    "Answer: A.",
    '{"answer": "B"}',
    '```json\n{"answer": "A"}\n```',
    "<think>Hm. B?</think>\nThe final answer is C",
    "A: moving a shifts b",
    "It depends.\n\nAnswer: D",
    "The best choice is = D.",
)


def causal(folder: Path) -> list[Reader]:
    from framework import causal
    from framework.causal.prior import elicitation
    from framework.causal.synthetic import bif
    from tests.causal.synthetic.test_bif import WET

    question = elicitation.questionnaire("d", "c", {"a": "", "b": ""}).questions[0]
    asked = elicitation.questionnaire("d", "c", {"a": "", "b": "x", "c": ""}, samples=2)
    cache = elicitation.elicit(asked, lambda prompt: "A")
    unzipped = bytewise(WET.encode())
    network = lambda name: _file(name, bif.read_network)
    edges = bytewise(b"source,target,kind\na,b,required\nb,c,forbidden\nc,d,required\n")
    return [
        Reader("recorded answers", json_of(ANSWERS), _file("a.json", causal.read_answers), _are_answers),
        Reader(
            "cache of an elicitation", json_of(cache), _file("c.json", lambda path: _remaining(asked, path)), _are_left
        ),
        Reader(
            "replies of a model",
            _repeated(REPLIES),
            _text(lambda text: elicitation.read_reply(question, text)),
            _is_choice,
            named=False,
        ),
        Reader("hard knowledge", edges, _file("k.csv", _knowledge), _is_knowledge, named=False),
        Reader("BIF", unzipped, network("n.bif"), _is_network),
        Reader("BIF, compressed", _gzipped(unzipped), network("n.bif.gz"), _is_network),
        Reader("saved results of causal.fit", zip_of(*_saved(causal, folder)), _file("r.npz", causal.load), _is_result),
    ]


def _repeated(samples: tuple[str, ...]) -> Make:
    """Texts whose tokens may also come a hundred thousand times: what a regular expression must not choke on."""
    make = bytewise(*(sample.encode() for sample in samples))

    def longer(random: Random) -> bytes:
        raw = make(random)[:2000]
        begin = random.randrange(len(raw) + 1)
        end = min(len(raw), begin + random.randint(1, 9))
        return raw[:begin] + (raw[begin:end] or b" ") * random.choice((1, 1, 2, 50_000)) + raw[end:]

    return longer


def _gzipped(make: Make) -> Make:
    """Compressed texts, spoilt before or after; now and then a file a thousand times smaller than its content."""
    bomb = gzip.compress(b" " * 2**24) * 64

    def compressed(random: Random) -> bytes:
        if random.random() < 0.01:
            return bomb
        content = gzip.compress(make(random))
        return spoilt(random, [content]) if random.random() < 0.3 else content

    return compressed


def _saved(causal: Any, folder: Path) -> list[bytes]:
    """Results as `fit` gives them, one of linear weights and one of networks."""
    from framework.causal.learn import mlp

    graph = np.triu(np.ones((3, 3), bool), 1)
    common = {"graph": graph, "status": np.int32(0), "location": np.zeros(3), "scale": np.ones(3)}
    common["direction"] = np.where(graph, orientation.DIRECTIONS.index("open"), 0).astype(np.int8)
    linear = causal.Result(graph * 1.5, uncut=graph * 1.5, network=None, names=("a", "b", "c"), **common)
    shapes = mlp.Network(np.ones((3, 3, 2)), np.zeros((3, 2)), np.ones((3, 2)), np.zeros(3))
    curved = causal.Result(graph * 1.5, uncut=graph * 1.5, network=shapes, score="mlp", **common)
    contents = []
    for result in (linear, curved):
        causal.save(result, folder / "sample.npz")
        contents.append((folder / "sample.npz").read_bytes())
    return contents


def _are_answers(answers: Any) -> None:

    size = len(answers.names)
    assert answers.pairs.shape == (len(answers.choices), 2)
    assert answers.samples.shape == answers.choices.shape
    assert {item.dtype.kind for item in (answers.pairs, answers.choices, answers.samples)} == {"i"}
    assert isinstance(answers.domain, str)
    assert isinstance(answers.caveat, str)
    assert not len(answers.pairs) or 0 <= answers.pairs.min() <= answers.pairs.max() < size
    assert (answers.pairs[:, 0] != answers.pairs[:, 1]).all()
    if size < 50:
        assert causal_answers.vote(answers).edges.shape == (size, size)


def _remaining(asked: Any, path: Path) -> tuple:
    from framework.causal.prior import elicitation

    return elicitation.elicit(asked, lambda prompt: "B", path), asked


def _are_left(outcome: tuple) -> None:
    content, asked = outcome
    assert len(content["answers"]) == len(asked.questions)
    json.dumps(content)


def _is_choice(choice: str | None) -> None:
    from framework.causal.prior.answers import CHOICES

    assert choice is None or choice in CHOICES


def _knowledge(path: Path) -> Any:
    from framework import causal, data

    return causal.knowledge.from_rows(data.read_edges(path, ["kind"]), ("a", "b", "c", "d"))


def _is_knowledge(knowledge: Any) -> None:
    assert knowledge.required.dtype == knowledge.forbidden.dtype == bool
    assert not (knowledge.required & knowledge.forbidden).any()


def _is_network(network: Any) -> None:
    size = len(network.names)
    assert len(set(network.names)) == size == len(network.states) == len(network.tables) == len(network.graph)
    for states, table, parents in zip(network.states, network.tables, network.graph.T, strict=True):
        assert table.shape == (*(len(network.states[p]) for p in np.flatnonzero(parents)), len(states))
        assert (table >= 0).all()
        np.testing.assert_allclose(table.sum(-1), 1)


def _is_result(result: Any) -> None:
    from framework import causal

    size = len(result.graph)
    assert result.graph.dtype == bool
    for name in ("graph", "weights", "uncut"):
        assert getattr(result, name).shape == (size, size), name
    for name in ("location", "scale"):
        assert getattr(result, name).shape == (size,), name
    assert result.names is None or (len(result.names) == size and all(isinstance(name, str) for name in result.names))
    causal.predict(result, np.ones((2, size)))


def selection(folder: Path) -> list[Reader]:
    from framework.selection import entropy_file

    rows = b"".join(f"{i}\t{0.1 * i + 1e-7!r}\t{i % 3}\n".encode() for i in (2, 0, 1, 4, 3))
    ids = lambda content: entropy_file.parse_indices(content.splitlines())
    return [
        Reader("entropy list", bytewise(rows), _file("e.txt", entropy_file.read_entropy_list), _is_entropy_list),
        Reader("ids of a data set", bytewise(b"train/00017\ntrain_3\nx12\n"), _text(ids), _are_indices, named=False),
    ]


def _is_entropy_list(outcome: Any) -> None:
    assert outcome.entropy.dtype == np.float64
    assert outcome.classes.dtype.kind == "i"
    assert (outcome.entropy > 0).all() and np.isfinite(outcome.entropy).all()  # noqa: PT018


def _are_indices(indices: np.ndarray) -> None:
    assert indices.dtype == np.int64
    assert (indices >= 0).all()
    assert len(set(indices.tolist())) == len(indices)


def models(folder: Path) -> list[Reader]:
    import jax

    from framework.models import resnet, resnet_weights

    config = resnet.Config(depth=8, width=4)
    arrays = {name: np.ones(shape, np.float32) for name, shape in _torch_shapes(resnet, resnet_weights, config).items()}
    buffer, packed = io.BytesIO(), io.BytesIO()
    np.savez(buffer, **arrays)
    np.savez_compressed(packed, **arrays)

    def is_whole(params: Any) -> None:
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))

    read = _file("w.npz", lambda path: resnet_weights.read_torch(path, config))
    make = zip_of(buffer.getvalue(), packed.getvalue())
    return [Reader("weights (.npz)", make, read, is_whole, cost=10, memory=2**30)]


def _torch_shapes(resnet: Any, weights: Any, config: Any) -> dict[str, tuple[int, ...]]:
    import jax

    shapes = jax.eval_shape(lambda: resnet.init(jax.random.key(0), config))
    leaves = [leaf.shape for leaf in jax.tree.leaves(shapes)]
    turned = lambda shape: (shape[3], shape[2], shape[0], shape[1]) if len(shape) == 4 else shape[::-1]
    return dict(zip(weights.torch_names(config), map(turned, leaves), strict=True))


TRACES = {
    "mqsim": b"0 0 8 16 1\n1000 0 128 8 0\n1000 1 0 1 1\n2500 0 4096 64 0\n",
    "msr": b"Timestamp,Hostname,Disk,Type,Offset,Size,ResponseTime\n"
    b"128166372003061629,usr,0,Read,7014609920,24576,41286\n128166372016382155,usr,0,Write,1317441536,8192,1963\n",
    "blkparse": b"  8,0    1        1     0.000000000   697  Q  WS 223490 + 8 [kjournald]\n"
    b"  8,0    1        2     0.000001829   697  G  WS 223490 + 8 [kjournald]\n"
    b"  8,0    3       11     0.009507758   697  Q   R 56 + 8 [bash]\n"
    b"  8,0    3       12     0.019507758   697  Q  FN [x]\n"
    b"  8,0    3       13     0.029507758   697  Q  WS 64 + 8 (  1234) [my app [x] + y]\n"
    b"  8,0    3       14     0.029507759   697  A   W 164 + 8 <- (8,1) 64\n"
    b"CPU0 (sda):\n Reads Queued:           0,        0KiB\n",
}


def ssd(folder: Path) -> list[Reader]:
    from framework.ssd.device import presets
    from framework.ssd.workload.traces import TraceWarning, read_trace

    design = presets.mqsim_default()

    def doubted(path: Any, form: str, wrapped: bool, **options: Any) -> Any:
        """A trace that is read although a warning says what cannot be meant so."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TraceWarning)
            return read_trace(path, design, form, wrapped, **options)

    def reader(form: str, wrapped: bool) -> Reader:
        read = _file(f"t.{form}", lambda path: doubted(path, form, wrapped))
        holds = lambda load: _is_load(load, design.capacity)
        return Reader(f"trace, {form}{', wrapped' if wrapped else ''}", bytewise(TRACES[form]), read, holds)

    packed = _file("t.gz", lambda path: doubted(path, "mqsim", True, time_unit="us", sort=True))
    holds = lambda load: _is_load(load, design.capacity)
    compressed = Reader("trace, gzip", bytewise(gzip.compress(TRACES["mqsim"], mtime=0)), packed, holds)
    return [*(reader(form, wrapped) for form in TRACES for wrapped in (False, True)), compressed]


def _is_load(load: Any, capacity: int) -> None:
    from framework.ssd.workload.requests import check

    check(load, capacity)
    assert {column.dtype for column in (load.arrival, load.offset, load.size)} == {np.dtype(np.int64)}
    assert load.arrival[0] == 0


def nas(folder: Path) -> list[Reader]:
    from framework.nas import autosnn, nasbench201
    from framework.nas.darts import genotype
    from framework.nas.darts.space import EDGES, OPERATIONS, Alphas

    alphas = Alphas(*np.random.default_rng(0).normal(size=(2, len(EDGES), len(OPERATIONS))))
    cells = json.loads(genotype.to_json(genotype.derive_genotype(alphas)))
    space = autosnn.search_space(channels=2, image=(16, 16, 1))
    names = [nasbench201.to_text(item) for item in nasbench201.architectures()[::3000]]
    rows = "".join(f"{name},{50 + i},{i}\n" for i, name in enumerate(names))
    table = f"cellstr,cifar10-test,other\n{rows}".encode()

    def is_genotype(outcome: Any) -> None:
        assert genotype.from_json(genotype.to_json(outcome)) == outcome
        assert all(type(source) is int for cell in (outcome.normal, outcome.reduce) for _, source in cell)

    def is_table(outcome: dict) -> None:
        assert outcome
        assert all(0 <= value <= 100 for value in outcome.values())

    def is_architecture(outcome: tuple) -> None:
        assert len(outcome) == space.slots
        assert set(outcome) <= set(range(len(space.candidates)))

    architecture = lambda folder, content: (
        autosnn.build_network(space, json.loads(content)) and tuple(json.loads(content))
    )
    return [
        Reader("genotype", json_of(cells), _text(genotype.from_json), is_genotype, named=False),
        Reader("NAS-Bench-201 table", bytewise(table), _file("t.csv", nasbench201.read_table), is_table),
        Reader("NAS-Bench-201 names", _repeated(tuple(names)), _text(nasbench201.from_text), len, named=False),
        Reader("spiking architecture", _trees([0, 1, 2, 3, 4]), architecture, is_architecture, named=False),
    ]


def _trees(*samples: Any) -> Make:
    """JSON of another content."""
    return lambda random: json.dumps(grafted(random, random.choice(samples))).encode()


def snn(folder: Path) -> list[Reader]:
    from framework.snn import saved
    from tests.snn.test_saved import converted, trained

    saved.save(trained(), folder / "trained")
    saved.save(converted(), folder / "converted")
    whole = {name: folder / name for name in ("trained", "converted")}
    networks = Reader(
        "saved networks", lambda random: _of_directory(random, whole), _saved_network, _is_saved, True, 20, 2**30
    )
    if importlib.util.find_spec("nir") is None or importlib.util.find_spec("h5py") is None:
        return [networks]
    from framework.snn.nir import files as interchange
    from framework.snn.nir import graph as nir_graph

    def is_graph(graph: Any) -> None:
        nir_graph.check(graph)

    make = lambda random: _hdf5(random, _nir(folder))
    return [Reader("NIR", make, _file("n.nir", interchange.load), is_graph), networks]


def _nir(folder: Path) -> bytes:
    from framework.snn.nir import files as interchange
    from framework.snn.nir import graph as nir_graph

    path = folder / "sample.nir"
    if not path.exists():
        inner = nir_graph.graph((2,), {"s": nir_graph.node("Scale", scale=np.ones(2, np.float32))}, (2,))
        nodes = {"a": nir_graph.dense(np.ones((3, 2), np.float32)), "b": nir_graph.leaky((2,), 0.5), "c": inner}
        interchange.save(nir_graph.graph((3,), nodes, (2,)), path)
    return path.read_bytes()


def _hdf5(random: Random, raw: bytes) -> bytes:
    """Half of them spoilt bytes, half of them sound files that link, claim and hold what they should not."""
    import h5py

    if random.random() < 0.5:
        return spoilt(random, [raw])
    buffer = io.BytesIO(raw)
    with h5py.File(buffer, "r+") as file:
        groups, values = [], []
        file.visititems(lambda name, outcome: (groups if isinstance(outcome, h5py.Group) else values).append(name))
        for _ in range(random.choice((1, 1, 2, 8))):
            _tamper(random, h5py, file, groups, [name for name in values if name in file])
    return buffer.getvalue()


def _tamper(random: Random, h5py: Any, file: Any, groups: list[str], values: list[str]) -> None:
    group, name = random.choice([name for name in groups if name in file] or ["/"]), random.choice(values or ["x"])
    match random.randrange(6):
        case 0 if name in file:
            del file[name]
        case 1:
            file[group][f"link{random.random()}"] = file[random.choice(groups)] if groups[0] in file else file
        case 2 if name in file:
            del file[name]
            sides = random.choice(((2**28,), (2**20,), (2**40,), (2**16, 2**12), (0,), ()))
            options = {"chunks": tuple(min(side, 1024) for side in sides)} if sides and sides[0] else {}
            file.create_dataset(name, sides, random.choice(("f4", "f8", "i8", "S9")), **options)
        case 3 if name in file:
            del file[name]
            file[name] = random.choice(
                (np.nan, -1, 2**40, "LIF", "x" * 999, np.ones((2, 2)), np.zeros(0), [b"a", b"b"])
            )
        case 4 if name in file:
            other = random.choice(values)
            if other in file and other != name:
                del file[name]
                file[name] = file[other]
        case _:
            for k in range(random.choice((1, 3))):
                file[group].require_group(f"new{k}")


def _of_directory(random: Random, whole: dict[str, Path]) -> bytes:
    """A damage to a directory, as bytes: which one, which file, its content; digests put right or not."""
    name = random.choice(list(whole))
    files = sorted(file for file in whole[name].rglob("*") if file.is_file())
    structure = whole[name] / "network.json"
    file = structure if random.random() < 0.6 else random.choice(files)
    if file == structure and random.random() < 0.8:
        content = json.loads(file.read_text())
        content["network"] = grafted(random, content["network"])
        content = json.dumps(content).encode()
    else:
        content = spoilt(random, [file.read_bytes()])
    head = {"from": str(whole[name]), "file": file.relative_to(whole[name]).as_posix(), "right": random.random() < 0.8}
    return json.dumps(head).encode() + b"\n" + content


def _saved_network(folder: Path, content: bytes) -> Any:
    from framework.snn import saved

    head, _, content = content.partition(b"\n")
    head, path = json.loads(head), folder / "network"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(head["from"], path)
    (path / head["file"]).write_bytes(content)
    if head["right"]:
        _put_right(path, head["file"])
    return saved.load(path)


def _put_right(path: Path, changed: str) -> None:
    """Digests as the one who tampers would write them."""
    digest = lambda raw: hashlib.sha256(raw).hexdigest()
    try:
        whole = json.loads((path / "network.json").read_bytes())
        if changed != "network.json":
            whole["network"]["files"][changed] = digest((path / changed).read_bytes())
        whole["digest"] = digest(json.dumps(whole["network"], sort_keys=True).encode())
        (path / "network.json").write_text(json.dumps(whole))
    except (ValueError, TypeError, KeyError, RecursionError):
        return


def _is_saved(network: Any) -> None:
    hash(network.layers)
    assert all(type(side) is int and side > 0 for side in network.shape)
    small = np.zeros((1, *network.shape), np.float32)
    assert small.size < 2**20


RESULT = {"sum": {"both": 1.5, "one": 2}, "same": 1, "words": "x", "list": [1, 2]}


def runs(folder: Path) -> list[Reader]:
    from framework.runs import checkpoints, files

    for step in (1, 2):
        checkpoints.save(folder / "sample", step, CHECKPOINT, {"metrics_size": step})
    outcome = [
        Reader("JSON of a run", json_of(RESULT), _file("r.json", files.read_json), json.dumps),
        Reader("result.json, compared", json_of(RESULT), _compared, lambda text: None, named=False, cost=2),
        Reader(
            "config.json of a run",
            json_of({"seed": 0, "preset": "smoke"}),
            _opened,
            lambda outcome: None,
            True,
            10,
            2**30,
        ),
        Reader(
            "meta.json of a run", json_of([{"start": "x", "end": None}]), _met, lambda outcome: None, False, 10, 2**30
        ),
        Reader("sweep.json", _swept_json(), _swept, lambda outcome: None, True, 10, 2**30),
        Reader("--sweep", _repeated(GRIDS), _text(_spread), _are_points, named=False),
        Reader("a checkpoint", _checkpoint, _restored, lambda outcome: None, True, 20, 2**30),
    ]
    if importlib.util.find_spec("tensorboardX"):
        rows = b'{"step": 1, "seed": 0, "phase": "fit", "loss": 0.5}\n{"step": 2, "seed": 0, "loss": 0.25}\n'
        outcome.append(Reader("metrics.jsonl", bytewise(rows), _followed, lambda outcome: None))
    return outcome


GRIDS = (
    "config.seed=[1, 2]|config.rate=[0.1, 0.5]",
    "config.seed=range(3)",
    "config.on=[True, False]",
    "config.kind=['er', 'a/b']",
    "config.shape=[(1, 2), [3]]",
    "config.prior.weight=[None, 0.5]",
    "config.seed=range(1, 6, 2)",
    "config.rate=(1e-3, 1)",
)


def _spread(text: str) -> list:
    from framework.runs.sweeps import grid
    from tests.runs.sweeps.test_grid import config

    try:
        return grid.points(config(), grid.read(text.split("|")))
    except ValueError as error:
        raise ValueError(experiment.one_line(error)) from None  # as the command line says it


def _compared(folder: Path, content: bytes) -> str:
    from framework import runs

    for name in ("a", "b"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "a" / "result.json").write_text(json.dumps(RESULT))
    (folder / "b" / "result.json").write_bytes(content)
    with mock.patch.object(sys.modules["framework.runs.reporting.compare"], "_picture", return_value=b""):
        return runs.compare([folder / "a", folder / "b"], folder / "comparison")


def _run_directory(folder: Path, **contents: bytes) -> Path:
    path = folder / "run"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"seed": 0, "preset": "smoke"}))
    for name, content in contents.items():
        (path / f"{name}.json").write_bytes(content)
    return path


def _opened(folder: Path, content: bytes) -> Any:
    from framework import runs

    with runs.open_run(_run_directory(folder, config=content), {"seed": 0, "preset": "smoke"}) as run:
        return run.result()


def _met(folder: Path, content: bytes) -> Any:
    from framework import runs

    path = _run_directory(folder, meta=content)
    with runs.open_run(path, {"seed": 0, "preset": "smoke"}) as run:
        run.finish({"a": 1})
    return json.loads((path / "meta.json").read_text())[-1]["end"]


def _swept_json() -> Make:
    config = {"experiment": "adding", "preset": "smoke", "seeds": 1, "files": {}}
    return json_of({"config": config, "grid": {"factor": [1, 2], "seed": [0]}})


def _swept(folder: Path, content: bytes) -> Any:
    from tests.runs.sweeps.test_sweep import study, swept

    path = folder / "sweep"
    shutil.rmtree(path, ignore_errors=True)
    for factor in (1, 2):
        (path / f"factor={factor},seed=0").mkdir(parents=True)
        (path / f"factor={factor},seed=0" / "result.json").write_text('{"a": 1}')
    (path / "sweep.csv").write_text("a\n")
    (path / "sweep.json").write_bytes(content)
    with mock.patch("framework.runs.sweeps.sweep_report.write"):  # figures take half a second
        return swept(study(), path, ("config.factor=[1, 2]", "config.seed=[0]"))


def _are_points(points: list) -> None:
    for point in points:
        assert "/" not in point.name
        assert point.name not in ("", ".", "..")
        json.loads(point.config.to_json())


def _checkpoint(random: Random) -> bytes:
    return random.randbytes(8)


CHECKPOINT = {"w": np.arange(3.0), "n": np.int32(1)}


def _restored(folder: Path, content: bytes) -> Any:
    """The seed of a damage; two checkpoints, of which the newer one has a file spoilt."""
    from framework.runs import checkpoints

    random, path = Random(content), folder / "checkpoints"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(folder / "sample", path)
    file = random.choice(sorted(file for file in (path / "2").rglob("*") if file.is_file()))
    file.write_bytes(spoilt(random, [file.read_bytes()]))
    outcome = checkpoints.restore_latest(path, CHECKPOINT)
    assert outcome is not None and outcome.step in (1, 2)  # noqa: PT018
    return outcome


def _followed(folder: Path, content: bytes) -> Any:
    from framework.runs.reporting import tensorboard

    events = folder / "run" / "tensorboard"
    shutil.rmtree(events, ignore_errors=True)
    (folder / "run").mkdir(exist_ok=True)
    before = {path for path in folder.rglob("*") if events not in path.parents}
    (folder / "run" / "metrics.jsonl").write_bytes(content)
    try:
        tensorboard.follower(folder / "run" / "metrics.jsonl", events)()
    except OSError as error:  # a word that is too long for a folder's name
        raise ValueError(str(error)) from None
    after = {path for path in folder.rglob("*") if events not in path.parents and path != events}
    assert after - before <= {folder / "run" / "metrics.jsonl"}


ROOMS = {
    "data": data,
    "causal": causal,
    "selection": selection,
    "models": models,
    "ssd": ssd,
    "nas": nas,
    "snn": snn,
    "runs": runs,
}

import itertools

import numpy as np
import pytest

from framework.data.events import frames, read_events
from framework.snn.nir.files import load, save
from framework.snn.nir.graph import (
    Graph,
    conv,
    dense,
    flatten,
    graph,
    integrate_and_fire,
    leaky,
    max_pool,
    node,
)
from framework.snn.nir.interpreter import run

SIMULATORS = ["lava_cpu_float", "nengo", "norse", "rockpool", "sinabs", "snntorch", "spyx"]


@pytest.fixture
def nir(extra):
    return extra("nir", "nir")


def assert_equal(left, right):
    """Two graphs have the same nodes, edges and bits."""
    assert left.nodes.keys() == right.nodes.keys()
    assert sorted(left.edges) == sorted(right.edges)
    for name, item in left.nodes.items():
        other = right.nodes[name]
        if isinstance(item, Graph):
            assert_equal(item, other)
            continue
        assert (item.type, item.values.keys()) == (other.type, other.values.keys())
        for field, value in item.values.items():
            if isinstance(value, str):
                assert value == other.values[field]
            else:
                assert (value.dtype, value.shape) == (other.values[field].dtype, other.values[field].shape), (
                    name,
                    field,
                )
                assert value.tobytes() == other.values[field].tobytes(), (name, field)


def network():
    """A small spiking net with all that ours can hold."""
    random = np.random.default_rng(0)
    normal = lambda *shape: random.normal(0, 0.5, shape).astype(np.float32)
    total, fire = max_pool((2, 2), (4, 3, 5))
    nodes = {
        "conv": conv(normal(3, 3, 2, 5), normal(5), (8, 6), (2, 2)),
        "lif": leaky((4, 3, 5), 0.7, 0.3),
        "residual": conv(normal(3, 3, 5, 5), None, (4, 3)),
        "if": integrate_and_fire((4, 3, 5), 0.3),
        "sum": total,
        "fire": fire,
        "flat": flatten((2, 1, 5)),
        "dense": dense(normal(10, 4), normal(4), images=(2, 1, 5)),
        "back": dense(normal(4, 4)),
        "out": leaky((4,), 0.5, 0.2, scaled_input=True),
    }
    chain = ["input", "conv", "lif", "residual", "if", "sum", "fire", "flat", "dense", "out", "output"]
    edges = [*itertools.pairwise(chain), ("lif", "if"), ("out", "back"), ("back", "out")]
    return graph((8, 6, 2), nodes, (4,), edges)


@pytest.fixture
def every_type():
    """One node of each type, not connected in any sense, in three types of number."""
    ones, wide = np.ones(3, np.float32), np.full(3, 0.1)
    conv1 = {"stride": 1, "dilation": 1, "groups": 1, "weight": np.ones((2, 1, 3))}
    pair = {"stride": [1, 2], "padding": [0, 0]}
    leak = {"r": ones, "v_leak": ones}
    nodes = [
        node("Input", shape=[3]),
        node("Output", shape=[3]),
        node("Affine", weight=np.ones((2, 3)), bias=np.arange(2.0)),
        node("Linear", weight=np.ones((2, 3), np.float16)),
        node("Scale", scale=wide),
        node("Conv1d", input_shape=9, padding="same", **conv1),
        node("Conv1d", input_shape=9, padding=1, **conv1),
        node("Conv2d", input_shape=[4, 5], weight=np.ones((1, 1, 2, 3)), dilation=[1, 1], groups=1, **pair),
        node("SumPool2d", kernel_size=[2, 2], **pair),
        node("AvgPool2d", kernel_size=[2, 2], **pair),
        node("Flatten", input_type=[2, 3], start_dim=0, end_dim=-1),
        node("Delay", delay=wide),
        node("Threshold", threshold=wide),
        node("I", r=ones),
        node("IF", r=ones, v_threshold=ones),
        node("LI", tau=ones, **leak),
        node("LIF", tau=ones, v_threshold=ones, **leak),
        node("CubaLI", tau_syn=ones, tau_mem=ones, **leak),
        node("CubaLIF", tau_syn=ones, tau_mem=ones, v_threshold=ones, **leak),
        node("Scale", scale=np.float32(2.0)),
    ]
    inner = graph((3,), {"scale": node("Scale", scale=wide)}, (3,))
    return Graph({str(k): item for k, item in enumerate(nodes)} | {"inner": inner}, (("0", "1"), ("0", "inner")))


def test_the_single_neuron_spikes_when_the_exact_solution_does(shared, nir):
    """The reference: the closed form and seven simulators' spikes for one file, in steps of 0.1 ms."""
    table = lambda name: np.loadtxt(shared("snn", f"nir_lif_{name}.csv"), delimiter=",")
    spikes_of = lambda name: np.flatnonzero(table(name)[:, 2] > 0)
    inputs = (table("exact")[:, 0] > 0).astype(np.float32)
    spikes = np.flatnonzero(run(load(shared("snn", "nir_lif_norse.nir")), inputs[:, None, None], dt=1e-4)[:, 0, 0])
    np.testing.assert_array_equal(spikes, spikes_of("exact"))
    others = np.stack([spikes_of(name) for name in SIMULATORS])
    assert others.shape == (7, 4)
    assert ((others.min(0) <= spikes) & (spikes <= others.max(0))).all()


@pytest.mark.slow
@pytest.mark.parametrize("steps", [30, 100, 311])
def test_the_n_mnist_net_reads_the_real_sample_as_a_four(shared, nir, steps):
    """Frames of counts, darker before brighter, rows before columns, a step as the unit of time; 311 is one a ms."""
    counts = frames(read_events(shared("snn", "tonic_sample_nmnist.bin")), steps, "time")
    inputs = np.moveaxis(counts, -1, 1)[:, None].astype(np.float32)
    outputs = run(load(shared("snn", "nir_cnn_sinabs.nir")), inputs, outputs=("output", "1"))
    votes = np.asarray(outputs["output"].sum((0, 1)))
    assert votes.argmax() == 4
    assert votes[4] > 0.9 * votes.sum()
    # the chip's own first layer, for one recording a digit: ours is most like its four, and not when turned over
    chip = np.load(shared("snn", "nir_speck_activity.npy"))[0]
    likeness = lambda nir_node: [np.corrcoef(nir_node.ravel(), item.ravel())[0, 1] for item in chip]
    activity = np.asarray(outputs["1"].sum((0, 1)))
    assert np.argmax(likeness(activity)) == 4
    assert max(likeness(activity.swapaxes(1, 2))) < likeness(activity)[4]


@pytest.mark.slow
def test_a_network_comes_back_bit_for_bit_and_runs_alike(tmp_path, nir):
    net = network()
    save(net, tmp_path / "net.nir")
    again = load(tmp_path / "net.nir")
    assert_equal(again, net)
    inputs = np.random.default_rng(1).uniform(0, 1, (8, 3, 2, 8, 6)).astype(np.float32)
    outputs = run(net, inputs, 1.0)
    np.testing.assert_array_equal(run(again, inputs, 1.0), outputs)
    assert 0.05 < outputs.mean() < 0.95
    assert [path.name for path in tmp_path.iterdir()] == ["net.nir"]


def test_every_type_comes_back_bit_for_bit(tmp_path, nir, every_type):
    save(every_type, tmp_path / "all.nir")
    assert_equal(load(tmp_path / "all.nir"), every_type)


def test_the_package_nir_reads_what_we_write_with_its_own_checks(tmp_path, nir):
    save(network(), tmp_path / "net.nir")
    read = nir.read(tmp_path / "net.nir", type_check=True)
    assert {name: type(item).__name__ for name, item in read.nodes.items()} == {
        name: item.type for name, item in network().nodes.items()
    }
    np.testing.assert_array_equal(read.nodes["conv"].weight, network().nodes["conv"].values["weight"])


@pytest.mark.slow
def test_we_read_what_the_package_nir_writes(tmp_path, nir):
    """Numbers without an axis, texts and values that are left out, as other programs write them."""
    ones = np.ones((2, 4, 4), np.float32)
    convolution = nir.Conv2d((4, 4), np.ones((2, 1, 3, 3), np.float32), 1, "same", 1, 1, np.zeros(2, np.float32))
    theirs = nir.NIRGraph.from_list(
        nir.Input(np.array([1, 4, 4])),
        convolution,
        nir.IF(ones, ones),
        nir.Flatten({"input": np.array([2, 4, 4])}, 0, -1),
    )
    nir.write(tmp_path / "theirs.nir", theirs)
    outputs = run(load(tmp_path / "theirs.nir"), np.ones((2, 3, 1, 4, 4), np.float32))
    assert outputs.shape == (2, 3, 32)
    assert outputs[0].all()


def test_the_reference_files_are_written_back_bit_for_bit(shared, tmp_path, nir):
    net = load(shared("snn", "nir_cnn_sinabs.nir"))
    save(net, tmp_path / "again.nir")
    assert_equal(load(tmp_path / "again.nir"), net)


@pytest.fixture
def damaged(tmp_path, nir, extra):
    """A file written by the package, then changed by hand."""

    h5py = extra("h5py", "nir")

    def change(by):
        save(graph((3,), {"a": node("Scale", scale=np.ones(3))}, (3,)), tmp_path / "net.nir")
        with h5py.File(tmp_path / "net.nir", "r+") as file:
            by(file["node/nodes/a"], file)
        return tmp_path / "net.nir"

    return change


def replaced(key, value):
    def change(group, _):
        if key in group:
            del group[key]
        if value is not None:
            group[key] = value

    return change


def linked(kind, *target):
    """A link of a kind of h5py in the place of the array."""

    def change(group, file):
        import h5py

        replaced("scale", getattr(h5py, kind)(*target))(group, file)

    return change


def claim(group, _):
    del group["scale"]
    group.create_dataset("scale", shape=(2**40,), chunks=(1024,), dtype="f4")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced("type", "MaxPool2d"), "node 'a' of type 'MaxPool2d': .*has no mapping"),
        (replaced("type", None), "node 'a' has no 'type'"),
        (replaced("scale", None), "node 'a' of type 'Scale': Scale lacks its field 'scale'"),
        (replaced("scale", np.array([1.0, np.inf])), "node 'a' of type 'Scale': .*finite"),
        (replaced("gain", np.ones(3)), "node 'a' of type 'Scale' has a field 'gain', which has no mapping"),
        (linked("SoftLink", "/node"), "node 'a' has no 'scale'"),
        (linked("ExternalLink", "other.h5", "/x"), "node 'a' has no 'scale'"),
        (
            replaced("scale", np.zeros(1, [("a", "f4"), ("b", "f4")])),
            "node 'a': 'scale' holds neither numbers nor text",
        ),
        (claim, "node 'a': 'scale' claims 4,398,046,511,104 bytes"),
        (lambda _, file: file.__delitem__("node"), "no 'node' in the file"),
        (lambda _, file: replaced("edges", [[b"input", b"b"]])(file["node"], file), "there is no node 'b'"),
        (lambda _, file: replaced("edges", np.ones(3))(file["node"], file), "damaged|reshape"),
        (lambda _, file: replaced("version", b"2.1.0")(file, file), "of version 2.1.0 of NIR: those up to 1 are read"),
        (lambda group, file: group.move("type", "kind"), "node 'a' has no 'type'"),
    ],
)
def test_a_file_that_must_not_be_is_refused_by_name(damaged, change, message):
    path = damaged(change)
    with pytest.raises(ValueError, match=message) as error:
        load(path)
    assert str(error.value).startswith(str(path))


def test_an_array_in_another_file_is_refused(damaged, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(12))

    def change(group, _):
        del group["scale"]
        group.create_dataset("scale", (3,), "f4", external=[(str(tmp_path / "secret"), 0, 12)])

    with pytest.raises(ValueError, match="node 'a': 'scale' lies in another file"):
        load(damaged(change))


def test_a_convolution_without_an_input_shape_is_not_written(tmp_path, nir):
    nir_node = node("Conv1d", weight=np.ones((1, 1, 3)), stride=1, padding=0, dilation=1, groups=1)
    with pytest.raises(ValueError, match=r"node 'a' \(Conv1d\) needs input_shape"):
        save(graph((1, 9), {"a": nir_node}, (1, 7)), tmp_path / "net.nir")
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_missing(tmp_path, nir):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.nir")


def test_a_text_of_length_zero_is_refused_without_a_loop(shared, tmp_path, nir):
    raw = bytearray(shared("snn", "nir_lif_norse.nir").read_bytes())
    raw[2376:2384] = bytes(8)  # the length of what is free behind the texts
    (tmp_path / "net.nir").write_bytes(raw)
    with pytest.raises(ValueError, match="the text of byte 2368 has no possible length"):
        load(tmp_path / "net.nir")


def refusal(path) -> str | None:
    """Why a file is refused; None if it is read."""
    try:
        load(path)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.slow
def test_damaged_files_are_read_or_refused_in_one_line(shared, tmp_path, nir):
    random, path = np.random.default_rng(0), tmp_path / "damaged.nir"
    raw = shared("snn", "nir_lif_norse.nir").read_bytes()
    for k in range(150):
        changed = bytearray(raw[: random.integers(len(raw))] if k % 3 == 0 else raw)
        for index in random.integers(0, max(len(changed), 1), random.integers(1, 30) if k % 3 else 0):
            changed[index] = random.integers(256)
        path.write_bytes(random.bytes(200) if k % 10 == 0 else changed)
        assert "\n" not in (refusal(path) or "")
    path.write_bytes(raw[: len(raw) // 2])
    assert "not a NIR file" in refusal(path)


def test_links_that_lead_round_are_refused_at_once(damaged):
    """Five links to the whole graph in each of sixteen depths would be 5^16 graphs."""

    def change(_, file):
        for k in range(5):
            file[f"node/nodes/again{k}"] = file["node"]

    with pytest.raises(ValueError, match="occurs twice in the file"):
        load(damaged(change))


def test_an_array_of_which_nothing_is_stored_is_refused(damaged):
    def change(group, _):
        del group["scale"]
        group.create_dataset("scale", shape=(2**28,), chunks=(1024,), dtype="f4")

    with pytest.raises(ValueError, match="'scale' claims 1,073,741,824 bytes"):
        load(damaged(change))


def test_metadata_are_passed_over(damaged):
    def change(group, _):
        group["metadata/author"] = b"someone"

    assert load(damaged(change)).nodes["a"].values.keys() == {"scale"}


def test_numbers_that_are_not_finite_are_not_written(tmp_path, nir):
    net = graph((3,), {"a": node("Scale", scale=np.ones(3))}, (3,))
    net.nodes["a"].values["scale"][1] = np.nan
    with pytest.raises(ValueError, match="node 'a': Scale: scale must be finite numbers"):
        save(net, tmp_path / "net.nir")
    assert not list(tmp_path.iterdir())

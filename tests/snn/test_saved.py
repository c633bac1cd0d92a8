import dataclasses
import functools
import json
import os
import shutil

import jax
import numpy as np
import pytest

from framework.snn import layers as layer
from framework.snn import network, saved
from framework.snn.conversion import normalization, simulation
from framework.snn.neurons import coding, models
from framework.snn.saved import load, save
from framework.snn.trained import TrainedNetwork

SHAPE = (5, 4, 2)
LAYERS = (
    layer.conv(3, strides=(2, 1), bias=False),
    layer.norm(over="threshold"),
    layer.pool("max", (1, 2)),
    layer.flatten(),
    layer.recurrent(4),
    layer.dense(3),
)
UNITS = {
    "plif": models.plif(3.0, scaled_input=False),
    "adaptive": models.adaptive_lif(0.8),
    "burst": coding.burst(1.5, 0.25, learn=("threshold", "beta")),
}
PAIRS = {"real-burst": {}, "phase-phase": {"input_options": {"period": 4}}, "rate-multispike": {}, "ttfs-ttfs": {}}


@functools.cache
def trained(name="plif"):
    unit = UNITS[name]
    params = network.init(jax.random.key(0), LAYERS, SHAPE, unit)
    updated = jax.tree.map(lambda leaf: leaf + 0.1 * jax.random.normal(jax.random.key(1), leaf.shape), params)
    return TrainedNetwork(updated, LAYERS, SHAPE, unit, steps=4)


def test_what_another_unit_has_learned_is_not_saved(tmp_path):
    other = dataclasses.replace(trained(), unit=models.lif())
    with pytest.raises(ValueError, match=r"layer 0 \(conv\) has learned 'decay', which lif does not learn"):
        save(other, tmp_path / "net")
    assert not list(tmp_path.iterdir())


@functools.cache
def converted(pair="real-burst"):
    layers = (layer.conv(3), layer.norm(), layer.pool(), layer.flatten(), layer.dense(3))
    params = network.init(jax.random.key(0), layers, SHAPE)
    before, behind = coding.pair(pair, **PAIRS[pair])
    return normalization.convert(layers, params, images(20), input_code=before, hidden_code=behind, readout="count")


def images(count):
    return np.random.default_rng(0).random((count, *SHAPE)).astype(np.float32)


def assert_same(left, right):
    """All but the functions of codes and units."""
    assert type(left) is type(right)
    assert jax.tree.structure(left.params) == jax.tree.structure(right.params)
    jax.tree.map(np.testing.assert_array_equal, jax.tree.leaves(left), jax.tree.leaves(right))
    assert [a.dtype for a in jax.tree.leaves(left)] == [a.dtype for a in jax.tree.leaves(right)]
    for field in dataclasses.fields(left):
        one, other = getattr(left, field.name), getattr(right, field.name)
        if field.name in ("unit", "input_code", "hidden_code"):
            assert one.record == other.record
        elif field.metadata.get("static"):
            assert one == other


@pytest.mark.slow
@pytest.mark.parametrize("name", UNITS)
def test_a_trained_network_comes_back_and_predicts_the_same(tmp_path, name):
    net = trained(name)
    save(net, tmp_path / "net")
    assert_same(load(tmp_path / "net"), net)
    outputs, _ = jax.jit(lambda x: network.unroll(LAYERS, net.params, x, net.unit, 4))(images(5))
    actual = simulation.predict(load(tmp_path / "net"), images(5), batch=2)
    np.testing.assert_array_equal(actual, outputs.logits[-1].argmax(-1))
    assert os.listdir(tmp_path) == ["net"]


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.filterwarnings("ignore:TTFS answers after")
def test_a_converted_network_comes_back_and_predicts_the_same(tmp_path, pair):
    net, key = converted(pair), jax.random.key(3)
    save(net, tmp_path / "net")
    assert_same(load(tmp_path / "net"), net)
    expected = simulation.predict(net, images(5), 12, key, batch=5)
    np.testing.assert_array_equal(simulation.predict(load(tmp_path / "net"), images(5), 12, key, batch=5), expected)


def test_a_saved_network_may_be_moved(tmp_path):
    save(converted(), tmp_path / "net")
    shutil.move(tmp_path / "net", tmp_path / "elsewhere")
    assert_same(load(tmp_path / "elsewhere"), converted())


@pytest.mark.slow
def test_other_steps_may_be_asked_of_a_trained_network():
    net = trained()
    outputs, _ = jax.jit(lambda x: network.unroll(LAYERS, net.params, x, net.unit, 9))(images(6))
    np.testing.assert_array_equal(simulation.predict(net, images(6), 9), outputs.logits[-1].argmax(-1))


def test_a_path_that_exists_is_refused_and_kept(tmp_path):
    (tmp_path / "net").write_text("mine")
    with pytest.raises(ValueError, match="exists: a network is saved to a new path"):
        save(converted(), tmp_path / "net")
    assert (tmp_path / "net").read_text() == "mine"


def test_an_interrupted_save_leaves_nothing_and_blocks_nothing(tmp_path, monkeypatch):
    (tmp_path / ".net.partial" / "arrays").mkdir(parents=True)
    with monkeypatch.context() as patched:
        patched.setattr(saved, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            save(converted(), tmp_path / "net")
    assert os.listdir(tmp_path) == []
    save(converted(), tmp_path / "net")
    assert os.listdir(tmp_path) == ["net"]


def test_units_that_no_file_can_tell_are_refused(tmp_path):
    for unit in (UNITS["plif"]._replace(record=None), models.lif(np.full(4, 0.5)), None):
        with pytest.raises(ValueError, match="unit has no record of how it was made"):
            save(dataclasses.replace(trained(), unit=unit), tmp_path / "net")
    with pytest.raises(ValueError, match="hidden_code has no record"):
        save(dataclasses.replace(converted(), hidden_code=coding.rate(np.full(3, 0.5))), tmp_path / "net")
    assert os.listdir(tmp_path) == []


def test_networks_whose_parts_do_not_fit_are_refused(tmp_path):
    net, spiking = trained(), converted()
    wrong = {
        r"layer 0 \(conv\) takes {'kernel': \(3, 3, 1, 3\)}": dataclasses.replace(net, shape=(5, 4, 1)),
        "6 layers need as many parameters, a dict each, got 5": dataclasses.replace(net, params=net.params[:5]),
        "at least 1 step, got 0": dataclasses.replace(net, steps=0),
        "the real code has no role in hidden layers": dataclasses.replace(net, unit=coding.real()),
        "readout must be one of membrane": dataclasses.replace(spiking, readout="loudest"),
        "scales must have shape": dataclasses.replace(spiking, scales=spiking.scales[1:]),
    }
    for message, item in wrong.items():
        with pytest.raises(ValueError, match=message):
            save(item, tmp_path / "net")


def files(path):
    return [item for item in sorted(path.rglob("*")) if item.is_file()]


def test_damaged_or_missing_files_are_refused(tmp_path):
    """Every seventh byte of the structure, and the middle one of each other file."""
    save(trained("burst"), tmp_path / "net")
    for item in files(tmp_path / "net"):
        whole = item.read_bytes()
        places = range(0, len(whole), 7) if item.name == saved.STRUCTURE else [len(whole) // 2][: len(whole)]
        damaged = [whole[:index] + bytes([whole[index] ^ 4]) + whole[index + 1 :] for index in places]
        for content in [*damaged, whole[: len(whole) // 2]] if whole else []:
            item.write_bytes(content)
            with pytest.raises(ValueError, match="not a complete saved network"):
                load(tmp_path / "net")
        item.unlink()
        with pytest.raises(ValueError, match="not a complete saved network"):
            load(tmp_path / "net")
        item.write_bytes(whole)
    assert_same(load(tmp_path / "net"), trained("burst"))


def rewritten(path, change):
    """A structure as another program might write it, with its digest right."""
    whole = json.loads((path / saved.STRUCTURE).read_text())
    change(whole["network"])
    whole["digest"] = saved._digest(saved._canonical(whole["network"]))
    (path / saved.STRUCTURE).write_text(json.dumps(whole))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda net: net["layers"].__setitem__(0, ["system", {}]), "there is no 'system': known are dense"),
        (lambda net: net["unit"].__setitem__(0, "__import__"), "there is no '__import__'"),
        (lambda net: net["unit"][1].update(command="x"), "plif does not take"),
        (lambda net: net["unit"][1].update(tau=0.5), r"tau of plif must lie in \(1, inf\)"),
        (lambda net: net["layers"][0][1].update(features=10**9), r"layer 0 \(conv\) takes"),
        (lambda net: net.pop("shape"), "shape"),
    ],
)
def test_only_known_names_and_fitting_parts_are_read(tmp_path, change, message):
    save(trained(), tmp_path / "net")
    rewritten(tmp_path / "net", change)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "net")


def test_other_things_than_saved_networks_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such network"):
        load(tmp_path / "absent")
    (tmp_path / "file").write_text("{}")
    (tmp_path / "folder").mkdir()
    for content in ("[]", "{}", "7", '{"format": "another"}', "[" * 10_000):
        (tmp_path / "folder" / saved.STRUCTURE).write_text(content)
        with pytest.raises(ValueError, match="folder: not a complete saved network"):
            load(tmp_path / "folder")
    with pytest.raises(ValueError, match="file: not a complete saved network"):
        load(tmp_path / "file")


def test_images_that_a_trained_network_cannot_take_are_refused():
    net = trained()
    wrong = {
        r"images must be a batch of \(5, 4, 2\), as in the training": images(3)[:, 1:],
        "divide bytes by 255": (255 * images(3)).astype(np.uint8),
        "images must be finite": images(3) + np.nan,
    }
    for message, item in wrong.items():
        with pytest.raises(ValueError, match=message):
            simulation.predict(net, item)
    with pytest.raises(ValueError, match="at least 1 step"):
        simulation.predict(net, images(3), 0)
    with pytest.raises(ValueError, match="a converted network needs its steps"):
        simulation.predict(converted(), images(3))


def test_parameters_of_a_layer_that_is_none_are_refused():
    structure, arrays = saved._structure(trained()), saved._arrays(trained())
    arrays["params"]["9"] = {"kernel": np.ones((2, 2))}
    with pytest.raises(ValueError, match="arrays hold parameters of a layer '9', of 6"):
        saved._network(structure, arrays)

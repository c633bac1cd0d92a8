import json

import jax
import numpy as np
import pytest

from experiments import burst_coding
from experiments.parts.burst_coding import networks
from framework import data, snn
from framework.runs.reporting import report
from framework.snn.neurons import coding


def small(**settings):
    config = burst_coding.get_config("smoke")
    quick = {"training.epochs": 2, "trained.epochs": 1, "trained.steps": (2,), "steps": 16, "pairs": ("real-rate",)}
    config.update_from_flattened_dict(quick | {"levels": 0} | settings)
    return config


@pytest.mark.long
def test_smoke_shows_the_claim_and_is_not_run_twice(experiment, launch, stays, tmp_path):
    code, _, errors = launch(experiment, "--workdir=run")
    assert code == 0, errors
    run = tmp_path / "run"
    result = json.loads((run / "result.json").read_text())
    assert result["dnn"]["accuracy"] > 0.9
    pairs = {record["pair"]: record for record in result["pairs"]}
    assert pairs["real-burst"]["latency_first"] < pairs["real-rate"]["latency_first"]
    assert pairs["phase-burst"]["accuracy at 16"] > pairs["phase-rate"]["accuracy at 16"] + 0.3
    assert abs(pairs["real-burst"]["loss"]) < 0.02
    assert result["energy_truenorth"]["real-rate"] == pytest.approx(1)
    assert result["energy_spinnaker"]["real-rate"] == pytest.approx(1)
    assert pairs["real-burst"]["input_spikes"] == 0 < pairs["phase-burst"]["input_spikes"]
    assert set(result["trained"]["accuracy"]) == {f"{unit} at {t}" for unit in ("lif", "burst") for t in (2, 4, 8)}
    assert min(result["trained"]["accuracy"].values()) > 0.7
    numbers = report.scalars(result)
    for name, (value, spread) in burst_coding.EXPECTED["smoke"].items():
        assert numbers[name] == pytest.approx(value, abs=1.5 * spread), name
    drawn = ["accuracy", "energy", "latency", "trained", "trains"]
    assert sorted(path.stem for path in run.glob("figures/*.png")) == drawn
    assert (
        (run / "layers.csv").read_text().startswith("pair,layer,error,correlation,saturated,silent\nreal-rate,1 conv")
    )
    stays(experiment)


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("data.name", "nowhere", "no data set 'nowhere'"),
        ("data.name", "/nowhere/mine.npz", "no file /nowhere/mine.npz: own images are read from an .npz file"),
        ("data.name", __file__.rpartition("/")[0], "is a folder; folders of images are not read yet"),
        ("data.test", 10, "data.test must be 0 (all) or 250 to 360 images, got 10"),
        ("network", "resnet", "network must be one of digits, cnn, vgg_small, vgg16"),
        ("pairs", ("real-real",), "got 'real-real'"),
        ("pairs", (), "pairs must name at least one"),
        ("codes.rate", 0.0, "threshold of rate"),
        ("training.batch", 0, "training: a batch must hold 1 to"),
        ("scale", "mean", "scale must be one of"),
        ("steps", 0, "at least 1 step"),
        ("trained.steps", (), "at least 1 step"),
        ("trained.hidden", (), "trained.hidden must be a width or more"),
        ("seed", -1, "seeds must be"),
        ("seeds", 0, "seeds must be"),
        ("trained.decay", 1.5, "decay of lif"),
        ("levels", -1, "levels must be at least 1 stair"),
    ],
)
def test_bad_settings_are_refused_before_any_work(key, value, what, refuses):
    refuses(burst_coding, small(**{key: value}), what)


@pytest.mark.slow
def test_a_bad_setting_is_one_line_on_the_terminal(experiment, refused):
    assert "got 'phase'" in refused(experiment, "--config.pairs=('phase',)", "--workdir=run")


def test_the_gain_at_equal_operations_is_measured_from_the_line():
    pair = lambda accuracy, used: (np.array([accuracy]), np.array([used]))
    lif = {2: pair(0.5, 100.0), 4: pair(0.7, 200.0)}
    for used, line in ((50.0, 0.5), (150.0, 0.6), (900.0, 0.7)):
        assert burst_coding._difference_at_equal_synops(lif, *pair(0.65, used)) == pytest.approx(0.65 - line)


def test_the_energies_are_those_of_the_definition():
    curve = lambda spikes: networks.Curve([0.2, 0.9, 0.9], spikes, [0.0] * 3, [2.0 * s for s in spikes])
    config = small(steps=3)
    curves = {"real-rate": [curve([10.0, 20.0, 30.0])], "real-burst": [curve([5.0, 8.0, 9.0])]}
    numbers = burst_coding._conversion_numbers(config, [0.9], curves)
    assert numbers["latency"] == {"real-rate": 2.0, "real-burst": 2.0}
    assert numbers["spikes"] == {"real-rate": 20.0, "real-burst": 8.0}
    assert numbers["energy_truenorth"]["real-burst"] == pytest.approx(0.4 * 8 / 20 + 0.6)


@pytest.mark.long
def test_the_paper_preset_takes_two_real_steps():
    """Two steps of VGG-16's training and of its simulation, on images as TFDS gives them."""
    config = burst_coding.get_config("paper")
    assert (config.data.name, config.network) == ("cifar10", "vgg16")
    layers = networks.layers_of(config, 10)
    images = np.random.default_rng(0).random((2, 32, 32, 3)).astype(np.float32)
    params = snn.init(jax.random.key(0), layers, (32, 32, 3))

    def loss(params):
        logits, new_params = snn.forward(layers, params, images, train=True)
        return (logits**2).mean(), new_params

    for _ in range(2):
        gradient, new_params = jax.grad(loss, has_aux=True)(params)
        params = jax.tree.map(lambda p, g: p - 1e-3 * g, new_params, gradient)
    input_code, hidden_code = coding.pair("phase-burst")
    spiking = snn.convert(layers, params, images, input_code=input_code, hidden_code=hidden_code)
    outputs = snn.simulate(spiking, images, 2)
    assert outputs.spikes.shape == (2, 2, 15)
    assert np.isfinite(outputs.logits).all()


def test_a_set_that_fills_no_batch_is_refused(monkeypatch):
    few = data.first(data.digits("test"), 100)
    monkeypatch.setattr(data, "images", lambda *_: few)
    with pytest.raises(ValueError, match=r"data\.train must be 0 \(all\) or 250 to 100 images, got 0"):
        networks.sets(small())

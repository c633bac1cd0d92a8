import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import autosnn
from experiments.parts.autosnn import datasets
from framework.core.chunked_scan import advance
from framework.nas import autosnn as search
from framework.runs.reporting import report
from tests.data.test_aedat import uncompressed


def small(**settings):
    config = autosnn.get_config("smoke")
    config.update_from_flattened_dict(settings)
    return config


@pytest.mark.long
def test_smoke_shows_the_claim_and_is_not_run_twice(experiment, launch, stays, tmp_path):
    code, _, errors = launch(experiment, "--workdir=run")
    assert code == 0, errors
    run = tmp_path / "run"
    result = json.loads((run / "result.json").read_text())
    assert result["networks"] == 8
    accurate, sparing = (result[f"lambda {lambda_}"] for lambda_ in ("0", "-0.24"))
    assert accurate["evaluations"] == sparing["evaluations"] == 4
    assert 0 <= accurate["regret evolution"] < 0.2
    assert sparing["spikes"] <= accurate["spikes"]
    rows = [line.split(",") for line in (run / "all-0.csv").read_text().splitlines()]
    assert rows[0] == ["blocks", "accuracy", "spikes"]
    assert len({row[0] for row in rows[1:]}) == 8
    assert min(float(row[2]) for row in rows[1:]) > 0
    for retrained in result["retrained"].values():
        assert retrained["accuracy"] > 0.5
        assert retrained["spikes"] > retrained["neurons"] > 0
        assert retrained["energy_with_memory_nj"] > retrained["energy_nj"] > 0
    numbers = report.scalars(result)
    for name, (value, spread) in autosnn.EXPECTED.get("smoke", {}).items():
        assert numbers[name] == pytest.approx(value, abs=1.5 * spread), name
    drawn = ["architecture", "front", "retrained", "search"]
    assert sorted(path.stem for path in run.glob("figures/*.png")) == drawn
    stays(experiment)


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("data.name", "nowhere", "no data set 'nowhere'"),
        ("data.name", "/nowhere/mine.npz", "no file /nowhere/mine.npz: own images are read from an .npz file"),
        ("data.name", __file__.rpartition("/")[0], "is a folder; folders of images are not read yet"),
        ("data.train", 5000, "data.train must be 0 (all) or 1 to 1437 images, got 5000"),
        ("data.validation", 1.0, "data.validation must be a share between 0 and 1"),
        ("data.events", "/nowhere", "No such file or directory"),
        ("space.macro", "SNN_9", "macro must be one of"),
        ("space.candidates", ("SRB_k2",), "no candidate block 'SRB_k2'"),
        ("space.neuron", "izhikevich", "neuron must be one of"),
        ("training.batch", 0, "training must have at least 1 epoch of batches of 1 to"),
        ("retrain.epochs", 0, "retrain must have at least 1 epoch"),
        ("search.lambdas", (0.5,), "search.lambdas must be at least one number of at most 0"),
        ("search.repeats", 0, "search.repeats must be at least 1 search"),
        ("search.rounds", 0, "must be at least 1"),
        ("reference", -1.0, "reference must be above 0 spikes"),
        ("seeds", 0, "seeds must be"),
    ],
)
def test_bad_settings_are_refused_before_any_work(key, value, what, refuses):
    refuses(autosnn, small(**{key: value}), what)


@pytest.fixture
def recordings(tmp_path):
    """N-MNIST's format: five bytes an event; two classes of ten recordings."""
    random = np.random.default_rng(0)
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        for i in range(10):
            x = random.integers(0, 17, 40) + 17 * (name == "right")
            t = np.sort(random.integers(0, 1 << 16, 40))
            event = [x, random.integers(0, 34, 40), t >> 16, t >> 8 & 255, t & 255]
            (tmp_path / name / f"{i}.bin").write_bytes(np.stack(event, 1).astype(np.uint8).tobytes())
    return tmp_path


def test_files_of_a_class_that_are_no_recordings_are_named(recordings):
    read = lambda **more: datasets.sets(small(**{"data.events": str(recordings), "space.steps": 3} | more))
    with pytest.raises(ValueError, match=r"data.train and data.test count images: of data.events all"):
        read(**{"data.train": 5})
    with pytest.raises(ValueError, match=r"0\.bin: steps must be, by count, at most the 40 events; got 41"):
        read(**{"space.steps": 41})
    (recordings / "left" / "0.bin").rename(recordings / "left" / "0.BIN")
    (recordings / "left" / ".hidden").touch()
    assert len(read().test.labels) == 4
    (recordings / "left" / "readme.txt").touch()
    with pytest.raises(
        ValueError, match=r"left/readme\.txt is no recording \(\.bin, \.dat, \.aedat4\): take it out of"
    ):
        read()
    (recordings / "left" / "readme.txt").unlink()
    (recordings / "middle").mkdir()
    with pytest.raises(ValueError, match="middle holds no recordings"):
        read()


def test_warnings_of_a_reader_are_issued_and_noted(recordings):
    """A file that its recorder did not close."""
    settings = small(**{"data.events": str(recordings), "space.steps": 3})
    assert datasets.sets(settings).note == ""
    events = [(k % 34, 0, k, 0) for k in range(40)]
    (recordings / "left" / "a.aedat4").write_bytes(uncompressed([events], (34, 34), closed=False))
    with pytest.warns(UserWarning, match=r"a\.aedat4: the recorder did not close the file"):
        sets = datasets.sets(settings)
    assert "a.aedat4: the recorder did not close the file" in sets.note


def test_a_folder_of_recordings_becomes_frames_of_each_part(recordings):
    sets = datasets.sets(small(**{"data.events": str(recordings), "space.steps": 3}))
    assert sets.train.images.shape == (13, 3, 34, 34, 2)
    assert (len(sets.validation.labels), len(sets.test.labels), sets.classes) == (3, 4, 2)
    for part in (sets.train, sets.validation, sets.test):
        right = part.images[..., 17:, :].sum((1, 2, 3, 4)) > 0
        np.testing.assert_array_equal(right, part.labels == 1)
        assert (part.images.sum((1, 2, 3, 4)) == 40).all()


def test_the_paper_preset_has_the_papers_sizes():
    config = autosnn.get_config("paper")
    assert (config.space.channels, config.space.steps, config.training.epochs, config.training.batch) == (
        16,
        8,
        600,
        96,
    )
    assert (config.search.rounds, config.search.pool, config.search.top, config.retrain.all) == (20, 20, 10, True)
    assert not config.search.exact


@pytest.mark.long
def test_the_paper_preset_takes_two_real_steps():
    """Of the supernet's training, as the experiment makes it, on images as TFDS gives them."""
    config = autosnn.get_config("paper")
    rng, settings = np.random.default_rng(0), config.space
    part = datasets.Part(rng.random((192, 32, 32, 3)).astype(np.float32), rng.integers(0, 10, 192))
    dynamics = search.Dynamics(settings.steps, settings.neuron, statistics=settings.statistics)
    options = {"macro": settings.macro, "candidates": tuple(settings.candidates), "dynamics": dynamics}
    trainer = autosnn._trainer(
        config, part, search.search_space(settings.channels, (32, 32, 3), 10, **options), config.training
    )
    state, metrics = advance(trainer.step, trainer.init(jax.random.key(0), 192), tuple(map(jnp.asarray, part)), 2)
    assert int(state.inner.step) == 2
    assert np.isfinite(metrics["loss"]).all()
    assert (metrics["spikes"] > 0).all()

import jax
import numpy as np
import pytest

from experiments import advrush, autosnn, proxy_data
from experiments.parts.proxy_data import datasets as images
from experiments.parts.proxy_data import figures, proxies, ranks
from experiments.parts.proxy_data import searches as search
from framework import data, runs
from framework.nas import darts, nasbench201
from framework.runs import files
from framework.selection import entropy_file


@pytest.fixture
def digits():
    return data.digits("train")


def proxy(**changes):
    config = proxies.settings(0.1)
    config.base.epochs, config.base.batch, config.base.width = 1, 479, 4
    config.update(changes)
    return config


@pytest.mark.long
def test_smoke_shows_every_part(experiment, launch, tmp_path):
    """Through the command line, once: numbers, tables and figures."""
    code, output, errors = launch(experiment, "--workdir=run")
    assert code == 0, errors
    assert "tau" in output
    run = tmp_path / "run"
    result = files.read_json(run / "result.json")
    assert result["fraction"] == 0.1
    ways = {"all images", *(f"{rule}, equal {kind}" for rule in ("P1", "random") for kind in ("epochs", "steps"))}
    assert result["tau"].keys() == ways
    assert output.count("two seeds, no interval") >= 5
    assert output.count("one seed, no interval") == 2
    assert result["entropy"]["digits"]["its share of P1"] < result["entropy"]["digits"]["share of the tallest bin"]
    assert {"random", "P1"} <= result["cell_accuracy"]["equal epochs"].keys()
    assert "random" in result["note"]
    for name in ("histograms", "ranks", "cells"):
        assert (run / "figures" / f"{name}.png").exists()
    for row in (run / "cells.csv").read_text().splitlines()[1:]:
        assert "normal_concat" in row
    listed = (run / "entropy-digits.csv").read_text().splitlines()
    assert [int(line.split(",")[0]) for line in listed[1:]] == list(range(600))


@pytest.mark.long
def test_the_paper_preset_takes_two_real_steps(run):
    """Of the base network, of a ranked one and of a search, on images as TFDS gives them; compiled fast."""
    config = proxy_data.get_config("paper")
    rng, fast, settings = np.random.default_rng(0), proxies.COMPILE["fast"], config.ranks
    settings.test = config.search.test = 16
    pixels = rng.integers(0, 256, (2 * settings.batch, 32, 32, 3)).astype(np.uint8)
    labels = rng.integers(0, 10, len(pixels)).astype(np.int32)
    whole = data.ImageSet(pixels, labels, np.arange(len(pixels)).astype(str), "cifar10", "train", 10, 255, "random")
    config.proxy.base.epochs, config.proxy.base.batch = 1, settings.batch
    traits = proxies.measure_traits(config.proxy.base, run, whole, 0, "base", options=fast)
    assert np.isfinite(traits.entropy).all()
    train, test, _ = images.parts(images.Prepared(whole, whole, traits), settings)
    net = nasbench201.Config(settings.channels, settings.cells, 10, 3)
    plan = ranks.batches(np.arange(len(labels)), 1, settings.batch, seed=0)[None]
    assert plan.shape == (1, 2, settings.batch)
    drawn = ranks.draw_architectures(jax.random.key(0), 1)
    accuracies = ranks.accuracies(run, "ranks", net, settings.rate, drawn, plan, 2, train, test, 0, fast)
    assert 0 <= accuracies.item() <= 1
    settings = config.search
    net = darts.Supernet(settings.channels, settings.cells, 10)
    part = rng.permutation(len(labels))[None, : 4 * settings.batch]
    cell, *_ = search.search(run, "search", net, darts.Config(1, settings.batch), part, train, 0, fast)
    assert darts.check(cell)
    rows = [row for row in run.path.joinpath("metrics.jsonl").read_text().splitlines() if '"search"' in row]
    assert len(rows) == 1


@pytest.mark.parametrize(
    ("part", "change", "reason"),
    [
        ("proxy", {"fraction": 0.0}, r"proxy\.fraction must lie in \(0, 1\]"),
        ("proxy", {"rule": "P4"}, r"proxy\.rule must be one of random, P1"),
        ("search", {"rules": ("P1",)}, r"search\.rules must hold random"),
        ("search", {"rules": ("random", "best")}, "'best' is none of random"),
        ("search", {"kinds": ("half",)}, r"search\.kinds must be some of full"),
        ("ranks", {"side": 6}, "multiples of 4"),
        ("search", {"batch": 5000}, "half a proxy of [0-9]+ images holds no batch of 5000"),
        ("search", {"batch": 0}, "holds no batch of 0"),
        ("ranks", {"architectures": 2}, "at least 3 to be ranked"),
        ("ranks", {"batch": 33}, "ranks: a proxy of 32 images holds no batch of 33"),
        ("ranks", {"epochs": 0}, r"ranks\.epochs must be at least 1, got 0"),
        ("search", {"epochs": 0}, r"search\.epochs must be at least 1, got 0"),
        ("search", {"retrain_epochs": 0}, r"search\.retrain_epochs must be at least 1, got 0"),
    ],
)
def test_bad_settings_are_refused_before_any_training(part, change, reason):
    config = proxy_data.get_config("smoke")
    config[part].update(change)
    with pytest.raises(ValueError, match=reason):
        proxy_data._check(config)


def test_the_note_names_the_best_rule_where_there_are_several():
    config, gains = proxy_data.get_config("smoke"), {"tau_gain_of_P1": {"equal epochs": {"low": 0.1}}}
    config.seeds = 3
    cells = {"cell_accuracy": {"equal epochs": {"random": 0.5, "P1": 0.6}}}
    several = proxy_data._note(config, gains | cells)
    assert " Searches: highest mean at equal epochs: P1, of 2 rules, random among them. Networks of" in several
    config.seeds = None  # two seeds rank, one searches
    few = proxy_data._note(config, {"tau_difference_of_P1": {"equal epochs": 0.4}} | cells)
    assert few.startswith("Ranking: P1 and random selection are not told apart (two seeds, no interval).")
    assert "random among them (one seed, no interval)." in few
    config.seeds = 3
    alone = proxy_data._note(config, gains | {"cell_accuracy": {"full": {"all images": 0.5}}})
    assert "Searches" not in alone
    assert "interval. Networks of 4 channels" in alone


def rankings(seeds):
    rng, truth = np.random.default_rng(0), np.linspace(0.2, 0.8, 12)
    ways = [ranks.WHOLE, *(f"{rule}, {kind}" for kind in ranks.KINDS for rule in ("P1", "random"))]
    accuracies = {way: truth[:, None] + 0.1 * rng.normal(size=(12, seeds)) for way in ways}
    return accuracies, truth.astype(np.float32)


def test_taus_have_intervals_from_three_seeds_on():
    one, two, three = (ranks.taus(*rankings(seeds), seed=0, seeds=seeds) for seeds in (1, 2, 3))
    assert "tau_between_seeds" not in one
    assert two["tau_between_seeds"] < 1
    for few in (one, two):
        assert not {"tau_low", "tau_high", "tau_gain_of_P1"} & few.keys()
        apart = few["tau"]["P1, equal steps"] - few["tau"]["random, equal steps"]
        assert few["tau_difference_of_P1"]["equal steps"] == apart
    for way, tau in three["tau"].items():
        assert three["tau_low"][way] <= tau <= three["tau_high"][way]
    gain = three["tau_gain_of_P1"]["equal epochs"]
    assert gain["low"] < gain["mean"] < gain["high"]


def test_captions_mention_only_what_the_figures_show(figure_of):
    run, caption = figure_of
    for seeds, intervals, dotted in ((1, False, False), (2, False, True), (3, True, True)):
        figures.draw_ranks(run, ranks.taus(*rankings(seeds), 0, seeds), "the table", 12, seeds)
        assert ("95 % intervals" in caption("ranks")) == intervals
        assert ("Dotted" in caption("ranks")) == dotted
        figures.draw_cells(run, {"full": {"P1": np.linspace(0, 1, seeds)}}, {"full": {"P1": 10}})
        assert ("standard errors" in caption("cells")) == intervals
        for name in ("ranks", "cells"):
            assert caption(name).endswith({1: " One seed, no interval.", 2: " Two seeds, no interval."}.get(seeds, "."))


@pytest.mark.slow
def test_a_bad_flag_ends_in_one_line(pytestconfig, refused):
    path = pytestconfig.rootpath / "experiments" / "proxy_data.py"
    line = refused(f"--config={path}:smoke", "--config.proxy.rule=P4")
    assert "proxy.rule='P4' has no effect, since search.rules says which rules choose" in line


@pytest.fixture
def run(tmp_path):
    with runs.open_run(tmp_path / "run", {}) as opened:
        yield opened


def test_a_fraction_of_one_is_every_image(run, digits):
    np.testing.assert_array_equal(proxies.indices(proxies.settings(), run, digits, 0), np.arange(1437))


@pytest.mark.slow
def test_a_proxy_from_a_file_of_entropies_uses_the_sets_indices(run, digits, tmp_path):
    """Ten images of rare entropy, the last ones of the set: P1 takes them all, in whatever order the set is read."""
    path = tmp_path / "entropy.txt"
    entropy = np.where(np.arange(1437) < 1427, 0.1, 1e-6)
    entropy_file.write_entropy_list(path, np.arange(1437), entropy, digits.labels)
    turned = digits._replace(images=digits.images[::-1], labels=digits.labels[::-1], ids=digits.ids[::-1])
    chosen = proxies.indices(proxy(rule="P1", entropy=str(path)), run, turned, 0)
    assert len(set(chosen.tolist())) == 143
    assert set(range(10)) <= set(chosen.tolist())
    other = turned._replace(labels=digits.labels)
    with pytest.raises(ValueError, match="the list of another data set"):
        proxies.indices(proxy(rule="P1", entropy=str(path)), run, other, 0)


@pytest.mark.long
def test_a_base_network_tells_all_traits_and_the_same_ones_again(run, digits):
    traits = proxies.measure_traits(proxy().base, run, digits, 0, "base")
    assert traits.entropy.shape == traits.el2n.shape == traits.forgetting.shape == (1437,)
    assert traits.features.shape == (1437, 16)
    assert (traits.entropy > 0).all()
    assert (traits.entropy <= np.log(10) + 1e-5).all()
    assert (traits.el2n <= 2**0.5).all()
    again = proxies.measure_traits(proxy().base, run, digits, 0, "base")  # from its checkpoint
    np.testing.assert_array_equal(again.entropy, traits.entropy)


def test_batches_see_each_row_once_an_epoch():
    plan = ranks.batches(np.arange(100, 123), 3, 5, seed=0)
    assert plan.shape == (12, 5)
    for epoch in plan.reshape(3, 20):
        assert len(set(epoch.tolist())) == 20
    assert (plan[:4] != plan[4:8]).any()
    with pytest.raises(ValueError, match="23 images take batches of 1 to as many"):
        ranks.batches(np.arange(23), 1, 24, seed=0)


def test_a_fit_of_any_length_is_a_plain_loop_of_sgd():
    """The oracle: Nesterov's momentum with decay along a cosine, in NumPy, on least squares."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    plan = ranks.batches(np.arange(30), 2, 6, seed=0)
    loss = lambda p, x, y: (((x @ p["w"] - y) ** 2).mean(), p)
    fit = jax.jit(lambda steps: ranks.fit(loss, {"w": np.ones(3, np.float32)}, plan, steps, 0.1, (x, y))["w"])
    for steps in (4, 10):
        w, velocity = np.ones(3), np.zeros(3)
        for index in range(steps):
            rows = plan[index]
            gradient = 2 * x[rows].T @ (x[rows] @ w - y[rows]) / 6 + 5e-4 * w
            velocity = 0.9 * velocity + gradient
            w = w - 0.05 * (1 + np.cos(np.pi * index / steps)) * (gradient + 0.9 * velocity)
        np.testing.assert_allclose(fit(steps), w, rtol=1e-4)


@pytest.mark.slow
def test_one_hot_alphas_end_in_the_genotype_they_were_made_of():
    alphas = darts.init_alphas(jax.random.key(3))
    genotype = darts.derive_genotype(alphas)
    fixed = search.one_hot(genotype)
    weights = jax.nn.softmax(fixed.normal)
    assert set(np.unique(weights).tolist()) == {0.0, 1.0}
    kept = {
        (darts.OPERATIONS[int(row.argmax())], edge)
        for row, edge in zip(weights, darts.EDGES, strict=True)
        if row.argmax() != darts.OPERATIONS.index("none")
    }
    assert kept == {(name, (source, 2 + index // 2)) for index, (name, source) in enumerate(genotype.normal)}


@pytest.mark.slow
def test_searches_take_a_tenth_by_flags_of_their_own(run):
    """Both experiments that search have the same settings, whole by default; recordings of events have no entropy."""
    for experiment in (advrush, autosnn):
        config = experiment.get_config("smoke")
        assert proxies.rows(config, run) == slice(None)
        config.proxy.update({"fraction": 0.1, "rule": "random"})
        rows = proxies.rows(config, run, 1000)
        assert len(set(rows.tolist())) == 100
        assert max(rows) < 1000
        config.proxy.rule = "P9"
        with pytest.raises(ValueError, match=r"proxy\.rule must be one of random, P1"):
            proxies.rows(config, run)
    config.proxy.rule, config.data.events = "P1", "somewhere"
    with pytest.raises(ValueError, match="must be 1 for recordings"):
        proxies.rows(config, run)

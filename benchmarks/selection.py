"""Selection of data compared with plain NumPy and Python, in one run.

    python benchmarks/selection.py --output=benchmarks/results/selection.md

    entropy      the published entropy list from the published weights and 4,000 lossless images
    histogram    bins, masses and draws on the published list, compared with NumPy's
    sampling     a P1 selection of 10 %, compared with the sampler as a plain Python loop; a thousand at once
    k_center     compared with a plain NumPy loop
    search       DARTS on a tenth of the images, and on all

All but `k_center` read the shared data. The docstring of a part stands under its
table. Sections of the output file whose parts do not run stay as they are.
"""

import itertools
import json
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import numpy as np
import tables
from absl import app, flags
from problems import time_call
from tables import Part, Row, at_least, at_most

from framework import data, selection
from framework.core import advance
from framework.models import resnet, resnet_weights
from framework.nas import darts
from framework.nas.darts import bilevel
from framework.selection import coverage, entropy_file, histogram, uncertainty

CHOSEN = flags.DEFINE_list("parts", ["entropy", "histogram", "sampling", "k_center", "search"], "what to run")
OUTPUT = flags.DEFINE_string("output", None, "a Markdown file for the sections")
REPEATS = flags.DEFINE_integer("repeats", 5, "timed calls, whose median is shown")

LIST = ("proxy_nas", "entropy_list", "cifar10_resnet20_index_entropy_class.txt")
SEEDS, DRAWN = 1000, 5000
TITLE = "Selection of data"


def read_reference() -> np.ndarray:
    """The entropies of the published list, in the order of the data set."""
    return entropy_file.read_entropy_list(data.shared_path(*LIST)).entropy


def entropy() -> Iterator[Row]:
    """The list that was published with arXiv 2106.04784, lines 0 to 3,999, against those of the ResNet-20 on the same
    images: float32, highest precision. The second row is a control: a checkpoint other than that of the list.
    """
    with np.load(data.shared_path("cifar10", "train_lossless_first4000.npz")) as arrays:
        images = arrays["images"]
    reference = read_reference()[: len(images)]

    @jax.jit
    def block(params, images):
        with jax.default_matmul_precision("highest"):
            return uncertainty.entropy(resnet.forward(params, resnet.normalise(images))[0])

    for name, is_source in (("cifar10_resnet20_akamaster_12fca82f", True), ("cifar10_resnet20", False)):
        params = resnet_weights.read_torch(data.shared_path("proxy_nas", "resnet_ckpt", f"{name}.npz"))
        blocks = [block(params, images[i : i + 200]) for i in range(0, len(images), 200)]
        ours = np.concatenate(blocks).astype(np.float64)
        relative, absolute = np.abs(ours / reference - 1), float(np.abs(ours - reference).max())
        percentile = float(np.percentile(relative, 99))
        correlation = float(np.corrcoef(np.log10(ours), np.log10(reference))[0, 1])
        cells = {
            "weights": name,
            "relative error, median": f"{np.median(relative):.2g}",
            "99th percentile": f"{percentile:.2g}",
            "largest absolute error": f"{absolute:.2g}",
            "correlation of log10": f"{correlation:.6f}",
        }
        goals = {
            "99th percentile": at_most(percentile, 1e-3),
            "absolute error": f"{'met' if absolute <= 2e-5 else 'missed'}: {absolute:.2g} to 2e-05",
            "correlation": f"{'met' if correlation >= 0.9999 else 'missed'}: {correlation:.6f} to 0.9999",
        }
        yield Row(cells, goals if is_source else {})


def masses(edges: np.ndarray, logarithms: np.ndarray, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """The bins' masses, and each point's probability, in plain NumPy."""
    bins = np.searchsorted(edges, logarithms) - 1
    heights = np.bincount(bins, minlength=len(edges) - 1)
    weight = {"P1": heights.max() - heights + 1.0, "P2": np.ones(len(heights)), "P3": 1 / np.maximum(heights, 1)}[rule]
    mass = np.where(heights > 0, weight, 0)
    return mass / mass.sum(), (mass / mass.sum() / np.maximum(heights, 1))[bins]


def of_histogram() -> Iterator[Row]:
    """The published list of CIFAR-10, 50,000 entropies. Edges and heights against the golden file exactly; bin masses
    against its six decimals, and against NumPy in float64; then how many points of each bin are among 5,000 drawn, mean
    over 1,000 seeds, against 1,000 of numpy's choice without replacement: the largest difference over the 38 bins in
    standard errors.
    """
    values = read_reference()
    golden = json.loads(data.shared_path("proxy_nas", "golden_histograms.json").read_text())["cifar10_resnet20"]
    entropies = histogram.histogram(values, 0.5)
    edges, bins = np.arange(golden["lo"], golden["hi"] + 0.5, 0.5), np.asarray(entropies.bins)
    same = np.array_equal(entropies.edges, edges) and np.asarray(entropies.heights).tolist() == golden["hist"]
    for rule in histogram.RULES:
        probabilities = np.asarray(selection.histogram_probabilities(values, rule, 0.5))
        ours = np.bincount(bins, probabilities, len(edges) - 1)
        theirs, reference = masses(edges, np.log10(values), rule)
        to_file = float(np.abs(ours - golden[f"{rule}_bin_mass"]).max())
        to_numpy = float(np.abs(ours - theirs).max())
        drawn = np.asarray(selection.sample_many(jax.random.split(jax.random.key(0), SEEDS), DRAWN, probabilities))
        counted = [np.bincount(bins[row], minlength=len(ours)) for row in drawn]
        choice = [
            np.random.RandomState(seed).choice(len(probabilities), DRAWN, False, reference / reference.sum())
            for seed in range(SEEDS)
        ]
        expected = [np.bincount(bins[row], minlength=len(ours)) for row in choice]
        error = np.sqrt((np.var(counted, 0) + np.var(expected, 0)) / SEEDS)
        away = float((np.abs(np.mean(counted, 0) - np.mean(expected, 0)) / np.maximum(error, 1e-9)).max())
        cells = {
            "rule": rule,
            "edges and heights": "equal" if same else "differ",
            "masses, to the file": f"{to_file:.1e}",
            "to NumPy": f"{to_numpy:.1e}",
            "drawn, standard errors": away,
        }
        goals = {
            "histogram": "met: equal" if same else "missed",
            "six decimals": f"{'met' if to_file <= 5.01e-7 else 'missed'}: {to_file:.1e} to 5e-07",
            "NumPy": f"{'met' if to_numpy <= 1e-12 else 'missed'}: {to_numpy:.1e} to 1e-12",
            "inclusion": at_most(away, 4.0),
        }
        yield Row(cells, goals)


def plain_sampler(entropies: np.ndarray, size: int, seed: int) -> np.ndarray:
    """P1 as a loop over bins and points, then numpy's choice; the points of a bin lie strictly inside its edges."""
    logarithms = np.log10(entropies)
    low, high = np.round(logarithms.min()), np.round(logarithms.max())
    while low > logarithms.min():
        low -= 0.5
    while high < logarithms.max():
        high += 0.5
    edges = np.arange(low, high + 0.5, 0.5)
    listed = logarithms.tolist()
    members = [
        [i for i, value in enumerate(listed) if left < value < right] for left, right in itertools.pairwise(edges)
    ]
    tallest = max(map(len, members))
    points, chances = [], []
    for members_of_bin in filter(None, members):
        points += members_of_bin
        chances += [(tallest - len(members_of_bin) + 1) / len(members_of_bin)] * len(members_of_bin)
    random = np.random.RandomState(seed)
    chosen = random.choice(points, size, False, np.array(chances) / sum(chances))
    random.shuffle(chosen)
    return chosen


def p1(entropies: np.ndarray, size: int, seed: int) -> jax.Array:
    """The same by the framework, from the entropies on."""
    return selection.sample(jax.random.key(seed), size, selection.histogram_probabilities(entropies, "P1", 0.5))


def median(call: Callable[[int], Any], repeats: int) -> float:
    """Milliseconds of calls with the seeds 1 to `repeats`."""
    return 1e3 * statistics.median(time_call(call, seed)[1] for seed in range(1, repeats + 1))


def sampling() -> Iterator[Row]:
    """From entropies to the indices of a tenth of them, histogram included: the published list, and 1.28 million
    entropies drawn from it with noise. `plain` is the published sampler written as a plain Python loop over bins and
    points; medians of {repeats} calls, of the plain loop of 3. A thousand proxies: one call of `selection.sample_many`,
    blocks of 8; its memory is what the compiled program needs in addition to its result.
    """
    values = read_reference()
    rng = np.random.default_rng(0)
    many = rng.choice(values, 1_280_000) * 10 ** rng.uniform(-0.2, 0.0, 1_280_000)
    for name, entropies in (("published", values), ("1.28 million", many)):
        size = len(entropies) // 10
        _, first = time_call(p1, entropies, size, 0)
        ours = median(lambda seed, e=entropies, k=size: p1(e, k, seed), REPEATS.value)
        plain = median(lambda seed, e=entropies, k=size: plain_sampler(e, k, seed), 3)
        goals = {"times": at_least(plain / ours, 100)} if name == "published" else {"ms": at_most(ours, 150)}
        cells = {"case": name, "k": size, "ms": ours, "plain, ms": plain, "times": plain / ours, "first call, s": first}
        yield Row(cells | {"MiB": ""}, goals)
    chances = np.asarray(selection.histogram_probabilities(values), np.float32)
    batch = jax.jit(partial(selection.sample_many, size=DRAWN, block=8))
    memory = batch.lower(jax.random.split(jax.random.key(0), SEEDS), probabilities=chances).compile().memory_analysis()
    proxies = lambda seed: batch(jax.random.split(jax.random.key(seed), SEEDS), probabilities=chances)
    _, first = time_call(proxies, 0)
    ours = median(proxies, 1)
    cells = {"case": "a thousand", "k": DRAWN, "ms": ours, "plain, ms": "", "times": "", "first call, s": first}
    yield Row(cells | {"MiB": memory.temp_size_in_bytes / 2**20}, {})


def plain_k_center(features: np.ndarray, size: int) -> list[int]:
    """Greedy k-center, a pass over all points a step, in float64."""
    chosen, nearest = [0], np.full(len(features), np.inf)
    while len(chosen) < size:
        nearest = np.minimum(nearest, ((features - features[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(nearest.argmax()))
    return chosen


def k_center() -> Iterator[Row]:
    """50,000 normal points of 64 features, 500 centres; both sides in float64, one call each after one that compiles.
    Memory: what the compiled program needs in addition to the features, which are 24.4 MiB.
    """
    features = np.random.default_rng(0).normal(size=(50_000, 64))
    run = lambda: selection.k_center_greedy(features, 500)
    _, first = time_call(run)
    chosen, ours = time_call(run)
    reference, plain = time_call(plain_k_center, features, 500)
    same = np.asarray(chosen).tolist() == reference
    with jax.enable_x64(True):
        program = coverage._k_center.lower(features, 500, np.int32(0)).compile()
    memory = program.memory_analysis().temp_size_in_bytes / 2**20
    cells = {"case": "N 50,000, d 64, k 500", "s": ours, "NumPy, s": plain, "times": plain / ours}
    goals = {"indices": "met: the same" if same else "missed", "times": at_least(plain / ours, 5)}
    yield Row(cells | {"first call, s": first, "MiB": memory}, goals)


def search() -> Iterator[Row]:
    """A DARTS search of first order over 2 epochs, half of the images for the weights and half for the alphas, batches
    of 32: 4 channels, 3 cells, the first images of JPEG CIFAR-10, pooled to 8 x 8. P1 by the published list takes the
    tenth, joined by the ids of the images. One program a size, compiled before; medians of {repeats} searches, in whose
    time the choice of the tenth is.
    """
    whole = data.images("cifar10_jpeg", "train[:3200]")
    indices = entropy_file.parse_indices(whole.ids)
    images = whole.images.reshape(-1, 8, 4, 8, 4, 3).mean((2, 4), dtype=np.float32) / 255 - 0.5
    net, config = darts.Supernet(4, 3), darts.Config(epochs=2, batch=32)
    searcher, seconds = darts.searcher(net, config), {}
    entropies = read_reference()[indices]
    for fraction in (0.1, 1.0):
        size = int(fraction * len(images))

        def choose(seed: int, size: int = size, fraction: float = fraction) -> bilevel.Data:
            chosen = p1(entropies, size, seed) if fraction < 1 else np.random.default_rng(seed).permutation(size)
            first, second = chosen[: size // 2], chosen[size // 2 :]
            return bilevel.Data(images[first], whole.labels[first], images[second], whole.labels[second])

        steps = bilevel.step_count(config, size // 2)
        state = searcher.init(jax.random.key(0), choose(0))
        run = lambda seed, draw=choose, state=state, steps=steps: advance(searcher.step, state, draw(seed), steps)
        _, first = time_call(run, 0)
        seconds[fraction] = median(run, REPEATS.value) / 1e3
        cells = {
            "fraction": f"{fraction}",
            "images": size,
            "steps": steps,
            "s": seconds[fraction],
            "ms a step": 1e3 * seconds[fraction] / steps,
            "first call, s": first,
        }
        ratio = seconds[fraction] / seconds[0.1]
        yield Row(cells | {"times a tenth": ratio}, {"a tenth": at_least(ratio, 9)} if fraction == 1 else {})


PARTS = {
    "entropy": Part("The published entropies", entropy),
    "histogram": Part("Histogram and draws", of_histogram),
    "sampling": Part("Sampling", sampling),
    "k_center": Part("k-center greedy", k_center),
    "search": Part("Search on a tenth", search),
}


def main(argv: list[str]) -> None:
    tables.run(PARTS, TITLE, CHOSEN.value, OUTPUT.value)


if __name__ == "__main__":
    app.run(main)

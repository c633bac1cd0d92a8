# %% [markdown]
# # An architecture search for robust networks, on a tenth of the data, and attacks on what it finds
#
# [![Open in Colab][badge]][notebook]
#
# Three systems meet here: proxy data ([arXiv 2106.04784](https://arxiv.org/abs/2106.04784), `framework.selection`),
# DARTS with AdvRush's regulariser ([arXiv 2108.01289](https://arxiv.org/abs/2108.01289), `framework.nas`), and attacks
# up to AutoAttack (`framework.attacks`). The experiments behind this notebook are `experiments/advrush.py` and
# `experiments/proxy_data.py`. The searches here are far too short to say which method is better: this notebook shows
# how the parts are used.
#
# On Colab the first cell fetches the repository and its requirements; should Colab then ask for a restart of the
# session, allow it and begin again from the top. On a GPU or TPU runtime, name JAX's build in that cell: JAX takes the
# device that it finds and nothing else changes. The sizes here are for a free CPU runtime.
#
# [badge]: https://colab.research.google.com/assets/colab-badge.svg
# [notebook]: https://colab.research.google.com/github/OWNER/sextant/blob/main/colab/robust_search.ipynb

# %%
import importlib.util
import sys

sys.path += ["", ".."]  # the checkout: this folder once fetched, or the one above where the notebook lies in it
if importlib.util.find_spec("framework") is None:  # as on Colab
    JAX = "jax"  # on a GPU runtime "jax[cuda13]", on a TPU runtime "jax[tpu]"
    # !git clone -q https://github.com/OWNER/sextant sextant
    # %cd sextant
    # !pip install -q -r requirements.txt "{JAX}"

# %% [markdown]
# ## A base network says which images are hard
#
# A small CNN is trained for a moment; the entropy of its predictions says how unsure it is of each image. Rule P1 draws
# from the histogram of these entropies, so that rare ones, sure and unsure alike, are drawn more often.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import optax

from framework import (
    attacks,
    core,
    data,
    selection,
    snn,
)
from framework.attacks import adversarial_training, ensemble
from framework.models import training
from framework.nas import advrush, darts
from framework.runs.reporting import figures
from framework.selection import histogram, uncertainty
from framework.snn import layers as snn_layers

digits, test = data.digits("train"), data.digits("test")
images, test_images = (np.float32(part.images) / part.maximum for part in (digits, test))
layers = (snn_layers.conv(8), snn_layers.pool(), snn_layers.flatten(), snn_layers.dense(10))
forward = lambda params, x, train=False: snn.forward(layers, params, x, train=train)


def train(loss, steps):
    """Trains a new network for some steps of a loss."""
    trainer = training.trainer(loss, optax.adam(1e-2), batch=50)
    start = snn.init(jax.random.key(0), layers, images.shape[1:])
    state = trainer.init(start, len(images), jax.random.key(1))
    return core.advance(trainer.step, state, (images, digits.labels), steps)[0].params


base = train(adversarial_training.standard_loss(forward), 100)
entropy = np.asarray(uncertainty.entropy(forward(base, images)[0]))
traits = selection.Traits(digits.labels, entropy=entropy)
chosen = {rule: np.asarray(selection.select(jax.random.key(2), rule, traits, 144)) for rule in ("random", "P1")}

# %%
bins = histogram.histogram(entropy)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), width_ratios=(3, 2), layout="constrained")
for rule, colour in zip(chosen, figures.PALETTE, strict=False):
    share = np.bincount(np.asarray(bins.bins)[chosen[rule]], minlength=len(bins.heights)) / len(chosen[rule])
    left.stairs(share, bins.edges, color=colour, linewidth=1.8, label=f"144 images by {rule}")
left.stairs(bins.heights / len(entropy), bins.edges, fill=True, color="#dde3e9", label=f"all {len(entropy):,}")
left.set(xlabel="log10 of the entropy (nats)", ylabel="share of the images")
left.legend(frameon=False, loc="upper left")
hardest = np.argsort(-entropy)[:10]
tiles = np.pad(images[hardest, :, :, 0], ((0, 0), (1, 1), (1, 1))).reshape(2, 5, 10, 10)
right.imshow(tiles.transpose(0, 2, 1, 3).reshape(20, 50), cmap="gray_r")
right.set_title("the ten least sure of", fontsize=11)
right.set_axis_off()
plt.show()

# %% [markdown]
# ## A search on the chosen images
#
# A DARTS supernet mixes eight operations on every edge of a cell. Weights learn from one half of the images, the
# mixture from the other; AdvRush adds the curvature of the loss around each image to the outer loss, after a warm-up.
# DARTS is AdvRush that is always warming up, so that both searches share one program. It is compiled in a hurry
# (`xla_backend_optimization_level` 0): for a search as short as this one compiling is most of the work.

# %%
EPOCHS, HURRY = 10, (("xla_backend_optimization_level", 0),)
net = darts.Supernet(2, 1, 10, reductions=())
settings = darts.Config(EPOCHS, batch=24, alpha_rate=3e-2, regulariser=advrush.Regulariser(gamma=1.0, h=0.5, warmup=2))
searcher = darts.searcher(net, settings)
proxy = chosen["P1"]
halves = darts.Data(*(jnp.asarray(part[rows]) for rows in (proxy[:72], proxy[72:]) for part in (images, digits.labels)))
steps = darts.step_count(settings, 72)
cells = {}
for name, warmup in (("DARTS", EPOCHS), ("AdvRush", 2)):
    state = searcher.init(jax.random.key(0), halves, warmup=warmup)
    state, metrics = core.advance(searcher.step, state, halves, steps, HURRY)
    cells[name] = darts.derive_genotype(state.alphas)
    health = darts.health(state.alphas)
    print(f"{name}: loss {float(metrics['loss'][:6].mean()):.2f} -> {float(metrics['loss'][-6:].mean()):.2f},", end=" ")
    print(f"{health.skips} skips in the cell, entropy of the weights {health.entropy:.2f} of the uniform one")
print(darts.to_json(cells["AdvRush"])[:120], "..")

# %%
operations = {
    operation: (colour, "solid")
    for operation, colour in zip(darts.OPERATIONS[1:], plt.cm.tab10.colors[:7], strict=True)
}
graph = nx.DiGraph(darts.to_networkx(cells["AdvRush"].normal))
nx.set_edge_attributes(graph, {edge: graph.edges[edge]["operation"] or "joined" for edge in graph.edges}, "kind")
figures.graph(graph, "the cell that AdvRush's search found", operations | {"joined": ("#c3ccd5", "dotted")})

# %% [markdown]
# ## Training against attacks
#
# What makes networks robust is mostly how they are trained. The same small CNN as above, once on the images as they are
# and once on images that PGD makes worse at every step, within .1 of each pixel.

# %%
EPSILON = 0.1
networks = {
    "standard": train(adversarial_training.standard_loss(forward), 300),
    "adversarial": train(
        adversarial_training.adversarial_loss(forward, adversarial_training.pgd_7(EPSILON, 0.03)), 300
    ),
}
logits = lambda params, x: forward(params, x)[0]
classifiers = {name: jax.tree_util.Partial(logits, params) for name, params in networks.items()}
rules = (attacks.fgsm(EPSILON), attacks.pgd(EPSILON, steps=20))
evaluations = {
    name: attacks.evaluate(jax.random.key(3), network, test_images, test.labels, rules)
    for name, network in classifiers.items()
}
groups = [*evaluations["standard"].accuracy]
bars = {
    group: {name: (100 * evaluation.accuracy[group], 0.0) for name, evaluation in evaluations.items()}
    for group in groups
}
figures.grouped_bars(bars, "test accuracy (%)")

# %% [markdown]
# `evaluate` passes on only what is still right, so that each bar is the worst so far. What do the attacked images look
# like? Above the digits, below what fools the standard network, with what it says.

# %%
right = classifiers["standard"](test_images).argmax(-1) == test.labels
fooled = np.flatnonzero(~evaluations["standard"].robust & right)[:10]
figure, axes = plt.subplots(2, 10, figsize=(10, 2.3), layout="constrained")
for row, shown in zip(axes, (test_images, evaluations["standard"].images), strict=True):
    predictions = classifiers["standard"](shown[fooled]).argmax(-1)
    for axis, image, label in zip(row, shown[fooled], predictions, strict=True):
        axis.imshow(image[..., 0], cmap="gray_r", vmin=0, vmax=1)
        axis.set_title(int(label), fontsize=10)
        axis.set_axis_off()
plt.show()

# %% [markdown]
# ## AutoAttack
#
# The standard of the field: four attacks without parameters to choose, of which one needs no gradients. On the first 40
# test images, and warnings if gradients were masked.

# %%
for name, network in classifiers.items():
    verdict = ensemble.evaluate(
        jax.random.key(4), network, test_images[:40], test.labels[:40], epsilon=EPSILON, batch=40
    )
    print(
        f"{name:12}", " ".join(f"{attack} {share:.0%}" for attack, share in list(verdict.accuracy.items())[:2]), end=" "
    )
    print(f".. after all attacks {verdict.robust.mean():.0%}")

# %% [markdown]
# To train the cells that a search found, `network.build_network(genotype)` of `framework.nas` makes their network, and
# `experiments/advrush.py` does the whole: both searches, adversarial training, AutoAttack, over several seeds. It
# compiles for minutes on a CPU; `:paper` is for a GPU.

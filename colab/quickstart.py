# %% [markdown]
# # Sextant: quickstart
#
# [![Open in Colab][badge]][notebook]
#
# Sextant rebuilds six published systems as pure functions in JAX: causal discovery with a language model's prior, burst
# coding and architecture search for spiking networks, robust architecture search, proxy data, and training inside an
# SSD. This notebook takes a first result from several of its packages, a few lines each, and then runs a whole
# experiment. Most of the time goes into compiling.
#
# On Colab the first cell fetches the repository and its requirements; should Colab then ask for a restart of the
# session, allow it and begin again from the top. On a GPU or TPU runtime, name JAX's build in that cell: JAX takes the
# device that it finds and nothing else changes. The sizes here are for a free CPU runtime.
#
# [badge]: https://colab.research.google.com/assets/colab-badge.svg
# [notebook]: https://colab.research.google.com/github/OWNER/sextant/blob/main/colab/quickstart.ipynb

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
# ## The idea
#
# Every system is a set of pure functions over pytrees: a frozen `Config` for structure, numbers as arguments, a `State`
# for where a run stands, `init` and `step`. So everything composes through `jit`, `vmap` and `grad`, across rooms too.
# Below one small network is trained, attacked, turned into spikes, and asked which images are worth learning from.

# %%
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax
from IPython.display import Image, display

from framework import (
    attacks,
    causal,
    core,
    data,
    runs,
    selection,
    snn,
    ssd,
)
from framework.attacks import adversarial_training
from framework.models import training
from framework.runs import experiment
from framework.selection import uncertainty
from framework.snn import layers as snn_layers
from framework.snn.meters import activity
from framework.snn.neurons import coding
from framework.ssd.device import presets
from framework.ssd.workload import generators

print(jax.devices())
digits, test = data.digits("train"), data.digits("test")
print(digits, test, sep="\n")
images, test_images = (np.float32(part.images) / part.maximum for part in (digits, test))

# %% [markdown]
# **Train.** A network is a tuple of layers; `core.advance` takes 400 steps of a training in one compiled scan.

# %%
layers = (snn_layers.conv(8), snn_layers.pool(), snn_layers.flatten(), snn_layers.dense(10))
forward = lambda params, x, train=False: snn.forward(layers, params, x, train=train)
trainer = training.trainer(adversarial_training.standard_loss(forward), optax.adam(1e-2), batch=50)
state = trainer.init(snn.init(jax.random.key(0), layers, images.shape[1:]), len(images), jax.random.key(1))
state, metrics = core.advance(trainer.step, state, (images, digits.labels), 400)
network = jax.tree_util.Partial(lambda params, x: forward(params, x)[0], state.params)
right = network(test_images).argmax(-1) == test.labels
loss = metrics["loss"]
print(f"loss {loss[0]:.2f} -> {loss[-1]:.2f}; {float(right.mean()):.1%} of the test images are right")

# %% [markdown]
# **Attack.** Any function `images -> logits` that JAX can trace is evaluated by attacks of your choice, or by
# AutoAttack. Here no pixel moves by more than a tenth.

# %%
evaluation = attacks.evaluate(
    jax.random.key(2), network, test_images, test.labels, (attacks.fgsm(0.1), attacks.pgd(0.1))
)
print("right after each attack:", {name: f"{share:.1%}" for name, share in evaluation.accuracy.items()})
fooled = np.flatnonzero(~evaluation.robust & np.asarray(right))[:8]
figure, axes = plt.subplots(2, 8, figsize=(8, 2.4), layout="constrained")
for row, shown in zip(axes, (test_images[fooled], evaluation.images[fooled]), strict=True):
    for axis, image, label in zip(row, shown, network(shown).argmax(-1), strict=True):
        axis.imshow(image[..., 0], cmap="gray_r", vmin=0, vmax=1)
        axis.set_title(f"read as {label}", fontsize=9)
        axis.set_axis_off()
plt.show()

# %% [markdown]
# **Spikes.** The same network with neurons that fire in place of its ReLUs, by two neural codes.

# %%
for name, code in {"rate": coding.rate(), "burst": coding.burst(threshold=0.125)}.items():
    spiking = snn.convert(layers, state.params, images[:500], hidden_code=code)
    outputs = snn.simulate(spiking, test_images, steps=32)
    accuracy = activity.accuracy_over_time(outputs.logits, test.labels)
    print(f"{name:5}", ", ".join(f"{float(accuracy[t - 1]):.1%} after {t} steps" for t in (2, 4, 8, 32)))

# %% [markdown]
# **Proxy data.** Which tenth of the images can replace all? Rule P1 draws rare entropies more often.

# %%
entropy = np.asarray(uncertainty.entropy(network(images)))
chosen = selection.select(jax.random.key(3), "P1", selection.Traits(digits.labels, entropy=entropy), 144)
print(f"median entropy: {np.median(entropy):.1e} nats of all images, {np.median(entropy[chosen]):.1e} of those by P1")

# %% [markdown]
# **Causal discovery.** A directed acyclic graph from a table. A direction that the data cannot tell is marked as open,
# here the first one. A bootstrap counts how often two columns are joined, and how often with this direction.

# %%
clouds, sprinkler, e, f = np.random.default_rng(0).normal(size=(4, 500))
rain = clouds + e
names, columns = ("clouds", "rain", "sprinkler", "wet"), np.stack([clouds, rain, sprinkler, rain + sprinkler + f], 1)
result = causal.fit(columns)
bootstrap = causal.bootstrap(jax.random.key(4), columns, 20)
for source, target, direction, weight in causal.edges(result, names):
    i, j = names.index(source), names.index(target)
    support = f"joined in {bootstrap.joined[i, j]:.0%} of the resamples, directed so in {bootstrap.directed[i, j]:.0%}"
    print(f"{source} {'-' if direction == 'open' else '->'} {target}: {direction}, weight {weight:.2f}; {support}")

# %% [markdown]
# **Storage.** A simulated SSD, to the nanosecond.

# %%
device = presets.mqsim_default(channels=4)
load = generators.poisson(jax.random.key(5), requests=2000, rate=50_000, read_ratio=0.9)
report = ssd.simulate(device, load)
print(f"{report.requests:,} requests: mean {report.mean_us:.0f} us, p99 {report.percentile(99):.0f} us")

# %% [markdown]
# ## A whole experiment
#
# The experiments are modules with `get_config` and `main`; `runs.execute` runs one into a directory, with its metrics,
# figures, report and result. This is what `python launch.py --config=experiments/causal_answers.py:smoke` does: what is
# a language model's knowledge worth, if it is shown the real names of a table's columns, none, or wrong ones? Run the
# cell again: a complete directory is read, not run.

# %%
from experiments import causal_answers

outcome = runs.execute(causal_answers, causal_answers.get_config("smoke"), Path("runs/colab-causal_answers"))
print(experiment.summary(outcome))

# %%
for path in outcome.sections[0].figures:
    display(Image(path, width=720))

# %% [markdown]
# The column next to `measured` holds the numbers of this project over other seeds, with its spread. From here:
#
# - the other notebooks: `causal`, `spiking`, `robust_search`, `storage`;
# - `!python launch.py --list` names all experiments, `!python launch.py` runs the tour;
# - README.md shows the library, WORKSPACE.md is the map.

# %% [markdown]
# # Sextant: quickstart
#
# [![Open in Colab][badge]][notebook]
#
# Sextant rebuilds six published systems as pure functions in JAX: causal discovery with a language model's prior, burst
# coding and architecture search for spiking networks, robust architecture search, proxy data, and training inside an
# SSD. This notebook takes a first result from several of its rooms, a few lines each, and then runs a whole study. Most
# of the time goes into compiling.
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
from framework.attacks import training as attacks_training
from framework.models import training
from framework.selection import uncertainty
from framework.snn import layers as snn_layers
from framework.snn.meters import activity
from framework.snn.neurons import coding
from framework.ssd.device import presets
from framework.ssd.workload import generators

print(jax.devices())
digits, test = data.digits("train"), data.digits("test")
print(digits, test, sep="\n")
images, test_images = (np.float32(each.images) / each.maximum for each in (digits, test))

# %% [markdown]
# **Train.** A network is a tuple of layers; `core.advance` takes 400 steps of a training in one compiled scan.

# %%
layers = (snn_layers.conv(8), snn_layers.pool(), snn_layers.flatten(), snn_layers.dense(10))
forward = lambda params, x, train=False: snn.forward(layers, params, x, train=train)
trainer = training.trainer(attacks_training.standard(forward), optax.adam(1e-2), batch=50)
state = trainer.init(snn.init(jax.random.key(0), layers, images.shape[1:]), len(images), jax.random.key(1))
state, seen = core.advance(trainer.step, state, (images, digits.labels), 400)
network = jax.tree_util.Partial(lambda params, x: forward(params, x)[0], state.params)
right = network(test_images).argmax(-1) == test.labels
print(f"loss {seen['loss'][0]:.2f} -> {seen['loss'][-1]:.2f}; {float(right.mean()):.1%} of the test images are right")

# %% [markdown]
# **Attack.** Any function `images -> logits` that JAX can trace is judged by attacks of one's choice, or by AutoAttack.
# Here no pixel moves by more than a tenth.

# %%
found = attacks.evaluate(jax.random.key(2), (attacks.fgsm(0.1), attacks.pgd(0.1)), network, test_images, test.labels)
print("right after each attack:", {name: f"{share:.1%}" for name, share in found.accuracy.items()})
fooled = np.flatnonzero(~found.robust & np.asarray(right))[:8]
figure, axes = plt.subplots(2, 8, figsize=(8, 2.4), layout="constrained")
for row, shown in zip(axes, (test_images[fooled], found.images[fooled]), strict=True):
    for axis, image, label in zip(row, shown, network(shown).argmax(-1), strict=True):
        axis.imshow(image[..., 0], cmap="gray_r", vmin=0, vmax=1)
        axis.set_title(f"read as {label}", fontsize=9)
        axis.set_axis_off()
plt.show()

# %% [markdown]
# **Spikes.** The same network with neurons that fire in the place of its ReLUs, by two neural codes.

# %%
for name, code in {"rate": coding.rate(), "burst": coding.burst(threshold=0.125)}.items():
    spiking = snn.convert(layers, state.params, images[:500], hidden_code=code)
    outputs = snn.simulate(spiking, test_images, steps=32)
    accuracy = activity.accuracy_over_time(outputs.logits, test.labels)
    print(f"{name:5}", ", ".join(f"{float(accuracy[t - 1]):.1%} after {t} steps" for t in (2, 4, 8, 32)))

# %% [markdown]
# **Proxy data.** Which tenth of the images stands for all? Rule P1 draws rare entropies more often.

# %%
entropy = np.asarray(uncertainty.entropy(network(images)))
chosen = selection.choose("P1", jax.random.key(3), 144, selection.Traits(digits.labels, entropy=entropy))
print(f"median entropy: {np.median(entropy):.1e} nats of all images, {np.median(entropy[chosen]):.1e} of those by P1")

# %% [markdown]
# **Causal discovery.** A directed acyclic graph from a table. What the data cannot tell is said: the first direction
# is open. A bootstrap says how often two columns are joined, and how often the direction is told.

# %%
clouds, sprinkler, e, f = np.random.default_rng(0).normal(size=(4, 500))
rain = clouds + e
names, columns = ("clouds", "rain", "sprinkler", "wet"), np.stack([clouds, rain, sprinkler, rain + sprinkler + f], 1)
result = causal.fit(columns)
found = causal.bootstrap(jax.random.key(4), columns, 20)
for source, target, direction, weight in causal.edges(result, names):
    i, j = names.index(source), names.index(target)
    told = f"joined in {found.joined[i, j]:.0%} of the resamples, directed so in {found.directed[i, j]:.0%}"
    print(f"{source} {'-' if direction == 'open' else '->'} {target}: {direction}, weight {weight:.2f}; {told}")

# %% [markdown]
# **Storage.** A simulated SSD, to the nanosecond.

# %%
device = presets.mqsim_default(channels=4)
load = generators.poisson(jax.random.key(5), requests=2000, rate=50_000, read_ratio=0.9)
report = ssd.simulate(device, load)
print(f"{report.requests:,} requests: mean {report.mean_us:.0f} us, p99 {report.percentile(99):.0f} us")

# %% [markdown]
# ## A whole study
#
# The experiments are modules with `get_config` and `main`; `runs.execute` runs one into a directory, with its metrics,
# figures, report and result. This is what `python launch.py --config=experiments/causal_answers.py:smoke` does: what is
# a language model's knowledge worth, if it is shown the real names of a table's columns, none, or wrong ones? Run the
# cell again: a complete directory is read, not run.

# %%
from experiments import causal_answers

outcome = runs.execute(causal_answers, causal_answers.get_config("smoke"), Path("runs/colab-causal_answers"))
print(runs.summary(outcome))

# %%
for path in outcome.sections[0].figures:
    display(Image(path, width=720))

# %% [markdown]
# The column beside `measured` is what this project found over other seeds, with its spread. From here:
#
# - the other notebooks: `causal`, `spiking`, `robust_search`, `storage`;
# - `!python launch.py --list` names all studies, `!python launch.py` runs the tour;
# - README.md shows the library, WORKSPACE.md is the map.

# %% [markdown]
# # Spiking networks: neural codes, and a search for one that fires little
#
# [![Open in Colab][badge]][notebook]
#
# `framework.snn` turns a trained network into a spiking one whose neural code is a choice ([arXiv
# 1809.03142](https://arxiv.org/abs/1809.03142)); `framework.nas.autosnn` searches for spiking architectures that are
# accurate and fire little ([arXiv 2201.12738](https://arxiv.org/abs/2201.12738)). The experiments behind this notebook
# are `experiments/burst_coding.py` and `experiments/autosnn.py`.
#
# On Colab the first cell fetches the repository and its requirements; should Colab then ask for a restart of the
# session, allow it and begin again from the top. On a GPU or TPU runtime, name JAX's build in that cell: JAX takes the
# device that it finds and nothing else changes. The sizes here are for a free CPU runtime.
#
# [badge]: https://colab.research.google.com/assets/colab-badge.svg
# [notebook]: https://colab.research.google.com/github/OWNER/sextant/blob/main/colab/spiking.ipynb

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
# ## A network to convert
#
# A small CNN with ReLUs, trained on the 8x8 digits that scikit-learn carries. A network is a tuple of layers; a
# training is a pair of pure functions, `init` and `step`, and `core.advance` takes any number of steps in one compiled
# scan.

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

from framework import core, data, snn
from framework.attacks import adversarial_training
from framework.models import training
from framework.nas import autosnn
from framework.nas.autosnn import evolution
from framework.runs.reporting import figures
from framework.snn import layers as layer
from framework.snn.conversion import simulation
from framework.snn.meters import activity, rasters
from framework.snn.neurons import coding

digits, test = data.digits("train"), data.digits("test")
images, test_images = (np.float32(part.images) / part.maximum for part in (digits, test))
layers = (layer.conv(12), layer.pool(), layer.conv(24), layer.pool(), layer.flatten(), layer.dense(10))
forward = lambda params, x, train=False: snn.forward(layers, params, x, train=train)
trainer = training.trainer(adversarial_training.standard_loss(forward), optax.adam(5e-3), batch=50)
state = trainer.init(snn.init(jax.random.key(0), layers, images.shape[1:]), len(images), jax.random.key(1))
params = core.advance(trainer.step, state, (images, digits.labels), 500)[0].params
reference = float((forward(params, test_images)[0].argmax(-1) == test.labels).mean())
print(f"{test}\nright by the network with ReLUs: {reference:.1%}")

# %% [markdown]
# ## The same network in spikes
#
# Conversion scales the weights and puts a code in place of each ReLU. A rate code says a value by how often a
# neuron fires, a phase code by when, a burst code by spikes that grow while they follow each other. How many time steps
# does each take to say what the network with ReLUs says, and how many spikes?

# %%
CODES = {"rate": coding.rate(), "phase": coding.phase(), "burst": coding.burst(threshold=0.125)}
STEPS = 48
networks = {name: snn.convert(layers, params, images[:500], hidden_code=code) for name, code in CODES.items()}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
for colour, (name, network) in zip(figures.PALETTE, networks.items(), strict=False):
    outputs = snn.simulate(network, test_images, STEPS)
    accuracy = activity.accuracy_over_time(outputs.logits, test.labels)
    spikes = np.cumsum(outputs.spikes.sum(-1).mean(-1))
    left.plot(np.arange(1, STEPS + 1), 100 * accuracy, color=colour, label=name)
    right.plot(spikes, 100 * accuracy, color=colour)
    latency = int(activity.latency(accuracy, reference - 0.01))
    steps_needed = f"{latency:2} steps" if latency <= STEPS else "never"
    print(
        f"{name}: within a point of the network with ReLUs after {steps_needed}; "
        f"{spikes[-1]:,.0f} spikes in {STEPS} steps"
    )
for axis, label in ((left, "time steps"), (right, "spikes an image, of hidden layers")):
    axis.axhline(100 * reference, color=figures.MUTED, linewidth=0.9)
    axis.set(xscale="log", xlabel=label, ylim=(40, 100))
right.set_xlim(left=100)
left.set_ylabel("test accuracy (%)")
left.legend(frameon=False)
plt.show()

# %% [markdown]
# ## What the codes look like
#
# A meter watches each layer while the network runs; `rasters.raster` keeps all that was sent. Below are 40 neurons of
# the second layer at one image: a dot is a spike, its size what it carries.

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True, layout="constrained")
for axis, colour, (name, network) in zip(axes, figures.PALETTE, networks.items(), strict=False):
    meter = rasters.raster(STEPS)
    sent = np.asarray(simulation.simulate_with_meter(network, test_images[:1], STEPS, meter=meter)[1][1])
    sent = sent.reshape(STEPS, -1)
    sent = sent[:, np.sort(np.argsort(-sent.sum(0))[:80:2])]
    time, neuron = np.nonzero(sent)
    axis.scatter(time + 1, neuron, s=24 * sent[time, neuron], color=colour, linewidths=0)
    axis.set(title=name, xlabel="time step")
axes[0].set_ylabel("neuron")
plt.show()

# %% [markdown]
# ## A search for a network that fires little
#
# AutoSNN trains networks that are spiking from the start. A supernet holds the weights of every architecture of a
# space, and each step trains one of them, drawn at random. Here three slots with three candidates each: a skip, a
# convolutional block, a residual one. All 27 networks are then scored exactly, those that begin alike together.

# %%
held = 1150
space = autosnn.search_space(
    4,
    images.shape[1:],
    10,
    macro="short",
    candidates=("skip_connect", "SCB_k3", "SRB_k3"),
    dynamics=autosnn.Dynamics(4, "plif"),
)
settings = autosnn.Config(epochs=12, batch=48)
rate = optax.adam(optax.cosine_decay_schedule(2e-2, settings.steps(held)))
supernet = autosnn.train_supernet(jax.random.key(0), images[:held], digits.labels[:held], space, settings, rate)
table = autosnn.enumerate(supernet, images[held:], digits.labels[held:])
best = int(table.accuracy.argmax())
print(f"{space.size} networks: {float(table.accuracy.min()):.1%} to {float(table.accuracy.max()):.1%} right, ")
print(f"{float(table.spikes.min()):,.0f} to {float(table.spikes.max()):,.0f} spikes an image")
print("the most accurate:", *space.block_names(space.architecture(best)))

# %% [markdown]
# An evolution looks for the best under accuracy (spikes / reference)^lambda without knowing the table: it evaluates 12
# of the 27. With the table at hand one sees what it misses, and the front: the networks that none beats in both.

# %%
settings = autosnn.SearchConfig(rounds=3, pool=4, top=4, mutants=2, crossovers=2)
evaluate, lambdas = autosnn.from_table(space, table), np.array([0.0, -0.24], np.float32)
search = lambda lambda_: autosnn.search(jax.random.key(2), space, evaluate, lambda_, supernet.spikes, settings)
results = jax.vmap(search)(lambdas)

figure, axis = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
spikes, accuracy = np.asarray(table.spikes), 100 * np.asarray(table.accuracy)
front = evolution.front(table)
axis.scatter(spikes, accuracy, s=26, color=figures.MUTED, alpha=0.5, linewidths=0, label="all 27")
axis.step(spikes[front], accuracy[front], where="post", color=figures.INK, label="front")
for index, lambda_ in enumerate(lambdas):
    worth = autosnn.fitness(*table, lambda_, supernet.spikes)
    better = int((worth > results.fitness[index] * (1 + 1e-6)).sum())
    point = results.spikes[index], 100 * results.accuracy[index]
    axis.scatter(*point, s=70, color=figures.PALETTE[index], zorder=3, label=f"found, lambda {lambda_:g}")
    print(f"lambda {lambda_:g}: {', '.join(space.block_names(results.architecture[index]))}; {better} of 27 are better")
axis.set(xlabel="spikes an image", ylabel="accuracy on held-out images (%)")
axis.legend(frameon=False, loc="lower right")
plt.show()

# %% [markdown]
# The weights are shared and the training is short, so that accuracies are low: in the full experiment the result is
# trained from scratch and evaluated on test images (`python launch.py --config=experiments/autosnn.py`, 3,125
# networks). A converted or trained network leaves as a NIR file for other programs (`snn.to_nir`), and recordings of
# event cameras come in by `data.read_events`.

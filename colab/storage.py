# %% [markdown]
# # An SSD that is exact to the nanosecond, and a model trained inside it
#
# [![Open in Colab][badge]][notebook]
#
# `framework.ssd` simulates a solid-state drive as an event simulator does, but as one JAX program: a whole sweep of
# devices runs under `vmap`. On top of it the controllers of the drive's channels train a model on the pages that they
# hold (ISP-ML, [arXiv 1610.02273](https://arxiv.org/abs/1610.02273)). The experiments behind this notebook are
# `experiments/ssd_trace.py` and `experiments/isp_ml.py`.
#
# On Colab the first cell fetches the repository and its requirements; should Colab then ask for a restart of the
# session, allow it and begin again from the top. On a GPU or TPU runtime, name JAX's build in that cell: JAX takes the
# device that it finds and nothing else changes. The sizes here are for a free CPU runtime.
#
# [badge]: https://colab.research.google.com/assets/colab-badge.svg
# [notebook]: https://colab.research.google.com/github/OWNER/sextant/blob/main/colab/storage.ipynb

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
# ## A device and a load
#
# Four channels of four chips, otherwise MQSim's default device. Reads of 8 KiB come at random, 40,000 a second. A
# report holds every request's times; invariants (no bus booked twice, Little's law) are checked, or it is an error.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from framework import data, sgd, ssd
from framework.runs.reporting import figures
from framework.ssd.device import presets
from framework.ssd.engine import closed_forms
from framework.ssd.isp import training
from framework.ssd.workload import generators

small = {"channels": 4, "chips": 4, "dies": 1, "planes": 1, "blocks": 64, "pages": 64}
device = presets.mqsim_default(**small)
load = generators.poisson(jax.random.key(0), requests=2000, rate=40_000, span=64 * 2**20)
report = ssd.simulate(device, load)
idle = float(closed_forms.unloaded_latency(device).read) / 1000
print(f"mean {report.mean_us:.1f} us, p99 {report.percentile(99):.1f} us; an idle device: {idle:.1f} us")
print(f"{report.iops:,.0f} requests a second, {1e3 * report.energy.total:.1f} mJ")

# %% [markdown]
# Where does the time go? The schedule says who held which bus and which chip, and when. Below is a stretch of one
# channel: chips read their arrays at the same time, but their data have to leave over one bus, one after the other.

# %%
schedule = ssd.schedule(device, load)
here = schedule.channel == 0
start = np.sort(schedule.work[here, 0])[here.sum() // 2]
figure, axis = plt.subplots(figsize=(10, 2.8), layout="constrained")
for name, row, spans, colour in [
    ("data on the bus", np.zeros(here.sum()), schedule.data[here], figures.PALETTE[1]),
    ("a chip reads", 1 + schedule.lun[here], schedule.work[here], figures.PALETTE[0]),
]:
    begin, length = (spans[:, 0] - start) / 1000, np.diff(spans, axis=1)[:, 0] / 1000
    axis.barh(row, length, left=begin, height=0.6, color=colour, edgecolor="white", label=name)
axis.set(xlim=(0, 1500), xlabel="time (us)", yticks=range(5), yticklabels=["bus", *(f"chip {i}" for i in range(4))])
axis.invert_yaxis()
axis.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, 1.2))
plt.show()

# %% [markdown]
# Who has the bus first matters under a full queue. MQSim lets waiting data go before commands; then chips move in
# convoys, and a closed form bounds what the device can do. Commands first keep the chips busy.

# %%
full = generators.closed(jax.random.key(1), requests=2000, queue_depth=64, span=64 * 2**20)
throughput = {bus: ssd.simulate(device.replace(arbitration=bus), full).iops for bus in ("data-first", "command-first")}
bounds = closed_forms.read_bounds(device)
for bus, iops in throughput.items():
    print(f"{bus:14} {iops:9,.0f} reads a second")
print(f"bounds: convoy {bounds.convoy:,.0f}, chips {bounds.luns:,.0f}, bus {bounds.bus:,.0f}")

# %% [markdown]
# ## A sweep of designs
#
# Numbers of a design are leaves of a pytree, so that devices which differ in numbers share one compiled program: here
# 144 of them, by the time that an array read takes and the rate of a channel.

# %%
reads, rates = np.linspace(20, 150, 12), np.geomspace(200, 1600, 12)
quick = device.replace(arbitration="command-first")
designs = [quick.replace(read_us=float(read), channel_mt_s=float(rate)) for rate in rates for read in reads]
summary = ssd.sweep(designs, load)
figure, axis = plt.subplots(figsize=(6.2, 4.2), layout="constrained")
mean = summary.mean_us.reshape(len(rates), len(reads))
shown = axis.contourf(reads, rates, mean, 14, cmap="viridis")
axis.contour(reads, rates, mean, [100.0], colors="white")
axis.set(yscale="log", xlabel="array read (us)", ylabel="channel (MT/s)")
axis.set_yticks([200, 400, 800, 1600], ["200", "400", "800", "1600"])
axis.minorticks_off()
axis.set_title("mean latency under one load; the white line is 100 us", fontsize=11)
figure.colorbar(shown, label="us")
plt.show()

# %% [markdown]
# ## Training inside the device
#
# Now every channel's controller is a worker and the cache controller the master; a page of ten digits is a minibatch.
# The device's clock orders the events, so that time and convergence belong together. Any rule of `framework.sgd` and
# any loss will do: here softmax regression by three rules, each with the rate out of a small grid that got furthest.

# %%
digits, test = data.digits("train"), data.digits("test")
flat = lambda image_set: np.float32(image_set.images.reshape(len(image_set.labels), -1)) / image_set.maximum
pages = flat(digits)[:1430].reshape(-1, 10, 64), digits.labels[:1430].reshape(-1, 10)
start = {"w": jnp.zeros((64, 10)), "b": jnp.zeros(10)}
logits = lambda params, x: x @ params["w"] + params["b"]


def loss(params, page):
    """Cross entropy of a page of images."""
    return optax.softmax_cross_entropy_with_integer_labels(logits(params, page[0]), page[1]).mean()


def accuracy(state):
    """Test accuracy of the master's parameters."""
    return (logits(state.centre, flat(test)).argmax(-1) == test.labels).mean()


WORKERS = 8
RULES = {
    "synchronous": lambda rate, period: sgd.synchronous(optax.sgd(rate)),
    "Downpour": lambda rate, period: sgd.downpour(optax.sgd(rate), period),
    "elastic averaging": lambda rate, period: sgd.elastic(
        optax.sgd(rate), alpha=0.9 / WORKERS, period=period, synchronous=False
    ),
}


def best(name, period):
    """The trace of the rate that ends with the greatest accuracy."""
    inside = presets.isp_ml(channels=WORKERS)
    options = {"epochs": 4, "every": 4, "watch": accuracy}
    traces = [training.train(inside, RULES[name](rate, period), loss, start, pages, **options) for rate in (0.1, 0.3)]
    return max(traces, key=lambda trace: float(trace.observations[-1]))


# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
for axis, (period, often) in zip(axes, {1: "at every step", 8: "every 8 steps"}.items(), strict=True):
    for colour, name in zip(figures.PALETTE, RULES, strict=False):
        trace = best(name, period)
        axis.plot(trace.time / 1e6, 100 * np.asarray(trace.observations), color=colour, label=name)
        print(f"{often}, {name:18}{100 * trace.observations[-1]:.1f} % after {trace.time[-1] / 1e6:.2f} ms simulated")
    axis.set(xlabel="simulated time (ms)", title=f"workers meet the master {often}", ylim=(40, 100))
axes[0].set_ylabel("test accuracy (%)")
axes[0].legend(frameon=False, loc="lower right")
plt.show()

# %% [markdown]
# Synchronous SGD always meets at every step and is the same on both sides. Downpour pushes sums of eight gradients from
# eight workers, which is too long a step for these rates; elastic averaging draws the workers together instead. These
# are single runs of a tiny problem: what differs by a point or two here says nothing. `experiments/isp_ml.py` runs
# several seeds and a wider grid on MNIST, compared with a host with a page cache; there rare exchange ruins Downpour
# and costs elastic averaging far less.
#
# The device is a pytree all the way: try `ssd.presets.enterprise_tlc()`, writes (`read_ratio=0.7`), or a recorded trace
# (`ssd.load.read_trace`).

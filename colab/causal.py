# %% [markdown]
# # A causal graph from a table, and what a language model knows about it
#
# [![Open in Colab][badge]][notebook]
#
# `framework.causal` learns a directed acyclic graph from a table by gradient steps and a search that ends them. It
# takes what a language model says about the columns as a prior, and lets the data say how far to trust it ([arXiv
# 2311.11212](https://arxiv.org/abs/2311.11212)). The experiments behind this notebook are `experiments/causal_prior.py`
# and `experiments/causal_answers.py`.
#
# On Colab the first cell fetches the repository and its requirements; should Colab then ask for a restart of the
# session, allow it and begin again from the top. On a GPU or TPU runtime, name JAX's build in that cell: JAX takes the
# device that it finds and nothing else changes. The sizes here are for a free CPU runtime.
#
# [badge]: https://colab.research.google.com/assets/colab-badge.svg
# [notebook]: https://colab.research.google.com/github/OWNER/sextant/blob/main/colab/causal.ipynb

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
# ## A table whose graph is known
#
# Things fall: height and gravity are set, the time of the fall and the speed of the impact follow by the formulas of
# mechanics, with some noise. Physics gives the true graph, so that every claim below can be checked. The learner is
# linear and the formulas are not: it will not be perfect. Of the twelve tables that are averaged over further down this
# is the fourth, one on which the data alone mislead it most.

# %%
import jax
import numpy as np

from framework import causal
from framework.causal.metrics import graph_distance
from framework.causal.prior import answers as causal_answers
from framework.causal.synthetic import physics
from framework.core import keys
from framework.runs.reporting import figures

# %matplotlib inline

system = physics.SYSTEMS["free_fall"]
names, truth = system.columns, physics.graph(system)
draw = lambda key: np.asarray(physics.sample(key, system, 200, 0.1))
tables = np.stack([draw(key) for key in keys.for_seeds(0, 12)])
table = tables[3]
print(*(f"{name:>13}" for name in names))
for row in table[:3]:
    print(*(f"{value:13.3f}" for value in row))

# %% [markdown]
# ## From the data alone
#
# `fit` returns a DAG with a weight on each edge; entry (i, j) is i -> j. A pandas DataFrame does as well as an array:
# its names are kept. Data alone leave some directions open: those edges are drawn without an arrowhead.

# %%
config = causal.Config()
KINDS = {
    "correct": ("#3c7a3f", "solid"),
    "reversed": ("#e07a3f", "solid"),
    "extra": ("#a05195", "solid"),
    "missing": ("#9aa5b1", "dotted"),
    "open": ("#2a6f97", "dashed"),
}


def picture(result, what, widths=None):
    """The graph of a fit next to the truth."""
    distance = int(graph_distance.compare(truth, result.graph)["shd"])
    drawn = causal.to_networkx(result, names, truth)
    undirected = [(a, b) for a, b, direction in drawn.edges(data="direction") if direction == "open"]
    return figures.graph(drawn, f"{what}; edges wrong: {distance}", KINDS, widths, undirected)


alone = causal.fit(table, config=config)
picture(alone, "from the data alone")

# %% [markdown]
# ## What a language model says
#
# The package holds answers that a large language model gave to the question which of two columns causes the other, in
# five wordings for each pair; nothing is asked here, and no network is needed. A vote makes of them a belief in each
# edge and a confidence.

# %%
answers = causal.read_answers(causal.answer_file(system.name), names)
print(answers.wordings[0])
for (a, b), choice in list(zip(answers.pairs, answers.choices, strict=True))[:5]:
    print(f"{names[a]}, {names[b]}: {causal_answers.CHOICES[choice]}")
prior = causal_answers.vote(answers).align(names)
figures.matrices({"truth": truth * 1.0, "the model's beliefs, by confidence": prior.edges * prior.confidence}, names)

# %%
informed = causal.fit(table, prior, config)
picture(informed, "with the prior")

# %% [markdown]
# ## How far to trust it
#
# The model knows mechanics by heart, so this was easy. Two controls: hide the names (X1, X2, ..), and swap them round,
# so that what is true of the names is wrong of the columns. By default the data decide how far a prior is trusted: the
# search finds the graph together with how often the claims are right. Below, this is compared with no prior and with a
# fixed weight, on twelve tables. Fits compose under `vmap` and `jit`: all tables and priors of a weight are one call.

# %%
priors = []
for variant in physics.VARIANTS:
    shown_names = physics.names(system, variant)
    domain = system.name if variant == "real" else f"{system.name}__{variant}"
    priors.append(causal_answers.vote(causal.read_answers(causal.answer_file(domain), shown_names)).align(shown_names))
stacked = causal.Knowledge(np.stack([p.edges for p in priors]), np.stack([p.confidence for p in priors]))


@jax.jit
def distances(weight):
    """Edges wrong, by table and prior."""
    fit = lambda x, prior: causal.fit(x, prior, config, prior_weight=weight).graph
    wrong = lambda x, prior: graph_distance.compare(truth, fit(x, prior))["shd"]
    return jax.vmap(jax.vmap(wrong, (None, 0)), (0, None))(tables, stacked)


weights = {"no prior": 0.0, "fixed weight": config.penalty, "the data decide": None}
by_weight = {way: np.asarray(distances(weight), float) for way, weight in weights.items()}
spread = lambda values: (float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5))
bars = {
    f"{variant} names": {way: spread(values[:, index]) for way, values in by_weight.items()}
    for index, variant in enumerate(physics.VARIANTS)
}
figures.grouped_bars(bars, "edges wrong (SHD)")

# %% [markdown]
# With hidden names the model says nothing and nothing changes. Where the names are wrong, a fixed weight costs most.
# If the data decide, it costs less, though still something on tables as small as these.

# %% [markdown]
# ## How sure is each edge?
#
# A bootstrap fits resampled rows, all of them by one vmapped call, and counts how often two columns are joined, and how
# often the direction is determined, by the data or by the prior. Below, the wider an edge, the more resamples join its
# columns.

# %%
bootstrap = causal.bootstrap(jax.random.key(1), table, 50, prior, config)
widths = {(names[i], names[j]): float(bootstrap.joined[i, j]) for i, j in np.argwhere(informed.graph)}
for source, target, direction, _ in causal.edges(informed, names):
    i, j = names.index(source), names.index(target)
    joined, directed = bootstrap.joined[i, j], bootstrap.directed[i, j]
    print(f"{joined:4.0%} joined, {directed:4.0%} ->  {source} -> {target}, {direction}")
picture(informed, "with the prior", widths)

# %% [markdown]
# ## What you know for certain
#
# Hard knowledge is never gone against: tiers (nothing of a later tier causes anything of an earlier one), required and
# forbidden edges. With the tiers alone, no language model needed. The fit also predicts rows it has not seen, each
# column from its parents.

# %%
known = causal.Knowledge(names=names, tiers=[names[:2], names[2:]], required=[("gravity", "fall_time")])
held = causal.fit(table, known, config)
fresh = draw(jax.random.key(99))
residual = fresh - causal.predict(held, fresh)
for name, share in zip(names[2:], 1 - residual[:, 2:].var(0) / fresh[:, 2:].var(0), strict=True):
    print(f"{name}: {share:.0%} of the variance of new rows explained")
picture(held, "with tiers and one required edge")

# %% [markdown]
# Your own table needs no code: `python launch.py --config=experiments/causal_table.py --config.data.csv=my.csv` writes
# the graph with its bootstrap frequencies, and `--config.prior.elicit.model=NAME` asks any OpenAI-compatible model
# about your columns.

"""Causal discovery: a differentiable learner of directed acyclic graphs that takes a language model's prior.

Weights and graphs are [d, d] with entry (i, j) for the edge i -> j, so that x is about x @ weights.

Reference: Bae et al., arXiv 2311.11212; Bello, Aragam and Ravikumar, "DAGMA", arXiv 2209.08037.
"""

from framework.causal.bootstrapping import Bootstrap, bootstrap
from framework.causal.config import Config
from framework.causal.diagnostics import AssumptionWarning
from framework.causal.io.edge_list import edges, to_networkx
from framework.causal.io.saved import load, predict, save
from framework.causal.knowledge import Knowledge
from framework.causal.learn.objective import dag, objective
from framework.causal.learner import Result, fit
from framework.causal.prior.answers import answer_file, read_answers
from framework.causal.tuning import choose

__all__ = [
    "AssumptionWarning",
    "Bootstrap",
    "Config",
    "Knowledge",
    "Result",
    "answer_file",
    "bootstrap",
    "choose",
    "dag",
    "edges",
    "fit",
    "load",
    "objective",
    "predict",
    "read_answers",
    "save",
    "to_networkx",
]

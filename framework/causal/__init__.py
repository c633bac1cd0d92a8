"""Causal discovery: a differentiable learner of directed acyclic graphs that takes a language model's prior.

Weights and graphs are [d, d] with entry (i, j) for the edge i -> j, so that x is about x @ weights.

Reference: Bae et al., arXiv 2311.11212; Bello, Aragam and Ravikumar, "DAGMA", arXiv 2209.08037.
"""

from framework.causal import (
    acyclicity,
    bif,
    confidence,
    equivalence,
    graphs,
    inputs,
    intervention,
    knowledge,
    local_search,
    metrics,
    moments,
    noise,
    nonlinear,
    ordering,
    physics,
    random_graphs,
    ranking,
    scores,
    sortability,
    structural,
)
from framework.causal.answers import Answers, read_answers, vote
from framework.causal.confidence import bootstrap
from framework.causal.graphs import to_networkx
from framework.causal.knowledge import Knowledge
from framework.causal.learner import (
    STATUS,
    Config,
    Problem,
    Result,
    State,
    finish,
    fit,
    init,
    problem,
    step,
)

__all__ = [
    "STATUS",
    "Answers",
    "Config",
    "Knowledge",
    "Problem",
    "Result",
    "State",
    "acyclicity",
    "bif",
    "bootstrap",
    "confidence",
    "equivalence",
    "finish",
    "fit",
    "graphs",
    "init",
    "inputs",
    "intervention",
    "knowledge",
    "local_search",
    "metrics",
    "moments",
    "noise",
    "nonlinear",
    "ordering",
    "physics",
    "problem",
    "random_graphs",
    "ranking",
    "read_answers",
    "scores",
    "sortability",
    "step",
    "structural",
    "to_networkx",
    "vote",
]

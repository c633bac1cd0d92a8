"""Causal discovery: a differentiable learner of directed acyclic graphs that takes a language model's prior.

Weights and graphs are [d, d] with entry (i, j) for the edge i -> j, so that x is about x @ weights.

Reference: Bae et al., arXiv 2311.11212; Bello, Aragam and Ravikumar, "DAGMA", arXiv 2209.08037.
"""

from framework.causal import (
    acyclicity,
    ancestry,
    bif,
    confidence,
    discrete,
    edge_list,
    elicitation,
    endpoint,
    equivalence,
    exact_search,
    graphs,
    inputs,
    intervention,
    knowledge,
    local_search,
    metrics,
    moments,
    noise,
    nonlinear,
    order_search,
    ordering,
    orientation,
    physics,
    random_graphs,
    ranking,
    scores,
    sortability,
    structural,
    synthetic,
    trust,
)
from framework.causal.answers import Answers, domains, read_answers, recorded, select, vote
from framework.causal.confidence import Bootstrap, bootstrap
from framework.causal.config import Config
from framework.causal.edge_list import Edge, edges, to_networkx
from framework.causal.knowledge import Knowledge
from framework.causal.learner import STATUS, Result, State, finish, fit, init, step
from framework.causal.objective import dag, objective
from framework.causal.orientation import DIRECTIONS
from framework.causal.problems import Problem, memory, problem
from framework.causal.saved import load, predict, save
from framework.causal.tuning import Choice, choose

__all__ = [
    "DIRECTIONS",
    "STATUS",
    "Answers",
    "Bootstrap",
    "Choice",
    "Config",
    "Edge",
    "Knowledge",
    "Problem",
    "Result",
    "State",
    "acyclicity",
    "ancestry",
    "bif",
    "bootstrap",
    "choose",
    "confidence",
    "dag",
    "discrete",
    "domains",
    "edge_list",
    "edges",
    "elicitation",
    "endpoint",
    "equivalence",
    "exact_search",
    "finish",
    "fit",
    "graphs",
    "init",
    "inputs",
    "intervention",
    "knowledge",
    "load",
    "local_search",
    "memory",
    "metrics",
    "moments",
    "noise",
    "nonlinear",
    "objective",
    "order_search",
    "ordering",
    "orientation",
    "physics",
    "predict",
    "problem",
    "random_graphs",
    "ranking",
    "read_answers",
    "recorded",
    "save",
    "scores",
    "select",
    "sortability",
    "step",
    "structural",
    "synthetic",
    "to_networkx",
    "trust",
    "vote",
]

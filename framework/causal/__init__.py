"""Causal discovery: a differentiable learner of directed acyclic graphs that takes a language model's prior.

Weights and graphs are [d, d] with entry (i, j) for the edge i -> j, so that x is about x @ weights.

Reference: Bae et al., arXiv 2311.11212; Bello, Aragam and Ravikumar, "DAGMA", arXiv 2209.08037.
"""

from framework.causal.bootstrapping import Bootstrap, bootstrap
from framework.causal.config import Config
from framework.causal.diagnostics import AssumptionWarning
from framework.causal.discrete.orientation import DIRECTIONS
from framework.causal.io.edge_list import Edge, edges, to_networkx
from framework.causal.io.saved import load, predict, save
from framework.causal.knowledge import Knowledge
from framework.causal.learn.objective import dag, objective
from framework.causal.learn.problems import Problem, memory, problem
from framework.causal.learner import STATUS, Result, State, finish, fit, init, step
from framework.causal.prior.answers import Answers, answer_file, domains, read_answers, select, vote
from framework.causal.tuning import Choice, choose

__all__ = [
    "DIRECTIONS",
    "STATUS",
    "Answers",
    "AssumptionWarning",
    "Bootstrap",
    "Choice",
    "Config",
    "Edge",
    "Knowledge",
    "Problem",
    "Result",
    "State",
    "answer_file",
    "bootstrap",
    "choose",
    "dag",
    "domains",
    "edges",
    "finish",
    "fit",
    "init",
    "load",
    "memory",
    "objective",
    "predict",
    "problem",
    "read_answers",
    "save",
    "select",
    "step",
    "to_networkx",
    "vote",
]

"""Synthetic data: random graphs, structural equations, physics systems and discrete Bayesian networks."""

from framework.causal.synthetic.bif import BayesianNetwork, read_network
from framework.causal.synthetic.linear import edge_weights
from framework.causal.synthetic.random_graphs import scale_free
from framework.causal.synthetic.recipes import Recipe, sample

__all__ = ["BayesianNetwork", "Recipe", "edge_weights", "read_network", "sample", "scale_free"]

"""Synthetic data: random graphs, structural equations, physics systems and discrete Bayesian networks."""

"""Measures of an estimated graph against the true one."""

from framework.causal.metrics.graph_distance import compare
from framework.causal.metrics.intervention import sid
from framework.causal.metrics.ranking import auprc
from framework.causal.metrics.sortability import r2_sortability, sort_regress, varsortability

__all__ = ["auprc", "compare", "r2_sortability", "sid", "sort_regress", "varsortability"]

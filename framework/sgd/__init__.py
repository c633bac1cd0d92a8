"""Distributed SGD: synchronous, Downpour, elastic-averaging and local rules around any optimiser and any loss.

A rule is a pair of pure functions, `init` and `step`; what holds for one worker is done for all by `vmap`, and `run`
spreads the workers over devices by `pmap`. Asynchronous rules also have `event`, one worker's step, so that a simulated
clock can order them: no result depends on real time.

Reference: Choe et al., arXiv 1610.02273; Zhang, Choromanska and LeCun, arXiv 1412.6651.
"""

from framework.sgd.downpour_sgd import downpour
from framework.sgd.elastic_averaging import elastic
from framework.sgd.local_sgd import local
from framework.sgd.rule import Rule, State
from framework.sgd.synchronous_sgd import synchronous
from framework.sgd.training import run, shard

__all__ = [
    "Rule",
    "State",
    "downpour",
    "elastic",
    "local",
    "run",
    "shard",
    "synchronous",
]

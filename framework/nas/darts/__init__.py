"""DARTS: search by gradient in a supernet whose edges are weighted sums of operations.

    net = darts.Supernet(channels=16, cells=8, classes=10)
    state = darts.search(key, net, (images, labels), (valid_images, valid_labels), darts.Config())
    found = darts.derive_genotype(state.alphas)
    darts.to_json(found)

Reference: Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, arXiv 1806.09055.
"""

from framework.nas.darts.bilevel import (
    Config,
    Data,
    Searcher,
    State,
    batched_step,
    search,
    searcher,
    step_count,
)
from framework.nas.darts.genotype import (
    Genotype,
    Health,
    check,
    derive_genotype,
    from_json,
    health,
    to_json,
    to_networkx,
)
from framework.nas.darts.network import build_network
from framework.nas.darts.space import (
    EDGES,
    OPERATIONS,
    Alphas,
    init_alphas,
)
from framework.nas.darts.supernet import (
    Supernet,
    apply,
    init,
    parameter_count,
)

__all__ = [
    "EDGES",
    "OPERATIONS",
    "Alphas",
    "Config",
    "Data",
    "Genotype",
    "Health",
    "Searcher",
    "State",
    "Supernet",
    "apply",
    "batched_step",
    "build_network",
    "check",
    "derive_genotype",
    "from_json",
    "health",
    "init",
    "init_alphas",
    "parameter_count",
    "search",
    "searcher",
    "step_count",
    "to_json",
    "to_networkx",
]

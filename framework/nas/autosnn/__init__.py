"""AutoSNN: the search for spiking architectures that are accurate and fire little.

    space = autosnn.search_space(channels=16, image=(32, 32, 3), classes=10)
    state = autosnn.train_supernet(key, images, labels, space, autosnn.Config(epochs=100))
    scores = autosnn.enumerate(state, images, labels)
    best = autosnn.evolve(key, state, images, labels, lambda_=-0.08)
    net = autosnn.build_network(space, best.architecture)

Reference: Na et al., "AutoSNN: towards energy-efficient spiking neural networks", ICML 2022, arXiv 2201.12738.
"""

from framework.nas.autosnn.enumeration import Scores, enumerate, evaluate
from framework.nas.autosnn.evolution import Config as SearchConfig
from framework.nas.autosnn.evolution import (
    SearchResult,
    evolve,
    fitness,
    from_table,
    search,
)
from framework.nas.autosnn.meters import Costs, costs
from framework.nas.autosnn.network import Dynamics, Network, Outputs
from framework.nas.autosnn.space import (
    Space,
    build_network,
    check,
    search_space,
)
from framework.nas.autosnn.supernet import Supernet, inherit
from framework.nas.autosnn.training import (
    Config,
    squared_error,
    train_network,
    train_supernet,
)

__all__ = [
    "Config",
    "Costs",
    "Dynamics",
    "Network",
    "Outputs",
    "Scores",
    "SearchConfig",
    "SearchResult",
    "Space",
    "Supernet",
    "build_network",
    "check",
    "costs",
    "enumerate",
    "evaluate",
    "evolve",
    "fitness",
    "from_table",
    "inherit",
    "search",
    "search_space",
    "squared_error",
    "train_network",
    "train_supernet",
]

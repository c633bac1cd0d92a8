"""Synthetic problems by name: a random graph, equations on it, noise at its nodes, and a sampled table.

key -> named "graph"      the graph
    -> named "weights"    of linear equations
    -> named "scales"     of the noise, where its variances are unequal
    -> named "noise"      of linear equations; of the others the functions too
"""

import dataclasses
import math

import jax
import numpy as np

from framework.causal import graphs
from framework.causal.synthetic import (
    linear,
    noise,
    nonlinear,
    random_graphs,
)
from framework.core import keys
from framework.core.precision import x64
from framework.core.types import Key

NOISES = {
    "gaussian": noise.gaussian,
    "exponential": noise.exponential,
    "gumbel": noise.gumbel,
    "uniform": noise.uniform,
}
CHOICES = {
    "graph": ("er", "sf"),
    "equations": ("linear", "mlp", "gaussian_process", "iscm"),
    "noise": tuple(NOISES),
    "variances": ("equal", "unequal"),
}


def _static(default):
    return dataclasses.field(default=default, metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a generated problem is made of; static under every transformation.

    Args:
      graph: `er`, Erdos-Renyi, or `sf`, scale-free.
      degree: of er, edges a node; of sf, edges a new node, a whole number; at least 0.
      equations: `linear`; `mlp` or `gaussian_process`; `iscm`, linear ones that are standardised as they go.
      noise: the law, `gaussian`, `exponential`, `gumbel` or `uniform`; see `noise`.
      variances: `equal`; or `unequal`, the law times a scale a node, uniform on [1, 2].

    Raises:
      ValueError: for a name that is none of its choices, a negative degree, or a scale-free graph of broken degree.
    """

    graph: str = _static("er")
    degree: float = _static(2.0)
    equations: str = _static("linear")
    noise: str = _static("gaussian")
    variances: str = _static("equal")

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"recipe: {name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        degree = self.degree
        if isinstance(degree, bool) or not isinstance(degree, int | float) or not 0 <= degree < math.inf:
            raise ValueError(f"recipe: degree must be a number of edges, at least 0, got {degree!r}")
        if self.graph == "sf" and degree != int(degree):
            raise ValueError(f"recipe: degree must be a whole number for a scale-free graph (sf), got {degree!r}")


def sample(key: Key, recipe: Recipe, nodes: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples a graph and a table from it; in float64 whatever the caller's setting.

    Args:
      key: a typed key.
      recipe: what the problem is made of.
      nodes: d, at least 1.
      samples: n, rows to draw, at least 1, for iscm at least 2.

    Returns:
      The graph, `[nodes, nodes]` bool, and the table, `[samples, nodes]` float64.

    Raises:
      ValueError: if there are too few nodes or samples, or it is no key.
    """
    keys.check(key, nodes=nodes, samples=samples)
    with x64():
        graph = _graph(keys.derive(key, "graph"), recipe, nodes)
        return graph, np.asarray(_table(key, recipe, graph, samples))


def _graph(key: Key, recipe: Recipe, nodes: int) -> np.ndarray:
    if recipe.graph == "sf":
        return np.asarray(random_graphs.scale_free(key, nodes, int(recipe.degree)))
    return np.asarray(graphs.erdos_renyi(key, nodes, recipe.degree))


def _table(key: Key, recipe: Recipe, graph: np.ndarray, samples: int) -> jax.Array:
    law, noise_key = _noise(key, recipe, len(graph)), keys.derive(key, "noise")
    if recipe.equations in ("mlp", "gaussian_process"):
        return getattr(nonlinear, recipe.equations)(noise_key, graph, samples, law)
    weights = linear.edge_weights(keys.derive(key, "weights"), graph)
    equations = nonlinear.iscm if recipe.equations == "iscm" else linear.linear
    return equations(noise_key, weights, samples, law)


def _noise(key: Key, recipe: Recipe, nodes: int) -> noise.Noise:
    law = NOISES[recipe.noise]()
    if recipe.variances == "equal":
        return law
    return noise.rescale(law, noise.unequal_scales(keys.derive(key, "scales"), nodes))

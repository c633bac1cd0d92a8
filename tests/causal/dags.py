"""Small DAGs, all of them and their equivalence classes, as an oracle; and random ones."""

import itertools

import numpy as np


def every_dag(nodes):
    """All DAGs of so many nodes, `[n, nodes, nodes]` bool."""
    pairs = np.array(list(itertools.combinations(range(nodes), 2)), int).reshape(-1, 2)
    ways = np.array(list(itertools.product(range(3), repeat=len(pairs))), int)
    oriented = np.zeros((len(ways), nodes, nodes), bool)
    oriented[:, pairs[:, 0], pairs[:, 1]] = ways == 1
    oriented[:, pairs[:, 1], pairs[:, 0]] = ways == 2
    walks = np.linalg.matrix_power(oriented + np.eye(nodes), nodes)  # a cycle makes more than one walk back
    return oriented[np.trace(walks, axis1=1, axis2=2) == nodes]


def classes(dags):
    """The oracle: a number for each DAG, equal where skeleton and v-structures are."""
    skeleton = dags | dags.swapaxes(1, 2)
    into = dags.swapaxes(1, 2)  # [n, k, i]: i -> k
    structures = into[:, :, :, None] & into[:, :, None, :] & ~skeleton[:, None] & ~np.eye(dags.shape[-1], dtype=bool)
    marks = np.concatenate([skeleton.reshape(len(dags), -1), structures.reshape(len(dags), -1)], axis=1)
    return np.unique(marks, axis=0, return_inverse=True)[1].ravel()


def random_dag(seed, nodes, degree=2):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.uniform(size=(nodes, nodes)) < 2 * degree / (nodes - 1), 1)
    order = rng.permutation(nodes)
    return upper[order][:, order]

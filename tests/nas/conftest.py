"""A space of nine networks, small enough to score each of them by hand, and its supernet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.nas import autosnn
from framework.nas.autosnn import blocks
from framework.nas.autosnn import supernet as spiking_supernet
from framework.nas.autosnn.space import Slot, Space

CANDIDATES = ("skip_connect", "SCB_k3", "SRB_k3")


@pytest.fixture(scope="session")
def tiny():
    """Two slots, three candidates, 4x4 images of two classes."""
    slot = lambda before, after: Slot(tuple(blocks.candidate(name, (before, after)) for name in CANDIDATES))
    places = (blocks.convolution(5), slot(5, 5), blocks.max_pool(), slot(5, 6), blocks.max_pool(), blocks.dense(20))
    return Space(places, CANDIDATES, (4, 4, 1), 2, autosnn.Dynamics(steps=3))


@pytest.fixture(scope="session")
def halves():
    """Images whose left or right half is bright, and which: `[60, 4, 4, 1]` and `[60]`."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 60)
    images = random.random((60, 4, 4, 1), np.float32)
    images[labels == 0, :, :2] += 1
    images[labels == 1, :, 2:] += 1
    return images, labels


@pytest.fixture(scope="session")
def supernet(tiny):
    """Not trained: weights five times as large as at the start, so that all layers fire."""
    params, state = jax.tree.map(lambda leaf: 5 * leaf, spiking_supernet.init(jax.random.key(0), tiny))
    return autosnn.Supernet(params, state, jnp.float32(20.0), tiny)

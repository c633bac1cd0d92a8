import numpy as np
import pytest

from framework.selection import Traits

COUNT, CLASSES = 40, 3
SCORES = ("entropy", "margin", "least_confidence", "el2n", "grand", "aum")


@pytest.fixture(scope="module")
def traits():
    """All traits of 40 points in 3 classes."""
    rng = np.random.default_rng(0)
    scores = {name: rng.gamma(1.0, size=COUNT).astype(np.float32) + 1e-6 for name in SCORES}
    labels = rng.permutation(np.arange(COUNT) % CLASSES)
    return Traits(labels, **scores, forgetting=rng.integers(0, 5, COUNT), features=rng.normal(size=(COUNT, 4)))

"""Small classifiers whose attacks have closed forms."""

import jax.numpy as jnp
import numpy as np

SHAPE, CLASSES = (4, 5, 2), 5


def linear(seed=0, dtype=np.float32):
    """Weights `[pixels, classes]`, and their logits; the gradient of a margin is a difference of two columns."""
    weights = np.random.default_rng(seed).normal(size=(int(np.prod(SHAPE)), CLASSES)).astype(dtype)
    return weights, lambda images: (images - 0.5).reshape(len(images), -1) @ jnp.asarray(weights)


def random_images(count, seed=1, low=0.0, high=1.0, dtype=np.float32):
    return np.random.default_rng(seed).uniform(low, high, (count, *SHAPE)).astype(dtype)


def fixed_weights():
    """Of a small network of fixed numbers, on which `pyautoattack.json` was made."""
    rng = np.random.default_rng(7)
    return rng.normal(size=(64, 24)), rng.normal(size=(24, 10))


def fixed_network(dtype=np.float64):
    """That network, with images, their labels and a start."""
    first, second = (jnp.asarray(weights.astype(dtype)) for weights in fixed_weights())
    rng = np.random.default_rng(8)
    images = rng.uniform(0.1, 0.9, (40, 8, 8, 1)).astype(dtype)
    start = np.clip(images + rng.uniform(-0.05, 0.05, images.shape), 0, 1).astype(dtype)

    def apply(x):
        return jnp.maximum((x.reshape(len(x), -1) - 0.5) @ first, 0) @ second / 4

    return apply, images, np.asarray(apply(images).argmax(-1)), start


def boundary_distance(weights, logits, labels, norm):
    """Distance of each image of a linear model to the nearest other class, `[N]`, where the box is out of reach."""
    order = 1 if norm == "linf" else 2
    distances = [
        min((z[y] - z[t]) / np.linalg.norm(weights[:, y] - weights[:, t], order) for t in range(CLASSES) if t != y)
        for z, y in zip(np.asarray(logits), labels, strict=True)
    ]
    return np.array(distances)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.models import (
    batch_norm,
    resnet,
    resnet_weights,
    training,
)
from framework.selection import entropy_file, uncertainty

pytestmark = pytest.mark.slow

SMALL = resnet.Config(depth=8, width=4)


@pytest.fixture
def lossless(shared):
    with np.load(shared("cifar10", "train_lossless_first4000.npz")) as arrays:
        return arrays["images"], arrays["labels"]


def checkpoint(shared, name):
    return resnet_weights.read_torch(shared("proxy_nas", "resnet_ckpt", f"{name}.npz"))


@jax.jit
def entropies(params, images):
    with jax.default_matmul_precision("highest"):
        return uncertainty.entropy(resnet.forward(params, resnet.normalise(images))[0])


def published_entropies(shared, count):
    path = shared("proxy_nas", "entropy_list", "cifar10_resnet20_index_entropy_class.txt")
    return entropy_file.read_entropy_list(path).entropy[:count]


def test_published_entropies_come_from_the_published_weights(shared, lossless):
    """250 lossless images; the other checkpoint, which is not behind the list, is far off."""
    images, expected = lossless[0][:250], published_entropies(shared, 250)
    ours = np.asarray(entropies(checkpoint(shared, "cifar10_resnet20_akamaster_12fca82f"), images), np.float64)
    assert np.abs(ours - expected).max() <= 2e-5
    assert np.percentile(np.abs(ours / expected - 1), 99) <= 1e-3
    assert np.corrcoef(np.log10(ours), np.log10(expected))[0, 1] >= 0.9999
    other = np.asarray(entropies(checkpoint(shared, "cifar10_resnet20"), images), np.float64)
    assert np.corrcoef(np.log10(other), np.log10(expected))[0, 1] < 0.9


@pytest.mark.long
def test_published_entropies_of_all_lossless_images(shared, lossless):
    images = lossless[0]
    params = checkpoint(shared, "cifar10_resnet20_akamaster_12fca82f")
    ours = np.concatenate([entropies(params, images[i : i + 250]) for i in range(0, 4000, 250)]).astype(np.float64)
    expected = published_entropies(shared, 4000)
    assert np.abs(ours - expected).max() <= 2e-5
    assert np.percentile(np.abs(ours / expected - 1), 99) <= 1e-3
    assert np.corrcoef(np.log10(ours), np.log10(expected))[0, 1] >= 0.9999


def test_depths_have_the_published_numbers_of_weights():
    def count(depth):
        shapes = jax.eval_shape(lambda: resnet.init(jax.random.key(0), resnet.Config(depth)))
        leaves = jax.tree_util.tree_leaves_with_path(shapes)
        return sum(leaf.size for path, leaf in leaves if path[-1].key not in training.RUNNING)

    assert count(20) == 269_722
    assert 0.84e6 < count(56) < 0.87e6


def test_a_block_equals_a_plain_loop():
    """The oracle: torch's definition written out for one place of the image, in NumPy."""
    rng = np.random.default_rng(0)
    norm = lambda: {name: rng.uniform(0.5, 2, 8).astype(np.float32) for name in ("scale", "shift", "mean", "var")}
    kernel = lambda channels: rng.normal(size=(3, 3, channels, 8)).astype(np.float32)
    block = {"conv1": kernel(4), "norm1": norm(), "conv2": kernel(8), "norm2": norm()}
    x = rng.normal(size=(1, 6, 6, 4)).astype(np.float32)

    def conv(x, kernel, stride):
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        positions = range(0, x.shape[0], stride)
        at = lambda i, j: np.einsum("ijc,ijco->o", padded[i : i + 3, j : j + 3], kernel)
        return np.array([[at(i, j) for j in positions] for i in positions])

    def normalize(x, norm):
        return (x - norm["mean"]) / np.sqrt(norm["var"] + 1e-5) * norm["scale"] + norm["shift"]

    y = normalize(
        conv(np.maximum(normalize(conv(x[0], block["conv1"], 2), block["norm1"]), 0), block["conv2"], 1), block["norm2"]
    )
    y[..., 2:6] += x[0, ::2, ::2]
    output = resnet._block(block, jnp.asarray(x), 2, False)[0]
    np.testing.assert_allclose(output[0], np.maximum(y, 0), rtol=1e-4, atol=1e-4)


def test_a_norm_updates_its_statistics_by_a_tenth():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, size=(5, 4, 4, 2)).astype(np.float32)
    y, new_params = batch_norm.apply(batch_norm.init(2), x, True)
    flat = x.reshape(-1, 2)
    np.testing.assert_allclose(new_params["mean"], 0.1 * flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(new_params["var"], 0.9 + 0.1 * flat.var(0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(np.asarray(y).reshape(-1, 2).std(0), 1, rtol=1e-4)


@pytest.mark.slow
def test_training_learns_the_colour_of_an_image():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 64)
    images = (rng.integers(0, 120, (64, 8, 8, 3)) + 120 * np.eye(3, dtype=int)[labels][:, None, None]).astype(np.uint8)
    config = resnet.Config(8, classes=3, width=4)
    trainer = training.trainer(resnet.loss(), resnet.recipe(30, learning_rate=0.05), 32)
    state = trainer.init(jax.jit(resnet.init, static_argnums=1)(jax.random.key(0), config), 64, jax.random.key(1))
    state = jax.jit(lambda s: jax.lax.scan(lambda s, _: trainer.step(s, (images, labels)), s, length=30)[0])(state)
    logits = jax.jit(lambda x: resnet.forward(state.params, resnet.normalise(x))[0])
    assert training.accuracy(logits, images, labels) > 0.9


def test_the_recipe_divides_the_rate_at_half_and_three_quarters():
    recipe = resnet.recipe(8, learning_rate=1.0, weight_decay=0.0)
    params, state, steps = jnp.zeros(()), recipe.init(jnp.zeros(())), []
    for _ in range(8):
        update, state = recipe.update(jnp.ones(()), state, params)
        steps.append(float(update))
    velocity = np.cumsum(0.9 ** np.arange(8))
    np.testing.assert_allclose(steps, -velocity * np.repeat([1, 0.1, 0.01], [4, 2, 2]), rtol=1e-5)


def test_bad_networks_and_weights_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"6n \+ 2 layers, such as 8, 20 or 56, got 18"):
        resnet.Config(depth=18)
    with pytest.raises(ValueError, match="a multiple of 4"):
        resnet.Config(width=6)
    arrays = {name: np.zeros(1, np.float32) for name in resnet_weights.torch_names(SMALL)}
    with pytest.raises(ValueError, match="must become an array of"):
        resnet_weights.from_torch(arrays, SMALL)
    with pytest.raises(ValueError, match=r"has no array layer4\.0\.conv1\.weight"):
        resnet_weights.from_torch(arrays | {"layer4.0.conv1.weight": np.zeros(1)}, SMALL)
    arrays.pop("linear.bias")
    path = tmp_path / "weights.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=r"weights\.npz: weights of a ResNet-8 lack 1 arrays, the first linear\.bias"):
        resnet_weights.read_torch(path, SMALL)


def test_the_loss_augments_images_before_they_are_prepared():
    params = resnet.init(jax.random.key(0), SMALL)
    images = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
    labels, key = np.array([0, 3]), jax.random.key(1)
    noisy = lambda key, x: x + jax.random.uniform(key, x.shape)
    value, (new_params, metrics) = resnet.loss(noisy)(params, images, labels, key)
    logits, expected = resnet.forward(params, resnet.normalise(noisy(key, images)), train=True)
    np.testing.assert_allclose(value, -np.mean(jax.nn.log_softmax(logits)[np.arange(2), labels]), rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), new_params, expected)
    assert metrics["accuracy"] == np.mean(logits.argmax(-1) == labels)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
def test_weights_that_are_not_finite_float32_are_refused(bad):
    shapes = jax.tree.leaves(jax.eval_shape(lambda: resnet.init(jax.random.key(0), SMALL)))
    torch_shapes = [
        (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape[::-1] for shape in (s.shape for s in shapes)
    ]
    arrays = {
        name: np.zeros(shape) for name, shape in zip(resnet_weights.torch_names(SMALL), torch_shapes, strict=True)
    }
    np.testing.assert_array_equal(resnet_weights.from_torch(arrays, SMALL)["head"]["bias"], np.zeros(10))
    arrays["linear.bias"][9] = bad
    with pytest.raises(ValueError, match=r"linear\.bias must be finite numbers"):
        resnet_weights.from_torch(arrays, SMALL)

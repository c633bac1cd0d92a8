import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.nas import nasbench201 as space

pytestmark = pytest.mark.slow

CONFIG = space.Config(channels=4, cells=1, classes=3)
NAME = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"


@pytest.fixture(scope="module")
def params():
    return jax.jit(space.init, static_argnums=1)(jax.random.key(0), CONFIG)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def logits():
    return jax.jit(lambda params, architecture, images: space.forward(params, architecture, images)[0])


def test_names_and_architectures_are_one_to_one(shared):
    every = space.architectures()
    assert len({space.to_text(item) for item in every}) == space.COUNT == 15_625
    assert all(space.from_text(space.to_text(item)) == item for item in every[::97])
    table = space.read_table(shared("proxy_nas", "nb201_mini", "nb201_accuracies.csv"))
    assert set(table) == set(every)
    assert table[space.from_text(NAME)] == 69.55


def plain_cell(params, architecture, x):
    """The oracle: the cell written out node by node, operations in NumPy."""

    def conv(local, x, size):
        reach = size // 2
        padded = np.pad(np.maximum(x, 0), ((0, 0), (reach, reach), (reach, reach), (0, 0)))
        kernel, norm = np.asarray(local["kernel"]), local["norm"]
        height, width = x.shape[1:3]
        y = sum(padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(size) for j in range(size))
        return (y - norm["mean"]) / np.sqrt(np.asarray(norm["var"]) + 1e-5) * norm["scale"] + norm["shift"]

    def pool(x):
        y = np.zeros_like(x)
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                y[:, i, j] = x[:, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].mean((1, 2))
        return y

    operations = (
        lambda local, x: 0 * x,
        lambda local, x: x,
        lambda local, x: conv(local["1x1"], x, 1),
        lambda local, x: conv(local["3x3"], x, 3),
        lambda local, x: pool(x),
    )
    n0 = x
    n1 = operations[architecture[0]](params[0], n0)
    n2 = operations[architecture[1]](params[1], n0) + operations[architecture[2]](params[2], n1)
    last = zip(architecture[3:], params[3:], (n0, n1, n2), strict=True)
    return sum(operations[op](local, node) for op, local, node in last)


def test_a_cell_is_what_a_plain_loop_computes(params, images):
    cell = params["stages"][0]["cells"][0]
    x = np.concatenate([images, images[..., :1]], -1)
    result = jax.jit(lambda a: space.apply_cell(cell, a, x, False)[0])
    for architecture in ((4, 2, 1, 2, 1, 1), (3, 0, 3, 1, 4, 2), (0, 0, 0, 0, 0, 0)):
        np.testing.assert_allclose(result(jnp.array(architecture)), plain_cell(cell, architecture, x), atol=2e-5)


def test_what_a_network_cannot_see_is_refused(params, images):
    with pytest.raises(ValueError, match="multiples of 4"):
        space.forward(params, (0,) * 6, images[:, :6, :6])
    with pytest.raises(ValueError, match="an architecture is 6 numbers from 0 to 4"):
        space.forward(params, (0, 0, 5, 0, 0, 0), images)


@pytest.mark.long
def test_one_program_serves_all_architectures(params, images, logits):
    some = jnp.array([[3, 1, 0, 2, 4, 3], [0, 3, 3, 1, 1, 2]])
    swept = jax.jit(jax.vmap(lambda a: space.forward(params, a, images)[0]))(some)
    for row, architecture in zip(swept, some, strict=True):
        np.testing.assert_allclose(row, logits(params, architecture, images), atol=1e-4)
    assert swept.shape == (2, 5, 3)


@pytest.mark.long
def test_only_the_operations_of_the_architecture_learn(params, images):
    def value(params):
        logits, updated = space.forward(params, jnp.array([3, 0, 0, 1, 2, 0]), images, train=True)
        return (logits**2).mean(), updated

    gradient, updated = jax.jit(jax.grad(value, has_aux=True))(params)
    cell, after = gradient["stages"][1]["cells"][0], updated["stages"][1]["cells"][0]
    used = {(0, "3x3"), (4, "1x1")}
    for edge in range(6):
        for name in ("1x1", "3x3"):
            assert bool(jnp.any(cell[edge][name]["kernel"] != 0)) == ((edge, name) in used)
            assert bool(jnp.any(after[edge][name]["norm"]["mean"] != 0)) == ((edge, name) in used)


def test_parameters_are_counted(params):
    leaves = jax.tree_util.tree_leaves_with_path(params)
    whole = sum(leaf.size for path, leaf in leaves if path[-1].key not in ("mean", "var"))
    item = lambda size: sum(3 * 2 * ((size * w) ** 2 + 2 * w) for w in (4, 8, 16))
    both = item(1) + item(3)
    assert space.parameter_count((0,) * 6, CONFIG) == whole - both
    assert space.parameter_count((2,) * 6, CONFIG) == whole - both + item(1)
    assert space.parameter_count((3,) * 6, CONFIG) == whole - both + item(3)


def test_bad_names_and_tables_are_refused(tmp_path):
    with pytest.raises(ValueError, match="names no architecture of six operations out of none, skip_connect"):
        space.from_text(NAME.replace("nor_conv_1x1", "conv_7x7"))
    with pytest.raises(ValueError, match="its edges are those of"):
        space.from_text(NAME.replace("skip_connect~2", "skip_connect~1"))
    with pytest.raises(ValueError, match="at least 1"):
        space.Config(cells=0)
    with pytest.raises(ValueError, match="an architecture is 6 numbers from 0 to 4"):
        space.parameter_count((9,) * 6, CONFIG)
    path = tmp_path / "table.csv"
    path.write_text(f"cellstr,cifar10-test\n{NAME},69.5\n{NAME},high\n")
    with pytest.raises(ValueError, match="line 3: could not convert"):
        space.read_table(path)
    with pytest.raises(ValueError, match="no column 'cifar100'"):
        space.read_table(path, "cifar100")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"cellstr,cifar10-test\n{NAME},nan\n", "line 2: an accuracy lies in 0 to 100 per cent, got 'nan'"),
        (f"cellstr,cifar10-test\n{NAME},5_0\n", "line 2: an accuracy lies in 0 to 100 per cent"),
        (f"cellstr,cifar10-test\n{NAME},50\n{NAME},51\n", "line 3: .* stands twice"),
        (f"cellstr,cifar10-test\n{NAME},50,1\n", "line 2: more cells than the header has"),
        (f"cellstr,cifar10-test,cifar10-test\n{NAME},50,60\n", "2 columns 'cifar10-test', not one"),
        ("cellstr,cifar10-test\n", "no row"),
        (f"cellstr,cifar10-test\n{'a' * 200_000},50\n", "field larger than field limit"),
        (f"cellstr,cifar10-test\n{'a' * 100_000},50\n", "line 2: 'aaaa.* names no architecture"),
    ],
)
def test_tables_that_would_mislead_are_refused(tmp_path, text, message):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        space.read_table(tmp_path / "table.csv")
    assert str(tmp_path) in str(error.value)

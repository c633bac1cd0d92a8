import jax
import pytest

from framework.runs import machine, require_memory
from framework.runs.machine import enable_compilation_cache


@pytest.fixture
def restored():
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_cache_is_the_users_own(tmp_path, monkeypatch, restored):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "sextant").mkdir()
    (tmp_path / "sextant" / "jax").mkdir(mode=0o777)
    enable_compilation_cache()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "sextant" / "jax")
    assert (tmp_path / "sextant" / "jax").stat().st_mode & 0o777 == 0o700


def test_a_link_to_elsewhere_is_not_used(tmp_path, monkeypatch, restored):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sextant").mkdir()
    (tmp_path / "sextant" / "jax").symlink_to(tmp_path / "elsewhere")
    enable_compilation_cache()
    assert jax.config.jax_compilation_cache_dir is None


def test_a_setting_of_the_users_own_counts_first(tmp_path, monkeypatch, restored):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    enable_compilation_cache()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "mine")
    assert not (tmp_path / "sextant").exists()


def test_work_that_cannot_fit_is_refused():
    require_memory(2**20, "little")
    with pytest.raises(ValueError, match=r"much needs about 1,048,576\.0 GiB of memory; .* GiB are free"):
        require_memory(2**50, "much")


def test_a_launch_says_what_it_ran_on():
    launch = machine.begin_launch()
    assert launch["versions"]["jax"] == jax.__version__
    assert len(launch["devices"]) == len(jax.devices())
    assert launch["end"] is None

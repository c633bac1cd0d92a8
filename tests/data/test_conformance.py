"""Every reader of data refuses what it cannot read in one line that names the file, and reads a file twice alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from framework import data
from tests.data.test_events import packed_bin, packed_dat, recorded


class Format(NamedTuple):
    """A reader with the content of a valid file."""

    name: str  # of the file
    write: Callable[[Path], Any]
    read: Callable[[Path], Any]


def write_npz(path: Path) -> None:
    images = np.arange(4 * 6 * 6, dtype=np.uint8).reshape(4, 6, 6)
    labels = np.array([0, 1, 0, 1])
    np.savez(path, train_images=images, train_labels=labels, test_images=images, test_labels=labels)


def read_recording(path: Path) -> data.Recording:
    return data.read_events(path, size=(5, 7))


FORMATS = {
    "table": Format("t.csv", lambda path: path.write_text("a,b\n1,2\n3,4.5\n"), data.read_table),
    "edges": Format("e.csv", lambda path: path.write_text("source,target\na,b\n"), data.read_edges),
    "bin": Format("e.bin", lambda path: path.write_bytes(packed_bin(recorded(20).events)), read_recording),
    "dat": Format("e.dat", lambda path: path.write_bytes(packed_dat(recorded(20).events)), read_recording),
    "images": Format("i.npz", write_npz, lambda path: data.images(str(path))),
}


@pytest.fixture(params=FORMATS)
def valid(request, tmp_path) -> tuple[Format, Path]:
    """A format and a valid file of it."""
    form = FORMATS[request.param]
    path = tmp_path / form.name
    form.write(path)
    return form, path


class TestReaders:
    def test_a_file_is_read_twice_alike_and_left_unchanged(self, valid):
        form, path = valid
        content = path.read_bytes()
        first, second = form.read(path), form.read(path)
        assert jax.tree.structure(first) == jax.tree.structure(second)
        for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
        assert path.read_bytes() == content

    def test_a_missing_file_is_named(self, valid):
        form, path = valid
        path.unlink()
        with pytest.raises((ValueError, OSError), match=path.name):
            form.read(path)

    @pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe\x00" * 3])
    def test_a_file_without_content_is_refused_in_one_line(self, valid, content):
        form, path = valid
        path.write_bytes(content)
        with pytest.raises(ValueError, match=path.name) as refusal:
            form.read(path)
        assert len(str(refusal.value).splitlines()) == 1

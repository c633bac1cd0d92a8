import errno
import os

import pytest

from framework.core.files import write_bytes


def test_folders_are_made_and_nothing_else_is_left(tmp_path):
    write_bytes(tmp_path / "a" / "b" / "x.bin", b"12")
    assert (tmp_path / "a" / "b" / "x.bin").read_bytes() == b"12"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["x.bin"]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch, broken):
    path = tmp_path / "x.bin"
    write_bytes(path, b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_with_the_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"x\.bin") as caught:
        write_bytes(tmp_path / "x.bin", b"new")
    assert caught.value.filename == str(tmp_path / "x.bin")

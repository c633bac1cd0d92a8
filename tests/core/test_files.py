import errno
import io
import json
import os
import zipfile

import numpy as np
import pytest

from framework.core.files import parse_json, read_arrays, write_bytes


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a": 1, "b": {"a": 2, "a": 3}}', "the field 'a' stands twice in one object"),
        (b'{\n"a": }', "line 2: not JSON"),
        (b'{"a": NaN}', "the number NaN is not finite"),
        (b"[1, -1e999]", "the number -1e999 is not finite"),
        (b"[" * 100_000, "more than 64 objects and lists"),
        (b"[" * 65 + b"]" * 65, "more than 64 objects and lists"),
        (b'{"a": \xff}', "not a text in UTF-8"),
        (b"9" * 5000, "4300 digits"),
    ],
)
def test_json_that_says_more_than_json_can_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_json(text)


def test_json_of_the_deepest_kind_is_read():
    assert parse_json(b"[" * 64 + b"]" * 64) == json.loads("[" * 64 + "]" * 64)


ARRAYS = {
    "whole": np.arange(6).reshape(2, 3),
    "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "none": np.zeros((0, 4)),
    "text": np.array("ä"),
    "truth": np.array([True, False]),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_as_they_were_saved(tmp_path, save):
    save(tmp_path / "a.npz", **ARRAYS)
    result = read_arrays(tmp_path / "a.npz")
    assert result.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(result[name], array)
        assert result[name].dtype == array.dtype


def archive(path, compression=zipfile.ZIP_STORED, **members):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def npy(array, shape=None):
    buffer = io.BytesIO()
    np.save(buffer, array)
    raw = buffer.getvalue()
    return raw if shape is None else raw.replace(b"(3,), }" + b" " * (len(shape) - 4), f"{shape}, }}".encode())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(np.zeros(3), "(1099511627776,)"), r"claims to be float64\(1099511627776,\), and has 24 bytes"),
        (npy(np.zeros(3), "(-1,)"), "claims to be"),
        (npy(np.zeros(3))[:-1], "claims to be"),
        (npy(np.array([{}], object)), "holds object, neither numbers nor texts"),
        (npy(np.zeros(3, "M8[s]")), "neither numbers nor texts"),
        (b"\x93NUMPY\x01\x00\x0c\x00__import__()", "not an array as NumPy saves them"),
        (
            b"\x93NUMPY\x01\x00\x17\x00" + b" " * 20 + b"\xa0\n\x00",
            "not an array as NumPy saves them",
        ),  # SystemError on 3.13
        (b"", "not an array as NumPy saves them"),
    ],
)
def test_an_array_that_is_not_what_it_claims_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_arrays(archive(tmp_path / "a.npz", a=content))


def test_archives_of_another_kind_are_refused(tmp_path):
    with pytest.raises(ValueError, match="compressed otherwise"):
        read_arrays(archive(tmp_path / "a.npz", zipfile.ZIP_LZMA, a=npy(np.zeros(3))))
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"not an \.npz file"):
        read_arrays(tmp_path / "a.npy")
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "none.npz")


def test_a_full_disk_is_told_with_the_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"x\.bin") as caught:
        write_bytes(tmp_path / "x.bin", b"new")
    assert caught.value.filename == str(tmp_path / "x.bin")

"""The API pages that pdoc makes of the docstrings."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import framework

ROOT = Path(__file__).resolve().parents[1]
RECURSIVE = ("Import of ArrayTree failed", "Import of Node failed")  # types that hold themselves: pdoc knows none


@pytest.mark.slow
def test_pages_show_every_public_name_without_a_warning(extra, tmp_path):
    extra("pdoc", "docs")
    command = [sys.executable, "-m", "pdoc", "framework", "-d", "google", "-o", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    complaints = [line for line in result.stderr.splitlines() if not any(known in line for known in RECURSIVE)]
    assert complaints == []
    for package in framework.PACKAGES:
        names = importlib.import_module(f"framework.{package}")
        page = (tmp_path / "framework" / f"{package}.html").read_text()
        for name in names.__all__:
            module = inspect.ismodule(getattr(names, name))
            assert (f'href="{package}/{name}.html"' if module else f'id="{name}"') in page, f"{package}.{name}"
    assert '<span class="gp">&gt;&gt;&gt; </span>' in (tmp_path / "framework" / "causal.html").read_text()

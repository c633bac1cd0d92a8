import os
import subprocess
import sys

import pytest

from framework.runs.guard import exit_with_error_line


def failing(error):
    raise error


def test_what_can_be_mended_is_one_line_and_exit_code_2(capfd):
    with pytest.raises(SystemExit) as caught:
        exit_with_error_line(failing, lambda: False)(OSError(28, "No space left on device", "run/graph.csv"))
    assert caught.value.code == 2
    assert capfd.readouterr() == ("", "error: No space left on device: run/graph.csv\n")


def test_the_trace_is_shown_to_who_asks_for_it(capfd):
    with pytest.raises(SystemExit):
        exit_with_error_line(failing, lambda: True)(ValueError("three nodes are too few"))
    first, *_, last = capfd.readouterr().err.splitlines()
    assert first.startswith("Traceback")
    assert last == "error: three nodes are too few"


def test_all_else_passes():
    assert exit_with_error_line(lambda a, b: a / b, lambda: False)(1, b=2) == 0.5
    with pytest.raises(ZeroDivisionError):
        exit_with_error_line(lambda a, b: a / b, lambda: False)(1, b=0)


def test_a_reader_that_has_gone_ends_the_program_without_a_word():
    read, write = os.pipe()
    os.close(read)
    code = "from framework.runs import guard; guard.print_text('a line')"
    ended = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (141, b"")

"""No experiment compiles a program twice: an empty cache keeps all programs, and each hit was already there."""

import collections
import json
import subprocess
import sys

import pytest

from tests import campaign, numerics

QUICK = ("ssd_trace", "causal_prior")
SINGLE = 2  # operations outside of any program, of weak and of strong types
LAUNCH = """
import atexit, json, logging, re, runpy, sys
note, sys.argv = sys.argv[1], sys.argv[2:]
found = []
class Notes(logging.Handler):
    def emit(self, record):
        told = re.search("compilation cache (hit|miss) for '(.*?)'", record.getMessage(), re.IGNORECASE)
        if told:
            found.append((told[1].lower(), told[2]))
logger = logging.getLogger("jax._src.compiler")
logger.setLevel(logging.DEBUG)
logger.addHandler(Notes())
logger.propagate = False
atexit.register(lambda: json.dump(found, open(note, "w")))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "study", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in campaign.SMALL]
)
def test_no_program_is_compiled_twice(study, launch_environment, tmp_path):
    keeping = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    command = [sys.executable, "-c", LAUNCH, "note.json", str(numerics.ROOT / "launch.py"), "--workdir=run"]
    environment = launch_environment | keeping | {"PYTHONPATH": str(numerics.ROOT)}
    ended = subprocess.run(
        [*command, *numerics.flags(study)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    message = json.loads((tmp_path / "note.json").read_text())
    again = collections.Counter(name for kind, name in message if kind == "hit")
    assert len(message) > again.total()
    assert again.total() <= SINGLE, again

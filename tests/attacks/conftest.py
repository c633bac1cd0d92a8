import json
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def reference():
    """Results of pyautoattack on the network of `models.fixed_network`, by benchmarks/attack_reference.py."""
    return json.loads((Path(__file__).parent / "pyautoattack.json").read_text())

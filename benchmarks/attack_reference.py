"""Runs pyautoattack on the small fixed network of the tests and writes tests/attacks/pyautoattack.json.

    python benchmarks/attack_reference.py

Run in an environment with torch==2.13.0 and pyautoattack==0.2.0; the file holds numbers alone.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import attack_peers  # noqa: E402
import jax  # noqa: E402
from tables import environment  # noqa: E402

from tests.attacks import models  # noqa: E402

EPSILONS = {"linf": 0.03, "l2": 0.15}
FILE = ROOT / "tests" / "attacks" / "pyautoattack.json"


def network(dtype: type):
    """The network of the tests in PyTorch, `[N, C, H, W]` -> logits."""
    first, second = (torch.tensor(array.astype(dtype)) for array in models.fixed_weights())
    return lambda x: torch.relu((x.permute(0, 2, 3, 1).flatten(1) - 0.5) @ first) @ second / 4


def main() -> None:
    with jax.enable_x64(True):
        _, images, labels, start = models.fixed_network()
    torch.set_default_dtype(torch.float64)
    ascents = attack_peers.ascents(network(np.float64), images, labels, start, EPSILONS)
    torch.set_default_dtype(torch.float32)
    apply, images = network(np.float32), images.astype(np.float32)
    nearest = [
        {"norm": norm, "rank": rank, "distance": attack_peers.distances(apply, images, labels, norm, rank)}
        for norm in EPSILONS
        for rank in (2, 5)
    ]
    verdicts = [
        {"norm": norm, "epsilon": epsilon, "attack": attack, "robust": verdicts_of_attack.robust.tolist()}
        for norm, epsilon in EPSILONS.items()
        for attack in ("apgd-ce", "apgd-t", "fab-t", "square", "standard")
        for verdicts_of_attack in [attack_peers.reference(apply, images, labels, epsilon, norm, attack)]
    ]
    made = environment(["torch", "pyautoattack"])
    FILE.write_text(json.dumps({"made": made, "apgd": ascents, "fab": nearest, "verdicts": verdicts}) + "\n")
    for verdict in verdicts:
        print(verdict["norm"], verdict["attack"], sum(verdict["robust"]), "of", len(labels))


if __name__ == "__main__":
    main()

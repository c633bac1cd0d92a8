"""Sextant: six published systems as pure JAX functions.

Rooms are imported when first used: `from framework import causal`, or `import framework` and then `framework.causal`.
"""

import importlib

__version__ = "0.1.0"

ROOMS = ("core", "data", "models", "causal", "sgd", "selection", "attacks", "snn", "ssd", "nas", "runs")


def __getattr__(name: str):
    if name in ROOMS:
        return importlib.import_module(f"framework.{name}")
    raise AttributeError(f"module 'framework' has no attribute {name!r}; its rooms are {', '.join(ROOMS)}")


def __dir__() -> list[str]:
    return [*globals(), *ROOMS]

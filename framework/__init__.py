"""Sextant: six published systems as pure JAX functions.

Packages are imported when first used: `from framework import causal`, or `import framework`, then `framework.causal`.
"""

import importlib

__version__ = "0.1.0"

PACKAGES = ("core", "data", "models", "causal", "sgd", "selection", "attacks", "snn", "ssd", "nas", "runs")


def __getattr__(name: str):
    if name in PACKAGES:
        return importlib.import_module(f"framework.{name}")
    raise AttributeError(f"module 'framework' has no attribute {name!r}; its packages are {', '.join(PACKAGES)}")


def __dir__() -> list[str]:
    return [*globals(), *PACKAGES]

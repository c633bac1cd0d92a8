"""Settings that would have no effect are refused, since who gives one expects one."""

import functools
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict


def refuse_unused(config: ConfigDict, preset: ConfigDict, unused: Mapping[str, str]) -> None:
    """Refuses settings that were changed although they have no effect.

    Args:
      config: as it was given.
      preset: the settings of its preset, unchanged.
      unused: dotted name of each setting without effect -> why it has none.

    Raises:
      ValueError: naming the first one that differs from the preset's.
    """
    for name, why in unused.items():
        value = _get(config, name)
        if value != _get(preset, name):
            raise ValueError(f"{name}={value!r} has no effect, since {why}; leave it out")


def _get(config: ConfigDict, name: str) -> Any:
    return functools.reduce(lambda inner, key: inner[key], name.split("."), config)

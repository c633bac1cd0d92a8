"""Refuses settings without effect, and files that are not there, before any work."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict


def require_effect(config: ConfigDict, preset: ConfigDict, unused: Mapping[str, str]) -> None:
    """Refuses settings that were changed although nothing reads them.

    Args:
      config: of the launch.
      preset: as the preset has it; its values may stay.
      unused: dotted key, or the beginning of several -> why it has no effect in this config, and what would.

    Raises:
      ValueError: names the first such setting, its value and the reason.
    """
    values, usual = _flat(config), _flat(preset)
    for beginning, reason in unused.items():
        for key, value in values.items():
            if f"{key}.".startswith(f"{beginning}.") and value != usual.get(key):
                raise ValueError(f"{key}={value!r} has no effect, since {reason}; leave it out")


def require_files(config: ConfigDict, *keys: str) -> None:
    """Refuses a file or folder that is named and not there.

    Raises:
      FileNotFoundError: names setting and path.
    """
    values = _flat(config)
    for key in keys:
        if values[key] and not Path(values[key]).expanduser().exists():
            raise FileNotFoundError(f"{key}: No such file or directory: {values[key]}")


def dataset_folder(*names: str) -> dict[str, str]:
    """The settings without effect if every image set is `digits`, which needs no folder."""
    return (
        {"data.dir": "digits come with scikit-learn, a folder holds sets of TFDS"} if set(names) == {"digits"} else {}
    )


def _flat(config: ConfigDict, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> value."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, ConfigDict) else {prefix + key: value}
    return flat

"""Configs of experiments: settings in a dict, and presets as plain dicts of dotted keys."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict, config_dict

Presets = Mapping[str, Mapping[str, Any]]


def build_config(experiment: str, settings: Mapping[str, Any], presets: Presets, preset: str) -> ConfigDict:
    """Builds the config of an experiment: `preset`, `seed`, `seeds` and its own settings.

    Args:
      experiment: the name of the experiment, for the error.
      settings: all settings but `preset`, `seed` and `seeds`, nested, in dicts made for this call.
      presets: name of a preset -> dotted key -> value of this preset. `seeds` stays open in the config (None): it is
        the number of seeds of a launch that gives none, see `count_seeds`.
      preset: the name of one of them.

    Returns:
      The config.

    Raises:
      ValueError: if there is no such preset.
      KeyError: if a preset names a setting that does not exist.
    """
    if preset not in presets:
        raise ValueError(f"{experiment} has no preset {preset!r}: take one of {', '.join(presets)}")
    config = {"preset": preset, "seed": 0, "seeds": config_dict.placeholder(int)} | dict(settings)
    for key, value in presets[preset].items():
        if key != "seeds":
            _replace(config, key, value)
    return ConfigDict(config)


def count_seeds(config: ConfigDict, presets: Presets) -> int:
    """The number of seeds of a launch: those that it gives, or those of its preset."""
    return presets[config.preset]["seeds"] if config.seeds is None else config.seeds


def _replace(config: dict[str, Any], key: str, value: Any) -> None:
    """Sets the dotted key of nested dicts."""
    *parents, name = key.split(".")
    for parent in parents:
        config = config[parent]
    if name not in config:
        raise KeyError(f"a preset sets {key}, which is no setting")
    config[name] = value

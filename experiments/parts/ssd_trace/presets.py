"""Device and loads of the experiment on SSDs by its settings, and the checks of these settings."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import jax
from ml_collections import ConfigDict

from experiments.parts.shared.settings import require_effect
from framework import ssd
from framework.core import checks, keys
from framework.ssd.device import presets
from framework.ssd.workload import generators

KINDS = ("trace", "poisson", "closed")
REPLAYS = ("open", "closed")
_COLLECTION = ("victim", "choices", "reserve", "copyback", "dynamic_wear", "static_wear", "seed")
_ERASES = ("erase_us", "erase_uj", "suspend_erase_us", "margin_erase_us")


def design_of(config: ConfigDict) -> ssd.Design:
    """The device, with the fields that the config sets."""
    checks.one_of("device", config.device, presets.NAMES)
    overrides = {name: value for name, value in config.design.items() if value is not None}
    return presets.NAMES[config.device](**overrides)


def kind_of(config: ConfigDict, preset: ConfigDict) -> str:
    """The kind of the load: a trace that the config names is served, unless it names another kind."""
    is_changed = config.load.trace != preset.load.trace and config.load.kind == preset.load.kind
    return "trace" if is_changed and config.load.trace else config.load.kind


def loads_of(
    config: ConfigDict, preset: ConfigDict, design: ssd.Design, seeds: range
) -> tuple[list[ssd.Load], list[str]]:
    """The load of each seed, and notes about it."""
    if kind_of(config, preset) != "trace":
        return [make_load(config, design, seed) for seed in seeds], []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load = _trace(config, preset, design)
    closed = f"with {load.queue_depth} requests in flight" if load.queue_depth else "at its own times"
    notes = [f"The load is {Path(config.load.trace).name}, {closed}"]
    if len(load) == _limit(config, preset):
        notes.append(f"Only its first {len(load)} requests are served (load.requests)")
    if load.skipped:
        notes.append(f"{load.skipped} requests without data, such as flushes, were passed over")
    return [load], notes + [f"Warning: {warning.message}" for warning in caught]


def make_load(config: ConfigDict, design: ssd.Design, seed: int) -> ssd.Load:
    """Makes a synthetic load."""
    settings = config.load
    key = keys.derive(jax.random.key(seed), "load")
    choices = {"read_ratio": settings.read_ratio, "size": round(settings.size_kib * 1024), "pattern": settings.pattern}
    choices["span"] = round(settings.span_mib * 2**20)
    if settings.kind == "poisson":
        load = generators.poisson(key, settings.requests, settings.rate, **choices)
    else:
        load = generators.closed(key, settings.requests, settings.queue_depth, **choices)
    return generators.wrap(load, design.capacity) if settings.wrap else load


def _trace(config: ConfigDict, preset: ConfigDict, design: ssd.Design) -> ssd.Load:
    settings = config.load
    options = {"time_unit": settings.time_unit, "device": settings.device, "sort": settings.sort}
    limit = _limit(config, preset)
    load = generators.read_trace(settings.trace, design, settings.format, settings.wrap, limit, **options)
    return generators.closed_replay(load, settings.queue_depth) if settings.replay == "closed" else load


def _limit(config: ConfigDict, preset: ConfigDict) -> int:
    """Requests of a trace; those of a preset that makes its load are no limit."""
    is_synthetic = preset.load.kind != "trace" and config.load.requests == preset.load.requests
    return 0 if is_synthetic else config.load.requests


def check(config: ConfigDict, preset: ConfigDict, design: ssd.Design) -> None:
    """Refuses settings out of range, and those without effect.

    Raises:
      ValueError: naming the setting.
    """
    settings, kind = config.load, kind_of(config, preset)
    checks.one_of("load.kind", kind, KINDS)
    checks.one_of("load.replay", settings.replay, REPLAYS)
    if kind == "trace" and not settings.trace:
        raise ValueError("load.kind=trace wants a file: --config.load.trace=FILE")
    if settings.requests < 0 or (settings.requests == 0 and kind != "trace"):
        raise ValueError(f"load.requests must be at least 1, or of a trace 0 for all, got {settings.requests}")
    if kind == "trace" and (config.seeds or 1) > 1:
        raise ValueError("a trace is the same for every seed: leave --seeds out, or take load.kind=poisson")
    for name in ("depth_requests", "sweep_requests"):
        used = config.depths or config.rates if name == "depth_requests" else config.sweep
        if used and config[name] < 1:
            raise ValueError(f"{name} must be at least 1, got {config[name]}")
    if min((*config.depths, 1)) < 1 or list(config.depths) != sorted(set(config.depths)):
        raise ValueError(f"depths must be different queue depths from 1 up, in order, got {config.depths}")
    if config.rates and not min(config.rates) > 0:
        raise ValueError(f"rates must be positive, got {config.rates}")
    if config.sweep < 0:
        raise ValueError(f"sweep must be at least 1 design, or 0 for none, got {config.sweep}")
    require_effect(config, preset, dict(_find_unused_settings(config, kind, design)))


def _find_unused_settings(config: ConfigDict, kind: str, design: ssd.Design) -> Iterator[tuple[str, str]]:
    """The settings that have no effect in this config, with the reasons."""
    of_kind = f"the load is of kind {kind}"
    closed = kind == "closed" or (kind == "trace" and config.load.replay == "closed")
    if kind != "trace":
        yield from ((f"load.{name}", of_kind) for name in ("trace", "format", "time_unit", "device", "sort", "replay"))
    else:
        yield from ((f"load.{name}", of_kind) for name in ("read_ratio", "size_kib", "pattern"))
    if kind != "poisson":
        yield "load.rate", of_kind
    if not closed:
        yield "load.queue_depth", f"{of_kind}, and its replay is open" if kind == "trace" else of_kind
    if kind == "trace" and not (config.depths or config.rates or config.sweep):
        yield "load.span_mib", f"{of_kind}, and depths, rates and sweep are off"
    if not (config.depths or config.rates):
        yield "depth_requests", "depths and rates are off"
    if not config.sweep:
        yield "sweep_requests", "sweep is off"
    yield from _find_unused_fields(design)


def _find_unused_fields(design: ssd.Design) -> Iterator[tuple[str, str]]:
    """Fields of the device that the others leave without effect."""
    ftl, policy = design.ftl, design.policy
    if ftl.mapping == "ideal":
        yield from ((f"design.{name}", "an ideal mapping collects no garbage") for name in _COLLECTION + _ERASES)
    if ftl.victim != "d-choices":
        yield "design.choices", f"victim is {ftl.victim}"
    if ftl.victim not in ("d-choices", "random") and ftl.precondition != "steady":
        yield "design.seed", "nothing is drawn at random"
    if not design.cache.pages:
        yield "design.cache_flushes", "there is no write cache (cache_pages)"
    for what in ("program", "erase"):
        if policy.suspend not in (what, "both"):
            yield from ((f"design.{name}_{what}_us", f"suspend is {policy.suspend}") for name in ("suspend", "margin"))

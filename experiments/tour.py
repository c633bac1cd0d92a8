"""The systems at work, each in its smallest size, on one page.

    python launch.py            or:  python launch.py --config=experiments/tour.py:smoke

A change to a system's own settings goes by its name: --config.causal_prior.data.nodes=15. It takes six minutes of
processor time the first time, most of it compiling.
"""

from typing import Any

from ml_collections import ConfigDict, config_dict

from experiments import (
    advrush,
    autosnn,
    burst_coding,
    causal_answers,
    causal_prior,
    causal_table,
    isp_ml,
    proxy_data,
    ssd_trace,
)
from framework import runs
from framework.runs import experiment

SYSTEMS = (causal_prior, causal_answers, causal_table, burst_coding, autosnn, advrush, proxy_data, ssd_trace, isp_ml)
EXPECTED: dict = {}


def get_config(preset: str = "smoke") -> ConfigDict:
    """Each system's settings of the preset under its name; seed and seeds are the tour's."""
    config = ConfigDict({"preset": preset, "seed": 0, "seeds": config_dict.placeholder(int)})
    for system in SYSTEMS:
        settings = system.get_config(preset)
        del settings.preset, settings.seed, settings.seeds
        config[experiment.experiment_name(system)] = settings
    return config


def check_settings(config: ConfigDict) -> None:
    """Refuses what any system would refuse of its settings, naming the system."""
    for system in SYSTEMS:
        check = getattr(system, "check_settings", lambda settings: None)
        try:
            check(_settings(system, config))
        except (ValueError, OSError) as error:
            raise type(error)(f"{experiment.experiment_name(system)}: {error}") from None


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Runs every system in its own directory, after a check of the settings of all."""
    check_settings(config)
    return {experiment.experiment_name(system): _outcome(system, config, run).result for system in SYSTEMS}


def sections(run: runs.Run, config: ConfigDict, result: dict[str, Any]) -> list[runs.Section]:
    """One section a system, each with a link to its own report."""
    return [
        section._replace(link=f"{experiment.experiment_name(system)}/report.html")
        for system in SYSTEMS
        for section in _outcome(system, config, run).sections
    ]


def _outcome(system: runs.Experiment, config: ConfigDict, run: runs.Run) -> runs.Outcome:
    """A system's outcome: by running it the first time, by reading it from then on."""
    path = run.child(experiment.experiment_name(system))
    return runs.execute(system, _settings(system, config), path, tensorboard=run.follow is not None)


def _settings(system: runs.Experiment, config: ConfigDict) -> ConfigDict:
    """The config of a system, with what the tour sets for all."""
    shared = {"preset": config.preset, "seed": config.seed, "seeds": config.seeds}
    return ConfigDict(shared | config[experiment.experiment_name(system)].to_dict())

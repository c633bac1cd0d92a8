"""The systems at work, each in its smallest size, on one page.

    python launch.py            or:  python launch.py --config=experiments/tour.py:smoke

A change to a system's own settings goes by its name: --config.causal_prior.data.nodes=15. It takes four minutes of
processor time the first time, most of it compiling.
"""

from typing import Any

from ml_collections import ConfigDict, config_dict

from experiments import advrush, autosnn, burst_coding, causal_answers, causal_prior, isp_ml, proxy_data, ssd_trace
from framework import runs

SYSTEMS = (causal_prior, causal_answers, burst_coding, autosnn, advrush, proxy_data, ssd_trace, isp_ml)
EXPECTED: dict = {}


def get_config(preset: str = "smoke") -> ConfigDict:
    """Each system's settings of the preset under its name; seed and seeds are the tour's."""
    config = ConfigDict({"preset": preset, "seed": 0, "seeds": config_dict.placeholder(int)})
    for system in SYSTEMS:
        settings = system.get_config(preset)
        del settings.preset, settings.seed, settings.seeds
        config[runs.name_of(system)] = settings
    return config


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Runs every system in a directory of its own."""
    return {runs.name_of(system): _outcome(system, config, run).result for system in SYSTEMS}


def sections(run: runs.Run, config: ConfigDict, result: dict[str, Any]) -> list[runs.Section]:
    """One section a system, each with a link to its own report."""
    return [
        section._replace(link=f"{runs.name_of(system)}/report.html")
        for system in SYSTEMS
        for section in _outcome(system, config, run).sections
    ]


def _outcome(system: runs.Experiment, config: ConfigDict, run: runs.Run) -> runs.Outcome:
    """A system's outcome: by running it the first time, by reading it from then on."""
    name = runs.name_of(system)
    shared = {"preset": config.preset, "seed": config.seed, "seeds": config.seeds}
    settings = ConfigDict(shared | config[name].to_dict())
    return runs.execute(system, settings, run.child(name), tensorboard=run.follow is not None)

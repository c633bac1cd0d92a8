"""Runs one experiment by flags; without any, the tour of all systems.

python launch.py
python launch.py --config=experiments/causal_prior.py:smoke --workdir=runs/x --config.prior.weight=0.1
python launch.py --sweep='config.seed=range(5)' --sweep='config.causal_prior.prior.weight=[0,0.1]'
python launch.py --list
"""

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path

from framework.runs import directory as run_directory
from framework.runs import experiment as experiments
from framework.runs import guard, machine
from framework.runs.sweeps import ray_executor, sweep

if __name__ == "__main__":  # before the imports, which take seconds

    def stop(number: int, _) -> None:
        """Ends at once, as by a kill, which a run survives: an exception would wait for threads, or be swallowed."""
        what = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[number]
        os.write(2, f"\n{what}; the same command takes the run up where it stopped\n".encode())
        os._exit(128 + number)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)

import jax
from absl import app, flags, logging
from ml_collections import config_flags

from framework import runs
from framework.runs import processes

ROOT = Path(__file__).resolve().parent
TOUR = ROOT / "experiments" / "tour.py"

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "an experiment's file, with a preset: FILE:smoke, FILE:default or FILE:paper; by default the tour"
)
WORKDIR = flags.DEFINE_string("workdir", None, "the run directory; by default runs/<experiment>-<preset>")
SEEDS = flags.DEFINE_integer("seeds", None, "run the seeds seed .. seed + N - 1", lower_bound=1)
RESUME = flags.DEFINE_enum(
    "resume", "auto", run_directory.RESUME, "whether to take up the run that the directory holds"
)
LIST = flags.DEFINE_bool("list", False, "name the experiments, a line each, and end")
TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "write the metrics as event files too: WORKDIR/tensorboard")
COMPARE = flags.DEFINE_list("compare", [], "complete run directories to put side by side, and end")
SWEEP = flags.DEFINE_multi_string("sweep", [], "a grid: config.KEY=[VALUE, VALUE] or config.KEY=range(N), a flag a key")
EXECUTOR = flags.DEFINE_enum("executor", "process", ("process", "ray"), "where the points of a sweep run")
DISTRIBUTED = flags.DEFINE_bool("distributed", False, "take part in a run of several processes, each launched so")
COORDINATOR = flags.DEFINE_string("coordinator_address", None, "HOST:PORT of process 0, where JAX cannot detect it")
PROCESSES = flags.DEFINE_integer("num_processes", None, "how many processes the run has, likewise", lower_bound=1)
PROCESS = flags.DEFINE_integer("process_id", None, "which of them this is, from 0 on, likewise", lower_bound=0)
RAY_ADDRESS = flags.DEFINE_string("ray_address", None, "a Ray cluster: HOST:PORT, or auto; by default one is started")
RAY_GPUS = flags.DEFINE_float("ray_gpus", 0.0, "GPUs that a point takes of the Ray cluster", lower_bound=0.0)
jax.config.config_with_absl()


def main(argv: list[str]) -> None:
    """What the flags ask for."""
    _require_together()
    if LIST.value:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        paths = sorted((ROOT / "experiments").glob("[!_]*.py"))
        guard.print_text(experiments.list_experiments((experiments.load(path, ROOT) for path in paths), width))
        return
    if COMPARE.value:
        output = Path(WORKDIR.value or "runs/comparison")
        table = runs.compare([Path(directory) for directory in COMPARE.value], output)
        guard.print_text(f"{table}\n\nfigure and table: {output}")
        return
    if DISTRIBUTED.value:
        processes.meet(COORDINATOR.value, PROCESSES.value, PROCESS.value)
    if EXECUTOR.value == "process":  # elsewhere the workers compute, and this process takes no device
        machine.require_devices()
        machine.enable_compilation_cache()
    experiment, config = experiments.load(_config_path(), ROOT), CONFIG.value
    if SEEDS.value is not None:
        config.seeds = SEEDS.value
    sweeps = bool(SWEEP.value) or EXECUTOR.value == "ray"
    name = f"{experiments.experiment_name(experiment)}-{config.preset}{'-sweep' if sweeps else ''}"
    workdir = Path(WORKDIR.value or f"runs/{name}")
    if sweeps:
        _sweep(experiment, config, workdir)
        return
    with processes.together():
        outcome = runs.execute(experiment, config, workdir, RESUME.value, TENSORBOARD.value)
    if processes.is_first():
        guard.print_text(experiments.summary(outcome))


def _require_together() -> None:
    """Refuses flags that another one would leave without effect."""
    if EXECUTOR.value != "ray" and (RAY_ADDRESS.value or RAY_GPUS.value):
        raise ValueError("--ray_address and --ray_gpus are for --executor=ray")
    if not DISTRIBUTED.value and (COORDINATOR.value, PROCESSES.value, PROCESS.value) != (None, None, None):
        raise ValueError("--coordinator_address, --num_processes and --process_id are for --distributed")
    if DISTRIBUTED.value and (SWEEP.value or EXECUTOR.value == "ray"):
        raise ValueError("--distributed is for one run: --executor=ray spreads a sweep over machines")
    running = SWEEP.value or SEEDS.value or TENSORBOARD.value or RESUME.value != "auto"
    if (LIST.value or COMPARE.value) and (running or DISTRIBUTED.value or EXECUTOR.value != "process"):
        left_out = "--sweep, --seeds, --resume, --tensorboard, --distributed and --executor"
        raise ValueError(f"--list and --compare run nothing: leave out {left_out}")
    if LIST.value and (COMPARE.value or WORKDIR.value):
        raise ValueError("--list only names the experiments: leave out --compare and --workdir")
    if TENSORBOARD.value and SWEEP.value:
        raise ValueError("--tensorboard is for one run: sweep without it, then launch a point again with it")


def _sweep(experiment: runs.Experiment, config, workdir: Path) -> None:
    """Runs the grid; that some of its points failed is said after the numbers of the others."""
    ray = (
        ray_executor.on_ray(_config_path(), ROOT, RAY_ADDRESS.value, RAY_GPUS.value)
        if EXECUTOR.value == "ray"
        else None
    )
    swept = runs.sweep(experiment, config, SWEEP.value, workdir, RESUME.value, ray)
    guard.print_text(sweep.overview(swept))
    if swept.failures:
        raise ValueError(sweep.failure(swept))


def parse(argv: list[str]) -> list[str]:
    """Reads the flags, the experiment's file and its overrides."""
    given = [
        argument.partition("=")[2] if "=" in argument else following
        for argument, following in itertools.pairwise([*argv, ""])
        if argument.lstrip("-").partition("=")[0] == "config" and argument.startswith("-")
    ]
    settings = [name for argument in argv[1:] if (name := _setting(argument)) is not None]
    for path in given:
        if not Path(path.partition(":")[0]).is_file():
            raise FileNotFoundError(f"no experiment file {path}; python launch.py --list names the project's own")
    program, *rest = flags.FLAGS(argv if given else [argv[0], f"--config={TOUR}:smoke", *argv[1:]])
    if rest:
        raise ValueError(f"{rest[0]!r} is not a flag; settings are given as --config.name=value")
    _require_used(settings)
    if flags.FLAGS["verbosity"].using_default_value:
        flags.FLAGS.verbosity = logging.WARNING
    return [program]


def _setting(argument: str) -> str | None:
    """The setting that an argument is about: `seed` of `--config.seed=3`, "" of `--config`; None of another flag."""
    name = argument.lstrip("-").partition("=")[0]
    if not argument.startswith("-") or name.partition(".")[0] != "config":
        return None
    return name.partition(".")[2]


def _require_used(settings: list[str]) -> None:
    """Refuses settings of experiments that nothing reads: where none is run, and of keys that a sweep sets itself."""
    if settings and (LIST.value or COMPARE.value):
        raise ValueError("--list and --compare run no experiment: leave out --config and its settings")
    swept = {expression.partition("=")[0].strip().removeprefix("config.") for expression in SWEEP.value}
    twice = swept & {*settings, *(["seeds"] if SEEDS.value is not None else [])}
    if twice:
        key = min(twice)
        given = "--seeds" if key == "seeds" and key not in settings else f"--config.{key}"
        raise ValueError(f"{given} has no effect: --sweep sets config.{key} for every point; leave one of them out")


def _config_path() -> Path:
    return Path(config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")[0])


if __name__ == "__main__":
    verbose = lambda: flags.FLAGS["verbosity"].value > 0  # --verbosity=1 shows the trace of an error as well
    app.run(
        guard.exit_with_error_line(main, verbose), flags_parser=guard.exit_with_error_line(parse, verbose, (Exception,))
    )

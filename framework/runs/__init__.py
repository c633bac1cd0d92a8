"""Runs: a directory that survives a kill, its checkpoints, metrics, figures and report. Knows no science."""

from framework.runs.directory import RESUME, Run, open_run
from framework.runs.experiment import Experiment, Outcome, execute, listing, load, name_of, one_line, summary
from framework.runs.guard import exit_with_error_line, say
from framework.runs.machine import enable_compilation_cache, require_devices, require_memory
from framework.runs.pace import rate_limit
from framework.runs.reporting.compare import compare
from framework.runs.reporting.intervals import no_interval
from framework.runs.reporting.report import Section
from framework.runs.steps import run_steps
from framework.runs.sweeps.ray_executor import on_ray
from framework.runs.sweeps.sweep import SweepResult, failure, overview, sweep
from framework.runs.tasks import run_tasks

__all__ = [
    "RESUME",
    "Experiment",
    "Outcome",
    "Run",
    "Section",
    "SweepResult",
    "compare",
    "enable_compilation_cache",
    "execute",
    "exit_with_error_line",
    "failure",
    "listing",
    "load",
    "name_of",
    "no_interval",
    "on_ray",
    "one_line",
    "open_run",
    "overview",
    "rate_limit",
    "require_devices",
    "require_memory",
    "run_steps",
    "run_tasks",
    "say",
    "summary",
    "sweep",
]

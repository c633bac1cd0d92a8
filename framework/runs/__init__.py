"""Run directories that survive a kill: checkpoints, metrics, figures, reports, sweeps."""

from framework.runs.directory import Run, open_run
from framework.runs.experiment import Experiment, Outcome, execute
from framework.runs.machine import require_memory
from framework.runs.pace import rate_limit
from framework.runs.reporting.compare import compare
from framework.runs.reporting.intervals import no_interval
from framework.runs.reporting.report import Section
from framework.runs.steps import run_steps
from framework.runs.sweeps.sweep import SweepResult, sweep
from framework.runs.tasks import run_tasks

__all__ = [
    "Experiment",
    "Outcome",
    "Run",
    "Section",
    "SweepResult",
    "compare",
    "execute",
    "no_interval",
    "open_run",
    "rate_limit",
    "require_memory",
    "run_steps",
    "run_tasks",
    "sweep",
]

"""Runs: a directory that survives a kill, its checkpoints, metrics, figures and report. Knows no science."""

from framework.runs.compare import compare
from framework.runs.directory import RESUME, Run, open_run
from framework.runs.drive import drive
from framework.runs.experiment import Experiment, Outcome, execute, listing, name_of, one_line, summary
from framework.runs.machine import enable_compilation_cache, require_memory
from framework.runs.pace import paced
from framework.runs.report import Section

__all__ = [
    "RESUME",
    "Experiment",
    "Outcome",
    "Run",
    "Section",
    "compare",
    "drive",
    "enable_compilation_cache",
    "execute",
    "listing",
    "name_of",
    "one_line",
    "open_run",
    "paced",
    "require_memory",
    "summary",
]

"""A vectorised simulator of a multi-channel SSD: exact like an event simulation, under `jit` and `vmap`.

A device is a `Design`, most easily one of `presets` with some fields replaced; what it is asked for a `Load`, made or
read by `load`. `simulate` gives a `Report`, `sweep` a `Summary` of many designs, `schedule` who held what and when.
`isp` trains inside the device, `in_host` beside it. Times are int64 nanoseconds, whatever the caller's setting of
`jax_enable_x64`.

Reference: Choe et al., arXiv 1610.02273; MQSim, Tavakkol et al., FAST 2018.
"""

from framework.ssd import clock, closed_forms, controllers, ftl, in_host, isp, load, presets, timing
from framework.ssd.design import Cache, Design, Policy
from framework.ssd.energy import Energy, Power
from framework.ssd.ftl import Ftl
from framework.ssd.geometry import Geometry
from framework.ssd.invariants import InvariantError
from framework.ssd.report import STATUS, Report, Statistics
from framework.ssd.requests import Load
from framework.ssd.schedule import Busy, Schedule, busy
from framework.ssd.simulation import schedule, simulate
from framework.ssd.sweep import Summary, sweep
from framework.ssd.timing import Timing

__all__ = [
    "STATUS",
    "Busy",
    "Cache",
    "Design",
    "Energy",
    "Ftl",
    "Geometry",
    "InvariantError",
    "Load",
    "Policy",
    "Power",
    "Report",
    "Schedule",
    "Statistics",
    "Summary",
    "Timing",
    "busy",
    "clock",
    "closed_forms",
    "controllers",
    "ftl",
    "in_host",
    "isp",
    "load",
    "presets",
    "schedule",
    "simulate",
    "sweep",
    "timing",
]

"""A vectorised simulator of a multi-channel SSD: exact like an event simulation, under `jit` and `vmap`.

A device is a `Design`, most easily one of `presets` with some fields replaced; what it is asked for a `Load`, made or
read by `load`. `simulate` gives a `Report`, `sweep` a `Summary` of many designs, `schedule` who held what and when.
`isp` trains inside the device, `in_host` next to it. Times are int64 nanoseconds, whatever the caller's setting of
`jax_enable_x64`.

Reference: Choe et al., arXiv 1610.02273; MQSim, Tavakkol et al., FAST 2018.
"""

from framework.ssd.design_sweep import Summary, sweep
from framework.ssd.device.design import Cache, Design, Policy
from framework.ssd.device.energy import Power
from framework.ssd.device.geometry import Geometry
from framework.ssd.device.timing import Timing
from framework.ssd.engine.invariants import InvariantError
from framework.ssd.engine.timeline import busy
from framework.ssd.ftl.mapping import Ftl
from framework.ssd.report import Report
from framework.ssd.simulation import schedule, simulate
from framework.ssd.workload.requests import Load

__all__ = [
    "Cache",
    "Design",
    "Ftl",
    "Geometry",
    "InvariantError",
    "Load",
    "Policy",
    "Power",
    "Report",
    "Summary",
    "Timing",
    "busy",
    "schedule",
    "simulate",
    "sweep",
]

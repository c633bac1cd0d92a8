"""NAS-Bench-201: a cell of five operations on six edges, its 15,625 architectures, and tables of their accuracies.

Reference: Dong and Yang, "NAS-Bench-201", ICLR 2020, arXiv 2001.00326.
"""

from framework.nas.nasbench201.cell import (
    COUNT,
    EDGES,
    NODES,
    OPERATIONS,
    STAGES,
    Architecture,
    Config,
    apply_cell,
    architectures,
    average_pool,
    check,
    forward,
    from_text,
    init,
    parameter_count,
    read_table,
    to_text,
)

__all__ = [
    "COUNT",
    "EDGES",
    "NODES",
    "OPERATIONS",
    "STAGES",
    "Architecture",
    "Config",
    "apply_cell",
    "architectures",
    "average_pool",
    "check",
    "forward",
    "from_text",
    "init",
    "parameter_count",
    "read_table",
    "to_text",
]

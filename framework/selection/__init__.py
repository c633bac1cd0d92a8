"""Which part of a data set stands for the whole: scores, rules over their histogram, and methods that cover.

Indices are int32, no two the same, exactly as many as asked for.
"""

from framework.selection.coverage import herding, k_center_greedy
from framework.selection.facility import facility_location
from framework.selection.groups import class_balanced, shares
from framework.selection.histogram import histogram_probabilities
from framework.selection.methods import METHODS, Options, Traits, choose
from framework.selection.ranking import largest, mixture, smallest
from framework.selection.sampling import proxies, select
from framework.selection.strata import coverage_centric, moderate

__all__ = [
    "METHODS",
    "Options",
    "Traits",
    "choose",
    "class_balanced",
    "coverage_centric",
    "facility_location",
    "herding",
    "histogram_probabilities",
    "k_center_greedy",
    "largest",
    "mixture",
    "moderate",
    "proxies",
    "select",
    "shares",
    "smallest",
]

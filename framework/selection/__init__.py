"""Data subset selection: scores of points, sampling rules over their histogram, and coverage methods.

| to | call |
|---|---|
| select a subset by a method's name, one of `METHODS` | `select(key, "P1", Traits(labels, entropy=entropy), size)` |
| select the same number from each class | `select(..., balanced=True)`, or `balance_classes` around your own method |
| sample in proportion to probabilities, without replacement | `sample(key, size, probabilities)` |
| score points | modules `uncertainty`, `difficulty` and `dynamics` |
| read a published list of entropies | `entropy_file.read_entropy_list` |

Indices are int32, distinct, and exactly as many as requested.
"""

from framework.selection.coverage import herding, k_center_greedy
from framework.selection.facility import facility_location
from framework.selection.groups import balance_classes
from framework.selection.histogram import histogram_probabilities
from framework.selection.methods import METHODS, Options, Traits, select
from framework.selection.sampling import sample, sample_many
from framework.selection.strata import coverage_centric

__all__ = [
    "METHODS",
    "Options",
    "Traits",
    "balance_classes",
    "coverage_centric",
    "facility_location",
    "herding",
    "histogram_probabilities",
    "k_center_greedy",
    "sample",
    "sample_many",
    "select",
]

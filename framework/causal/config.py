"""The configuration of a fit, checked on construction."""

import dataclasses
import math
import numbers

import jax

from framework.causal.learn import acyclicity, moments

SCORES = ("least_squares", "golem_ev", "golem_nv", "logistic", "mlp")
FINISHES = ("search", "order", "cut")
CHOICES = {
    "transform": moments.TRANSFORMS,
    "score": SCORES,
    "acyclicity": tuple(acyclicity.FUNCTIONS),
    "constraint": ("path", "lagrangian"),
    "similarity": ("magnitude", "signed"),
    "finish": FINISHES,
    "noise": ("equal", "unequal"),
}
_GAUSSIAN = ("least_squares", "golem_ev", "golem_nv")


def _static(default):
    return dataclasses.field(default=default, metadata={"static": True})


def _from_0(value) -> bool:
    return isinstance(value, numbers.Real) and 0 <= value < math.inf


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Config:
    """How to fit; static under every transformation.

    The defaults do not depend on the units of the columns and assume no more than linear equations with Gaussian noise;
    what they cannot tell is then said of each edge (`Result.direction`). `Config.equal_variance` is for raw columns
    whose noise is known to have one variance, which tells all directions. The path is short, since the search that ends
    it finds the same graphs after a long one. A path that is cut wants 3,000 steps a stage and 6,000 in the last; an
    MLP, on raw columns, a penalty of .005 and 1,000 and 2,000 steps.

    Args:
      transform: of the columns, `center`, `standardize`, `log_standardize` or `none`; see `moments.transformed`.
      score: `least_squares`, `golem_ev`, `golem_nv` (which is golem_ev until its last stage), `logistic` for columns of
        0 and 1, or `mlp`, small networks in place of linear weights.
      acyclicity: h, `log_det`, `exponential` or `polynomial`.
      constraint: `path` minimises mu score + h; `lagrangian` is an augmented Lagrangian with rho = 1 / mu.
      penalty: l1, at least 0, where `fit` is given none.
      prior_weight: l_sim, at least 0, where `fit` is given none; None lets the data say how far to trust the prior.
      similarity: to the prior, `magnitude`: of |W|; `signed`: of W, as the paper writes it.
      start: l_init, at least 0: the path starts at W = l_init K C, signed as the covariance.
      start_stage: the stage that the path starts with, from 0 on: a start in an early one is forgotten.
      bound: |W| stays at least so large where the prior claims an edge; below `cut`.
      cut: |W| below is no edge.
      path: mu of each stage.
      stage_steps: steps of each stage.
      rate: Adam's.
      finish: `order`: a search over causal orders, or with unequal variances and up to 12 columns over all DAGs;
        `search`: over single edges from the path's end; `cut`: the path as it ends.
      restarts: of the search over orders, each from the best order so far with some columns swapped; at least 0.
      noise: variances that the search assumes, `equal` or `unequal`.
      hidden: units of the MLP, a column.
      weight_decay: l2 of the MLP, at least 0.

    Raises:
      ValueError: for a name that is none of its choices, a number out of range, or choices that do not go together.
    """

    transform: str = _static("standardize")
    score: str = _static("least_squares")
    acyclicity: str = _static("log_det")
    constraint: str = _static("path")
    penalty: float = _static(0.1)
    prior_weight: float | None = _static(None)
    similarity: str = _static("magnitude")
    start: float = _static(0.0)
    start_stage: int = _static(0)
    bound: float = _static(0.0)
    cut: float = _static(0.1)
    path: tuple[float, ...] = _static((1.0, 0.1, 0.01, 0.001, 0.0001))
    stage_steps: tuple[int, ...] = _static((300, 300, 300, 300, 600))
    rate: float = _static(3e-3)
    finish: str = _static("order")
    restarts: int = _static(10)
    noise: str = _static("unequal")
    hidden: int = _static(10)
    weight_decay: float = _static(0.001)

    def __post_init__(self):
        for name in ("path", "stage_steps"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        for name in ("penalty", "cut", "start", "bound", "weight_decay"):
            if not _from_0(getattr(self, name)):
                raise ValueError(f"{name} must be at least 0 and finite, got {getattr(self, name)!r}")
        if self.prior_weight is not None and not _from_0(self.prior_weight):
            raise ValueError(
                f"prior_weight must be at least 0 and finite, or None to let the data say, got {self.prior_weight!r}"
            )
        if not _from_0(self.rate) or not self.rate:
            raise ValueError(f"rate must be positive and finite, got {self.rate!r}")
        self._check_counts()
        self._check_pairs()

    @classmethod
    def standardized(cls, **choices) -> "Config":
        """The defaults, by name: for columns of any scale, with noise of any variance; `choices` go before them."""
        return cls(**choices)

    @classmethod
    def equal_variance(cls, **choices) -> "Config":
        """Settings for raw columns whose noise all has one variance; `choices` go before them.

        Under that assumption the data tell every direction (Peters and Buehlmann, arXiv 1205.2536). It is an assumption
        about units: divide one column by 1,000 and the graph found is another one.
        """
        method = {"transform": "center", "penalty": 0.03, "cut": 0.3, "noise": "equal", "finish": "search"}
        return cls(**(method | choices))

    @property
    def steps(self) -> int:
        """Steps of a whole fit."""
        return sum(self.stage_steps[self.start_stage :])

    def _check_counts(self):
        whole = all(isinstance(steps, numbers.Integral) for steps in self.stage_steps)
        positive = all(_from_0(number) and number for number in (*self.path, *self.stage_steps))
        if not self.path or len(self.path) != len(self.stage_steps) or not (whole and positive):
            raise ValueError(
                f"path and stage_steps need one positive number a stage, the steps whole ones, got {self.path} and "
                f"{self.stage_steps}"
            )
        if self.start_stage not in range(len(self.path)):
            raise ValueError(
                f"start_stage must be one of the stages 0 .. {len(self.path) - 1}, got {self.start_stage!r}"
            )
        if not isinstance(self.restarts, numbers.Integral) or self.restarts < 0:
            raise ValueError(f"restarts must be a whole number, at least 0, got {self.restarts!r}")
        if not isinstance(self.hidden, numbers.Integral) or self.hidden < 1:
            raise ValueError(f"hidden must be at least 1 unit, got {self.hidden!r}")

    def _check_pairs(self):
        if self.bound and not self.bound < self.cut:
            raise ValueError(
                f"bound must stay below the cut of {self.cut}, or the prior could not err, got {self.bound}"
            )
        if self.score not in _GAUSSIAN and self.finish != "cut":
            raise ValueError(
                f"the {self.finish} is for linear Gaussian data: the score {self.score!r} goes with finish='cut'"
            )
        if self.score == "logistic" and self.transform != "none":
            raise ValueError(f"the logistic score needs columns of 0 and 1: transform='none', got {self.transform!r}")
        if self.score == "mlp" and (self.start or self.bound or self.similarity == "signed"):
            raise ValueError("start, bound and signed similarity are for linear weights; the MLP takes the similarity")

"""How a fit is done: its structure, checked once."""

import dataclasses

import jax

from framework.causal import acyclicity, moments

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


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Config:
    """How to fit; static under every transformation.

    The defaults are for raw data with noise of equal variance: a short path, since the search that ends it finds the
    same graphs after a long one. A path that is cut wants 3,000 steps a stage and 6,000 in the last; an MLP, on raw
    columns, a penalty of .005 and 1,000 and 2,000 steps.

    Raises:
      ValueError: for a name that is none of its choices, a number out of range, or choices that do not go together.
    """

    transform: str = _static("center")  # one of moments.TRANSFORMS
    score: str = _static("least_squares")  # golem_nv follows golem_ev until its last stage
    acyclicity: str = _static("log_det")  # or exponential, polynomial
    constraint: str = _static("path")  # mu score + h; lagrangian: an augmented Lagrangian with rho = 1 / mu
    penalty: float = _static(0.03)  # l1, where `fit` is given none
    prior_weight: float | None = _static(None)  # l_sim; None lets the data say how far to trust the prior
    similarity: str = _static("magnitude")  # to the prior, of |W|; signed: of W, as the paper writes it
    start: float = _static(0.0)  # l_init: the path starts at W = l_init K C, signed as the covariance
    start_stage: int = _static(0)  # the stage that the path starts with: a start in an early one is forgotten
    bound: float = _static(0.0)  # |W| stays at least so large where the prior claims an edge
    cut: float = _static(0.3)  # |W| below is no edge
    path: tuple[float, ...] = _static((1.0, 0.1, 0.01, 0.001, 0.0001))  # mu of each stage
    stage_steps: tuple[int, ...] = _static((300, 300, 300, 300, 600))  # steps of each stage
    rate: float = _static(3e-3)  # Adam's
    finish: str = _static("search")  # over single edges; order: over causal orders; cut: the path as it ends
    noise: str = _static("equal")  # variances that the search assumes
    hidden: int = _static(10)  # units of the MLP
    weight_decay: float = _static(0.001)  # l2 of the MLP

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        for name in ("penalty", "cut", "start", "bound", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if self.prior_weight is not None and not self.prior_weight >= 0:
            raise ValueError(f"prior_weight must be at least 0, or None to let the data say, got {self.prior_weight}")
        stages = (*self.path, *self.stage_steps)
        if not self.path or len(self.path) != len(self.stage_steps) or not min(stages) > 0:
            raise ValueError(
                f"path and stage_steps need one positive number a stage, got {self.path} and {self.stage_steps}"
            )
        if not 0 <= self.start_stage < len(self.path):
            raise ValueError(f"start_stage must be one of the stages 0 .. {len(self.path) - 1}, got {self.start_stage}")
        if not self.rate > 0:
            raise ValueError(f"rate must be positive, got {self.rate}")
        if self.bound and not self.bound < self.cut:
            raise ValueError(
                f"bound must stay below the cut of {self.cut}, or the prior could not err, got {self.bound}"
            )
        if self.hidden < 1:
            raise ValueError(f"hidden must be at least 1 unit, got {self.hidden}")
        self._check_pairs()

    @classmethod
    def standardized(cls, **choices) -> "Config":
        """Settings for columns of any scale, with noise of any variance; `choices` go before them.

        The defaults of the class lean on equal noise variances, which standardising undoes; these do not.
        """
        method = {"transform": "standardize", "penalty": 0.1, "cut": 0.1, "noise": "unequal", "finish": "order"}
        return cls(**(method | choices))

    @property
    def steps(self) -> int:
        """Steps of a whole fit."""
        return sum(self.stage_steps[self.start_stage :])

    def _check_pairs(self):
        if self.score not in _GAUSSIAN and self.finish != "cut":
            raise ValueError(
                f"the {self.finish} is for linear Gaussian data: the score {self.score!r} goes with finish='cut'"
            )
        if self.score == "logistic" and self.transform != "none":
            raise ValueError(f"the logistic score needs columns of 0 and 1: transform='none', got {self.transform!r}")
        if self.score == "mlp" and (self.start or self.bound or self.similarity == "signed"):
            raise ValueError("start, bound and signed similarity are for linear weights; the MLP takes the similarity")

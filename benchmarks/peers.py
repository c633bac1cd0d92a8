"""Other programs' learners with one signature: a table `[n, d]` in, a matrix `[d, d]` of edges or weights out.

Each gets a copy of the table, since some change their input in place. They are imported where they are called.
"""

import numpy as np


def dagma(x: np.ndarray) -> np.ndarray:
    """DAGMA with its default l1 of .03 and cut of .3; its list of s is handed in, for it changes its own default."""
    from dagma.linear import DagmaLinear

    learner = DagmaLinear(loss_type="l2")
    return learner.fit(x.copy(), lambda1=0.03, w_threshold=0.3, s=[1.0, 0.9, 0.8, 0.7, 0.6])


def notears(x: np.ndarray) -> np.ndarray:
    """NOTEARS of gcastle with its defaults.

    Its solver is called by itself: `learn` hands it the table in a class of its own, for the same weights after four
    times the time.
    """
    from castle.algorithms import Notears

    learner = Notears()
    options = {name: getattr(learner, name) for name in ("lambda1", "loss_type", "max_iter", "h_tol", "rho_max")}
    weights = learner.notears_linear(x.copy(), **options)
    return np.where(np.abs(weights) > learner.w_threshold, weights, 0)


def ges(x: np.ndarray) -> np.ndarray:
    """GES of causal-learn with its default BIC, from the covariance; some DAG of the class that it ends at."""
    from causallearn.search.ScoreBased.GES import ges as search
    from causallearn.utils.PDAG2DAG import pdag2dag

    # entry (i, j) is -1 where the edge between i and j has a tail at i
    return pdag2dag(search(x.copy(), score_func="local_score_BIC_from_cov")["G"]).graph == -1

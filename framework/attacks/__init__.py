"""Attacks on image classifiers, from one gradient step to AutoAttack, for any traceable `images -> logits`.

Images are `[N, H, W, C]`, floats in [0, 1]; a network normalises inside.
"""

from framework.attacks.apgd import apgd, apgd_targeted
from framework.attacks.attack import Attack
from framework.attacks.autoattack import autoattack, judge, standard
from framework.attacks.evaluation import Evaluation, evaluate
from framework.attacks.fab import fab_targeted
from framework.attacks.masking import Doubt
from framework.attacks.pgd import fgsm, pgd
from framework.attacks.score import harmonic_robustness
from framework.attacks.square import square
from framework.attacks.transfer import matrix, transfer

__all__ = [
    "Attack",
    "Doubt",
    "Evaluation",
    "apgd",
    "apgd_targeted",
    "autoattack",
    "evaluate",
    "fab_targeted",
    "fgsm",
    "harmonic_robustness",
    "judge",
    "matrix",
    "pgd",
    "square",
    "standard",
    "transfer",
]

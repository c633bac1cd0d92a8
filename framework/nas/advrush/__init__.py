"""AdvRush: an architecture search whose outer loss also asks for a smooth loss surface.

Reference: Mok, Na, Choe and Yoon, "AdvRush: Searching for Adversarially Robust Neural Architectures", ICCV 2021,
arXiv 2108.01289, and the authors' program (nutellamok/advrush, a15b26a).
"""

from framework.nas.advrush.regularizer import (
    Regulariser,
    official_code,
    official_search,
    paper,
    paper_search,
    regularize,
)

__all__ = [
    "Regulariser",
    "official_code",
    "official_search",
    "paper",
    "paper_search",
    "regularize",
]

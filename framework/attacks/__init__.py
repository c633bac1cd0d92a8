"""Attacks on image classifiers: FGSM, PGD, APGD, FAB, Square, AutoAttack, and adversarial training.

A network is any traceable function `images -> logits`; images are `[N, H, W, C]`, floats in [0, 1], and the network
normalises inside.

| to | call |
|---|---|
| measure the accuracy under attacks of your choice | `evaluate(key, network, images, labels, pgd(8 / 255))` |
| measure it under AutoAttack's standard version | `autoattack(key, network, images, labels, epsilon=8 / 255)` |
| attack one batch, also inside `jit` | `pgd(8 / 255)(key, network, images, labels)` |
| attack one network and test another | `transfer(key, source, target, images, labels, pgd(8 / 255))` |
| train against an attack | a loss of `framework.attacks.adversarial_training` |

Example:
  >>> import jax
  >>> from framework import attacks
  >>> network = lambda images: jax.numpy.stack([images.sum((1, 2, 3)), 48 - images.sum((1, 2, 3))], -1)
  >>> images = jax.random.uniform(jax.random.key(0), (20, 4, 4, 3))
  >>> labels = network(images).argmax(-1)
  >>> result = attacks.evaluate(jax.random.key(1), network, images, labels, attacks.pgd(8 / 255))
  >>> result.accuracy["clean"], result.accuracy["pgd-20"] < 1
  (1.0, True)
"""

from framework.attacks.attack import Attack
from framework.attacks.auto_pgd import apgd, apgd_targeted
from framework.attacks.ensemble import autoattack
from framework.attacks.evaluation import Evaluation, evaluate
from framework.attacks.fab import fab_targeted
from framework.attacks.masking_warning import GradientMaskingWarning
from framework.attacks.projected_gradient import fgsm, pgd
from framework.attacks.square_attack import square
from framework.attacks.transferability import transfer

__all__ = [
    "Attack",
    "Evaluation",
    "GradientMaskingWarning",
    "apgd",
    "apgd_targeted",
    "autoattack",
    "evaluate",
    "fab_targeted",
    "fgsm",
    "pgd",
    "square",
    "transfer",
]

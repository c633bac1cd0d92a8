"""Ready-made networks that several experiments need, their training, and weights from other programs.

| to | call |
|---|---|
| train any classifier | `trainer(loss, optimizer, batch)`, then `init` and `step` |
| measure the accuracy of a classifier | `accuracy(logits, images, labels)` |
| build a ResNet for small images | `framework.models.resnet`: `init`, `forward`, `loss`, `recipe` |
| read the weights of torch's CIFAR ResNet | `read_torch(path, ResNetConfig(20))` |
"""

from framework.models.initializers import he_normal
from framework.models.resnet import Config as ResNetConfig
from framework.models.resnet_weights import from_torch, read_torch
from framework.models.training import Loss, Trainer, accuracy, trainer, with_statistics

__all__ = [
    "Loss",
    "ResNetConfig",
    "Trainer",
    "accuracy",
    "from_torch",
    "he_normal",
    "read_torch",
    "trainer",
    "with_statistics",
]

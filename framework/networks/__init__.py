"""Plain networks, and their training."""

from framework.networks import batch_norm, initial, resnet, resnet_weights, training

__all__ = ["batch_norm", "initial", "resnet", "resnet_weights", "training"]

"""Neuron models, surrogate gradients, and the neural codes of input and hidden layers."""

"""Conversion of a trained DNN to a spiking network, and its simulation."""

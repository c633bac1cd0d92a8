"""Measures of a spiking network: spikes, synaptic operations, energy, and statistics of spike trains."""

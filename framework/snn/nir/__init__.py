"""NIR, the Neuromorphic Intermediate Representation: read, run and write."""

"""NIR, the Neuromorphic Intermediate Representation: reading, running and writing graphs."""

"""The flash translation layer: page map, garbage collection, write buffer."""

"""Workloads: generated loads and recorded traces."""

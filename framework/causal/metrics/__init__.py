"""Measures of an estimated graph against the true one."""

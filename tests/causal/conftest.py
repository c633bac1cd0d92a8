"""Fixtures for the tests of the room."""

import jax
import pytest


@pytest.fixture
def float64():
    """64 bits for a test that calls what a fit calls, without the fit around it."""
    with jax.enable_x64(True):
        yield

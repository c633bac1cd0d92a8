"""The examples in the docstrings do what they say; a new one is found without being listed."""

import doctest
import importlib
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import framework

GIVEN = {"jax": jax, "jnp": jnp, "np": np}  # what an example need not import


def examples():
    """Each docstring of the framework that holds an example."""
    for info in pkgutil.walk_packages(framework.__path__, "framework."):
        module = importlib.import_module(info.name)
        for found in doctest.DocTestFinder(exclude_empty=True).find(module, globs=GIVEN):
            if found.examples:
                yield pytest.param(found, id=found.name.removeprefix("framework."))


@pytest.mark.slow
@pytest.mark.parametrize("example", list(examples()))
def test_the_example_does_what_it_says(example):
    said = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)
    assert not said, "".join(said)


def test_every_room_has_an_example():
    rooms = {parameter.id.partition(".")[0] for parameter in examples()}
    assert rooms == set(framework.ROOMS)

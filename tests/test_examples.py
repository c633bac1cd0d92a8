"""The examples in the docstrings print what they say; new ones are collected automatically."""

import doctest
import importlib
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import framework

GLOBALS = {"jax": jax, "jnp": jnp, "np": np}  # what an example need not import


def examples():
    """Each docstring of the framework that holds an example."""
    for info in pkgutil.walk_packages(framework.__path__, "framework."):
        module = importlib.import_module(info.name)
        for test in doctest.DocTestFinder(exclude_empty=True).find(module, globs=GLOBALS):
            if test.examples:
                yield pytest.param(test, id=test.name.removeprefix("framework."))


@pytest.mark.slow
@pytest.mark.parametrize("example", list(examples()))
def test_the_example_prints_what_it_says(example):
    output = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=output.append)
    assert not output, "".join(output)


def test_every_package_has_an_example():
    packages = {parameter.id.partition(".")[0] for parameter in examples()}
    assert packages == set(framework.PACKAGES)

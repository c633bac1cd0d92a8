"""Runs the examples of the docstrings with every annotation of the framework checked by beartype.

python -m tests.shapes    prints what disagrees, and ends with code 1 if anything does
"""

import doctest
import sys

import beartype
from jaxtyping import install_import_hook

check_types = beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))  # an int is a float too


def disagreements() -> tuple[int, list[str]]:
    """The number of examples, and the output of those that fail under checked annotations."""
    output = []
    with install_import_hook("framework", "tests.shapes.check_types"):
        from tests.test_examples import examples  # imports all of the framework

        tests = [parameter.values[0] for parameter in examples()]
    for test in tests:
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=output.append)
    return len(tests), output


if __name__ == "__main__":
    from tests.shapes import disagreements  # as the module that the hook imports

    count, failures = disagreements()
    print("".join(failures), end="")
    print(f"{count} examples with checked annotations, {len(failures)} outputs of failures")
    sys.exit(bool(failures))

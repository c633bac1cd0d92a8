"""Docstrings follow one template: a plain first line, then Args, Returns and Raises where there is something to say."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "framework").rglob("*.py"))
# folders whose functions do not follow the template yet; a folder leaves the list when it does
PENDING = {
    *("causal", "causal/discrete", "causal/learn", "core", "data", "nas", "nas/advrush", "nas/autosnn", "nas/darts"),
    *("nas/nasbench201", "runs", "runs/reporting", "runs/sweeps", "sgd", "ssd", "ssd/device", "ssd/engine", "ssd/ftl"),
    *("ssd/isp", "ssd/workload"),
}
FOLLOWING = [path for path in FILES if path.parent.relative_to(ROOT / "framework").as_posix() not in PENDING]
QUESTIONS = {"What", "How", "Whether", "Which", "Who", "Whose", "Where", "That", "Those"}


def public_functions(path: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(path.read_text())
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]


def parameters(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return names + [extra.arg for extra in (arguments.vararg, arguments.kwarg) if extra]


def section(docstring: str, title: str) -> str:
    """The text under `title:`, up to the next section; empty where there is none."""
    match = re.search(rf"^{title}:\n((?:[ \t]+.*\n?|\n)*)", docstring, re.MULTILINE)
    return match[1] if match else ""


def missing(function: ast.FunctionDef) -> list[str]:
    """What the docstring of a function leaves out."""
    docstring = ast.get_docstring(function) or ""
    names = parameters(function)
    faults = []
    if not docstring.split("\n")[0].endswith((".", ":")) or docstring.split(" ")[0].strip(",") in QUESTIONS:
        faults.append("a plain first line that ends with a full stop")
    if len(names) >= 2:
        described = section(docstring, "Args")
        faults += [f"Args: {name}" for name in names if not re.search(rf"^ +[^:]*\b{name}\b[^:]*:", described, re.M)]
        returns_nothing = function.returns is None or ast.unparse(function.returns) == "None"
        if not returns_nothing and "Returns:" not in docstring and "Yields:" not in docstring:
            faults.append("Returns")
    if any(isinstance(node, ast.Raise) and node.exc for node in statements(function)) and "Raises:" not in docstring:
        faults.append("Raises")
    return faults


def statements(function: ast.FunctionDef) -> list[ast.AST]:
    """The nodes of a function's body but those of functions within it."""
    nodes, waiting = [], list(function.body)
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return nodes


@pytest.mark.parametrize("path", FOLLOWING, ids=[str(path.relative_to(ROOT)) for path in FOLLOWING])
def test_public_functions_say_what_they_take_and_return(path):
    faults = {function.name: missing(function) for function in public_functions(path)}
    assert not {name: fault for name, fault in faults.items() if fault}


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_modules_begin_with_one_plain_line(path):
    first = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]
    assert first.endswith((".", ":"))
    assert first.split(" ")[0].strip(",") not in QUESTIONS


def test_a_missing_section_is_seen():
    function = ast.parse(
        'def f(x, y) -> int:\n  """Adds.\n\n  Args:\n    x: a number.\n  """\n  raise OSError(x)'
    ).body[0]
    assert missing(function) == ["Args: y", "Returns", "Raises"]

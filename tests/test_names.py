"""Names say what a thing is: values are nouns, functions are verbs or nouns, tests can be selected by keyword."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("framework", "experiments", "benchmarks", "colab", "tests")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
IDS = [str(path.relative_to(ROOT)) for path in FILES]

GRAMMAR = {"found", "each", "own", "place", "moved", "of", "given", "seen", "told", "reached", "wanted", "meant"}
IRREGULAR = {
    *(
        "begun",
        "broken",
        "brought",
        "built",
        "caught",
        "chosen",
        "cut",
        "done",
        "drawn",
        "fed",
        "found",
        "given",
    ),
    *(
        "grown",
        "held",
        "hidden",
        "kept",
        "known",
        "laid",
        "led",
        "left",
        "lent",
        "lost",
        "made",
        "meant",
        "met",
        "paid",
    ),
    *("said", "seen", "sent", "shown", "sought", "spent", "spread", "stood", "taken", "taught", "thought", "thrown"),
    *("told", "understood", "woven", "written"),
}
NOT_PARTICIPLES = {"bed", "embed", "feed", "indeed", "need", "proceed", "seed", "shed", "speed"}
TERMS = {"apgd_targeted", "closed", "elapsed", "fab_targeted", "r_squared", "standardized"}  # of the field
PREDICATES = {"is", "has", "are", "was", "can", "needs"}
LONGEST_TEST_NAME = 60


def bound_names(tree: ast.AST) -> set[str]:
    """Names that a module binds: variables, parameters, fields, functions and classes; imported names are others'."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
    return names


def function_names(tree: ast.AST) -> set[str]:
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def is_participle(word: str) -> bool:
    return word in IRREGULAR or (word.endswith("ed") and word not in NOT_PARTICIPLES)


def is_named_by_participle(name: str) -> bool:
    """True for `drawn` and `rows_sorted`, not for the predicate `is_sorted` or the noun phrase `sorted_rows`."""
    words = name.strip("_").split("_")
    return words[0] not in PREDICATES and is_participle(words[-1]) and name.strip("_") not in TERMS


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_name_is_a_word_of_grammar(path):
    assert not bound_names(ast.parse(path.read_text())) & GRAMMAR


@pytest.mark.parametrize("path", [path for path in FILES if "tests" not in path.parts], ids=lambda path: path.stem)
def test_no_function_is_named_by_a_participle(path):
    assert not [name for name in function_names(ast.parse(path.read_text())) if is_named_by_participle(name)]


@pytest.mark.parametrize("path", [path for path in FILES if path.name.startswith("test_")], ids=lambda path: path.stem)
def test_names_of_tests_are_short(path):
    names = {name for name in function_names(ast.parse(path.read_text())) if name.startswith("test_")}
    assert not [name for name in names if len(name) > LONGEST_TEST_NAME]


@pytest.mark.parametrize(
    ("name", "participle"),
    [("drawn", True), ("sorted_rows", False), ("_rows_sorted", True), ("is_sorted", False), ("seed", False)],
)
def test_participles_are_told_from_other_words(name, participle):
    assert is_named_by_participle(name) == participle


def test_bound_names_are_those_that_a_module_makes():
    tree = ast.parse("import found\nclass A:\n  x: int\ndef f(own, *, each=1):\n  moved = own.place\n")
    assert bound_names(tree) == {"A", "x", "f", "own", "each", "moved"}
    assert not re.search("place", " ".join(bound_names(tree)))

"""How the house is kept: lengths, and docstrings where ruff does not look for them."""

from __future__ import annotations

import ast
import gc
import itertools
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cody_core.errors
import pytest
from support.readme import ROOT

FOLDERS = ("cody_tui", "core", "tests")
PACKAGES = ("cody_tui/", "core/cody_core/")
WRITTEN = {".py", ".ts", ".mjs", ".tcss"}
"""Kinds of files that people write, by suffix."""
MADE = {"node_modules", "_generated", "__pycache__", "__snapshots__"}
"""Folders of files that programs make."""
LONGEST_FILE, LONGEST_FUNCTION = 400, 60

LONGER = {
    "cody_tui/widgets/sidebar.py": "one widget: its rows, what marks them, and its keys",
    "core/cody_core/reducer.py": "both ways between events and a response, to be read side by side",
    "tests/core/providers/test_transport.py": "all that a server may do to one connection",
    "tests/core/stores/contract.py": "what every store must do, in one list to read and to inherit",
    "tests/core/test_engine.py": "the rules of a run one after the other, as the design has them",
    "tests/core/workers/test_persist.py": "every way in which saving can be late, lost or twice",
}
"""Files that may be longer, and why."""

TIMES = re.compile(r"delay|grace|interval|patience|pause|silence|timeout|ttl")
"""Names of what is measured in time."""
SIZES = re.compile(r"budget|length|limit|most|size")
"""Names of what is measured or counted in something else."""
UNITLESS = {"score"}
"""Names of what is compared with its like only."""
TIME_UNITS = re.compile(r"\b(ms|milliseconds?|seconds?|minutes?)\b", re.IGNORECASE)
UNITS = re.compile(
    TIME_UNITS.pattern + r"|\b(bytes|calls|cells?|characters|dollars|entries|events|files|lines"
    r"|matches|models|paths|rows|runs|threads|times|tokens|clock)\b",
    re.IGNORECASE,
)

Function = ast.FunctionDef | ast.AsyncFunctionDef
ERRORS = frozenset(
    name
    for name, value in vars(cody_core.errors).items()
    if isinstance(value, type) and issubclass(value, Exception)
)


def files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in WRITTEN and not MADE & set(path.parts):
                yield path


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def trees() -> dict[str, ast.Module]:
    """Return all that is written in Python. They are too many for each look for garbage."""
    python = [path for path in files(*FOLDERS) if path.suffix == ".py"]
    gc.disable()
    try:
        return {name_of(path): ast.parse(path.read_text()) for path in python}
    finally:
        gc.enable()


@pytest.fixture(scope="module", autouse=True)
def forgotten() -> Iterator[None]:
    """Keep none of them for longer than the tests here."""
    yield
    trees.cache_clear()


def modules() -> dict[str, ast.Module]:
    """Return what is in the packages that are shipped."""
    return {name: tree for name, tree in trees().items() if name.startswith(PACKAGES)}


def all_functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield node
        if isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
            yield from all_functions(node)


def public_functions(tree: ast.AST) -> Iterator[Function]:
    """Yield the public functions, and the public methods of public classes."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            if isinstance(node, Function):
                yield node
            else:
                yield from public_functions(node)


def test_no_file_is_longer_than_400_lines_without_a_reason() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in files(*FOLDERS)}
    assert len(lengths) > 400
    assert {name for name, lines in lengths.items() if lines > LONGEST_FILE} <= LONGER.keys()
    assert LONGER.keys() <= lengths.keys()


def test_no_function_is_longer_than_60_lines() -> None:
    long = [
        f"{name}:{function.lineno} {function.name}"
        for name, tree in trees().items()
        for function in all_functions(tree)
        if (function.end_lineno or 0) - function.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


def test_every_module_says_what_it_is() -> None:
    assert [name for name, tree in modules().items() if not ast.get_docstring(tree)] == []


def test_every_public_function_names_the_errors_it_raises_itself() -> None:
    """What a protocol or a base class asks for is described there."""
    promised = {name for tree in modules().values() for name in _promised(tree)}
    silent = [
        f"{name}:{function.lineno} {function.name}"
        for name, tree in modules().items()
        for function in public_functions(tree)
        if function.name not in promised
        for error in _raised(function)
        if error not in (ast.get_docstring(function) or "")
    ]
    assert silent == []


def test_every_public_quantity_has_its_unit_in_its_name_or_its_description() -> None:
    """A quantity is a ``float``, and an ``int`` whose name says that it measures or limits."""
    quantities = [
        (f"{name}:{line} {quantity}", quantity, described)
        for name, tree in modules().items()
        for line, quantity, described in _quantities(tree)
    ]
    assert len(quantities) > 100
    assert [where for where, name, described in quantities if not _has_unit(name, described)] == []


def test_every_setting_says_what_it_is() -> None:
    found = [trees()[f"core/cody_core/{name}.py"].body for name in ("settings", "ui_settings")]
    classes = [
        node
        for node in itertools.chain(*found)
        if isinstance(node, ast.ClassDef) and "Settings" in node.name
    ]
    assert len(classes) == 5
    for node in classes:
        for setting, after in zip(node.body, [*node.body[1:], node], strict=True):
            if isinstance(setting, ast.AnnAssign):
                assert isinstance(after, ast.Expr), ast.unparse(setting)


def _has_unit(name: str, described: str) -> bool:
    """Tell whether there is a unit; what is described elsewhere has it there."""
    units = TIME_UNITS if TIMES.search(name) else UNITS
    return "see ``" in described or bool(units.search(f"{name.replace('_', ' ')} {described}"))


def _quantities(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Yield the lines, the names and the descriptions of parameters, results and fields."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield from _of_function(node, ast.get_docstring(node) or "")
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _quantities(node)
            yield from _of_fields(node)
            # Whoever makes an object reads what its class says, and the function that opens one.
            functions = (each for each in node.body if isinstance(each, Function))
            made = [each for each in functions if each.name in ("__init__", "open")]
            said = [ast.get_docstring(each) or "" for each in (node, *made)]
            for function in made:
                yield from _of_function(function, "\n".join(said))


def _of_function(function: Function, described: str) -> Iterator[tuple[int, str, str]]:
    given = function.args
    for each in (*given.posonlyargs, *given.args, *given.kwonlyargs):
        if each.annotation is not None and _measures(each.arg, each.annotation):
            said = (ast.unparse(each.annotation), _said_of(each.arg, described))
            yield function.lineno, each.arg, "\n".join(said)
    if function.returns is not None and _measures(function.name, function.returns):
        yield function.lineno, function.name, described


def _of_fields(node: ast.ClassDef) -> Iterator[tuple[int, str, str]]:
    """Yield the fields of a class, each with what it or its class says of it."""
    for field, after in zip(node.body, [*node.body[1:], node], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            name = field.target.id
            if not name.startswith("_") and _measures(name, field.annotation):
                below = ast.unparse(after) if isinstance(after, ast.Expr) else ""
                above = _said_of(name, ast.get_docstring(node) or "")
                yield field.lineno, name, "\n".join((ast.unparse(field), below, above))


def _said_of(name: str, described: str) -> str:
    """Return the entry of a name below ``Args`` or ``Attributes``, or all if it has none."""
    entry = re.search(rf"^ +{name}: .*(?:\n {{5,}}.*)*", described, re.MULTILINE)
    return entry[0] if entry else described


def _measures(name: str, annotation: ast.expr) -> bool:
    kinds = set(re.findall(r"\w+", ast.unparse(annotation)))
    if kinds & {"Callable", "Sequence"} or name in UNITLESS:
        return False
    is_named = TIMES.search(name) or SIZES.search(name)
    return "float" in kinds or ("int" in kinds and is_named is not None)


def _promised(tree: ast.Module) -> Iterator[str]:
    """Yield the methods of protocols and of classes that are there to be inherited from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and {"Protocol", "ABC"} & {
            getattr(base, "id", getattr(getattr(base, "value", None), "id", ""))
            for base in node.bases
        }:
            yield from (function.name for function in public_functions(node))


def _raised(function: Function) -> Iterator[str]:
    """Yield the errors of ours that a function raises by itself, not where it is called back."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if isinstance(node, Function | ast.Lambda):
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = getattr(node.exc.func, "id", "")
            if name in ERRORS:
                yield name

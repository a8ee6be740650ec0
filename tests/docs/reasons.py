"""Every reason that the code can give, read from the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from inference.kinds import _FAMILIES, _REASONS

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("indexer", "inference", "cbir")
# Calls whose argument at this place is a reason where no keyword names it.
POSITIONAL = {"TryAgain": 0, "Failed": 0, "problem": 2, "_problem": 2}


def reasons() -> set[str]:
    """Every word that can stand as a reason in the ledger, a report, a metric or a problem document."""
    modules = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    trees = [ast.parse(path.read_text()) for path in modules]
    constants = {name: value for tree in trees for name, value in _constants(tree)}
    found = {word for tree in trees for word in _given(tree, constants)}
    # f"{neighbour}_unavailable" is put together from words that are here as a whole.
    found = {word for word in found if not word.startswith("_")}
    return found | set(_REASONS.values()) | {reason for _, reason in _FAMILIES}


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield from ((target.id, value.value) for target in targets if isinstance(target, ast.Name))


def _given(tree: ast.Module, constants: dict[str, str]) -> Iterator[str]:
    for node in ast.walk(tree):
        for value in _places(node):
            for part in ast.walk(value):
                if (
                    isinstance(part, ast.Constant)
                    and isinstance(part.value, str)
                    and part.value.isidentifier()
                ):
                    yield part.value
                elif isinstance(part, ast.Name) and constants.get(part.id, "").isidentifier():
                    yield constants[part.id]


def _places(node: ast.AST) -> Iterator[ast.expr]:
    """Where a reason is written down: `reason=`, a class's `reason`, and the calls of POSITIONAL."""
    if isinstance(node, ast.ClassDef):
        for line in node.body:
            target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
            if isinstance(target, ast.Name) and target.id == "reason" and getattr(line, "value", None):
                yield line.value  # type: ignore[attr-defined]
    elif isinstance(node, ast.FunctionDef) and node.name.endswith("_reason"):
        yield from (line.value for line in ast.walk(node) if isinstance(line, ast.Return) and line.value)
    elif isinstance(node, ast.Call):
        yield from (keyword.value for keyword in node.keywords if keyword.arg == "reason")
        place = POSITIONAL.get(_name(node.func))
        if place is not None and len(node.args) > place:
            yield node.args[place]


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""

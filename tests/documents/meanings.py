"""What a field or a member of an enum means: the string directly below it in the source, as Sphinx and editors read it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from enum import Enum

from tests.documents.sources import WipedError


def meanings(kind: type) -> dict[str, str]:
    """Name of the field or member -> its meaning, on one line. One without a string below it is not in the result."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(node, ast.ClassDef)
    found = {}
    for above, below in zip(node.body, node.body[1:], strict=False):
        target = above.targets[0] if isinstance(above, ast.Assign) else above.target if isinstance(above, ast.AnnAssign) else None
        said = below.value if isinstance(below, ast.Expr) else None
        if isinstance(target, ast.Name) and isinstance(said, ast.Constant) and isinstance(said.value, str):
            found[target.id] = " ".join(said.value.split())
    return found


def words(kind: type[Enum]) -> dict[str, str]:
    """Every word of an enum -> its meaning, "" where the source says none."""
    said = meanings(kind)
    return {str(member.value): said.get(member.name, "") for member in kind}


def error_meaning(kind: type[WipedError]) -> str:
    """The first sentence of an error's docstring; of the root, which stands for every other error, one of its own."""
    if kind is WipedError:
        return "An error that nobody expected; the daemon's log has more"
    said = " ".join((inspect.getdoc(kind) or "").split())
    return said.split(". ")[0].removesuffix(".")

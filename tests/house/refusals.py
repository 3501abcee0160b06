# SPDX-License-Identifier: EUPL-1.2
"""What the texts of refusals and warnings are put together from, read from the source.

A text is a literal, or is put together from literals, constants, counts, and names that went through
`vault.framework.quote`. Whatever else is in one stands in `refusals.txt`, under the reason why it is no client's value.
"""

import ast
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.house.tree import ROOT, files, nodes

_PACKAGES = ("vault/", "nhi/", "hsm/")
_OF_OPERATORS = "vault/server/"
"""Where texts are about the configuration, and read by who wrote it."""
LISTED = Path(__file__).with_name("refusals.txt")
_ROOTS = {"VaultError", "Mismatch", "RulesError", "SealRefusal", "PolicyError"}
"""Classes whose text a client reads, and from which others are derived."""
_SAFE = {"quote", "quoted_list", "quoted_words", "_quoted", "len", "go_type", "_kind", "kind"}
"""What makes a text of a name that may be repeated, or of a value's size or type."""


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _trees() -> Mapping[str, Sequence[ast.AST]]:
    found = {str(path.relative_to(ROOT)): path for path in files(".py")}
    return {
        name: nodes(path.read_text(encoding="utf-8"))
        for name, path in found.items()
        if name.startswith(_PACKAGES) and not name.startswith(_OF_OPERATORS)
    }


def _kinds(trees: Mapping[str, Sequence[ast.AST]]) -> set[str]:
    """The names of all classes of refusals."""
    bases = {
        node.name: {_name(base) for base in node.bases}
        for tree in trees.values()
        for node in tree
        if isinstance(node, ast.ClassDef)
    }
    known = set(_ROOTS)
    while more := {name for name, of in bases.items() if of & known} - known:
        known |= more
    return known


def _texts(tree: Sequence[ast.AST], kinds: set[str]) -> Iterator[ast.expr]:
    """Each expression that is the text of a refusal or of a warning."""
    for node in tree:
        if not isinstance(node, ast.Call):
            continue
        if _name(node.func) in kinds:
            yield from node.args[:1]
            yield from (word.value for word in node.keywords if word.arg == "message")
        elif isinstance(node.func, ast.Attribute) and _name(node.func.value) == "warnings":
            yield from node.args
        for word in node.keywords:
            if word.arg == "warnings" and isinstance(word.value, ast.List):
                yield from word.value.elts


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """What a text is put together from, but for literals, constants and what is safe by `_SAFE`."""
    match node:
        case ast.Constant():
            return
        case ast.JoinedStr():
            for value in node.values:
                if isinstance(value, ast.FormattedValue):
                    yield from _parts(value.value)
        case ast.BinOp():
            yield from _parts(node.left)
            yield from _parts(node.right)
        case ast.IfExp():
            yield from _parts(node.body)
            yield from _parts(node.orelse)
        case ast.Starred():
            yield from _parts(node.value)
        case ast.Call(
            func=ast.Attribute(attr="join"), args=[ast.Call(func=ast.Name(id="map"), args=[function, _])]
        ):
            yield from () if _name(function) in _SAFE else (node,)
        case ast.Call(func=ast.Attribute(attr="join"), args=[one]):
            yield from _parts(one)
        case ast.Call(func=ast.Name(id="sorted"), args=[one]):
            yield from _parts(one)
        case ast.Call(func=ast.Attribute(attr="format", value=template), args=arguments):
            for one in (template, *arguments):
                yield from _parts(one)
        case ast.Call() if _name(node.func) in _SAFE:
            return
        case ast.Name() | ast.Attribute() if _name(node).lstrip("_").isupper():
            return
        case _:
            yield node


@functools.cache
def composed() -> set[tuple[str, str]]:
    """File and expression of everything in a text that must be listed."""
    return composed_in(_trees())


def composed_in(trees: Mapping[str, Sequence[ast.AST]]) -> set[tuple[str, str]]:
    """As `composed`, of these files."""
    kinds = _kinds(trees)
    return {
        (name, ast.unparse(part))
        for name, tree in trees.items()
        for text in _texts(tree, kinds)
        for part in _parts(text)
    }

# SPDX-License-Identifier: EUPL-1.2
"""The regular expressions of our code, and texts that make one of them slow: found in the source, made from its form."""

import ast
import importlib
import re
import re._constants as kinds  # type: ignore[import-not-found]  # the standard library's own, without stubs
import re._parser as parser  # type: ignore[import-not-found]  # as above
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from tests.house.tree import ROOT, files

METHODS: Final = frozenset({"match", "fullmatch", "search", "sub", "split", "findall", "finditer"})
"""The ways to use a pattern."""
_OURS: Final = ("vault/", "hsm/", "nhi/", "cli/")
_MADE: Final = re.compile(r"\bre\b")
"""What a file has that makes a pattern, if only beside: the others are not parsed."""
_USED: Final = re.compile(rf"\b(\w+)\s*\.\s*({'|'.join(sorted(METHODS))})\b")
"""What a file has that uses one, if only beside: whatever else is called so as a pattern is one way more to drive it."""
_ALPHABET: Final = 6
"""So many letters of a pattern's own are tried in pairs."""
_SEVERAL: Final = 3


class Pattern(NamedTuple):
    """A pattern, where it is, what it is called there, and how it is used."""

    file: str
    name: str
    compiled: re.Pattern[Any]
    methods: frozenset[str]

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"


class Dynamic(NamedTuple):
    """A pattern that is made at run time: where."""

    file: str
    function: str


def found() -> tuple[list[Pattern], set[Dynamic]]:
    """Return every pattern that stands in the source, and every place where one is made of something else."""
    texts = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in files(".py")
        if str(path.relative_to(ROOT)).startswith(_OURS)
    }
    trees = {file: ast.parse(text) for file, text in texts.items() if _MADE.search(text)}
    used = {file: _used(text) for file, text in texts.items()}
    patterns: list[Pattern] = []
    dynamic: set[Dynamic] = set()
    for file, tree in trees.items():
        names = dict(_named(tree))
        for function, call in _calls(tree):
            method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            name = names.get(call, "")
            compiled = _literal(call) or (_module_value(file, name) if name else None)
            if compiled is None:
                dynamic.add(Dynamic(file, function))
                continue
            users = [used[file]] if name.startswith("_") else used.values()
            methods = {method} & METHODS or set().union(*(user.get(name, ()) for user in users)) or METHODS
            patterns.append(Pattern(file, name or str(compiled.pattern), compiled, frozenset(methods)))
    return patterns, dynamic


def _calls(tree: ast.AST, function: str = "") -> Iterator[tuple[str, ast.Call]]:
    for node in ast.iter_child_nodes(tree):
        inner = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            value = node.func.value
            if isinstance(value, ast.Name) and value.id == "re" and node.func.attr in {*METHODS, "compile"}:
                yield inner, node
        yield from _calls(node, inner)


def _named(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """The patterns that are constants of a module."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign | ast.Assign) and isinstance(node.value, ast.Call):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if isinstance(target, ast.Name):
                yield node.value, target.id


def _used(text: str) -> Mapping[str, set[str]]:
    """By name of a pattern how a file uses it."""
    used: dict[str, set[str]] = {}
    for name, method in _USED.findall(text):
        used.setdefault(name, set()).add(method)
    return used


def _module_value(file: str, name: str) -> re.Pattern[Any] | None:
    module = file.removeprefix("cli/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    value = getattr(importlib.import_module(module), name)
    return value if isinstance(value, re.Pattern) else None


def _literal(call: ast.Call) -> re.Pattern[Any] | None:
    """Return a pattern that is written out; its module, which may load what belongs into another process, is not."""
    try:
        text = ast.literal_eval(call.args[0])
    except ValueError:
        return None
    given = [*call.args[1:], *(keyword.value for keyword in call.keywords)]
    flags = [argument for argument in given if ast.unparse(argument).startswith("re.")]
    value = eval(ast.unparse(flags[0]), {"re": re}) if flags else 0  # noqa: S307 -- flags of our own source
    return re.compile(text, value)


def attacks(pattern: re.Pattern[Any], size: int) -> Iterator[Any]:
    """Texts of about `size` characters that a slow pattern of this form is slow on.

    They repeat what some repetition in it repeats, after what stands before that, and end so that nothing matches;
    and they repeat each letter of it, and each two.
    """
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree = parser.parse(
        text, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags
    )
    letters = sorted(_letters(tree)) or ["a"]
    chosen = letters[:: max(1, len(letters) // _ALPHABET)][:_ALPHABET]
    pumps = {("", one + two) for one in chosen for two in chosen} | {("", one) for one in letters}
    for liked in chosen:
        pumps |= set(_pumps(tree, "", liked))
    for prefix, pump in sorted(pumps):
        for ending in ("", "\0"):
            made = prefix + pump * max(1, (size - len(prefix)) // max(1, len(pump))) + ending
            yield made if isinstance(pattern.pattern, str) else made.encode("latin-1", "replace")


def _letters(tree: Any) -> set[str]:
    return {_sample([item], liked) for item, liked in _atoms(tree)} - {""}


def _atoms(tree: Any) -> Iterator[tuple[Any, str]]:
    for op, value in tree:
        if op in {kinds.LITERAL, kinds.NOT_LITERAL, kinds.ANY, kinds.IN}:
            yield (op, value), ""
            yield (op, value), "0"
        for inner in _inner(op, value):
            yield from _atoms(inner)


def _inner(op: Any, value: Any) -> list[Any]:
    if op in {kinds.MAX_REPEAT, kinds.MIN_REPEAT, kinds.POSSESSIVE_REPEAT}:
        return [value[2]]
    if op is kinds.SUBPATTERN:
        return [value[3]]
    if op is kinds.ATOMIC_GROUP:
        return [value]
    if op is kinds.BRANCH:
        return list(value[1])
    return [value[1]] if op in {kinds.ASSERT, kinds.ASSERT_NOT} else []


def _pumps(tree: Any, prefix: str, liked: str) -> Iterator[tuple[str, str]]:
    """What stands before a repetition, and what it repeats; a choice is taken each way."""
    for op, value in tree:
        for inner in _inner(op, value):
            if op in {kinds.MAX_REPEAT, kinds.MIN_REPEAT, kinds.POSSESSIVE_REPEAT}:
                for way in _ways(inner, liked):
                    yield prefix, way
                    yield "", prefix + way
                    yield "", prefix + way * _SEVERAL
                    yield "", prefix + way * max(1, value[0] - 1) + "\0"
            yield from _pumps(inner, prefix, liked)
        prefix += _sample([(op, value)], liked)


def _ways(tree: Any, liked: str) -> set[str]:
    ways = {_sample(tree, liked)}
    for op, value in tree:
        for inner in _inner(op, value):
            ways |= _ways(inner, liked)
    return ways - {""}


def _sample(tree: Any, liked: str) -> str:
    """Return a short text that a part matches, of the letter that is liked where there is a choice."""
    text = ""
    for op, value in tree:
        if op is kinds.LITERAL:
            text += chr(value)
        elif op is kinds.NOT_LITERAL:
            text += liked if liked and ord(liked) != value else chr(value ^ 1)
        elif op is kinds.ANY:
            text += liked or "a"
        elif op is kinds.IN:
            text += _member(value, liked)
        elif op is kinds.BRANCH:
            text += _sample(value[1][0], liked)
        elif op in {kinds.MAX_REPEAT, kinds.MIN_REPEAT, kinds.POSSESSIVE_REPEAT}:
            text += _sample(value[2], liked) * min(max(1, value[0]), 400)
        elif op in {kinds.SUBPATTERN, kinds.ATOMIC_GROUP}:
            text += "".join(_sample(inner, liked) for inner in _inner(op, value))
    return text


_CATEGORIES: Final = {
    kinds.CATEGORY_DIGIT: "0", kinds.CATEGORY_SPACE: " ", kinds.CATEGORY_WORD: "a",
    kinds.CATEGORY_NOT_DIGIT: "a", kinds.CATEGORY_NOT_SPACE: "a", kinds.CATEGORY_NOT_WORD: "-",
}  # fmt: skip


def _member(items: Any, liked: str) -> str:
    """Return a letter of a set, the liked one if it is in it."""
    negated = items[0][0] is kinds.NEGATE
    candidates = [liked] if liked else []
    candidates += ["a", "0", "-", "\n", "é"]
    for op, value in items:
        if op is kinds.LITERAL:
            candidates.append(chr(value))
        elif op is kinds.RANGE:
            candidates.append(chr(value[0]))
        elif op is kinds.CATEGORY:
            candidates.append(_CATEGORIES[value])
    return next((one for one in candidates if _holds(items, one) is not negated), "a")


def _holds(items: Any, letter: str) -> bool:
    code = ord(letter)
    return any(
        (op is kinds.LITERAL and value == code)
        or (op is kinds.RANGE and value[0] <= code <= value[1])
        or (op is kinds.CATEGORY and _CATEGORIES[value] == letter)
        for op, value in items
    )

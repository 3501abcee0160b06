# SPDX-License-Identifier: EUPL-1.2
"""What an outsider meets in the code, in numbers: `python -m tests.house.report [-v] [TREE …]`, a column for each tree.

A tree is a folder, or a commit, as before and after a change: `python -m tests.house.report main HEAD`. Product code
only, unless a row says otherwise. What is counted stands in the text, of which nothing is imported; the last rows are
measured, on servers of the trees in turn, in a minute and a half for two. `--counts` leaves them out.
"""

import argparse
import ast
import builtins
import functools
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from tests.house.sizes import SOFT_FILE_LINES, SOFT_FUNCTION_LINES, oversize
from tests.house.tree import ROOT, nodes
from tests.perf.trees import checked_out, measured

PRODUCT: Final = ("vault", "nhi", "hsm", "cli/vaultctl")
MOST_MODULES: Final = 16
"""Modules that a folder may have, its `__init__.py` not counted: what one can take in."""

# Past participles that do not end in -ed, as far as anybody is tempted to name a thing by them.
_IRREGULAR: Final = frozenset(
    [
        "begun",
        "bound",
        "broken",
        "built",
        "drawn",
        "driven",
        "found",
        "given",
        "gone",
        "grown",
        "heard",
        "held",
        "kept",
        "known",
        "left",
        "lent",
        "lost",
        "made",
        "met",
        "met",
        "paid",
        "read",
        "risen",
        "said",
        "seen",
        "sent",
        "shown",
        "shut",
        "sought",
        "split",
        "spoken",
        "spread",
        "stood",
        "taken",
        "thought",
        "told",
        "understood",
        "unheard",
        "unmade",
        "unseen",
        "written",
    ]
)
# Nouns and adjectives that only look like a gerund or a participle, and the standards' own words.
_NOUNS: Final = frozenset(
    [
        "binding",
        "finding",
        "cert-binding",
        "closing-page",
        "encoding",
        "engine-setting",
        "framing",
        "key-ring",
        "keyring",
        "listing",
        "mapping",
        "padding",
        "paging",
        "preflight",
        "ring",
        "scheduling",
        "setting",
        "sharding",
        "signing-key",
        "string",
        "thing",
        "timing",
        "token-binding",
        "embed",
        "feed",
        "need",
        "speed",
        "seed",
        "shared",
        "shred",
        "bed",
        "red",
        "wed",
    ]
)
_COMMENT: Final = re.compile(r"(?:^|  )\s*# (?P<text>(?!noqa|type:|fmt:|SPDX)\S.*)")
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+|\d+")


@dataclass(frozen=True)
class Module:
    """One file of the product."""

    name: str
    path: Path
    tree: ast.Module
    text: str


@functools.cache
def modules(root: Path) -> list[Module]:
    """Every module of the product below `root`, in order."""
    found = []
    for path in chain.from_iterable(sorted((root / folder).rglob("*.py")) for folder in PRODUCT):
        text = path.read_text(encoding="utf-8")
        dotted = (
            ".".join(path.relative_to(root).with_suffix("").parts)
            .removeprefix("cli.")
            .removesuffix(".__init__")
        )
        module = nodes(text)[0]
        assert isinstance(module, ast.Module)
        found.append(Module(dotted, path, module, text))
    return found


def folders(root: Path) -> Counter[str]:
    """How many modules each folder has."""
    return Counter(
        str(module.path.parent.relative_to(root))
        for module in modules(root)
        if module.path.name != "__init__.py"
    )


def bare(name: str) -> bool:
    """Whether a name is nothing but a participle or a gerund: what it is one of has to be guessed."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if len(words) != 1 or words[0] in _NOUNS:
        return False
    word = words[0]
    return word in _IRREGULAR or (len(word) > 4 and word.endswith(("ed", "ing")))


def bare_modules(found: Iterable[Module]) -> list[str]:
    """Modules that are named so."""
    return [module.name for module in found if bare(module.name.rpartition(".")[2])]


def bare_classes(found: Sequence[Module]) -> list[str]:
    """Classes that are named so, private ones too. An exception may say what is the case: `Sealed`, `Malformed`."""
    raised = _exceptions(found)
    return [
        f"{module.name}.{name}"
        for module in found
        for name in classes(module)
        if name not in raised and bare(name.strip("_"))
    ]


def _exceptions(found: Sequence[Module]) -> set[str]:
    """The names of classes that come from an exception."""
    bases = [
        (node.name, [ast.unparse(base).rpartition(".")[2] for base in node.bases])
        for module in found
        for node in module.tree.body
        if isinstance(node, ast.ClassDef)
    ]
    known = {
        name
        for name, value in vars(builtins).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    before = 0
    while before != len(known):
        before = len(known)
        known |= {name for name, parents in bases if known.intersection(parents)}
    return known


def shared_names(found: Iterable[Module]) -> dict[str, list[str]]:
    """Names of public classes that several modules have, each for something of its own."""
    owners: defaultdict[str, list[str]] = defaultdict(list)
    for module in found:
        for name in classes(module):
            if not name.startswith("_"):
                owners[name].append(module.name)
    return {name: owned for name, owned in sorted(owners.items()) if len(owned) > 1}


def imports(found: list[Module]) -> dict[str, set[str]]:
    """Which modules each one imports, wherever in it the import stands."""
    known = {module.name for module in found}
    arrows: dict[str, set[str]] = {name: set() for name in known}
    for module in found:
        for node in nodes(module.text):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    arrows[module.name].add(inner if inner in known else node.module)
            elif isinstance(node, ast.Import):
                arrows[module.name].update(alias.name for alias in node.names)
    return {name: (targets & known) - {name} for name, targets in arrows.items()}


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which reaches all others of its group (Tarjan's strongly connected components)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        number[name] = low[name] = len(number)
        stack.append(name)
        for target in sorted(arrows.get(name, ())):
            if target not in number:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], number[target])
        if low[name] == number[name]:
            place = stack.index(name)
            group = stack[place:]
            del stack[place:]
            if len(group) > 1:
                found.append(sorted(group))

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 10 * len(arrows)))
    try:
        for name in sorted(arrows):
            if name not in number:
                visit(name)
    finally:
        sys.setrecursionlimit(limit)
    return sorted(found)


def climbing(arrows: dict[str, set[str]]) -> list[str]:
    """Arrows between two folders of which each imports from the other, counted in the direction that has fewer."""
    count: Counter[tuple[str, str]] = Counter()
    for name, targets in arrows.items():
        for target in targets:
            count[name.rpartition(".")[0], target.rpartition(".")[0]] += 1
    return sorted(
        f"{here} -> {there} ({number})"
        for (here, there), number in count.items()
        if here != there and (number, here) <= (count[there, here], there) and count[there, here]
    )


def mirrored_tests(root: Path, found: list[Module]) -> tuple[int, int]:
    """Unit tests that stand where their module does, and all of them."""
    names = {str(module.path.relative_to(root).with_suffix("")).removeprefix("cli/") for module in found}
    rooms_of = {name.rpartition("/")[0] for name in names}
    tests = sorted((root / "tests" / "unit").rglob("test_*.py"))
    mirrored = 0
    for test in tests:
        place = test.relative_to(root / "tests" / "unit")
        stem = place.stem.removeprefix("test_")
        rooms = (place.parent, "vault" / place.parent)
        mirrored += any(str(room / stem) in names or str(room) in rooms_of for room in rooms)
    return mirrored, len(tests)


def comments(found: Iterable[Module]) -> tuple[int, int, int]:
    """Lines of comments, numbered steps among them, and lines in all."""
    said = steps = lines = 0
    for module in found:
        for line in module.text.splitlines():
            lines += 1
            if found_comment := _COMMENT.search(line):
                said += 1
                steps += found_comment["text"].split(".", 1)[0].isdigit()
    return said, steps, lines


def rows(root: Path) -> Iterator[tuple[str, str]]:
    """What the report says of one tree."""
    found = modules(root)
    counts = folders(root)
    folder, most = counts.most_common(1)[0]
    arrows = imports(found)
    mirrored, tests = mirrored_tests(root, found)
    said, steps, lines = comments(found)
    limits = list(
        chain.from_iterable(
            oversize(module.path, file_lines=SOFT_FILE_LINES, function_lines=SOFT_FUNCTION_LINES)
            for module in found
        )
    )
    shared = shared_names(found)
    yield "modules in the largest folder", f"{most} ({folder})"
    yield (
        f"folders with over {MOST_MODULES} modules",
        str(sum(number > MOST_MODULES for number in counts.values())),
    )
    yield "modules named by a gerund or participle", str(len(bare_modules(found)))
    yield "classes named by a gerund or participle", str(len(bare_classes(found)))
    yield "class names used for several things", f"{len(shared)} ({sum(map(len, shared.values()))} classes)"
    yield "circles of imports (modules in them)", f"{len(circles(arrows))} ({sum(map(len, circles(arrows)))})"
    yield "folders that import each other", str(len(climbing(arrows)))
    yield "files over 300, functions over 40 lines", str(len(limits))
    yield "unit tests that mirror the code", f"{mirrored} of {tests}"
    yield "lines of comments", f"{said} ({100 * said / lines:.1f} %)"
    yield "numbered steps", str(steps)
    yield "modules, lines", f"{len(found)}, {lines}"


def main(arguments: Sequence[str]) -> int:
    """Print a table, or with `-v` what is behind the last tree's counts too."""
    parser = argparse.ArgumentParser(prog="report", description=__doc__)
    parser.add_argument("-v", action="store_true", help="name what the last tree's counts are of")
    parser.add_argument("--counts", action="store_true", help="measure nothing")
    parser.add_argument("trees", nargs="*", default=[str(ROOT)], metavar="TREE", help="a folder or a commit")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        roots = [stack.enter_context(checked_out(tree)) for tree in options.trees]
        columns = [dict(rows(root)) for root in roots]
        _table([Path(tree).name for tree in options.trees], columns)
        if not options.counts:
            _table([], measured(roots))
        if options.v:
            _show(roots[-1])
    return 0


def _table(names: Sequence[str], columns: Sequence[Mapping[str, str]]) -> None:
    """Print rows, and a head where there are names."""
    if names:
        print("| |", " | ".join(names), "|")
        print("|---|" + "---|" * len(names))
    for row in columns[0]:
        print(f"| {row} |", " | ".join(column[row] for column in columns), "|", flush=True)


def _show(root: Path) -> None:
    found = modules(root)
    arrows = imports(found)
    print("\nmodules:", *bare_modules(found), sep="\n  ")
    print("\nclasses:", *bare_classes(found), sep="\n  ")
    print(
        "\nshared:",
        *(f"{name}: {' '.join(owned)}" for name, owned in shared_names(found).items()),
        sep="\n  ",
    )
    print("\ncircles:", *(" ".join(group) for group in circles(arrows)), sep="\n  ")
    print("\nclimbing:", *climbing(arrows), sep="\n  ")


def classes(module: Module) -> list[str]:
    """The names of its classes."""
    return [node.name for node in module.tree.body if isinstance(node, ast.ClassDef)]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

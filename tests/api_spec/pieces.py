# SPDX-License-Identifier: EUPL-1.2
"""What a line `{{…}}` of the text stands for, as HTML: a requirement, the index, a registry, or the members of a schema."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from markdown_it import MarkdownIt

from tests.api_spec.implementations import difference_rows, feature_rows, name_of, profile_rows, reports
from tests.api_spec.members import meaning_of, members, schema, type_of
from tests.api_spec.operations import ALL, NONE, operations, profiles
from tests.api_spec.requirements import FOLDER, Requirement, registry, requirements

_BCP14: Final = re.compile(r"\b(MUST NOT|SHOULD NOT|MUST|SHOULD|MAY)\b")
_FEATURE: Final = re.compile(r"\[([a-z-]+)\]")
_INLINE: Final = MarkdownIt("commonmark", {"html": False})


class UnknownPiece(ValueError):
    """A line `{{…}}` that stands for nothing."""


def piece(marker: str) -> str:
    """What stands between the braces, as HTML; UnknownPiece where nobody knows it."""
    name, _, rest = marker.partition(" ")
    if name in _REQUIREMENTS and not rest:
        return requirement(_REQUIREMENTS[name])
    if name == "schema" and rest:
        return _schema(rest)
    if name == "operations" and rest in {*profiles(), ALL, NONE}:
        return _operations(rest)
    if name == "implementations" and rest in _COMPARED:
        return _COMPARED[rest]()
    if name in _PIECES and not rest:
        return _PIECES[name]()
    raise UnknownPiece(marker)


def requirement(each: Requirement) -> str:
    """One requirement, with all that a reader asks of it."""
    facts = [
        _fact("Profile", _link("profile", each.profile)),
        _fact("Feature", _part(each)),
        _fact("Class", each.kind),
        _fact("Evidence", escape(" or ".join(each.evidence).replace("+", " and "))),
        _fact("Since", f"{each.since}, rev. {each.rev}"),
        *([_fact("Ended with", each.until)] if each.until else []),
        *([_fact("Not tested", escape(each.untested))] if each.untested else []),
    ]
    compat = (
        f'<p class="compat"><b>KV2 dialect.</b> {_INLINE.renderInline(each.compat)}</p>'
        if each.compat
        else ""
    )
    return (
        f'<section class="requirement" id="{each.id}">\n'
        f'<p class="head"><a href="#{each.id}">{each.id}</a> <b class="level">{_level(each)}</b></p>\n'
        f'<p class="text">{worded(each.text)}</p>\n'
        f'<p class="why"><b>Why.</b> {_INLINE.renderInline(each.rationale)}</p>\n{compat}'
        f'<p class="facts">{" ".join(facts)}</p>\n</section>\n'
    )


def worded(text: str) -> str:
    """A requirement's text, its words of BCP 14 set off and its features linked."""
    linked = _FEATURE.sub(r"[\1](#feature-\1)", text)
    return str(_INLINE.renderInline(_BCP14.sub(r"**\1**", linked)))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, kind: str = "") -> str:
    """A table of cells that are HTML already."""
    head = "".join(f"<th>{each}</th>" for each in heads)
    body = "".join(
        f"<tr{_row_id(row[0])}>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in rows
    )
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>\n'


def _row_id(first: str) -> str:
    found = re.search(r'data-id="([^"]+)"', first)
    return f' id="{found[1]}"' if found else ""


def _fact(name: str, value: str) -> str:
    return f"<span>{name}: {value}</span>"


def _level(each: Requirement) -> str:
    return (
        f"{each.level}, with {_link('feature', each.must_with)} MUST"
        if each.must_with and each.level != "MUST"
        else each.level
    )


def _part(each: Requirement) -> str:
    """What it is part of: core, with what makes it stricter, or a feature."""
    if each.feature:
        return _link("feature", each.feature)
    return f"core; stricter with {_link('feature', each.must_with)}" if each.must_with else "core"


def _link(kind: str, name: str) -> str:
    return f'<a href="#{kind}-{name}">{name}</a>'


def _named(kind: str, name: str) -> str:
    """The first cell of a row that can be linked to."""
    return f'<code data-id="{kind}-{name}">{escape(name)}</code>'


def _refer(ids: Iterable[str]) -> str:
    return ", ".join(f'<a href="#{each}">{each.removeprefix("ESA-")}</a>' for each in ids) or "none"


def _index() -> str:
    rows = [
        (
            f'<a href="#{each.id}">{each.id}</a>', f"ended with {each.until}" if each.until else each.level, _link("profile", each.profile),
            _part(each),
            each.kind, escape(", ".join(each.evidence)), "no" if each.untested else "yes",
        )
        for each in requirements()
    ]  # fmt: skip
    return table(
        ("Requirement", "Level", "Profile", "Feature", "Class", "Evidence", "Tested"), rows, kind="index"
    )


def _profiles() -> str:
    rows = [
        (
            _named("profile", each["name"]),
            f"<b>{escape(each['title'])}.</b> {escape(each['text'])}",
            ", ".join(_link("profile", name) for name in each["needs"]) or "none",
            _refer(each["core"]),
            ", ".join(
                f"{_link('feature', name)}{' (always)' if name in each.get('claims', ()) else ''}"
                for name in each["features"]
            )
            or "none",
        )
        for each in registry("profiles")
    ]
    return table(("Profile", "What it is", "Needs", "Core requirements", "Features"), rows)


def _features() -> str:
    found = requirements()
    rows = [
        (
            _named("feature", each["name"]),
            _INLINE.renderInline(each["text"]),
            _link("profile", each["profile"]),
            _refer(one.id for one in found if each["name"] in {one.feature, one.must_with}),
        )
        for each in registry("features")
    ]
    return table(("Feature", "What it is", "Profile", "Requirements"), rows)


def _bindings() -> str:
    rows = [
        (_named("binding", each["name"]), _INLINE.renderInline(each["text"])) for each in registry("bindings")
    ]
    return table(("Binding", "What it is"), rows)


def _problems() -> str:
    rows = [
        (
            _named("problem", each["name"]),
            ", ".join(map(str, each["status"])),
            _INLINE.renderInline(each["meaning"]) + (" <i>Reserved.</i>" if each.get("reserved") else ""),
        )
        for each in registry("problems")
    ]
    return table(("Problem", "Status", "Meaning"), rows)


def _suites() -> str:
    rows = [
        (
            _named("suite", each["name"]), each["use"], each["pq"], each["status"], str(each.get("note_type", "")),
            escape(each["reference"]),
        )
        for each in registry("crypto-suites")
    ]  # fmt: skip
    return table(("Name", "Use", "Post-quantum", "Status", "In signed notes", "Reference"), rows)


def _events() -> str:
    events = registry("events")
    areas = [
        (
            f"<code>esa.{area}</code>",
            escape(meaning),
            " ".join(f"<code>{name.removeprefix(f'esa.{area}.')}</code>" for name in _of_area(events, area)),
        )
        for area, meaning in events["areas"].items()
    ]
    verbs = [(f"<code>{verb}</code>", escape(meaning)) for verb, meaning in events["verbs"].items()]
    return table(("Area", "What it is about", "Events, after the area"), areas, kind="events") + table(
        ("Last part", "What happened"), verbs
    )


def _of_area(events: Mapping[str, Any], area: str) -> list[str]:
    return [name for name in events["events"] if name.split(".")[1] == area]


def _vectors() -> str:
    said = json.loads((FOLDER / "vectors" / "log.json").read_text("utf-8"))
    rows = [
        (str(seq), f"<code>{escape(line)}</code>", f"<code>{leaf}</code>")
        for seq, (line, leaf) in enumerate(zip(said["records"], said["leaves"], strict=True))
    ]
    singles = [
        ("Root at four", said["root4"]),
        ("Root at seven", said["root7"]),
        ("Key on P-256, SubjectPublicKeyInfo", said["p256_spki"]),
        ("Id of that key", said["p256_key_id"]),
        ("Key of Ed25519", said["ed25519_vkey"]),
    ]
    notes = [
        ("Checkpoint at four", said["checkpoint4"]),
        ("Checkpoint at seven", said["checkpoint7"]),
        ("Proof that record 5 is in the log of seven", said["proof_index5"]),
    ]
    return (
        table(("seq", "Line", "Leaf"), rows, kind="vectors")
        + table(("Value", "Text"), [(name, f"<code>{escape(value)}</code>") for name, value in singles])
        + "".join(f"<h3>{name}</h3>\n<pre><code>{escape(value)}</code></pre>\n" for name, value in notes)
    )


def _operations(name: str) -> str:
    if name != NONE:
        rows = [
            (f"<code>{method}</code>", f"<code>{escape(path)}</code>", _INLINE.renderInline(text))
            for (path, method), text in operations(name).items()
        ]
        return table(("Method", "Path", "What it does"), rows, kind="operations")
    methods: dict[str, list[str]] = {}
    for path, method in operations(name):
        methods.setdefault(path, []).append(method)
    return table(
        ("Path", "Methods"),
        [(f"<code>{escape(path)}</code>", ", ".join(each)) for path, each in methods.items()],
    )


def _schema(name: str) -> str:
    rows = [
        (
            f"<code>{escape(path)}</code>", escape(type_of(each)), "yes" if needed else "",
            _INLINE.renderInline(meaning_of(each)),
        )
        for path, each, needed in members(schema(name))
    ]  # fmt: skip
    return table(("Member", "Type", "Always", "Meaning"), rows)


def _profiles_compared() -> str:
    found = reports()
    rows = [(_link("profile", name), *cells) for name, *cells in profile_rows(found)]
    return table(("Profile", *map(name_of, found)), rows)


def _features_compared() -> str:
    found = reports()
    rows = [(_link("feature", name), *cells) for name, *cells in feature_rows(found)]
    return table(("Feature", *map(name_of, found)), rows)


def _differences() -> str:
    found = reports()
    rows = [
        (
            _refer([requirement]),
            "core" if feature == "core" else _link("feature", feature),
            *(f"{said}{f'<br><small>{escape(why)}</small>' if why else ''}" for said, why in cells),
        )
        for requirement, feature, cells in difference_rows(found)
    ]
    return table(("Requirement", "Part", *map(name_of, found)), rows, kind="differences")


_COMPARED: Final[Mapping[str, Callable[[], str]]] = {
    "profiles": _profiles_compared,
    "features": _features_compared,
    "differences": _differences,
}
_REQUIREMENTS: Final = {each.id: each for each in requirements()}
_PIECES: Final[Mapping[str, Callable[[], str]]] = {
    "index": _index,
    "profiles": _profiles,
    "features": _features,
    "bindings": _bindings,
    "problems": _problems,
    "events": _events,
    "suites": _suites,
    "vectors": _vectors,
}

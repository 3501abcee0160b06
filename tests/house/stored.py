# SPDX-License-Identifier: EUPL-1.2
"""``python -m tests.house.stored``: adds new kinds of stored records, and new versions, to ``stored.txt``.

The list says of every version of every kind which fields it has, and holds one such record as it is stored. What is in
it was stored somewhere, so it never changes: a kind whose fields change gets another version, and a reader of the one
before (`vault.barrier.stored`). While a version is not on the main branch yet, its part may be removed by hand and made
anew.
"""

import importlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from hsm import envelope
from tests.house.tree import ROOT, files
from vault.barrier.stored import KINDS

LISTED = Path(__file__).with_suffix(".txt")
CHANGED = "is listed with other fields: what was stored with those stays; give the kind another version and a reader"
_SAMPLE = "  sample "


@dataclass(frozen=True)
class Part:
    """One version of one kind, as it is listed: its fields, and a record in hexadecimal digits."""

    fields: str
    sample: str

    def text(self) -> str:
        """What is listed below the kind's name."""
        return f"{self.fields}{_SAMPLE}{self.sample}\n"


def newest() -> Iterator[tuple[str, int, Part]]:
    """Name, version and part of every kind, as the code has it now."""
    for name in modules():
        importlib.import_module(name)
    for kind in KINDS.values():
        record = build(inspect.type_info(kind.form))
        fields = form(kind.form, *kind.parts)
        yield kind.name, kind.version, Part(fields, kind.encode(record).hex())
    shape = envelope._Record
    sample = msgspec.json.encode(build(inspect.type_info(shape))).hex()
    yield "record of a key slot (hsm.envelope)", envelope.VERSION, Part(form(shape), sample)


def modules() -> list[str]:
    """The modules of the server, without those that are programs."""
    found = (path.relative_to(ROOT).with_suffix("") for path in files(".py"))
    return [
        ".".join(path.parts)
        for path in found
        if path.parts[0] in {"vault", "nhi"} and path.name not in {"__main__", "child"}
    ]


def listed(text: str) -> dict[tuple[str, int], Part]:
    """Read the list."""
    found: dict[tuple[str, int], Part] = {}
    for block in text.split("\n\n"):
        head, *lines = [line for line in block.splitlines() if not line.startswith("#")] or [""]
        if head:
            name, _, version = head.rpartition(" ")
            fields = "".join(f"{line}\n" for line in lines if not line.startswith(_SAMPLE))
            sample = next(line.removeprefix(_SAMPLE) for line in lines if line.startswith(_SAMPLE))
            found[name, int(version)] = Part(fields, sample)
    return found


def updated(known: Mapping[tuple[str, int], Part]) -> tuple[dict[tuple[str, int], Part], list[str]]:
    """The list with what is new, and what is wrong: versions whose fields are not those that are listed."""
    found, wrong = dict(known), []
    for name, version, part in newest():
        if found.setdefault((name, version), part).fields != part.fields:
            wrong.append(f"{name} {version} {CHANGED} of version {version}")
    return found, wrong


def form(*types: Any) -> str:
    """The fields of a record, and of what is encoded within it, in lines."""
    lines = []
    for one in types:
        info = inspect.type_info(one)
        if isinstance(info, inspect.StructType):
            lines.append(f"  {_head(info)}\n")
            lines += [f"    {_field(field, (info.cls,))}\n" for field in info.fields]
        else:
            lines.append(f"  {_type(info, ())}\n")
    return "".join(lines)


def _head(info: inspect.StructType) -> str:
    tag = f" {info.tag_field}={info.tag}" if info.tag is not None else ""
    return f"{'array' if info.array_like else 'map'}{tag}"


def _field(field: inspect.Field, above: tuple[type, ...]) -> str:
    made = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    plain = bytes(made) if isinstance(made, msgspec.Raw) else made
    if isinstance(made, msgspec.Struct):
        plain = msgspec.to_builtins(made, builtin_types=(bytes,))
    default = "" if field.required else f" = {plain!r}"
    return f"{field.encode_name}: {_type(field.type, above)}{default}"


def _type(info: inspect.Type, above: tuple[type, ...]) -> str:
    match info:
        case inspect.StructType():
            if info.cls in above:
                return "itself"
            fields = ", ".join(_field(field, (*above, info.cls)) for field in info.fields)
            return f"{_head(info)} ({fields})"
        case inspect.UnionType():
            return " | ".join(sorted(_type(one, above) for one in info.types))
        case inspect.Metadata():
            return _type(info.type, above)
        case inspect.DictType():
            return f"map of {_type(info.key_type, above)} to {_type(info.value_type, above)}"
        case inspect.TupleType():
            return f"tuple of ({', '.join(_type(one, above) for one in info.item_types)})"
        case inspect.LiteralType():
            return " or ".join(sorted(map(repr, info.values)))
        case inspect.EnumType():
            return " or ".join(sorted(repr(one.value) for one in info.cls))
        case _ if isinstance(info, inspect.CollectionType):
            return f"list of {_type(info.item_type, above)}"
        case _:
            return type(info).__name__.removesuffix("Type").lower()


def build(info: inspect.Type, default: object = None) -> Any:
    """A record, or a value of it, with nothing left at its default."""
    match info:
        case inspect.StructType():
            return info.cls(**{field.name: build(field.type, field.default) for field in info.fields})
        case inspect.UnionType():
            kinds = sorted(info.types, key=lambda one: (isinstance(one, inspect.NoneType), _type(one, ())))
            return build(
                next((one for one in kinds if isinstance(one, inspect.StructType)), kinds[0]), default
            )
        case inspect.Metadata():
            return build(info.type, default)
        case inspect.DictType():
            return {build(info.key_type): build(info.value_type)}
        case inspect.TupleType():
            return tuple(build(one) for one in info.item_types)
        case inspect.VarTupleType():
            return (build(info.item_type),)
        case inspect.ListType():
            return [build(info.item_type)]
        case inspect.LiteralType():
            return min(info.values, key=str)
        case inspect.EnumType():
            return next(iter(info.cls))
        case inspect.BoolType():
            return default is not True
        case inspect.IntType():
            return min(max(7, info.ge or 0), info.le or 7)
        case inspect.FloatType():
            return 0.5
        case inspect.StrType():
            return "text"
        case inspect.BytesType():
            return b"\1" * max(1, info.min_length or 0)
        case inspect.RawType():
            return msgspec.Raw(b"\x90")
        case inspect.AnyType():
            return "any"
        case _:
            raise TypeError(f"say here what a value of {info} is")


def main() -> int:
    """Bring the list up to date; 1 where a version has other fields than are listed."""
    text = LISTED.read_text(encoding="utf-8") if LISTED.exists() else ""
    head = "".join(f"{line}\n" for line in text.splitlines() if line.startswith("#"))
    found, wrong = updated(listed(text))
    parts = [f"{name} {version}\n{part.text()}" for (name, version), part in sorted(found.items())]
    LISTED.write_text(head + "\n" + "\n".join(parts), encoding="utf-8")
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

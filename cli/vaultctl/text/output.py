# SPDX-License-Identifier: EUPL-1.2
"""Printing: tables for people, JSON and YAML for programs, single fields for scripts."""

from __future__ import annotations

from vaultctl.errors import EXIT_LOCAL, CommandError
from vaultctl.text.go import go_text, human_duration, is_duration_key, quoted_list
from vaultctl.text.json import as_list, as_map, pretty, sort_keys
from vaultctl.text.terminal import on_one_line, visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMATS = ("table", "json", "yaml", "pretty", "raw")
_AUTH_KEYS = {
    "client_token": "",
    "accessor": "",
    "policies": None,
    "token_policies": None,
    "identity_policies": None,
    "metadata": None,
    "orphan": False,
    "entity_id": "",
    "lease_duration": 0,
    "renewable": False,
    "mfa_requirement": None,
}
_WRAP_KEYS = {
    "token": "",
    "accessor": "",
    "ttl": 0,
    "creation_time": "",
    "creation_path": "",
    "wrapped_accessor": "",
}


def columns(rows: Sequence[Sequence[str]], *, texts: bool = False) -> str:
    """Rows as aligned columns, four blanks apart; an empty cell shows as n/a. The first row is the header.

    A row that is shorter than the header leaves its last columns blank. With `texts` the last column may have line feeds.
    """
    head = list(rows[0])
    filled = [head, ["-" * len(cell) for cell in head]]
    for row in rows[1:]:
        *names, last = row
        cells = [*map(on_one_line, names), visible(last) if texts else on_one_line(last)]
        filled.append([cell.strip() or "n/a" for cell in cells])
    widths = [max(len(row[index]) for row in filled if index < len(row)) for index in range(len(head))]
    lines = []
    for row in filled:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        lines.append("    ".join([*cells, row[-1]]))
    return "\n".join(lines)


def key_values(rows: Sequence[tuple[str, str]]) -> str:
    """A two-column table headed Key and Value."""
    return columns([("Key", "Value"), *rows], texts=True)


def data_rows(data: Mapping[str, object]) -> list[tuple[str, str]]:
    """The rows of a response's data, sorted; seconds in TTL fields are shown as durations."""
    rows = []
    for key in sorted(data):
        value = data[key]
        whole = isinstance(value, int) and not isinstance(value, bool)
        text = human_duration(int(str(value))) if whole and is_duration_key(key) else go_text(value)
        rows.append((key, text))
    return rows


def secret_rows(answer: Mapping[str, object]) -> list[tuple[str, str]]:
    """The rows of a whole response: lease, auth, wrapping and data."""
    rows: list[tuple[str, str]] = []
    duration = _whole(answer.get("lease_duration"))
    lease = str(answer.get("lease_id") or "")
    if duration and lease:
        rows += [
            ("lease_id", lease),
            ("lease_duration", human_duration(duration)),
            ("lease_renewable", go_text(bool(answer.get("renewable")))),
        ]
    elif duration:
        rows.append(("refresh_interval", human_duration(duration)))
    if answer.get("auth"):
        rows += auth_rows(as_map(answer["auth"]))
    if answer.get("wrap_info"):
        rows += _wrap_rows(as_map(answer["wrap_info"]))
    return rows + data_rows(as_map(answer.get("data")))


def auth_rows(auth: Mapping[str, object]) -> list[tuple[str, str]]:
    """The rows of a response's auth block."""
    duration = _whole(auth.get("lease_duration"))
    rows = [
        ("token", str(auth.get("client_token") or "")),
        ("token_accessor", str(auth.get("accessor") or "")),
        ("token_duration", human_duration(duration) if duration else "∞"),
        ("token_renewable", go_text(bool(auth.get("renewable")))),
        ("token_policies", quoted_list(auth.get("token_policies"))),
        ("identity_policies", quoted_list(auth.get("identity_policies"))),
        ("policies", quoted_list(auth.get("policies"))),
    ]
    metadata = as_map(auth.get("metadata"))
    return rows + [(f"token_meta_{key}", go_text(metadata[key])) for key in sorted(metadata)]


def _wrap_rows(wrap: Mapping[str, object]) -> list[tuple[str, str]]:
    created = str(wrap.get("creation_time") or "").replace("T", " ", 1).replace("Z", " +0000 UTC")
    rows = [
        ("wrapping_token:", str(wrap.get("token") or "")),
        ("wrapping_accessor:", str(wrap.get("accessor") or "")),
        ("wrapping_token_ttl:", human_duration(_whole(wrap.get("ttl")))),
        ("wrapping_token_creation_time:", created),
        ("wrapping_token_creation_path:", str(wrap.get("creation_path") or "")),
    ]
    if wrap.get("wrapped_accessor"):
        rows.append(("wrapped_accessor:", str(wrap["wrapped_accessor"])))
    return rows


def secret_document(answer: Mapping[str, object]) -> dict[str, object]:
    """The response as -format=json shows it: fixed key order, absent auth and wrap_info left out."""
    document: dict[str, object] = {
        "request_id": answer.get("request_id") or "",
        "lease_id": answer.get("lease_id") or "",
        "lease_duration": answer.get("lease_duration") or 0,
        "renewable": bool(answer.get("renewable")),
        "data": sort_keys(answer.get("data")),
        "warnings": answer.get("warnings"),
    }
    if answer.get("auth"):
        auth = as_map(answer["auth"])
        document["auth"] = {key: sort_keys(auth.get(key, default)) for key, default in _AUTH_KEYS.items()}
    if answer.get("wrap_info"):
        document["request_id"] = ""
        wrap = as_map(answer["wrap_info"])
        document["wrap_info"] = {key: wrap.get(key, default) for key, default in _WRAP_KEYS.items()}
    return document


def formatted(value: object, form: str) -> str:
    """A JSON value in json or yaml, without a final newline."""
    if form == "yaml":
        from vaultctl.text.yaml import dump

        return dump(value).rstrip("\n")
    if form == "pretty":
        raise CommandError("Could not parse output: cannot use the pretty formatter for this type")
    return pretty(value)


def field_of(answer: Mapping[str, object], name: str) -> object:
    """The value that -field=name prints for a response, None when it has none."""
    auth, wrap = as_map(answer.get("auth")), as_map(answer.get("wrap_info"))
    special: dict[str, tuple[Mapping[str, object], str]] = {}
    if wrap:
        special = {
            "wrapping_token": (wrap, "token"),
            "wrapping_accessor": (wrap, "accessor"),
            "wrapping_token_ttl": (wrap, "ttl"),
            "wrapping_token_creation_time": (wrap, "creation_time"),
            "wrapping_token_creation_path": (wrap, "creation_path"),
            "wrapped_accessor": (wrap, "wrapped_accessor"),
        }
    elif auth:
        special = {
            "token": (auth, "client_token"),
            "token_accessor": (auth, "accessor"),
            "token_duration": (auth, "lease_duration"),
            "token_renewable": (auth, "renewable"),
            "token_policies": (auth, "token_policies"),
            "identity_policies": (auth, "identity_policies"),
            "policies": (auth, "policies"),
        }
    else:
        special = {
            "lease_id": (answer, "lease_id"),
            "lease_duration": (answer, "lease_duration"),
            "lease_renewable": (answer, "renewable"),
            "refresh_interval": (answer, "lease_duration"),
        }
    if name in special:
        source, key = special[name]
        return source.get(key)
    return as_map(answer.get("data")).get(name)


def field_text(value: object, form: str) -> str:
    """What -field prints: the bare value, or that value in JSON or YAML."""
    if form == "json":
        return pretty(sort_keys(value))
    if form == "yaml":
        from vaultctl.text.yaml import dump

        return dump(value)
    return go_text(value)


def missing_field(name: str, where: str) -> CommandError:
    """The error of a -field that the response does not have."""
    return CommandError(f'Field "{name}" not present in {where}', EXIT_LOCAL)


def titled(title: str, width: int) -> str:
    """A title between equals signs, about as wide as `width` columns; at least two on each side."""
    signs = width - (len(title) + 2)
    if signs <= 0:
        signs = 4
    side = "=" * ((signs + 1) // 2)
    return f"{side} {title} {side}"


def warnings_text(warnings: object) -> str:
    """The server's warnings as a wrapped bullet list for stderr; empty when there are none."""
    items = as_list(warnings)
    if not items:
        return ""
    lines = ["WARNING! The following warnings were returned from the server:", ""]
    for item in items:
        words = str(item).split()
        line = "  *"
        for word in words:
            if len(line) + 1 + len(word) > 80:
                lines.append(line)
                line = "  " + word if len(line) > 3 else line + " " + word
            else:
                line += " " + word
        lines += [line, ""]
    return "\n".join(lines)


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0

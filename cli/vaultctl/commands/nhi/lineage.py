# SPDX-License-Identifier: EUPL-1.2
"""nhi credentials, tree, report, failures and revoke: what was made of tokens, and the end of it."""

from __future__ import annotations

from vaultctl.commands.nhi.tokens import mount, text_of
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError, UsageError
from vaultctl.flags import parse_moment
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_list, as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SHORT = 8


def credentials(invocation: Invocation) -> int:
    """Find credentials, presented or not."""
    names = ("workload", "source", "since", "until", "anomaly", "after")
    query: dict[str, str | list[str]] = {
        name: invocation.text(name) for name in names if invocation.text(name)
    }
    query |= {name: parse_moment(invocation.text(name), name) for name in ("since", "until") if name in query}
    query["presented"] = "no" if invocation.truth("never-presented") else "any"
    if invocation.number("limit") is not None:
        query["limit"] = str(invocation.number("limit"))
    data = _data(invocation, "credentials", query)
    if not invocation.tabular:
        return invocation.print_value(data)
    further = _further(data)
    rows = [
        (
            _text(one, "token_id"),
            _text(one, "workload"),
            _text(one, "state"),
            _time(one, "first_seen") or "never",
            _time(one, "last_seen") or "never",
            _time(one, "expire_time"),
            _text(one, "blocks"),
            _text(one, "tokens"),
            _words(one, "sources"),
            _words(one, "anomalies"),
        )
        for one in map(as_map, as_list(data.get("credentials")))
    ]
    heads = (
        "Token ID",
        "Workload",
        "State",
        "First seen",
        "Last seen",
        "Expires",
        "Blocks",
        "Tokens",
        "From",
        "Anomalies",
    )
    empty = "None among those that were looked at fits." if further else "No credential fits."
    return _table(invocation, heads, rows, further, empty)


def tree(invocation: Invocation) -> int:
    """Show what was made from a credential."""
    from nhi.picture.lineage import grown
    from nhi.picture.svg import as_svg
    from nhi.picture.text import as_dot, as_text

    name = invocation.args[0].strip()
    data = _data(invocation, f"credentials/{name}", missing=f"No credential: {name}")
    if invocation.form in ("json", "yaml"):
        return invocation.print_value(data)
    root = grown(data)
    if root is None:
        raise CommandError("Nothing of it was presented here.", EXIT_REMOTE)
    if invocation.form == "svg":
        invocation.emit(as_svg(root, name=f"Attenuation tree of credential {name}"), "")
    else:
        invocation.emit(as_dot(root) if invocation.form == "dot" else as_text(root), "")
    if data.get("more"):
        invocation.warn("More was made of it than is kept; the audit log has the rest.")
    return EXIT_OK


def report(invocation: Invocation) -> int:
    """Show how tokens come about."""
    data = _data(invocation, "report")
    if not invocation.tabular:
        return invocation.print_value(data)
    rows = []
    for one in map(as_map, as_list(data.get("registrations"))):
        methods = [(method, as_map(info)) for method, info in sorted(as_map(one.get("methods")).items())]
        used = [
            f"{method} {_text(info, 'count')} (last {_time(info, 'last') or 'never'})"
            for method, info in methods
        ]
        secret = "in use" if one.get("uses_secret") else "not used" if one.get("has_secret") else "none"
        rows.append(
            (
                _text(one, "registration"),
                _text(one, "workload"),
                _text(one, "owner"),
                secret,
                _text(one, "issued"),
                _text(one, "presented"),
                _time(one, "last_used") or "never",
                ", ".join(used) or "none",
            )
        )
    heads = (
        "Registration",
        "Workload",
        "Owner",
        "Client secret",
        "Issued",
        "Presented",
        "Last used",
        "Tokens given",
    )
    return _table(invocation, heads, rows, "", "There are no registrations.")


def failures(invocation: Invocation) -> int:
    """Show which logins failed of late, and why."""
    name = invocation.text("registration")
    data = _data(invocation, "failures", {"registration": name} if name else None)
    if not invocation.tabular:
        return invocation.print_value(data)
    rows = [
        (
            _time(one, "time"),
            _text(one, "registration") or "(no such name)",
            _text(one, "method"),
            _text(one, "count"),
            _text(one, "source"),
            _text(one, "reason"),
            _text(one, "message"),
        )
        for one in map(as_map, as_list(data.get("failures")))
    ]
    heads = ("Last", "Registration", "Method", "Times", "From", "Reason", "What it means")
    whose = " of this registration" if name else ""
    return _table(invocation, heads, rows, "", f"No login{whose} has failed since the server was opened.")


def revoke(invocation: Invocation) -> int:
    """Show what a revocation would end, ask, and revoke."""
    what = _what(invocation)
    path = f"{mount(invocation)}/revoke"
    if invocation.truth("dry-run"):
        preview = _would_end(invocation, path, what)
        if not invocation.tabular:
            return invocation.print_value(preview)
        invocation.say(_told(preview))
        return EXIT_OK
    if not (invocation.truth("yes") or invocation.only_prints):
        _ask(invocation, _told(_would_end(invocation, path, what)))
    with ErrorPrefix(f"Error writing {path}"):
        done = invocation.client.send("PUT", path, body=what | {"reason": invocation.text("reason")})
    ended = as_map(done.json().get("data"))
    if not invocation.tabular:
        return invocation.print_value(ended)
    return invocation.succeed(f"Success! Revoked: {_count(ended)}")


def _what(invocation: Invocation) -> dict[str, object]:
    """What is to be revoked, as the server wants it named."""
    found: dict[str, object] = {
        name: invocation.text(name) for name in ("id", "workload") if invocation.text(name)
    }
    if invocation.number("kid") is not None:
        found["kid"] = invocation.number("kid")
    file = invocation.text("token-file")
    if file:
        found["token"] = text_of(invocation, file)
    if len(found) != 1:
        raise UsageError("Name one of -id, -workload, -kid and -token-file")
    if invocation.number("block") is not None:
        if not file:
            raise UsageError("-block goes with -token-file")
        found["block"] = invocation.number("block")
    return found


def _would_end(invocation: Invocation, path: str, what: Mapping[str, object]) -> Mapping[str, object]:
    """What would end, as the server says it."""
    with ErrorPrefix(f"Error writing {path}/preview"):
        answer = invocation.client.send("PUT", f"{path}/preview", body=what).json()
    return as_map(answer.get("data"))


def _told(preview: Mapping[str, object]) -> str:
    """What would end, for people."""
    from vaultctl.text.output import columns

    rows = [
        (
            _text(one, "id")[:_SHORT],
            _text(one, "workload"),
            _text(one, "index"),
            _words(one, "narrowing", "; "),
        )
        for one in map(as_map, as_list(preview.get("dying")))
    ]
    shown = columns([("Block", "Workload", "Hop", "What it takes away"), *rows]) + "\n" if rows else ""
    if not preview.get("blocks") and not preview.get("tokens"):
        return f"{shown}Nothing of it that was presented here is good now. What was not presented would end."
    more = " and others" if preview.get("more") else ""
    return f"{shown}This would end {_count(preview)}{more}, and all that was or will be made from them."


def _ask(invocation: Invocation, told: str) -> None:
    """Show on the terminal what would end, wherever answers go, and ask. CommandError unless the answer is yes."""
    invocation.warn(told)
    if invocation.truth("non-interactive") or not invocation.stdin.isatty():
        raise CommandError("Nothing was revoked: give -yes to revoke without being asked.")
    invocation.stderr.write("Revoke? Type yes: ")
    invocation.stderr.flush()
    answer = invocation.stdin.readline()
    if answer.strip() != "yes":
        if not answer.endswith("\n"):
            invocation.stderr.write("\n")
        raise CommandError("Nothing was revoked.")


def _count(found: Mapping[str, object]) -> str:
    blocks, tokens = _text(found, "blocks") or "0", _text(found, "credentials") or "0"
    made = _text(found, "tokens") or "0"
    return (
        f"{blocks} {'block' if blocks == '1' else 'blocks'} of {tokens} "
        f"{'credential' if tokens == '1' else 'credentials'} that were presented"
        + (
            f" and {made} service {'token' if made == '1' else 'tokens'} that they made"
            if made != "0"
            else ""
        )
    )


def _data(
    invocation: Invocation, path: str, query: Mapping[str, str | list[str]] | None = None, missing: str = ""
) -> Mapping[str, object]:
    where = f"{mount(invocation)}/{path}"
    with ErrorPrefix(f"Error reading {where}"):
        answer = invocation.client.send("GET", where, query=query, accept_missing=bool(missing))
    if answer.status == 404:
        raise CommandError(missing, EXIT_REMOTE)
    return as_map(answer.json().get("data"))


def _table(
    invocation: Invocation, heads: Sequence[str], rows: Sequence[Sequence[str]], after: str, empty: str
) -> int:
    from vaultctl.text.output import columns

    invocation.say(columns([heads, *rows]) if rows else empty)
    if after:
        invocation.say(after)
    return EXIT_OK


def _further(data: Mapping[str, object]) -> str:
    return f"There are more: -after={_text(data, 'next')}" if data.get("next") else ""


def _text(data: Mapping[str, object], name: str) -> str:
    """A text or a number, on one line, without what a terminal would act upon."""
    from nhi.picture.node import shown

    value = data.get(name)
    return "" if value is None or isinstance(value, (bool, list, dict)) else shown(str(value))


def _words(data: Mapping[str, object], name: str, between: str = ", ") -> str:
    from nhi.picture.node import shown

    return between.join(shown(str(one)) for one in as_list(data.get(name)))


def _time(data: Mapping[str, object], name: str) -> str:
    from nhi.picture.lineage import short_time

    return short_time(_text(data, name))

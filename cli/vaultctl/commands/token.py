# SPDX-License-Identifier: EUPL-1.2
"""token create, lookup, renew, revoke and capabilities; unwrap."""

from __future__ import annotations

from vaultctl.errors import EXIT_OK, UsageError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.go import duration_text
from vaultctl.text.json import as_list, as_map

_REVOKED = "Success! Revoked token (if it existed)"


def create(invocation: Invocation) -> int:
    """Create a token, as a child of the one in use."""
    body: dict[str, object] = {}
    if invocation.text("id"):
        body["id"] = invocation.text("id")
    if invocation.texts("policy"):
        body["policies"] = invocation.texts("policy")
    if invocation.pairs("metadata"):
        body["meta"] = dict(sorted(invocation.pairs("metadata").items()))
    for flag in ("ttl", "explicit-max-ttl", "period"):
        body[flag.replace("-", "_")] = duration_text(invocation.number(flag) or 0)
    if invocation.truth("orphan"):
        body["no_parent"] = True
    if invocation.truth("no-default-policy"):
        body["no_default_policy"] = True
    kind = invocation.text("type", "service")
    renewable = kind != "batch" and invocation.truth("renewable", default=True)
    body |= {
        "display_name": invocation.text("display-name"),
        "num_uses": invocation.number("use-limit") or 0,
        "renewable": renewable,
        "type": kind,
        "entity_alias": invocation.text("entity-alias"),
    }
    role = invocation.text("role")
    path = "auth/token/create" + (f"/{role}" if role else "")
    with ErrorPrefix("Error creating token"):
        response = invocation.client.send("POST", path, body=body)
    return invocation.print_answer(response.json())


def lookup(invocation: Invocation) -> int:
    """Show a token, by itself or by its accessor."""
    args = invocation.args
    with ErrorPrefix("Error looking up token"):
        if invocation.truth("accessor"):
            if not args:
                raise UsageError("Not enough arguments with -accessor (expected 1, got 0)")
            response = invocation.client.send(
                "POST", "auth/token/lookup-accessor", body={"accessor": args[0]}
            )
        elif args:
            response = invocation.client.send(
                "POST", "auth/token/lookup", body={"token": given(invocation, 0)}
            )
        else:
            response = invocation.client.send("GET", "auth/token/lookup-self")
    return invocation.print_answer(response.json())


def renew(invocation: Invocation) -> int:
    """Renew a token."""
    increment = invocation.seconds("increment") or invocation.seconds("i") or 0
    if invocation.truth("accessor"):
        if not invocation.args:
            raise UsageError("Not enough arguments with -accessor (expected 1, got 0)")
        path, body = "renew-accessor", {"accessor": invocation.args[0], "increment": increment}
    elif invocation.args:
        path, body = "renew", {"increment": increment, "token": given(invocation, 0)}
    else:
        path, body = "renew-self", {"increment": increment}
    with ErrorPrefix("Error renewing token"):
        method = "POST" if path == "renew-accessor" else "PUT"
        response = invocation.client.send(method, f"auth/token/{path}", body=body)
    return invocation.print_answer(response.json())


def revoke(invocation: Invocation) -> int:
    """Revoke a token, the token in use, or all tokens made through a path."""
    mode, own, by_accessor = invocation.text("mode"), invocation.truth("self"), invocation.truth("accessor")
    if own and invocation.args:
        raise UsageError(f"Too many arguments with -self (expected 0, got {len(invocation.args)})")
    if not own and not invocation.args:
        raise UsageError("Not enough arguments (expected 1 or -self, got 0)")
    if mode not in ("", "orphan", "path"):
        raise UsageError("Invalid mode: use orphan or path")
    if mode and own:
        raise UsageError("Cannot use -self with -mode")
    if by_accessor and (own or mode):
        raise UsageError("Cannot use -accessor with -self or -mode")
    with ErrorPrefix("Error revoking token"):
        if own:
            invocation.client.send("PUT", "auth/token/revoke-self")
        elif by_accessor:
            invocation.client.send(
                "POST", "auth/token/revoke-accessor", body={"accessor": invocation.args[0]}
            )
        elif mode == "path":
            invocation.client.send("PUT", f"sys/leases/revoke-prefix/{invocation.args[0]}")
        else:
            path = "revoke-orphan" if mode == "orphan" else "revoke"
            invocation.client.send("PUT", f"auth/token/{path}", body={"token": given(invocation, 0)})
    invocation.say(_REVOKED)
    return EXIT_OK


def capabilities(invocation: Invocation) -> int:
    """What the token in use, or another one, may do on a path."""
    path = invocation.args[-1]
    if len(invocation.args) == 1 and invocation.truth("accessor"):
        raise UsageError("Not enough arguments with -accessor (expected 2, got 1)")
    if len(invocation.args) == 1:
        url, body = "sys/capabilities-self", {"path": path, "token": invocation.token}
    elif invocation.truth("accessor"):
        url, body = "sys/capabilities-accessor", {"accessor": invocation.args[0], "path": path}
    else:
        url, body = "sys/capabilities", {"path": path, "token": given(invocation, 0)}
    with ErrorPrefix("Error listing capabilities"):
        answer = invocation.client.send("POST", url, body=body).json()
    found = as_map(answer.get("data")).get("capabilities", answer.get("capabilities"))
    words = [str(word) for word in as_list(found)]
    if not invocation.tabular:
        return invocation.print_value(words)
    invocation.say(", ".join(sorted(words)))
    return EXIT_OK


def unwrap(invocation: Invocation) -> int:
    """Open a wrapped response, once."""
    body = None
    client = invocation.client
    if invocation.args:
        wrapped = given(invocation, 0)
        body = {"token": wrapped} if invocation.token else None
        client = invocation.client if invocation.token else invocation.client_with(wrapped)
    with ErrorPrefix("Error unwrapping"):
        answer = client.send("PUT", "sys/wrapping/unwrap", body=body).json()
    if not answer:
        return invocation.succeed("Successfully unwrapped. There was no data in the wrapped secret.")
    return invocation.print_answer(answer)


def given(invocation: Invocation, position: int) -> str:
    """An argument that holds a token; `-` reads it from standard input."""
    text = invocation.args[position]
    return invocation.stdin.readline().strip() if text == "-" else text.strip()

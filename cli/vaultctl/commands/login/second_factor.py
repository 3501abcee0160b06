# SPDX-License-Identifier: EUPL-1.2
"""A login that waits for a second factor: asked for on a terminal, explained to everybody else."""

from __future__ import annotations

from vaultctl.errors import EXIT_REMOTE, CommandError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.prompt import ask_hidden
from vaultctl.text.json import as_list, as_map

_WAITS = """The login waits for a second factor. Log in again with -mfa=ID:CODE, or complete it within five minutes:

vaultctl write sys/mfa/validate - <<END
{{"mfa_request_id": "{request}", "mfa_payload": {{"{method}": ["CODE"]}}}}
END
"""


def waits(answer: dict[str, object]) -> bool:
    """Whether a login is not complete."""
    return bool(_needs(answer).get("mfa_request_id"))


def complete(invocation: Invocation, answer: dict[str, object]) -> dict[str, object]:
    """Ask for the codes that a login waits for; return the answer of the whole login."""
    request = str(_needs(answer)["mfa_request_id"])
    payload = {}
    for methods in _constraints(answer).values():
        method = methods[0]
        named = str(method.get("name") or method.get("id"))
        payload[str(method.get("id"))] = [ask_hidden(invocation, f"Code of {named}")]
    client = invocation.client_with("", wrap=False)
    body = {"mfa_request_id": request, "mfa_payload": payload}
    with ErrorPrefix("Error authenticating"):
        return client.send("PUT", "sys/mfa/validate", body=body, with_token=False).json()


def explain(invocation: Invocation, answer: dict[str, object]) -> int:
    """Show what a login waits for, as rows; programs get the answer as it came."""
    request = str(_needs(answer)["mfa_request_id"])
    found = _constraints(answer)
    if invocation.text("field") or invocation.truth("token-only"):
        raise CommandError(
            "Error authenticating: the login waits for a second factor: -mfa=ID:CODE", EXIT_REMOTE
        )
    first = next((str(one[0].get("id")) for one in found.values()), "ID")
    invocation.warn(_WAITS.format(request=request, method=first))
    if not invocation.tabular:
        return invocation.print_answer(answer)
    rows: dict[str, object] = {"mfa_request_id": request}
    for name, methods in found.items():
        for method in methods:
            start = f"mfa_constraint_{name}_{method.get('type')}"
            rows[f"{start}_id"] = method.get("id")
            rows[f"{start}_uses_passcode"] = method.get("uses_passcode")
            if method.get("name"):
                rows[f"{start}_name"] = method.get("name")
    return invocation.print_answer({"data": rows})


def _needs(answer: dict[str, object]) -> dict[str, object]:
    return as_map(as_map(answer.get("auth")).get("mfa_requirement"))


def _constraints(answer: dict[str, object]) -> dict[str, list[dict[str, object]]]:
    """Return the methods that would do, for each enforcement."""
    found = as_map(_needs(answer).get("mfa_constraints"))
    listed = {
        name: [as_map(one) for one in as_list(as_map(any_of).get("any"))] for name, any_of in found.items()
    }
    return {name: methods for name, methods in listed.items() if methods}

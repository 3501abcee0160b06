# SPDX-License-Identifier: EUPL-1.2
"""namespace seal, unseal, seal-status and delete-sealed; and what `namespace create` asks and shows of keys."""

from __future__ import annotations

from vaultctl.commands.operator.seal import pgp_keys, unseal_key
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.go import go_text
from vaultctl.text.json import as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PATH = "sys/namespaces"
_MADE = """
Namespace initialized with {shares} key shares and a key threshold of {threshold}. Please
securely distribute the key shares printed above. When the namespace is
re-sealed, you must supply at least {threshold} of these keys to unseal it.
"""


def seal(invocation: Invocation) -> int:
    """Seal a namespace."""
    name = _name(invocation)
    with ErrorPrefix("Error sealing"):
        invocation.client.send("PUT", f"{_PATH}/{name}/seal")
    invocation.say(f'Success! Namespace "{name}" is sealed.')
    return EXIT_OK


def unseal(invocation: Invocation) -> int:
    """Give one of a namespace's unseal keys, or forget those given so far."""
    if invocation.truth("reset"):
        body: dict[str, object] = {"key": "", "reset": True}
        doing = "Error resetting unseal process"
    else:
        body = {"key": unseal_key(invocation, invocation.args[1:]), "reset": False}
        doing = "Error unsealing"
    with ErrorPrefix(doing):
        answer = invocation.client.send("PUT", f"{_PATH}/{_name(invocation)}/unseal", body=body).json()
    return _show(invocation, as_map(answer.get("data")))


def seal_status(invocation: Invocation) -> int:
    """Show whether a namespace is sealed."""
    with ErrorPrefix("Error reading seal status"):
        answer = invocation.client.send("GET", f"{_PATH}/{_name(invocation)}/seal-status").json()
    return _show(invocation, as_map(answer.get("data")))


def delete_sealed(invocation: Invocation) -> int:
    """Remove a sealed namespace with everything in it."""
    name = _name(invocation)
    query = {"force": "true"} if invocation.truth("force") else {}
    with ErrorPrefix("Error deleting sealed namespace"):
        answer = invocation.client.send("DELETE", f"{_PATH}/{name}/delete-sealed", query=query).json()
    if as_map(answer.get("data")).get("status"):
        invocation.say(f"Success! Namespace deletion scheduled: {name}/")
        return EXIT_OK
    warnings = answer.get("warnings")
    for warning in warnings if isinstance(warnings, list) else []:
        invocation.warn(str(warning))
    return EXIT_OK


def wanted(invocation: Invocation) -> dict[str, object]:
    """Return what is asked for at the creation of a namespace that gets keys of its own; nothing for any other."""
    path = invocation.text("seal")
    shares = invocation.number("key-shares") or invocation.number("n")
    threshold = invocation.number("key-threshold") or invocation.number("t")
    if path:
        try:
            with open(path, encoding="utf-8") as file:
                stanza = file.read()
        except OSError as err:
            raise CommandError(
                f"Error reading seal config file: open {path}: {(err.strerror or '').lower()}", EXIT_REMOTE
            ) from None
    elif shares or threshold:
        stanza = f'seal "shamir" {{\n    shares = {shares or 0}\n    threshold = {threshold or 0}\n}}'
    else:
        return {}
    recipients = pgp_keys(invocation.texts("pgp-keys"))
    return {"seal": stanza, **({"pgp_keys": recipients} if recipients else {})}


def print_shares(invocation: Invocation, data: Mapping[str, object]) -> dict[str, object]:
    """Print the shares of a namespace that was just made, for people; return what else there is to show of it."""
    shares = data.get("key_shares")
    if not isinstance(shares, list):
        return dict(data)
    for number, share in enumerate(shares, 1):
        invocation.say(f"Unseal Key {number}: {share}")
    invocation.say(_MADE.format(shares=len(shares), threshold=data.get("key_threshold")))
    return {key: value for key, value in data.items() if not key.startswith("key_")}


def _show(invocation: Invocation, state: Mapping[str, object]) -> int:
    from vaultctl.text.output import key_values

    document: dict[str, object] = {
        **{key: state.get(key) for key in ("type", "initialized", "sealed", "t", "n", "progress", "nonce")},
        "version": "",
        "commit_date": "",
        "migration": False,
        "recovery_seal": False,
        "build_date": "",
    }
    if invocation.text("field"):
        return invocation.print_field(document.get(invocation.text("field")), "seal status")
    if not invocation.tabular:
        return invocation.print_value(document)
    rows = [
        ("Seal Type", go_text(state.get("type"))),
        ("Initialized", go_text(state.get("initialized"))),
        ("Sealed", go_text(state.get("sealed"))),
        ("Total Shares", go_text(state.get("n"))),
        ("Threshold", go_text(state.get("t"))),
    ]
    if state.get("sealed"):
        rows += [
            ("Unseal Progress", f"{go_text(state.get('progress'))}/{go_text(state.get('t'))}"),
            ("Unseal Nonce", str(state.get("nonce") or "")),
        ]
    invocation.say(key_values(rows))
    return EXIT_OK


def _name(invocation: Invocation) -> str:
    return invocation.args[0].strip().strip("/")

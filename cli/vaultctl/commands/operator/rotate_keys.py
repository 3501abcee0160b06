# SPDX-License-Identifier: EUPL-1.2
"""operator rotate-keys: new shares for people, and a new root key, with the consent of those who hold the old ones."""

from __future__ import annotations

from vaultctl.errors import EXIT_OK, UsageError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_list, as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACES = {"barrier": "sys/rotate/root", "recovery": "sys/rotate/recovery", "hsm": "sys/rotate/recovery"}
_STATE = {
    "nonce": "",
    "started": False,
    "t": 0,
    "n": 0,
    "progress": 0,
    "required": 0,
    "pgp_fingerprints": None,
    "backup": False,
    "verification_required": False,
    "verification_nonce": "",
}
_VERIFYING = {"nonce": "", "started": False, "t": 0, "n": 0, "progress": 0}
_DONE = {
    "nonce": "",
    "complete": False,
    "keys": None,
    "keys_base64": None,
    "pgp_fingerprints": None,
    "backup": False,
    "verification_required": False,
}


def rotate_keys(invocation: Invocation) -> int:
    """Begin, show, cancel or go on; what is asked for first in this order is done."""
    target = invocation.text("target", "barrier")
    if target not in _PLACES:
        raise UsageError(f"Unknown target: {target}")
    place = _PLACES[target]
    if invocation.truth("backup-delete"):
        return _delete_backup(invocation, place)
    if invocation.truth("backup-retrieve"):
        with ErrorPrefix("Error retrieving the keys that were kept"):
            return invocation.print_answer(invocation.client.send("GET", f"{place}/backup").json())
    if invocation.truth("cancel"):
        return _cancel(invocation, place)
    if invocation.truth("init"):
        return _begin(invocation, place)
    if invocation.truth("status"):
        return _show(invocation, place)
    return _give_back(invocation, place) if invocation.truth("verify") else _give(invocation, place)


def _begin(invocation: Invocation, place: str) -> int:
    from vaultctl.commands.operator.seal import count, pgp_keys

    keys = pgp_keys(invocation.texts("pgp-keys"))
    body = {
        "secret_shares": count(invocation, "key-shares", "n", 5),
        "secret_threshold": count(invocation, "key-threshold", "t", 3),
        "pgp_keys": keys,
        "backup": invocation.truth("backup"),
        "require_verification": invocation.truth("verify"),
    }
    with ErrorPrefix("Error initializing rotation"):
        answer = _data(invocation.client.send("POST", f"{place}/init", body=body).json())
    if answer.get("complete"):
        return _print_new(invocation, answer, {"n": answer.get("n"), "t": answer.get("t")})
    if keys is None and invocation.tabular:
        invocation.warn(
            "The new keys will be shown once, in the clear. To have them encrypted to their holders, cancel this\n"
            "and begin anew with -pgp-keys; with -backup the encrypted keys can be read again."
        )
        invocation.say("")
    return _print_state(invocation, answer)


def _cancel(invocation: Invocation, place: str) -> int:
    what = "verify" if invocation.truth("verify") else "init"
    with ErrorPrefix("Error canceling rotation"):
        invocation.client.send("DELETE", f"{place}/{what}")
    done = "Restarted the verification" if what == "verify" else "Canceled rotation"
    invocation.say(f"Success! {done} (if it was started)")
    return EXIT_OK


def _delete_backup(invocation: Invocation, place: str) -> int:
    with ErrorPrefix("Error deleting the keys that were kept"):
        invocation.client.send("DELETE", f"{place}/backup")
    invocation.say("Success! Deleted backed up keys (if they existed)")
    return EXIT_OK


def _show(invocation: Invocation, place: str) -> int:
    if invocation.truth("verify"):
        with ErrorPrefix("Error reading the state of the verification"):
            return _print_verification(
                invocation, _data(invocation.client.send("GET", f"{place}/verify").json())
            )
    with ErrorPrefix("Error reading the state of the rotation"):
        return _print_state(invocation, _data(invocation.client.send("GET", f"{place}/init").json()))


def _give(invocation: Invocation, place: str) -> int:
    from vaultctl.commands.operator.seal import share

    with ErrorPrefix("Error reading the state of the rotation"):
        before = _data(invocation.client.send("GET", f"{place}/init", preliminary=True).json())
    nonce, key = share(invocation, before, "rotation", started=bool(before.get("started")))
    with ErrorPrefix("Error posting unseal key"):
        answer = _data(
            invocation.client.send("PUT", f"{place}/update", body={"key": key, "nonce": nonce}).json()
        )
    if answer.get("complete"):
        return _print_new(invocation, answer, before)
    return _show(invocation, place)


def _give_back(invocation: Invocation, place: str) -> int:
    from vaultctl.commands.operator.seal import share

    with ErrorPrefix("Error reading the state of the verification"):
        before = _data(invocation.client.send("GET", f"{place}/verify", preliminary=True).json())
    nonce, key = share(invocation, before, "verification", started=bool(before.get("started")))
    with ErrorPrefix("Error posting verify key"):
        answer = _data(
            invocation.client.send("PUT", f"{place}/verify", body={"key": key, "nonce": nonce}).json()
        )
    if not answer.get("complete"):
        return _show(invocation, place)
    if not invocation.tabular:
        return invocation.print_value({"nonce": answer.get("nonce"), "complete": True})
    invocation.say("Success! The new keys count from now on, and the old ones no longer do.")
    return EXIT_OK


def _print_state(invocation: Invocation, state: Mapping[str, object]) -> int:
    from vaultctl.text.output import key_values

    if not invocation.tabular:
        return invocation.print_value({key: state.get(key, default) for key, default in _STATE.items()})
    rows = [("Nonce", str(state.get("nonce") or "")), ("Started", _truth(state.get("started")))]
    if state.get("started"):
        rows += [
            ("Progress", f"{state.get('progress')}/{state.get('required')}"),
            ("New Shares", str(state.get("n"))),
            ("New Threshold", str(state.get("t"))),
            ("Verification Required", _truth(state.get("verification_required"))),
        ]
        if state.get("verification_nonce"):
            rows.append(("Verification Nonce", str(state["verification_nonce"])))
    fingerprints = as_list(state.get("pgp_fingerprints"))
    if fingerprints:
        rows.append(("PGP Fingerprints", f"[{' '.join(map(str, fingerprints))}]"))
        rows.append(("Backup", _truth(state.get("backup"))))
    invocation.say(key_values(rows))
    return EXIT_OK


def _print_verification(invocation: Invocation, state: Mapping[str, object]) -> int:
    from vaultctl.text.output import key_values

    if not invocation.tabular:
        return invocation.print_value({key: state.get(key, default) for key, default in _VERIFYING.items()})
    rows = [
        ("Started", _truth(state.get("started"))),
        ("New Shares", str(state.get("n"))),
        ("New Threshold", str(state.get("t"))),
        ("Verification Nonce", str(state.get("nonce") or "")),
        ("Verification Progress", f"{state.get('progress')}/{state.get('t')}"),
    ]
    invocation.say(key_values(rows))
    return EXIT_OK


def _print_new(invocation: Invocation, done: Mapping[str, object], before: Mapping[str, object]) -> int:
    if not invocation.tabular:
        document = {key: done.get(key, default) for key, default in _DONE.items()}
        if done.get("verification_nonce"):
            document["verification_nonce"] = done["verification_nonce"]
        return invocation.print_value(document)
    keys, fingerprints = as_list(done.get("keys_base64")), as_list(done.get("pgp_fingerprints"))
    invocation.say("")
    for number, key in enumerate(keys, start=1):
        whose = f" fingerprint: {fingerprints[number - 1]}; value" if number <= len(fingerprints) else ""
        invocation.say(f"Key {number}{whose}: {key}")
    if nonce := done.get("nonce"):
        invocation.say(f"\nOperation nonce: {nonce}")
    if not keys:
        invocation.say("\nThe root key is new. Nobody's keys have changed.")
        return EXIT_OK
    needed = before.get("t")
    if done.get("verification_required"):
        invocation.say(
            f"\nThese keys do not count yet, and the old ones still do. Give each to its holder, then have {needed} of\n"
            f"them given back: vaultctl operator rotate-keys -verify -nonce={done.get('verification_nonce')}"
        )
        return EXIT_OK
    invocation.say(
        f"\nThe old keys no longer count. Give each of the {len(keys)} new ones to another person and keep none here:\n"
        f"any {needed} of them stand for all."
    )
    if done.get("backup"):
        invocation.say(
            "The encrypted keys are kept on the server: -backup-retrieve shows them, -backup-delete removes them."
        )
    return EXIT_OK


def _data(answer: Mapping[str, object]) -> Mapping[str, object]:
    return as_map(answer.get("data")) or answer


def _truth(value: object) -> str:
    return "true" if value else "false"

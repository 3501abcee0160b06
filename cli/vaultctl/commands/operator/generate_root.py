# SPDX-License-Identifier: EUPL-1.2
"""operator generate-root: a new root token, with the consent of those who hold shares."""

from __future__ import annotations

from vaultctl.errors import EXIT_OK, UsageError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACE = "sys/generate-root-token"
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEYS = {
    "nonce": "",
    "started": False,
    "progress": 0,
    "required": 0,
    "complete": False,
    "encoded_token": "",
    "encoded_root_token": "",
    "pgp_fingerprint": "",
    "otp": "",
    "otp_length": 0,
}


def generate_root(invocation: Invocation) -> int:
    """Begin, show, cancel, decode or go on; what is asked for first in this order is done."""
    if invocation.truth("generate-otp"):
        return _make_pad(invocation)
    if invocation.text("decode"):
        return _decode(invocation)
    if invocation.truth("cancel"):
        with ErrorPrefix("Error canceling root token generation"):
            invocation.client.send("DELETE", f"{_PLACE}/attempt")
        invocation.say("Success! Root token generation canceled (if it was started)")
        return EXIT_OK
    if invocation.truth("init"):
        return _begin(invocation)
    if invocation.truth("status"):
        return _print(invocation, _state(invocation))
    return _give(invocation)


def _begin(invocation: Invocation) -> int:
    from vaultctl.commands.operator.seal import pgp_keys

    keys = pgp_keys([invocation.text("pgp-key")]) or [""]
    body = {"otp": invocation.text("otp"), "pgp_key": keys[0]}
    with ErrorPrefix("Error initializing root generation"):
        answer = invocation.client.send("PUT", f"{_PLACE}/attempt", body=body).json()
    return _print(invocation, as_map(answer.get("data")))


def _give(invocation: Invocation) -> int:
    from vaultctl.commands.operator.seal import share

    before = _state(invocation)
    nonce, key = share(invocation, before, "root token generation", started=bool(before.get("started")))
    with ErrorPrefix("Error posting unseal key"):
        answer = invocation.client.send("PUT", f"{_PLACE}/update", body={"key": key, "nonce": nonce}).json()
    return _print(invocation, as_map(answer.get("data")))


def _decode(invocation: Invocation) -> int:
    """Take a token out of its pad, here: it need not travel again."""
    from base64 import b64decode

    pad, text = invocation.text("otp"), invocation.text("decode")
    if not pad:
        raise UsageError("Missing otp: use -otp to supply it")
    if text == "-":
        from vaultctl.prompt import from_stdin

        text = from_stdin(invocation)
    try:
        hidden = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise UsageError("-decode needs the encoded token, in base64") from None
    if len(hidden) != len(pad):
        raise UsageError("-otp is not as long as the encoded token: it is not the one that belongs to it")
    token = bytes(a ^ b for a, b in zip(hidden, pad.encode(), strict=True)).decode(errors="replace")
    if invocation.tabular:
        invocation.say(token)
        return EXIT_OK
    return invocation.print_value({"token": token})


def _make_pad(invocation: Invocation) -> int:
    import secrets

    length = _state(invocation).get("otp_length")
    size = length if isinstance(length, int) else 0
    pad = "".join(secrets.choice(_LETTERS) for _ in range(size))
    if invocation.tabular:
        invocation.say(pad)
        return EXIT_OK
    return invocation.print_value({"otp": pad, "otp_length": size})


def _state(invocation: Invocation) -> Mapping[str, object]:
    with ErrorPrefix("Error getting root generation status"):
        return as_map(invocation.client.send("GET", f"{_PLACE}/attempt", preliminary=True).json().get("data"))


def _print(invocation: Invocation, state: Mapping[str, object]) -> int:
    if not invocation.tabular:
        return invocation.print_value({key: state.get(key, default) for key, default in _KEYS.items()})
    rows = [
        ("Nonce", state.get("nonce") or "n/a"),
        ("Started", "true" if state.get("started") else "false"),
        ("Progress", f"{state.get('progress')}/{state.get('required')}"),
        ("Complete", "true" if state.get("complete") else "false"),
    ]
    for title, key in (
        ("PGP Fingerprint", "pgp_fingerprint"),
        ("Encoded Token", "encoded_token"),
        ("OTP", "otp"),
        ("OTP Length", "otp_length"),
    ):
        rows += [(title, state[key])] if state.get(key) else []
    if state.get("otp"):
        invocation.warn("Keep the OTP: the token can be read with it alone.")
    if not state.get("otp_length"):
        rows.append(("OTP Length", 26))
    width = max(len(title) for title, _ in rows)
    invocation.say("\n".join(f"{title:<{width}}    {value}" for title, value in rows))
    return EXIT_OK

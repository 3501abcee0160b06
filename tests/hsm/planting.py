# SPDX-License-Identifier: EUPL-1.2
"""A process that reaches a token, and does to the objects there whatever the token lets it do: without any PIN, as the
security officer, or with the user's.

Run as `python -m tests.hsm.planting`: an `Attack` in JSON on standard input, an outcome for each deed on standard output.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec
import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

from hsm.agent.keys.signatures import CURVES
from hsm.agent.session.module import load
from tests.house.tree import ROOT

KNOWN_KEY: Final = bytes(range(100, 132))
"""The value of every secret key that is planted: whoever planted it can open what is wrapped under it."""


class Attack(msgspec.Struct, frozen=True, kw_only=True):
    """What is attacked, and how."""

    lib: str
    parameters: str = ""
    token_label: str
    key_label: str
    key_id: bytes
    deeds: tuple[str, ...]
    """Names in `DEEDS`, done one after the other."""
    who: Literal["anybody", "officer", "user"] = "anybody"
    """Who logs in: nobody, the security officer, or the user."""
    pin: str = ""
    """The PIN of who logs in."""
    value: bytes = KNOWN_KEY
    """The value of every secret key that is planted."""
    point: bytes = b""
    """`CKA_EC_POINT` of a public key that is planted."""
    count: int = 1


def attack(
    what: Attack, *, environment: Mapping[str, str] | None = None, inside: tuple[str, ...] = ()
) -> dict[str, str]:
    """Run the process; return for each deed `done` with a count, or what the token said to the last try."""
    finished = subprocess.run(
        [*inside, sys.executable, "-P", "-m", "tests.hsm.planting"],
        input=msgspec.json.encode(what),
        env={**(environment or os.environ), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return msgspec.json.decode(finished.stdout, type=dict[str, str])


def _secret(what: Attack, **more: bool) -> dict[Attribute, Any]:
    named = {Attribute[name]: value for name, value in more.items()}
    return {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: KeyType.AES,
        Attribute.TOKEN: True,
        Attribute.LABEL: what.key_label,
        Attribute.ID: what.key_id,
        Attribute.ENCRYPT: True,
        Attribute.DECRYPT: True,
        Attribute.VALUE: what.value,
        **named,
    }


def _hmac(what: Attack, **more: bool) -> dict[Attribute, Any]:
    made = _secret(what, PRIVATE=True, **more)
    del made[Attribute.ENCRYPT], made[Attribute.DECRYPT]
    return {**made, Attribute.KEY_TYPE: KeyType.GENERIC_SECRET, Attribute.SIGN: True, Attribute.VERIFY: True}


def _point(what: Attack) -> dict[Attribute, Any]:
    return {
        Attribute.CLASS: ObjectClass.PUBLIC_KEY,
        Attribute.KEY_TYPE: KeyType.EC,
        Attribute.TOKEN: True,
        Attribute.PRIVATE: False,
        Attribute.LABEL: what.key_label,
        Attribute.ID: what.key_id,
        Attribute.VERIFY: True,
        Attribute.EC_PARAMS: CURVES["p256"],
        Attribute.EC_POINT: what.point,
    }


def _rsa(what: Attack) -> dict[Attribute, Any]:
    return {
        Attribute.CLASS: ObjectClass.PUBLIC_KEY,
        Attribute.KEY_TYPE: KeyType.RSA,
        Attribute.TOKEN: True,
        Attribute.PRIVATE: False,
        Attribute.LABEL: what.key_label,
        Attribute.ID: what.key_id,
        Attribute.ENCRYPT: True,
        Attribute.MODULUS: bytes([0xC1]) * 384,
        Attribute.PUBLIC_EXPONENT: b"\x01\x00\x01",
    }


def _plants(*templates: Callable[[Attack], dict[Attribute, Any]]) -> Callable[[Any, Attack], int]:
    def deed(session: Any, what: Attack) -> int:
        refusal: pkcs11.PKCS11Error | None = None
        for template in templates:
            try:
                for _ in range(what.count):
                    session.create_object(template(what))
            except pkcs11.PKCS11Error as error:
                refusal = error
                continue
            return what.count
        assert refusal is not None
        raise refusal

    return deed


def _named(session: Any, what: Attack) -> Iterator[Any]:
    wanted = {Attribute.LABEL: what.key_label, Attribute.ID: what.key_id}
    yield from list(session.get_objects(wanted))


def _delete(session: Any, what: Attack) -> int:
    found = 0
    for key in _named(session, what):
        key.destroy()
        found += 1
    return found


def _change(attribute: Attribute, value: object) -> Callable[[Any, Attack], int]:
    def deed(session: Any, what: Attack) -> int:
        found = 0
        for key in _named(session, what):
            key[attribute] = value
            found += 1
        return found

    return deed


def _copy(session: Any, what: Attack) -> int:
    """Make a private object of one that is public."""
    public = session.create_object(_secret(what, PRIVATE=False))
    public.copy({Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False})
    return 1


def _unwrap(session: Any, what: Attack) -> int:
    """Bring a private object in under a key of the session."""
    wrapping = session.create_object(
        {
            **_secret(what, PRIVATE=False),
            Attribute.TOKEN: False,
            Attribute.LABEL: "own",
            Attribute.UNWRAP: True,
            Attribute.WRAP: True,
        }
    )
    session_key = session.create_object(
        {**_secret(what, PRIVATE=False, SENSITIVE=False, EXTRACTABLE=True), Attribute.TOKEN: False}
    )

    def bring_in(mechanism: Mechanism) -> None:
        wrapping.unwrap_key(
            ObjectClass.SECRET_KEY,
            KeyType.AES,
            wrapping.wrap_key(session_key, mechanism=mechanism),
            mechanism=mechanism,
            id=what.key_id,
            label=what.key_label,
            store=True,
            capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
            template={Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
        )

    try:
        bring_in(Mechanism.AES_KEY_WRAP)
    except pkcs11.MechanismInvalid:
        bring_in(Mechanism.AES_ECB)
    return 1


DEEDS: Final[Mapping[str, Callable[[Any, Attack], int]]] = {
    "plant": _plants(
        lambda what: _secret(what, PRIVATE=False, SENSITIVE=True, EXTRACTABLE=False),
        lambda what: _secret(what, PRIVATE=False, SENSITIVE=False, EXTRACTABLE=True),
        lambda what: _secret(what, PRIVATE=False),
    ),
    "plant as private": _plants(
        lambda what: _secret(what, PRIVATE=True, SENSITIVE=True, EXTRACTABLE=False),
        lambda what: _secret(what, PRIVATE=True),
        _secret,
    ),
    "plant as trusted": _plants(
        lambda what: _secret(what, PRIVATE=True, TRUSTED=True),
        lambda what: _secret(what, PRIVATE=False, TRUSTED=True),
    ),
    "plant an HMAC key": _plants(lambda what: _hmac(what, SENSITIVE=True, EXTRACTABLE=False)),
    "copy as private": _copy,
    "unwrap as private": _unwrap,
    "make private": _change(Attribute.PRIVATE, value=True),
    "plant a public half": _plants(_point),
    "trust": _change(Attribute.TRUSTED, value=True),
    "plant a public RSA key": _plants(_rsa),
    "delete": _delete,
    "retire": _change(Attribute.ENCRYPT, False),
    "rename": _change(Attribute.LABEL, "elsewhere"),
}


def main() -> None:
    """Be the process without the PIN."""
    what = msgspec.json.decode(sys.stdin.buffer.read(), type=Attack)
    module = load(what.lib, what.parameters)
    token = next(
        t for t in (slot.get_token() for slot in module.slots()) if t.label.strip() == what.token_label
    )
    logins: Mapping[str, dict[str, Any]] = {
        "anybody": {},
        "officer": {"so_pin": what.pin},
        "user": {"user_pin": what.pin},
    }
    outcomes = {}
    for name in what.deeds:
        try:
            with token.open(rw=True, **logins[what.who]) as session:
                outcomes[name] = f"done: {DEEDS[name](session, what)}"
        except pkcs11.PKCS11Error as error:
            outcomes[name] = str(error) or type(error).__name__
    sys.stdout.buffer.write(msgspec.json.encode(outcomes))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: EUPL-1.2
"""Making keys on a token: sensitive, not extractable, and looked at again once they are there."""

from __future__ import annotations

import contextlib
from typing import Any, Final

import pkcs11
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass

from hsm.agent.keys.objects import HMAC_SUFFIX, companion, exists, find, unguarded, versions
from hsm.agent.keys.proof import check_fresh, check_fresh_authenticator
from hsm.agent.keys.signatures import CURVES
from hsm.agent.session.pool import TokenSession
from hsm.agent.session.quirks import Quirks
from hsm.errors import BadConfig, KeyAmbiguous
from hsm.versions import KeyVersion, following, name, next_version, printable

KEK_ALGORITHMS: Final = ("aes", "aes+hmac", "rsa3072", "rsa4096")
PAIR_ALGORITHMS: Final = ("ed25519", "p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096")

_CRYPT: Final = MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT
_SIGN: Final = MechanismFlag.SIGN | MechanismFlag.VERIFY
_MINIMAL: Final = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
_REFUSED_TEMPLATE: Final = (
    pkcs11.GeneralError,
    pkcs11.FunctionFailed,
    pkcs11.ArgumentsBad,
    pkcs11.AttributeReadOnly,
    pkcs11.AttributeTypeInvalid,
    pkcs11.AttributeValueInvalid,
    pkcs11.TemplateIncomplete,
    pkcs11.TemplateInconsistent,
)


def generate_kek(
    session: TokenSession,
    label: str,
    algorithm: str,
    quirks: Quirks,
    *,
    modifiable: bool,
    dry_run: bool = False,
) -> KeyVersion:
    """Make the next version of the key `label`; `algorithm` is one of `KEK_ALGORITHMS`.

    `modifiable` lets it be retired on the token later. With `dry_run` the key is one of the session alone, and is
    destroyed again. A version is passed over whose HMAC key is all that there is: its making was interrupted, and a
    second one of the same id could not be told from it. Raises `BadConfig`, `KeyAmbiguous` when somebody else made the
    same version meanwhile, and python-pkcs11's exceptions.
    """
    if algorithm not in KEK_ALGORITHMS:
        raise BadConfig(f"algorithm: must be one of {', '.join(KEK_ALGORITHMS)}")
    if not label:
        raise BadConfig("key_label: a new key needs a label")
    found = versions(session, label)
    if quirks.one_key_per_id:
        found += versions(session, "")
    key_id = next_version(found)
    while exists(session, ObjectClass.SECRET_KEY, label + HMAC_SUFFIX, companion(key_id)):
        key_id = following(key_id)
    templates = _templates(quirks, modifiable=modifiable)
    store = not dry_run
    made: list[Any] = []
    if algorithm.startswith("rsa"):
        made += _rsa(session, label, key_id, int(algorithm[3:]), _CRYPT, templates, store=store)
    else:
        made += _aes(session, label, key_id, templates, authenticated=algorithm == "aes+hmac", store=store)
    _check(made, label, key_id)
    try:
        check_fresh(session, made[-1], name(label, key_id))
        if algorithm == "aes+hmac":
            check_fresh_authenticator(session, made[0], name(label, key_id))
    except (BadConfig, pkcs11.PKCS11Error):
        _destroy(made)
        raise
    session.keys.clear()
    try:
        version = next(v for v in versions(session, label) if v.version == printable(key_id))
    except KeyAmbiguous:
        _destroy(made)
        raise
    if dry_run:
        _destroy(made)
    return version


def generate_pair(session: TokenSession, label: str, key_id: bytes, algorithm: str, quirks: Quirks) -> None:
    """Make a key pair that signs; `algorithm` is one of `PAIR_ALGORITHMS`.

    Raises `BadConfig` when label and id are taken, and python-pkcs11's exceptions.
    """
    if algorithm not in PAIR_ALGORITHMS:
        raise BadConfig(f"algorithm: must be one of {', '.join(PAIR_ALGORITHMS)}")
    if not label or not key_id:
        raise BadConfig("key_label, key_id: a new key pair needs both")
    if exists(session, ObjectClass.PRIVATE_KEY, label, key_id):
        raise BadConfig(f"{name(label, key_id)}: is taken on the token; choose another id")
    templates = _templates(quirks, modifiable=False)
    if algorithm.startswith("rsa"):
        made = _rsa(session, label, key_id, int(algorithm[3:]), _SIGN, templates, store=True)
    else:
        made = _curve(session, label, key_id, algorithm, templates)
    _check(made, label, key_id)
    session.keys.clear()
    try:
        find(session, ObjectClass.PRIVATE_KEY, label, key_id)
    except KeyAmbiguous:
        _destroy(made)
        raise


def _templates(quirks: Quirks, *, modifiable: bool) -> list[dict[Attribute, bool]]:
    """Templates to try, the strictest first."""
    full = {**_MINIMAL, Attribute.PRIVATE: True, Attribute.COPYABLE: False}
    if not modifiable:
        full[Attribute.MODIFIABLE] = False
    return [_MINIMAL] if quirks.minimal_template else [full, _MINIMAL]


def _aes(
    session: TokenSession,
    label: str,
    key_id: bytes,
    templates: list[dict[Attribute, bool]],
    *,
    authenticated: bool,
    store: bool,
) -> list[Any]:
    """Make an AES key, and before it the one that authenticates; where the second fails, neither stays."""
    made: list[Any] = []
    if authenticated:
        other = companion(key_id)
        made.append(
            _secret(session, label + HMAC_SUFFIX, other, KeyType.GENERIC_SECRET, templates, store=store)
        )
    try:
        made.append(_secret(session, label, key_id, KeyType.AES, templates, store=store))
    except pkcs11.PKCS11Error:
        _destroy(made)
        raise
    return made


def _secret(
    session: TokenSession,
    label: str,
    key_id: bytes,
    key_type: KeyType,
    templates: list[dict[Attribute, bool]],
    *,
    store: bool,
) -> Any:  # noqa: ANN401 - see keys.find
    capabilities = _CRYPT if key_type is KeyType.AES else _SIGN

    def make(template: dict[Attribute, bool]) -> Any:  # noqa: ANN401 - see keys.find
        return session.pkcs11.generate_key(
            key_type, 256, id=key_id, label=label, store=store, capabilities=capabilities, template=template
        )

    return _first(make, templates)


def _rsa(
    session: TokenSession,
    label: str,
    key_id: bytes,
    bits: int,
    capabilities: MechanismFlag,
    templates: list[dict[Attribute, bool]],
    *,
    store: bool,
) -> tuple[Any, Any]:
    def make(template: dict[Attribute, bool]) -> Any:  # noqa: ANN401 - see keys.find
        return session.pkcs11.generate_keypair(
            KeyType.RSA,
            bits,
            id=key_id,
            label=label,
            store=store,
            capabilities=capabilities,
            private_template=template,
        )

    made: tuple[Any, Any] = _first(make, templates)
    return made


def _curve(
    session: TokenSession, label: str, key_id: bytes, algorithm: str, templates: list[dict[Attribute, bool]]
) -> tuple[Any, Any]:
    key_type = KeyType.EC_EDWARDS if algorithm == "ed25519" else KeyType.EC
    parameters = session.pkcs11.create_domain_parameters(
        key_type, {Attribute.EC_PARAMS: CURVES[algorithm]}, local=True
    )

    def make(template: dict[Attribute, bool]) -> Any:  # noqa: ANN401 - see keys.find
        return parameters.generate_keypair(
            id=key_id, label=label, store=True, capabilities=_SIGN, private_template=template
        )

    made: tuple[Any, Any] = _first(make, templates)
    return made


def _first(make: Any, templates: list[dict[Attribute, bool]]) -> Any:  # noqa: ANN401 - see keys.find
    """Make the key with the first template that the token takes."""
    for template in templates[:-1]:
        with contextlib.suppress(*_REFUSED_TEMPLATE):
            return make(template)
    return make(templates[-1])


def _check(made: list[Any] | tuple[Any, ...], label: str, key_id: bytes) -> None:
    """Destroy what is not guarded, and say so. Raises `BadConfig`."""
    for key in made:
        why = "" if key.object_class is ObjectClass.PUBLIC_KEY else unguarded(key)
        if why:
            _destroy(made)
            raise BadConfig(
                f"{name(label, key_id)}: the token did not make it as asked, so it was destroyed: {why}"
            )


def _destroy(made: list[Any] | tuple[Any, ...]) -> None:
    for key in made:
        with contextlib.suppress(pkcs11.PKCS11Error):
            key.destroy()

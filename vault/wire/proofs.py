# SPDX-License-Identifier: EUPL-1.2
"""What head and connection bring to prove who calls, beside the token."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Final

from vault.framework.call import Call
from vault.framework.request.head import Proofs
from vault.framework.secret import Secret

_SEVERAL: Final = b"?"
"""Stands for more than one proof of possession; no real proof is so short."""


def _factors(headers: Sequence[tuple[bytes, bytes]]) -> Sequence[str]:
    """Return the second factors in a head, in order."""
    return tuple(value.decode("latin-1") for name, value in headers if name == b"x-vault-mfa")


def prove(call: Call, scope: MutableMapping[str, Any], first: Mapping[bytes, bytes]) -> None:
    """Take what head and connection bring to prove who calls: certificate, second factors, Authorization, DPoP proof.

    The token is in the first Authorization header that can hold one, as in OpenBao; a name and its password count in
    the first one of all. Two DPoP proofs count as none (RFC 9449, 4.3).
    """
    connection, given = scope["state"], first.get(b"authorization", b"")
    certificate = connection.get("client_certificate") or b""
    if not (certificate or given or b"dpop" in first or b"x-vault-mfa" in first):
        return
    borne = b""
    if given and not call.token:
        held = (value for name, value in call.head.headers if name == b"authorization")
        borne = next((value for value in held if value[:7] == b"Bearer " or value[:5] == b"DPoP "), b"")
    if borne:
        call.token = Secret(borne.partition(b" ")[2].strip().decode("latin-1"))
    dpop = [value for name, value in call.head.headers if name == b"dpop"]
    call.proofs = Proofs(
        basic=Secret(given[6:].strip().decode("latin-1") if given[:6].lower() == b"basic " else ""),
        bearer=bool(borne),
        factors=_factors(call.head.headers),
        certificate=certificate,
        intermediates=connection.get("client_intermediates", ()),
        dpop=dpop[0] if len(dpop) == 1 else _SEVERAL if dpop else b"",
        target=scope["raw_path"].decode("latin-1") if dpop else "",
    )

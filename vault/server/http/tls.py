# SPDX-License-Identifier: EUPL-1.2
"""TLS of a listener: certificates checked before they are used, and nothing older than ECDHE with AEAD."""

from __future__ import annotations

import contextlib
import ssl
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from vault.server.config.settings import Listener
from vault.server.failure import StartFailure
from vault.values.times import Millis

_SUITES: Final = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
_ALWAYS_THERE: Final = frozenset(
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
)
_VERSIONS: Final = {"tls12": ssl.TLSVersion.TLSv1_2, "tls13": ssl.TLSVersion.TLSv1_3}

_CLEANSE_PLAINTEXT: Final = 0x2
"""OpenSSL's `SSL_OP_CLEANSE_PLAINTEXT`, which Python has no name for: what was read from a record is written over in its buffer."""

_LONGEST_PATH: Final = 10


class _Encrypted(Exception):
    """The private key asks for a password."""


def context_for(listener: Listener) -> ssl.SSLContext | None:
    """Make the TLS context of `listener`, or None when it serves plain HTTP.

    Raises `StartFailure` naming the setting and the file.
    """
    if listener.tls_disable or not listener.tls_cert_file:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[listener.tls_min_version]
    context.maximum_version = _VERSIONS[listener.tls_max_version]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= _CLEANSE_PLAINTEXT
    context.set_ciphers(_ciphers(listener))
    context.set_alpn_protocols(["http/1.1"])
    _load_pair(context, listener)
    _load_client_authorities(context, listener)
    return context


def expiry(listener: Listener, now: datetime) -> datetime:
    """Return when the certificate of `listener` expires. Raises `StartFailure` when it is not valid `now`."""
    from cryptography import x509  # a tenth of the start, and not needed by plain HTTP

    name = listener.tls_cert_file
    try:
        with open(name, "rb") as file:
            certificate = x509.load_pem_x509_certificate(file.read())
    except OSError as error:
        raise StartFailure(f"tls_cert_file {name}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StartFailure(f"tls_cert_file {name}: is not a PEM certificate") from error
    if certificate.not_valid_after_utc <= now:
        day = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        raise StartFailure(f"tls_cert_file {name}: the certificate expired on {day}; renew it")
    if certificate.not_valid_before_utc > now:
        day = f"{certificate.not_valid_before_utc:%Y-%m-%d}"
        raise StartFailure(
            f"tls_cert_file {name}: the certificate is not valid before {day}; check the clock"
        )
    return certificate.not_valid_after_utc


def exposed(listeners: Sequence[Listener]) -> list[str]:
    """Return a warning for each private key that users other than its owner and group may read.

    Of one that is not there whoever loads it tells.
    """
    found: dict[str, None] = {}
    for listener in listeners:
        name, mode = listener.tls_key_file, 0
        if name and not listener.tls_disable:
            with contextlib.suppress(OSError):
                mode = Path(name).stat().st_mode
        if mode & stat.S_IROTH:
            found[f"tls_key_file {name} can be read by every user of this machine; chmod o-rwx {name}"] = None
    return list(found)


def utc(millis: Millis) -> datetime:
    """Turn milliseconds since the epoch into a time in UTC."""
    return datetime.fromtimestamp(millis / 1000, UTC)


def _ciphers(listener: Listener) -> str:
    names: list[str] = []
    for suite in listener.tls_cipher_suites:
        if suite in _ALWAYS_THERE:
            continue
        if suite not in _SUITES:
            raise StartFailure(
                f"tls_cipher_suites of listener {listener.address}: has one that is unknown or too weak;"
                f" choose from {', '.join(sorted(_SUITES))}"
            )
        names.append(_SUITES[suite])
    return ":".join(names or _SUITES.values())


def _load_pair(context: ssl.SSLContext, listener: Listener) -> None:
    cert, key = listener.tls_cert_file, listener.tls_key_file
    for setting, name in (("tls_cert_file", cert), ("tls_key_file", key)):
        try:
            with open(name, "rb") as file:
                text = file.read(1 << 20)
        except OSError as error:
            raise StartFailure(
                f"{setting} {name}: cannot be read: {error.strerror}; check the path and its permissions"
            ) from error
        if b"-----BEGIN " not in text:
            raise StartFailure(f"{setting} {name}: is not a PEM file")
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except _Encrypted:
        raise StartFailure(
            f"tls_key_file {key}: is encrypted; give a key without a password, mode 0600"
        ) from None
    except ssl.SSLError as error:
        raise StartFailure(_pair_problem(error, cert, key)) from None


def _pair_problem(error: ssl.SSLError, cert: str, key: str) -> str:
    reason = error.reason or ""
    if "MISMATCH" in reason:
        return f"tls_key_file {key}: does not belong to the certificate in tls_cert_file {cert}"
    if "TOO_SMALL" in reason or "TOO_WEAK" in reason:
        return f"tls_cert_file {cert}: its key or signature is too weak; issue one with P-256 or RSA 2048 and SHA-256"
    return f"tls_cert_file {cert} or tls_key_file {key}: not a certificate and its private key in PEM"


def _no_password() -> str:
    raise _Encrypted


def presented(tls: ssl.SSLObject | None) -> tuple[bytes, ...]:
    """Return the certificates (DER) that a client has sent, its own first; nothing for none.

    Only the first has been verified, as its key was proven. At most so many are taken as a path may be long.
    """
    own = tls.getpeercert(binary_form=True) if tls is not None else None
    if tls is None or own is None:
        return ()
    sent = tls._sslobj.get_unverified_chain() or ()  # type: ignore[attr-defined]  # noqa: SLF001 -- public from 3.13 on
    return (own, *(_der(one) for one in sent[1:_LONGEST_PATH]))


def _der(certificate: object) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate.public_bytes())  # type: ignore[attr-defined]  # of a C type without a name


def _load_client_authorities(context: ssl.SSLContext, listener: Listener) -> None:
    name = listener.tls_client_ca_file
    if not name or listener.tls_disable_client_certs:
        return
    try:
        context.load_verify_locations(cafile=name)
    except (OSError, ssl.SSLError) as error:
        raise StartFailure(
            f"tls_client_ca_file {name}: cannot be read as PEM certificates; check the path and its permissions"
        ) from error
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a certificate that is pinned is its own authority
    required = listener.tls_require_and_verify_client_cert
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL

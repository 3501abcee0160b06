# SPDX-License-Identifier: EUPL-1.2
"""The keys of listeners' certificates, as the crypto inventory has them: read from the files that the configuration names."""

from __future__ import annotations

from collections.abc import Sequence

from vault.framework.keys.inventory import KeyState, KeyUse, Purpose, kind_of
from vault.server.config.settings import Listener
from vault.values.times import Millis


def listener_keys(listeners: Sequence[Listener]) -> Sequence[KeyUse]:
    """Describe the key of each TLS listener; it reads files, so call it in a thread. The private key is not touched."""
    return [
        _described(listener) for listener in listeners if listener.tls_cert_file and not listener.tls_disable
    ]


def _described(listener: Listener) -> KeyUse:
    from cryptography import x509  # a tenth of the start, and not needed by plain HTTP

    try:
        with open(listener.tls_cert_file, "rb") as file:
            certificate = x509.load_pem_x509_certificate(file.read())
    except (OSError, ValueError):
        return _use(listener, "", 0, state=KeyState.UNREACHABLE)
    algorithm, bits = kind_of(certificate.public_key())
    return _use(
        listener,
        algorithm,
        bits,
        created=Millis(int(certificate.not_valid_before_utc.timestamp() * 1000)),
        ends=Millis(int(certificate.not_valid_after_utc.timestamp() * 1000)),
    )


def _use(
    listener: Listener,
    algorithm: str,
    bits: int,
    *,
    state: KeyState = KeyState.ACTIVE,
    created: Millis = Millis(0),
    ends: Millis = Millis(0),
) -> KeyUse:
    return KeyUse(
        name=listener.address,
        purpose=Purpose.TLS_LISTENER,
        protects=f"connections to {listener.address}: who the server is",
        algorithm=algorithm,
        bits=bits,
        location="files of the server",
        state=state,
        created=created,
        ends=ends,
    )

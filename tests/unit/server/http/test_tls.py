# SPDX-License-Identifier: EUPL-1.2
"""TLS of a listener: which suites, and what is said about files that cannot be used."""

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.integration.processes import certificate
from vault.server.config.settings import Listener
from vault.server.failure import StartFailure
from vault.server.http import tls

NOW = datetime.now(UTC)


def _listener(cert: Path, key: Path, *, suites: Sequence[str] = ()) -> Listener:
    return Listener(
        kind="tcp", tls_cert_file=str(cert), tls_key_file=str(key), tls_cipher_suites=tuple(suites)
    )


def _suites(context: ssl.SSLContext | None) -> set[str]:
    assert context is not None
    return {each["name"] for each in context.get_ciphers() if not each["name"].startswith("TLS_")}


def test_suites_that_are_chosen_are_the_only_ones_of_tls_1_2(tmp_path: Path) -> None:
    pair = certificate(tmp_path, "server")
    chosen = ["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
    assert _suites(tls.context_for(_listener(*pair, suites=chosen))) == {"ECDHE-ECDSA-AES128-GCM-SHA256"}
    assert len(_suites(tls.context_for(_listener(*pair, suites=chosen[:1])))) == 6
    assert tls.context_for(Listener(kind="tcp")) is None


def test_openssl_is_told_to_write_over_what_was_read_from_a_record(tmp_path: Path) -> None:
    """Python does not name the option: SSL_OP_CLEANSE_PLAINTEXT. Without it tokens lay in free memory after their revocation."""
    context = tls.context_for(_listener(*certificate(tmp_path, "server")))
    assert context is not None
    assert context.options & 0x2


@pytest.mark.parametrize("suite", ["TLS_RSA_WITH_AES_128_CBC_SHA", "hunter2"])
def test_a_suite_that_is_weak_or_unknown_is_refused_and_not_repeated(suite: str, tmp_path: Path) -> None:
    with pytest.raises(StartFailure, match="unknown or too weak; choose from TLS_ECDHE_ECDSA") as caught:
        tls.context_for(_listener(*certificate(tmp_path, "server"), suites=[suite]))
    assert suite not in str(caught.value)


def test_a_certificate_counts_from_its_first_day_to_its_last(tmp_path: Path) -> None:
    listener = _listener(*certificate(tmp_path, "server", days=(-1, 30)))
    end = tls.expiry(listener, NOW)
    assert end - NOW == pytest.approx(timedelta(days=30), abs=timedelta(hours=1))
    with pytest.raises(StartFailure, match=r"expired on \d{4}-\d\d-\d\d; renew it"):
        tls.expiry(listener, end)
    with pytest.raises(StartFailure, match=r"not valid before \d{4}-\d\d-\d\d; check the clock"):
        tls.expiry(listener, NOW - timedelta(days=2))


def test_a_certificate_that_went_away_or_is_another_thing_is_named(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "server")
    with pytest.raises(StartFailure, match=r"server.key: is not a PEM certificate"):
        tls.expiry(_listener(key, key), NOW)
    cert.unlink()
    with pytest.raises(StartFailure, match=r"server.crt: cannot be read: No such file"):
        tls.expiry(_listener(cert, key), NOW)


def test_a_pair_that_cannot_be_used_is_told_apart(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "server")
    other = certificate(tmp_path, "other")[1]
    locked = certificate(tmp_path, "locked", password=b"hunter2")
    with pytest.raises(StartFailure, match=r"other.key: does not belong to the certificate"):
        tls.context_for(_listener(cert, other))
    with pytest.raises(StartFailure, match=r"locked.key: is encrypted; give a key without a password"):
        tls.context_for(_listener(*locked))
    with pytest.raises(StartFailure, match="not a certificate and its private key in PEM"):
        tls.context_for(_listener(key, cert))
    der = tmp_path / "der.crt"
    der.write_bytes(ssl.PEM_cert_to_DER_cert(cert.read_text()))
    with pytest.raises(StartFailure, match=r"tls_cert_file .*der.crt: is not a PEM file"):
        tls.context_for(_listener(der, key))


def test_a_key_that_is_too_weak_is_told_as_such(tmp_path: Path) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  # weak on purpose
    cert, key = certificate(tmp_path, "weak", key=weak)
    with pytest.raises(
        StartFailure, match=r"weak.crt: its key or signature is too weak; issue one with P-256"
    ):
        tls.context_for(_listener(cert, key))


def test_authorities_of_clients_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "server")
    listener = Listener(
        kind="tcp", tls_cert_file=str(cert), tls_key_file=str(key), tls_client_ca_file=str(key)
    )
    with pytest.raises(StartFailure, match=r"tls_client_ca_file .*server.key: cannot be read as PEM"):
        tls.context_for(listener)

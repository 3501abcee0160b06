# SPDX-License-Identifier: EUPL-1.2
"""What the inventory says of the keys of listeners: of their certificates, and nothing of their private keys."""

from pathlib import Path

import msgspec

from tests.integration.processes import certificate
from vault.framework.keys.inventory import KeyState
from vault.server.config.settings import Listener
from vault.server.http.certificates import listener_keys
from vault.values.times import DAY


def _listener(cert: Path, key: Path) -> Listener:
    return Listener(kind="tcp", address="127.0.0.1:8200", tls_cert_file=str(cert), tls_key_file=str(key))


def test_a_certificate_tells_its_key_and_its_end(tmp_path: Path) -> None:
    (use,) = listener_keys([_listener(*certificate(tmp_path, "server", days=(-1, 30)))])
    assert (use.name, use.algorithm, use.bits) == ("127.0.0.1:8200", "ecdsa-p256-sha256", 256)
    assert use.state is KeyState.ACTIVE and use.ends - use.created == 31 * DAY * 1000


def test_the_private_key_is_not_read(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "server")
    key.unlink()
    (use,) = listener_keys([_listener(cert, key)])
    assert use.state is KeyState.ACTIVE


def test_a_file_that_cannot_be_read_leaves_a_row_that_says_so(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "server")
    listener = _listener(cert, key)
    for spoil in (lambda: cert.write_text("hunter2"), cert.unlink):
        spoil()
        (use,) = listener_keys([listener])
        assert (use.state, use.algorithm, use.ends) == (KeyState.UNREACHABLE, "", 0)


def test_a_listener_without_tls_has_no_key(tmp_path: Path) -> None:
    listener = _listener(*certificate(tmp_path, "server"))
    plain = msgspec.structs.replace(listener, tls_disable=True)
    assert listener_keys([plain, Listener(kind="unix", address="/run/x.sock")]) == []

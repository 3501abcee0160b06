# SPDX-License-Identifier: EUPL-1.2
"""What a listener takes up of TLS: both servers behind certificates, and listeners that take too much."""

import shutil
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_server

import pytest

from esa_conformance.areas.crypto import early_data_is_not_taken, old_tls_is_refused
from esa_conformance.binding.client import Client
from esa_conformance.errors import ConformanceError, Missed, NoAnswer, PreconditionFailed
from esa_conformance.evidence.openssl import early_data_bytes
from esa_conformance.manifest import Compat, Manifest
from esa_conformance.run.state import State
from esa_conformance.run.trial import Trial
from esa_conformance.wire.hello import P256, TLS_1_2, TLS_1_3, X25519, X25519_ML_KEM_768, Taken, offer
from esa_conformance.wire.transport import Transport
from tests.conformance_suite.judging import NEEDS_TLS, judge, manifest_of, prepare
from tests.conformance_suite.made import RUN
from tests.conformance_suite.secured import CERTIFICATE, Secured, SecuredCoffre, SecuredOpenBao, pair

_OPENSSL = shutil.which("openssl") or "openssl"


@pytest.fixture(scope="module", params=[SecuredCoffre, SecuredOpenBao])
def server(request: pytest.FixtureRequest) -> Iterator[Secured]:
    """A server with a listener for TLS."""
    started: Secured = request.param()
    try:
        prepare(started)
        yield started
    finally:
        started.stop()


def test_both_servers_refuse_what_is_too_old(server: Secured, tmp_path: Path) -> None:
    own = manifest_of(server, tmp_path)
    ca = str(server.directory / CERTIFICATE)
    manifest = Manifest(**{**vars(own), "address": f"https://127.0.0.1:{server.tls_port}", "ca_file": ca})
    found = judge(manifest, tmp_path, only=sorted(NEEDS_TLS))
    assert found.outcomes() == dict.fromkeys(NEEDS_TLS, "pass"), found.details()


@contextmanager
def _taking(folder: Path, context: ssl.SSLContext | None) -> Iterator[Transport]:
    """A listener that makes TLS as a context says and then says nothing; without one it says nothing at all."""
    if context is not None:
        context.load_cert_chain(*pair(folder))
    with create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    plain, _ = listening.accept()
                except TimeoutError:
                    continue
                plain.settimeout(5)
                try:
                    if context is not None:
                        plain = context.wrap_socket(plain, server_side=True)
                        plain.recv(100)
                except OSError:
                    pass
                finally:
                    plain.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Transport(f"https://127.0.0.1:{listening.getsockname()[1]}", rps=5000, request_s=20)
        finally:
            ended.set()
            thread.join()


def _trial(transport: Transport, openssl: str = _OPENSSL) -> Trial:
    nobody = Client(transport, Compat("/v1", "secret", ""))
    return Trial(State(RUN, transport, nobody, {}, "c", frozenset(), None, openssl=openssl), "core")


def _context(oldest: ssl.TLSVersion, newest: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = oldest, newest
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("oldest", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_a_listener_that_takes_old_versions_is_missed(oldest: ssl.TLSVersion, tmp_path: Path) -> None:
    with _taking(tmp_path, _context(oldest, ssl.TLSVersion.TLSv1_3)) as transport, pytest.raises(Missed):
        old_tls_is_refused(_trial(transport))


def test_a_listener_without_the_hybrid_agreement_is_warned_of(tmp_path: Path) -> None:
    context = _context(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    context.set_ecdh_curve("prime256v1")
    with _taking(tmp_path, context) as transport:
        trial = _trial(transport)
        old_tls_is_refused(trial)
    assert len(trial.warnings) == 1


def test_a_listener_without_tls_is_not_judged(tmp_path: Path) -> None:
    with _taking(tmp_path, None) as transport:
        for body in (old_tls_is_refused, early_data_is_not_taken):
            with pytest.raises(PreconditionFailed):
                body(_trial(transport))
        with pytest.raises(ConformanceError):
            early_data_bytes(_OPENSSL, transport.place)


def test_tickets_that_allow_early_data_are_missed(tmp_path: Path) -> None:
    program = tmp_path / "openssl"
    program.write_text(
        "#!/bin/sh\necho 'New, TLSv1.3, Cipher is X'\necho '    Max Early Data: 0'\necho '    Max Early Data: 16384'\n"
    )
    program.chmod(0o700)
    with (
        _taking(tmp_path, _context(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)) as transport,
        pytest.raises(Missed),
    ):
        early_data_is_not_taken(_trial(transport, str(program)))


def test_an_offer_tells_what_is_taken(tmp_path: Path) -> None:
    context = _context(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    context.set_ecdh_curve("prime256v1")
    with _taking(tmp_path, context) as transport:
        assert transport.offer(TLS_1_2, (P256,)) == Taken(TLS_1_2, 0)
        assert transport.offer(TLS_1_3, (X25519, P256)) == Taken(TLS_1_3, P256)
        assert transport.offer(TLS_1_3, (X25519_ML_KEM_768,)) is None


def test_who_does_not_answer_is_no_refusal(tmp_path: Path) -> None:
    with create_server(("127.0.0.1", 0)) as silent, pytest.raises(NoAnswer):
        offer(silent.getsockname(), TLS_1_3, (P256,), 0.2)
    with pytest.raises(NoAnswer):
        offer(("nowhere.invalid", 1), TLS_1_3, (P256,), 5)

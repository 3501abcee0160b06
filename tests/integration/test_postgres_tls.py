# SPDX-License-Identifier: EUPL-1.2
"""The way to PostgreSQL as it is configured: the database's certificate, ours, and passwords that are changed."""

import asyncio
import gc
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.certificates import Made, authority, certificate
from tests.ports import free_port
from tests.postgres import Cluster, started
from tests.storage.stores import until_kept
from tests.storage.test_postgres_away import soon
from vault.server.config.settings import StorageSettings
from vault.server.process import storages
from vault.storage.postgres.administration import install
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import StorageFailure

# asyncpg leaves the socket of a handshake that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
_NODE, _SHOWN = "node", "shown"
_PASSWORD = "hunter2hunter2"
_RULES = f"""
local   all all trust
hostssl all {_NODE}  127.0.0.1/32 scram-sha-256
hostssl all {_SHOWN} 127.0.0.1/32 cert
"""


def _written(folder: Path, name: str, made: Made) -> tuple[Path, Path]:
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    cert.write_bytes(made.certificate.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        made.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    key.chmod(0o600)
    return cert, key


class Site:
    """A server that speaks TLS on loopback, its database, and what is needed to use it."""

    def __init__(self, cluster: Cluster, folder: Path, port: int) -> None:
        self._cluster, self._folder, self._port = cluster, folder, port
        self.database = cluster.bare()
        cluster.run(
            "postgres", f"CREATE ROLE {_NODE} LOGIN PASSWORD '{_PASSWORD}'; CREATE ROLE {_SHOWN} LOGIN"
        )
        for role in (_NODE, _SHOWN):
            asyncio.run(install(cluster.address(self.database), role))
        (folder / "password").write_text(f"{_PASSWORD}\n")

    def change_password(self, password: str) -> None:
        self._cluster.run("postgres", f"ALTER ROLE {_NODE} PASSWORD '{password}'")
        (self._folder / "password").write_text(password)

    def settings(self, user: str = _NODE, host: str = "localhost", **more: object) -> StorageSettings:
        given = {
            "connection_url": f"postgresql://{user}@{host}:{self._port}/{self.database}",
            "tls_ca_file": str(self._folder / "ca.crt"),
            "password_file": str(self._folder / "password"),
        }
        return StorageSettings(kind="postgresql", **(given | more))  # type: ignore[arg-type]  # of the right types


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("tls")
    now = datetime.now(UTC)
    lasts: Any = {"since": now - timedelta(days=1), "until": now + timedelta(days=1)}
    ca = authority("the authority", **lasts)
    name = [x509.DNSName("localhost")]
    cert, key = _written(folder, "server", certificate("localhost", ca, sans=name, **lasts))
    _written(folder, "ca", ca)
    _written(folder, "client", certificate(_SHOWN, ca, **lasts))
    ended: Any = {"since": now - timedelta(days=2), "until": now - timedelta(days=1)}
    _written(folder, "expired", certificate(_SHOWN, ca, **ended))
    _written(folder, "somebody", certificate("somebody", ca, **lasts))
    _written(folder, "other", authority("another authority", **lasts))
    port = free_port()
    settings = {
        "listen_addresses": "127.0.0.1", "port": str(port), "ssl": "on",
        "ssl_cert_file": "server.crt", "ssl_key_file": "server.key", "ssl_ca_file": "ca.crt",
    }  # fmt: skip
    with started(settings, rules=_RULES, files=(cert, key, folder / "ca.crt")) as cluster:
        yield Site(cluster, folder, port)


@pytest.fixture(autouse=True)
def _nothing_left_to_later_tests() -> Iterator[None]:
    """The collector finds those sockets here, where the warning of them is expected."""
    yield
    gc.collect()


def opened(settings: StorageSettings) -> bool:
    """Write and read; return whether the way there is encrypted."""

    async def story() -> bool:
        async with storages.opened(settings) as storage:
            async with storage.write() as tx:
                await tx.put("a", b"1")
            assert await storage.reader().get("a") == b"1"
            assert isinstance(storage, PostgresStorage)
            rows = await storage._lanes.ask(
                lambda connection: connection.rows("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            )
            return bool(rows[0][0])

    return asyncio.run(story())


def refusal(settings: StorageSettings) -> str:
    with pytest.raises(StorageFailure) as caught:
        opened(settings)
    assert _PASSWORD not in str(caught.value)
    return str(caught.value)


def test_the_way_there_is_encrypted_and_its_end_is_checked(site: Site) -> None:
    assert opened(site.settings())
    assert "certificate is not accepted" in refusal(site.settings(host="127.0.0.1")), "it is for localhost"
    other = os.fspath(site._folder / "other.crt")
    assert "certificate is not accepted" in refusal(site.settings(tls_ca_file=other))
    assert "certificate is not accepted" in refusal(site.settings(tls_ca_file=""))
    assert "refuses this user" in refusal(site.settings(tls_disable=True))


def test_a_certificate_of_ours_takes_the_place_of_a_password(site: Site) -> None:
    shown = {
        "tls_cert_file": str(site._folder / "client.crt"),
        "tls_key_file": str(site._folder / "client.key"),
    }
    assert opened(site.settings(_SHOWN, password_file="", **shown))
    assert "refuses this user" in refusal(site.settings(_SHOWN, password_file=""))
    shown["tls_key_file"] = str(site._folder / "other.key")
    assert "client.crt and tls_key_file" in refusal(site.settings(_SHOWN, **shown))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("expired", "does not accept the certificate that tls_cert_file names"),
        ("somebody", "refuses this user"),
    ],
)
def test_a_certificate_that_ended_or_is_somebody_elses_is_refused_and_a_good_one_taken_without_a_restart(
    site: Site, tmp_path: Path, name: str, reason: str
) -> None:
    shown = {"tls_cert_file": str(tmp_path / "crt"), "tls_key_file": str(tmp_path / "key")}

    def show(name: str) -> None:
        for kind in ("crt", "key"):
            (tmp_path / kind).write_bytes((site._folder / f"{name}.{kind}").read_bytes())

    async def story() -> None:
        show("client")
        storage = PostgresStorage(storages.address(site.settings(_SHOWN, password_file="", **shown)))
        await until_kept(storage, lambda tx: tx.put("b", b""))
        show(name)
        for slot in (*storage._lanes._slots, storage._writer, storage.batches._slot):
            if slot._connection is not None:
                slot._connection.abort()
        with pytest.raises(StorageFailure, match=reason):
            await storage.reader().get("b")
        show("client")
        await soon(lambda: storage.reader().get("b"))
        await storage.close()

    asyncio.run(story())


def test_a_password_that_is_changed_is_read_anew(site: Site) -> None:
    assert opened(site.settings())
    site.change_password("another-password")
    assert opened(site.settings())
    (site._folder / "password").write_text("a wrong one")
    assert "refuses this user" in refusal(site.settings())
    assert "password_file" in refusal(site.settings(password_file=str(site._folder / "none")))
    site.change_password(_PASSWORD)
    assert opened(site.settings())

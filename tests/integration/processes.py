# SPDX-License-Identifier: EUPL-1.2
"""Starts the real server process around the stub application, and talks to it."""

import datetime as dt
import http.client
import ipaddress
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds that are waited for what takes one: whether a machine is slow is no test's question."""
CA_USAGE = x509.KeyUsage(
    digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=True, crl_sign=False, encipher_only=False, decipher_only=False,
)  # fmt: skip
"""What Python 3.13 and later want to see in an authority's certificate (RFC 5280 section 4.2.1.3)."""


class Running:
    """A started process; its output is read line by line, so that tests wait for lines and not for time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._grown = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._grown:
                self.lines.append(line.rstrip("\n"))
                self._grown.notify_all()

    def wait_for(self, text: str, *, times: int = 1) -> str:
        """Return the line that holds `text`, once it has come `times` times."""
        deadline = time.monotonic() + PATIENCE
        with self._grown:
            while True:
                found = [line for line in self.lines if text in line]
                if len(found) >= times:
                    return found[times - 1]
                assert time.monotonic() < deadline, f"no {text!r} in:\n" + "\n".join(self.lines)
                self._grown.wait(0.2)

    def send(self, which: signal.Signals) -> None:
        self.process.send_signal(which)

    def end(self) -> int:
        """Ask it to end; return its exit code."""
        self.send(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """Read what is left and close the pipe; the process has ended."""
        self._reader.join(PATIENCE)
        if self.process.stdout is not None:
            self.process.stdout.close()


STUB = "tests.integration.stub_server"
VAULT = "vault.server"


def _command(module: str, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "LANG") or name.startswith("COVERAGE_")
    }
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), **more}


@contextmanager
def running(
    *arguments: str,
    home: Path,
    environment: Mapping[str, str] | None = None,
    module: str = STUB,
    inside: Sequence[str] = (),
) -> Iterator[Running]:
    """Start the server and wait until it serves; end it at the end. Words of `inside` go before the command."""
    with starting(*arguments, home=home, environment=environment, module=module, inside=inside) as started:
        started.wait_for("started", times=2 if module == STUB else 1)
        yield started


@contextmanager
def starting(
    *arguments: str,
    home: Path,
    environment: Mapping[str, str] | None = None,
    module: str = STUB,
    inside: Sequence[str] = (),
) -> Iterator[Running]:
    """Start the server as `running` does, without waiting for anything."""
    process = subprocess.Popen(
        [*inside, *_command(module, arguments)],
        cwd=ROOT,
        env=_environment(home, environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    started = Running(process)
    try:
        yield started
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        started.close()


def refused(
    *arguments: str,
    home: Path,
    environment: Mapping[str, str] | None = None,
    module: str = STUB,
    inside: Sequence[str] = (),
) -> str:
    """Start a server that cannot start; return its one line. Words of `inside` go before the command."""
    done = subprocess.run(
        [*inside, *_command(module, arguments)],
        cwd=ROOT,
        env=_environment(home, environment or {}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")


def get(port: int, path: str = "/", *, trust: Path | None = None) -> tuple[int, str, http.client.HTTPMessage]:
    """One request on a connection of its own."""
    connection = connect(port, trust=trust)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        connection.close()


def connect(port: int, *, trust: Path | None = None) -> http.client.HTTPConnection:
    """Open a connection, over TLS when there is a certificate to trust."""
    if trust is None:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    context = ssl.create_default_context(cafile=trust)
    return http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=PATIENCE)


def certificate(
    folder: Path,
    name: str,
    *,
    days: tuple[int, int] = (-1, 30),
    password: bytes | None = None,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
) -> tuple[Path, Path]:
    """Write `name.crt`, self-signed for 127.0.0.1 and valid for these days from now, and `name.key`."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=days[0]))
        .not_valid_after(now + dt.timedelta(days=days[1]))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(CA_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    hidden: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        hidden = serialization.BestAvailableEncryption(password)
    cert_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    cert_file.write_bytes(made.public_bytes(pem))
    key_file.touch(mode=0o600)
    key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, hidden))
    return cert_file, key_file


def config(
    folder: Path, port: int, listener: str = "tls_disable = true", more: str = "", storage: str = ""
) -> str:
    """Write a configuration with one listener on `port`; return the flag that names it."""
    file = folder / "server.hcl"
    file.write_text(
        f"""
        {storage or f'storage "sqlite" {{ path = "{folder}/vault.db" }}'}
        listener "tcp" {{ address = "127.0.0.1:{port}" {listener} }}
        disable_mlock = true
        {more}
        """
    )
    return f"-config={file}"


def pair(cert: Path, key: Path) -> str:
    """Return the two settings that name a certificate and its key."""
    return f'tls_cert_file = "{cert}"\n tls_key_file = "{key}"'

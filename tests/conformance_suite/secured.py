# SPDX-License-Identifier: EUPL-1.2
"""The servers that are judged, with a second listener that has TLS."""

from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.certificates import certificate
from tests.conformance.servers import REQUEST_LIMIT, OpenBaoServer
from tests.conformance_suite.judging import JudgedCoffre
from tests.ports import free_port

CERTIFICATE = "listener.pem"
"""In the folder of a server: what its listener shows, and what verifies it."""


def pair(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine, and its key, as files."""
    made = certificate("listener", sans=[x509.IPAddress(ip_address("127.0.0.1"))])
    cert, key = folder / CERTIFICATE, folder / "listener.key"
    cert.write_text(made.pem, encoding="ascii")
    key.write_bytes(made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key.chmod(0o600)
    return cert, key


def _listener(folder: Path, port: int) -> str:
    cert, key = pair(folder)
    return f"""listener "tcp" {{
  address          = "127.0.0.1:{port}"
  tls_cert_file    = "{cert}"
  tls_key_file     = "{key}"
  max_request_size = {REQUEST_LIMIT}
}}"""


class SecuredCoffre(JudgedCoffre):
    """Our server; `tls_port` is where it has TLS."""

    tls_port = 0

    def _outbound(self) -> str:
        self.tls_port = free_port()
        return f"{super()._outbound()}\n{_listener(self.directory, self.tls_port)}"


class SecuredOpenBao(OpenBaoServer):
    """The reference; `tls_port` is where it has TLS."""

    tls_port = 0

    def _outbound(self) -> str:
        self.tls_port = free_port()
        return f"{super()._outbound()}\n{_listener(self.directory, self.tls_port)}"


Secured = SecuredCoffre | SecuredOpenBao

# SPDX-License-Identifier: EUPL-1.2
"""How a server is reached: TCP, TLS, a Unix socket, a proxy; and why it was not."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit

from vaultctl.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl

    from vaultctl.http.settings import Settings


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over the Unix socket at `path`."""

    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Open the socket file."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _NamedConnection(http.client.HTTPSConnection):
    """HTTPS that checks the certificate against another name than the address's host."""

    def __init__(
        self, host: str, port: int | None, *, timeout: float | None, tls: ssl.SSLContext, name: str
    ) -> None:
        super().__init__(host, port, timeout=timeout, context=tls)
        self._tls = tls
        self._name = name

    def connect(self) -> None:
        """Connect, then greet under the given name."""
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name)


def connect(settings: Settings, address: str) -> http.client.HTTPConnection:
    """An unopened connection to http://, https:// or unix:// `address`."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise CommandError(
            "-address (BAO_ADDR): host or port cannot be read; it is https://host:port"
        ) from None
    if parts.scheme == "unix":
        return _UnixConnection(parts.netloc + parts.path, settings.timeout)
    if parts.scheme not in ("http", "https") or not host:
        raise CommandError("-address (BAO_ADDR) must look like https://host:port or unix:///path")
    proxy = settings.proxy_to(parts.scheme, host, port)
    there = (proxy.host, proxy.port) if proxy else (host, port)
    if parts.scheme == "http":
        if proxy:
            from vaultctl.http.proxies import ProxiedConnection

            return ProxiedConnection(proxy, f"http://{parts.netloc}", settings.timeout)
        return http.client.HTTPConnection(*there, timeout=settings.timeout)
    connection: http.client.HTTPSConnection
    if settings.server_name:
        connection = _NamedConnection(
            *there, timeout=settings.timeout, tls=_tls_context(settings), name=settings.server_name
        )
    else:
        connection = http.client.HTTPSConnection(
            *there, timeout=settings.timeout, context=_tls_context(settings)
        )
    if proxy:
        connection.set_tunnel(host, port, proxy.headers)
    return connection


def prefix(address: str) -> str:
    """What stands before /v1/ on the server of `address`: a reverse proxy may have it below a path of its own."""
    scheme, _, rest = address.partition("://")
    _, slash, path = rest.partition("/")
    return "" if scheme == "unix" else (slash + path).rstrip("/")


def _tls_context(settings: Settings) -> ssl.SSLContext:
    import os
    import ssl

    source = ""
    try:
        if settings.ca_cert:
            source = f"-ca-cert (BAO_CACERT): {settings.ca_cert}: "
            context = ssl.create_default_context(cafile=settings.ca_cert)
        elif settings.ca_text:
            source = "BAO_CACERT_BYTES: "
            context = ssl.create_default_context(cadata=settings.ca_text)
        elif settings.ca_path:
            source = f"-ca-path (BAO_CAPATH): {settings.ca_path}: "
            context = ssl.create_default_context(cadata=_certificates_below(settings.ca_path))
        else:
            context = ssl.create_default_context()
    except ssl.SSLError:
        raise CommandError(f"{source}it holds no PEM certificate") from None
    except (OSError, ValueError) as err:
        reason = getattr(err, "strerror", None) or "it holds no PEM certificate"
        file = getattr(err, "filename", None)
        if file and file == os.environ.get("SSLKEYLOGFILE"):
            source = "SSLKEYLOGFILE: "  # where Python itself notes the keys of connections
        named = f"{file}: " if file and file != settings.ca_path else ""
        raise CommandError(f"{source}{named}{reason}") from None
    if settings.skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if bool(settings.client_cert) != bool(settings.client_key):
        raise CommandError("-client-cert and -client-key must be given together")
    if settings.client_cert:
        try:
            context.load_cert_chain(settings.client_cert, settings.client_key, password="")
        except OSError:
            raise CommandError(
                "-client-cert or -client-key: cannot read a matching PEM pair there, the key without a passphrase"
            ) from None
    return context


def _certificates_below(folder: str) -> str:
    """The certificates in all files of a directory and those below it, in PEM. OSError; ValueError for none."""
    import os
    import re

    found: list[bytes] = []
    os.listdir(folder)  # walking says nothing about a directory that is not there
    for place, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(place, name), "rb") as file:
                found += re.findall(
                    rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----", file.read()
                )
    if not found:
        raise ValueError
    return b"\n".join(found).decode("ascii")


def reason(err: Exception, *, plain: bool) -> str:
    """What went wrong with a connection, and the likely fix; `plain` when it was made without TLS."""
    if isinstance(err, ConnectionRefusedError):
        return "connection refused: is the server running, and is -address (BAO_ADDR) right?"
    if isinstance(err, socket.gaierror):
        return "the host name is unknown: check -address (BAO_ADDR)"
    if isinstance(err, TimeoutError):
        return "no answer in time"
    if isinstance(err, ConnectionResetError | http.client.BadStatusLine):
        hint = ": if it speaks TLS, use https:// in -address (BAO_ADDR)" if plain else ""
        return "the server closed the connection without an answer" + hint
    text = str(err)
    if text.startswith("Tunnel connection failed: "):
        return f"the proxy refused: {text.removeprefix('Tunnel connection failed: ')}"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return _distrust(text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0])
    if "WRONG_VERSION_NUMBER" in text or "HTTP_REQUEST" in text:
        return "the server does not speak TLS: use http:// in -address (BAO_ADDR)?"
    return getattr(err, "strerror", None) or type(err).__name__


def _distrust(detail: str) -> str:
    """Why the server's certificate was refused, and what helps: `detail` is in OpenSSL's words."""
    if "mismatch" in detail:
        return (
            f"the server's certificate is for another name ({detail}): use a name that it holds in -address "
            "(BAO_ADDR), or say it with -tls-server-name (BAO_TLS_SERVER_NAME)"
        )
    if "key usage" in detail or "Key Identifier" in detail:
        return (
            f"a certificate of the server's chain breaks RFC 5280 ({detail}), which Python 3.13 and later refuse: "
            "issue the CA certificate anew with the extensions basicConstraints, keyUsage (keyCertSign) and "
            "subjectKeyIdentifier, and the server's with authorityKeyIdentifier"
        )
    if "expired" in detail or "not yet valid" in detail:
        return (
            f"the server's certificate is not valid now ({detail}): renew it, or check this machine's clock"
        )
    return f"the server's certificate is not trusted ({detail}): give its CA with -ca-cert (BAO_CACERT)"

# SPDX-License-Identifier: EUPL-1.2
"""The HTTP client: one connection per command, retries as `bao` does, errors without secrets in them."""

from __future__ import annotations

import http.client
import socket
import time
from urllib.parse import quote, urlencode, urlsplit

from vaultctl.errors import ApiError, CommandError, PrintedInstead, RequestError
from vaultctl.jsontext import as_list, as_map, compact, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from vaultctl.settings import Settings

_RAW_LIMIT = 2000
MERGE_PATCH = "application/merge-patch+json"


class Response:
    """A successful answer: its status and body bytes."""

    __slots__ = ("body", "status")

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body

    def json(self) -> dict[str, object]:
        """The body as a JSON object; empty when there is no body."""
        if not self.body.strip():
            return {}
        try:
            return as_map(parse(self.body))
        except ValueError:
            raise CommandError("the server's answer is not JSON: is this address a vault?", 2) from None


class Client:
    """Sends requests to the server that `settings` name, over one connection that is kept open."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: http.client.HTTPConnection | None = None
        self._address = settings.address

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | list[str]] | None = None,
        body: object = None,
        merge: bool = False,
        with_token: bool = True,
        really: bool = False,
        accept_missing: bool = False,
        patient: bool = True,
    ) -> Response:
        """One request below /v1/. ApiError for status 400 and above.

        `really` marks a lookup that decides what the command's own request is: it is sent even under
        -output-curl-string and -output-policy, and its answer is never wrapped. `accept_missing` returns a 404 instead of raising;
        `patient=False` tries once.
        """
        path = path.lstrip("/")
        search = urlencode(sorted(query.items()), doseq=True) if query else ""
        target = "/v1/" + quote(path, safe="/:@!$&'()*+,;=~") + (f"?{search}" if search else "")
        headers = self._settings.request_headers(with_token=with_token)
        payload = None if body is None else compact(body).encode()
        if merge:
            headers["Content-Type"] = MERGE_PATCH
        if really:
            headers.pop("X-Vault-Wrap-TTL", None)
        else:
            self._print_instead(method, path, target, search, headers, payload)
        status, content = self._send_with_retries(
            method, target, headers, payload, self._settings.retries if patient else 0
        )
        if status < 400 or (status == 404 and accept_missing):
            return Response(status, content)
        raise self._refusal(method, path, target, search, status, content)

    def _print_instead(
        self, method: str, path: str, target: str, search: str, headers: dict[str, str], payload: bytes | None
    ) -> None:
        if self._settings.print_curl:
            from vaultctl.rehearse import curl_command

            raise PrintedInstead(
                curl_command(self._settings, method, self._address + target, headers, payload)
            )
        if self._settings.print_policy:
            from vaultctl.rehearse import policy_for

            raise PrintedInstead(policy_for(method, path, search))

    def _send_with_retries(
        self, method: str, target: str, headers: dict[str, str], payload: bytes | None, retries: int
    ) -> tuple[int, bytes]:
        attempt = 0
        redirected = False
        while True:
            last = attempt >= retries
            try:
                status, content, location = self._once(method, target, headers, payload)
            except (OSError, http.client.HTTPException) as err:
                self.close()
                if last or not _worth_retrying(err):
                    reason = _reason(err, plain=self._address.startswith("http:"))
                    raise RequestError(f"{method} {self._address}{target}: {reason}") from None
            else:
                if (
                    status in (301, 302, 307, 308)
                    and location
                    and self._settings.redirects
                    and not redirected
                ):
                    redirected, target = True, self._follow(location)
                    continue
                if last or not (status in (412, 429) or (status >= 500 and status != 501)):
                    return status, content
            time.sleep(1 + 0.25 * attempt)
            attempt += 1

    def _once(
        self, method: str, target: str, headers: dict[str, str], payload: bytes | None
    ) -> tuple[int, bytes, str]:
        connection = self._connection or connect(self._settings, self._address)
        self._connection = connection
        try:
            connection.request(method, target, body=payload, headers=_encoded(headers))
            answer = connection.getresponse()
        except http.client.RemoteDisconnected:
            raise ConnectionResetError("the server closed the connection") from None
        content = answer.read()
        return answer.status, content, answer.headers.get("Location") or ""

    def _follow(self, location: str) -> str:
        """The target of a redirect; never from https to http."""
        parts = urlsplit(location)
        if parts.scheme:
            if self._address.startswith("https:") and parts.scheme != "https":
                raise CommandError("refused a redirect from https to http", 2)
            self.close()
            self._address = f"{parts.scheme}://{parts.netloc}"
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _refusal(
        self, method: str, path: str, target: str, search: str, status: int, content: bytes
    ) -> ApiError:
        errors: list[str] = []
        raw = ""
        try:
            answer = as_map(parse(content))
            errors = [str(error) for error in as_list(answer.get("errors"))]
        except ValueError:
            raw = content.decode("utf-8", "replace")[:_RAW_LIMIT]
        token = self._settings.token
        if token:
            raw = raw.replace(token, "<token>")
        return ApiError(
            method, self._address + target, path, status=status, errors=errors, raw=raw, query=search
        )


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over the Unix socket at `path`."""

    def __init__(self, path: str, timeout: float) -> None:
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
        self, host: str, port: int | None, *, timeout: float, tls: ssl.SSLContext, name: str
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
    parts = urlsplit(address)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise CommandError("-address (BAO_ADDR): the port is not a number") from None
    if parts.scheme == "unix":
        return _UnixConnection(parts.netloc + parts.path, settings.timeout)
    if parts.scheme not in ("http", "https") or not host:
        raise CommandError("-address (BAO_ADDR) must look like https://host:port or unix:///path")
    proxy = urlsplit(settings.proxy) if settings.proxy else None
    there = (proxy.hostname or "", proxy.port) if proxy else (host, port)
    if parts.scheme == "http":
        connection = http.client.HTTPConnection(*there, timeout=settings.timeout)
    elif settings.server_name and not proxy:
        connection = _NamedConnection(
            host, port, timeout=settings.timeout, tls=_tls_context(settings), name=settings.server_name
        )
    else:
        connection = http.client.HTTPSConnection(
            *there, timeout=settings.timeout, context=_tls_context(settings)
        )
    if proxy:
        connection.set_tunnel(host, port)
    return connection


def _tls_context(settings: Settings) -> ssl.SSLContext:
    import ssl

    try:
        context = ssl.create_default_context(
            cafile=settings.ca_cert or None, capath=None if settings.ca_cert else settings.ca_path or None
        )
    except OSError:
        raise CommandError("-ca-cert or -ca-path: cannot read a PEM certificate there") from None
    if settings.skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if bool(settings.client_cert) != bool(settings.client_key):
        raise CommandError("-client-cert and -client-key must be given together")
    if settings.client_cert:
        try:
            context.load_cert_chain(settings.client_cert, settings.client_key)
        except OSError:
            raise CommandError("-client-cert or -client-key: cannot read a matching PEM pair there") from None
    return context


def _encoded(headers: dict[str, str]) -> dict[str, bytes]:
    """The headers as UTF-8. CommandError for what no header can carry, such as a line break in a token."""
    for name, value in headers.items():
        word = name.replace("-", "").replace("_", "")
        if not (word.isascii() and word.isalnum() and value.isprintable()):
            raise CommandError(
                "the token, the namespace or a -header holds characters that no header can carry", 2
            )
    return {name: value.encode() for name, value in headers.items()}


def _worth_retrying(err: Exception) -> bool:
    return "CERTIFICATE_VERIFY_FAILED" not in str(err)


def _reason(err: Exception, *, plain: bool) -> str:
    """What went wrong with the connection, and the likely fix; `plain` when it was made without TLS."""
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
    if "CERTIFICATE_VERIFY_FAILED" in text:
        detail = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
        return f"the server's certificate is not trusted ({detail}): give its CA with -ca-cert (BAO_CACERT)"
    if "WRONG_VERSION_NUMBER" in text or "HTTP_REQUEST" in text:
        return "the server does not speak TLS: use http:// in -address (BAO_ADDR)?"
    return getattr(err, "strerror", None) or type(err).__name__

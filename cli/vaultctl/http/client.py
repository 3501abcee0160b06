# SPDX-License-Identifier: EUPL-1.2
"""The HTTP client: one connection per command, retries as `bao` does, errors without secrets in them."""

from __future__ import annotations

import http.client
import time
from urllib.parse import quote, urlencode, urlsplit

from vaultctl.errors import ApiError, CommandError, DryRunOutput, RequestError
from vaultctl.http.connection import connect, prefix, reason
from vaultctl.text.json import as_list, as_map, compact, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vaultctl.http.settings import Settings

_RAW_LIMIT = 2000
_LONGEST = 64 << 20
"""Bytes of an answer that are read: what a server may send must not be this machine's memory."""
MERGE_PATCH = "application/merge-patch+json"


class Response:
    """A successful answer: its status, body bytes and headers."""

    __slots__ = ("_headers", "body", "status")

    def __init__(self, status: int, body: bytes, headers: http.client.HTTPMessage) -> None:
        self.status = status
        self.body = body
        self._headers = headers

    def header(self, name: str) -> str:
        """One header, or the empty string where it has none of that name."""
        return self._headers.get(name) or ""

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

    def __init__(self, settings: Settings, *, longest: int = _LONGEST) -> None:
        """`longest` is how many bytes of an answer are read."""
        self._settings = settings
        self._longest = longest
        self._connection: http.client.HTTPConnection | None = None
        self._address = settings.address
        self._prefix = prefix(settings.address)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | list[str]] | None = None,
        body: object = None,
        merge: bool = False,
        accept: str = "",
        with_token: bool = True,
        preliminary: bool = False,
        accept_missing: bool = False,
        patient: bool = True,
    ) -> Response:
        """One request below /v1/. ApiError for status 400 and above.

        `preliminary` marks a request that decides what the command's own request is: it is sent even under
        -output-curl-string and -output-policy, and its answer is never wrapped. `accept_missing` returns a 404 instead of raising;
        `patient=False` tries once. `accept` is the media type that is wanted.
        """
        path = path.lstrip("/")
        search = urlencode(sorted(query.items()), doseq=True) if query else ""
        target = "/v1/" + quote(path, safe="/:@!$&'()*+,;=~") + (f"?{search}" if search else "")
        headers = self._settings.request_headers(with_token=with_token)
        payload = None if body is None else compact(body).encode()
        if merge:
            headers["Content-Type"] = MERGE_PATCH
        if accept:
            headers["Accept"] = accept
        if preliminary:
            headers.pop("X-Vault-Wrap-TTL", None)
        else:
            self._print_instead(method, path, target, search, headers, payload)
        response = self._send_with_retries(
            method, target, headers, payload, self._settings.retries if patient else 0
        )
        if response.status < 400 or (response.status == 404 and accept_missing):
            return response
        raise self._refusal(method, path, target, search, response.status, response.body)

    def follow(self, path: str, query: Mapping[str, str | list[str]]) -> Iterator[str]:
        """The pieces of an answer without an end, as they come. ApiError for status 400 and above."""
        search = urlencode(sorted(query.items()), doseq=True)
        target = f"/v1/{path}?{search}"
        headers = self._settings.request_headers(with_token=True)
        self._print_instead("GET", path, target, search, headers, None)
        connection = connect(self._settings, self._address)
        self._connection = connection
        try:
            connection.request("GET", self._prefix + target, headers=_encoded(headers))
            answer = connection.getresponse()
            if answer.status >= 400:
                raise self._refusal("GET", path, target, search, answer.status, answer.read(self._longest))
            if connection.sock is not None:
                connection.sock.settimeout(None)  # nothing may be logged for a long time
            while piece := answer.read1(65536):
                yield piece.decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as err:
            why = reason(err, plain=self._address.startswith("http:"))
            raise RequestError(f"GET {self._address}{target}: {why}") from None
        finally:
            self.close()

    @property
    def only_prints(self) -> bool:
        """Whether the command's own request is printed and not sent."""
        return self._settings.print_curl or self._settings.print_policy

    def _print_instead(
        self, method: str, path: str, target: str, search: str, headers: dict[str, str], payload: bytes | None
    ) -> None:
        if self._settings.print_curl:
            from vaultctl.http.dry_run import curl_command

            raise DryRunOutput(curl_command(self._settings, method, self._address + target, headers, payload))
        if self._settings.print_policy:
            from vaultctl.http.dry_run import policy_for

            raise DryRunOutput(policy_for(method, path, query=search))

    def _send_with_retries(
        self, method: str, target: str, headers: dict[str, str], payload: bytes | None, retries: int
    ) -> Response:
        attempt = 0
        redirected = False
        while True:
            last = attempt >= retries
            try:
                response = self._once(method, target, headers, payload)
            except (OSError, http.client.HTTPException) as err:
                self.close()
                if last or not _worth_retrying(err):
                    why = reason(err, plain=self._address.startswith("http:"))
                    raise RequestError(f"{method} {self._address}{target}: {why}") from None
            else:
                status, location = response.status, response.header("Location")
                if (
                    status in (301, 302, 307, 308)
                    and location
                    and self._settings.redirects
                    and not redirected
                ):
                    redirected, target = True, self._follow(location)
                    continue
                if last or not (status in (412, 429) or (status >= 500 and status != 501)):
                    return response
            time.sleep(1 + 0.25 * attempt)
            attempt += 1

    def _once(self, method: str, target: str, headers: dict[str, str], payload: bytes | None) -> Response:
        connection = self._connection or connect(self._settings, self._address)
        self._connection = connection
        try:
            connection.request(method, self._prefix + target, body=payload, headers=_encoded(headers))
            answer = connection.getresponse()
        except http.client.RemoteDisconnected:
            raise ConnectionResetError("the server closed the connection") from None
        content = answer.read(self._longest + 1)
        if len(content) > self._longest:
            self.close()
            raise CommandError("the server's answer is longer than 64 MiB: is this address a vault?", 2)
        return Response(answer.status, content, answer.headers)

    def _follow(self, location: str) -> str:
        """The target of a redirect; never from https to http, nor to another server, which would be sent the token."""
        try:
            parts = urlsplit(location)
        except ValueError:
            raise CommandError("the server redirects to an address that cannot be read", 2) from None
        self._prefix, self._address = "", self._address.removesuffix(self._prefix)
        if parts.scheme:
            if self._address.startswith("https:") and parts.scheme != "https":
                raise CommandError("refused a redirect from https to http", 2)
            if parts.netloc != urlsplit(self._address).netloc:
                raise CommandError(
                    "refused a redirect to another server, which would get the token: if it is the one that is meant, "
                    "name it with -address (BAO_ADDR)",
                    2,
                )
            self.close()
            self._address = f"{parts.scheme}://{parts.netloc}"
        return parts.path + (f"?{parts.query}" if parts.query else "")

    @property
    def timeout(self) -> float | None:
        """How many seconds it waits for an answer; None for as long as it takes."""
        return self._settings.timeout

    @property
    def namespace(self) -> str:
        """The namespace that its requests name; empty for the root."""
        return self._settings.namespace

    @property
    def address(self) -> str:
        """The server's address."""
        return self._address

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _refusal(
        self, method: str, path: str, target: str, search: str, status: int, content: bytes
    ) -> ApiError:
        errors: list[str] = []
        warnings: list[object] = []
        raw = ""
        try:
            answer = as_map(parse(content))
            errors = [str(error) for error in as_list(answer.get("errors"))] or _oauth_error(answer)
            warnings = as_list(answer.get("warnings"))
        except ValueError:
            raw = content.decode("utf-8", "replace")[:_RAW_LIMIT]
        token = self._settings.token
        if token:
            raw = raw.replace(token, "<token>")
        return ApiError(
            method,
            self._address + target,
            path,
            status=status,
            errors=errors,
            raw=raw,
            query=search,
            namespace=self._settings.namespace,
            warnings=warnings,
        )


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


def _oauth_error(answer: Mapping[str, object]) -> list[str]:
    """What an OAuth endpoint says of a refusal (RFC 6749, section 5.2); nothing if the answer is another one."""
    error, description = answer.get("error"), answer.get("error_description")
    if not isinstance(error, str):
        return []
    return [f"{error}: {description}" if isinstance(description, str) else error]

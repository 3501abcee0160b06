# SPDX-License-Identifier: EUPL-1.2
"""Where to connect and how, from flags and then the BAO_* and VAULT_* environment."""

from __future__ import annotations

from vaultctl.errors import EXIT_REMOTE, CommandError, UsageError
from vaultctl.flags import SECOND, environment_value, parse_duration
from vaultctl.text.go import duration_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from vaultctl.http.proxies import Proxy

DEFAULT_ADDRESS = "https://127.0.0.1:8200"


class Settings:
    """The connection options of one command. `repr` shows none of them, since a token is among them."""

    __slots__ = (
        "_environ",
        "_proxy",
        "address",
        "ca_cert",
        "ca_path",
        "ca_text",
        "client_cert",
        "client_key",
        "headers",
        "mfa",
        "namespace",
        "print_curl",
        "print_policy",
        "redirects",
        "retries",
        "server_name",
        "skip_verify",
        "timeout",
        "token",
        "wrap_ttl",
    )

    def __init__(self, values: Mapping[str, object], environ: Mapping[str, str], token: str) -> None:
        """`values` are parsed flags; a flag that is absent falls back to its environment variable."""

        def text(flag: str, variable: str) -> str:
            given = values.get(flag)
            return given if isinstance(given, str) else environment_value(environ, variable)

        agent = text("agent-address", "AGENT_ADDR")
        self.address = (agent or text("address", "ADDR") or DEFAULT_ADDRESS).rstrip("/")
        self.ca_cert = text("ca-cert", "CACERT")
        self.ca_path = text("ca-path", "CAPATH")
        self.ca_text = environment_value(environ, "CACERT_BYTES")
        self.client_cert = text("client-cert", "CLIENT_CERT")
        self.client_key = text("client-key", "CLIENT_KEY")
        self.server_name = text("tls-server-name", "TLS_SERVER_NAME")
        self.namespace = (str(values.get("ns") or "") or text("namespace", "NAMESPACE")).strip("/")
        self.skip_verify = _truth(values, environ, "tls-skip-verify", "SKIP_VERIFY")
        self.redirects = not _truth(values, environ, "disable-redirects", "DISABLE_REDIRECTS")
        self.headers = _headers(values.get("header"))
        self.mfa = _texts(values.get("mfa")) or [item for item in [environment_value(environ, "MFA")] if item]
        self.wrap_ttl = _wrap_ttl(values, environ)
        self.retries = _count(environment_value(environ, "MAX_RETRIES"), 2)
        self.timeout = _timeout(environ)
        self._environ = environ
        self._proxy = environment_value(environ, "PROXY_ADDR") or environment_value(environ, "HTTP_PROXY")
        self.print_curl = bool(values.get("output-curl-string"))
        self.print_policy = bool(values.get("output-policy"))
        self.token = token

    def proxy_to(self, scheme: str, host: str, port: int | None) -> Proxy | None:
        """The proxy by which a server is to be reached, if any. CommandError for one that cannot be used."""
        if self._proxy:
            from vaultctl.http.proxies import Proxy

            return Proxy(self._proxy, "BAO_PROXY_ADDR or BAO_HTTP_PROXY")
        if not (self._environ.get(f"{scheme.upper()}_PROXY") or self._environ.get(f"{scheme}_proxy")):
            return None
        from vaultctl.http.proxies import usual_proxy

        return usual_proxy(self._environ, scheme, host, port or {"http": 80, "https": 443}[scheme])

    def request_headers(self, *, with_token: bool) -> dict[str, str]:
        """The headers that every request carries."""
        headers = dict(self.headers)
        headers["X-Vault-Request"] = "true"
        if with_token and self.token:
            headers["X-Vault-Token"] = self.token
        if self.namespace:
            headers["X-Vault-Namespace"] = self.namespace + "/"
        if self.wrap_ttl:
            headers["X-Vault-Wrap-TTL"] = self.wrap_ttl
        if self.mfa:
            headers["X-Vault-MFA"] = ",".join(self.mfa)
        return headers


def _truth(values: Mapping[str, object], environ: Mapping[str, str], flag: str, variable: str) -> bool:
    given = values.get(flag)
    if isinstance(given, bool):
        return given
    text = environment_value(environ, variable).lower()
    if text not in ("", "1", "t", "true", "0", "f", "false"):
        raise CommandError(f"BAO_{variable} must be true or false", EXIT_REMOTE)
    return text in ("1", "t", "true")


def _timeout(environ: Mapping[str, str]) -> float | None:
    """How long to wait for a server, in seconds; None for as long as it takes."""
    text = environment_value(environ, "CLIENT_TIMEOUT") or "60s"
    nanoseconds = _duration(text, "CLIENT_TIMEOUT")
    if nanoseconds < 0:
        raise CommandError("BAO_CLIENT_TIMEOUT must not be negative; 0 waits for ever", EXIT_REMOTE)
    return nanoseconds / SECOND or None


def _duration(text: str, variable: str) -> int:
    """Nanoseconds of a duration that stands in the environment."""
    try:
        return parse_duration(text, variable)
    except UsageError:
        raise CommandError(f"BAO_{variable} must be a duration, such as 30s or 1h30m", EXIT_REMOTE) from None


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _count(text: str, default: int) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdigit()):
        raise CommandError("BAO_MAX_RETRIES must be a whole number", EXIT_REMOTE)
    return int(text)


def _wrap_ttl(values: Mapping[str, object], environ: Mapping[str, str]) -> str:
    given = values.get("wrap-ttl")
    if not isinstance(given, int):
        text = environment_value(environ, "WRAP_TTL")
        given = _duration(text, "WRAP_TTL") if text else 0
    seconds = given // SECOND
    return duration_text(seconds * SECOND) if seconds else ""


def _headers(value: object) -> dict[str, str]:
    headers = {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}
    for name, text in headers.items():
        if name.lower().startswith("x-vault-"):
            raise CommandError(
                f"-header {name}: headers that start with X-Vault- are set by vaultctl only", 2
            )
        if any(char in name + text for char in "\r\n"):
            raise CommandError("-header: a header has no line break", 2)
    return headers

# SPDX-License-Identifier: EUPL-1.2
"""What a command would do, without doing it: the equivalent curl line, and the policy that it needs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vaultctl.http.settings import Settings

# Paths on which OpenBao demands `sudo` as well (asked of `bao write -output-policy`); a trailing / means below.
_SUDO = (
    "auth/token/accessors",
    "pki/root",
    "sys/audit",
    "sys/audit/",
    "sys/auth/",
    "sys/config/auditing/",
    "sys/config/cors",
    "sys/config/ui/headers",
    "sys/config/ui/headers/",
    "sys/internal/inspect/",
    "sys/leases/lookup/",
    "sys/leases/revoke-force/",
    "sys/leases/revoke-prefix/",
    "sys/plugins/catalog/",
    "sys/raw",
    "sys/raw/",
    "sys/remount",
    "sys/rotate",
    "sys/rotate/",
    "pki/root/sign-self-issued",
)
_CAPABILITIES = {
    "GET": ("read",),
    "PUT": ("create", "update"),
    "POST": ("create", "update"),
    "PATCH": ("patch",),
    "DELETE": ("delete",),
}


def curl_command(
    settings: Settings, method: str, url: str, headers: dict[str, str], payload: bytes | None
) -> str:
    """The curl line. The token is never in it: the line asks vaultctl for it."""
    words = ["curl"]
    if method != "GET":
        words.append(f"-X {method}")
    for flag, value in (
        ("--cacert", settings.ca_cert),
        ("--capath", settings.ca_path),
        ("--cert", settings.client_cert),
        ("--key", settings.client_key),
    ):
        if value:
            words.append(f"{flag} {_quoted(value)}")
    if settings.skip_verify:
        words.append("--insecure")
    for name, value in headers.items():
        shown = "$(vaultctl print token)" if name == "X-Vault-Token" else _in_double_quotes(value)
        words.append(f'-H "{_canonical(name)}: {shown}"')
    if payload is not None:
        words.append("-d " + _quoted(payload.decode()))
    words.append(f'"{_in_double_quotes(url)}"')
    return " ".join(words)


def capabilities(method: str, path: str, *, query: str) -> list[str]:
    """The ACL capabilities that a request needs on its path."""
    asked = query.split("&")
    if method == "GET" and "list=true" in asked:
        needed = ["list"]
    elif method == "GET" and "scan=true" in asked:
        needed = ["scan"]
    else:
        needed = list(_CAPABILITIES.get(method, ("read",)))
    bare = path.rstrip("/")
    if any(path.startswith(item) if item.endswith("/") else bare == item for item in _SUDO):
        needed.append("sudo")
    return needed


def policy_for(method: str, path: str, *, query: str) -> str:
    """An HCL policy that allows the request and nothing else."""
    words = ", ".join(f'"{word}"' for word in capabilities(method, path, query=query))
    return f'path "{path}" {{\n  capabilities = [{words}]\n}}'


def _canonical(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"


def _in_double_quotes(text: str) -> str:
    for char in '\\"$`':
        text = text.replace(char, "\\" + char)
    return text

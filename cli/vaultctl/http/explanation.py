# SPDX-License-Identifier: EUPL-1.2
"""One line that tells an operator what a refusal was about, and what to do: a policy, a seal, a wrong share."""

from __future__ import annotations

from vaultctl.errors import NO_NAMESPACE
from vaultctl.http.dry_run import capabilities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vaultctl.errors import ApiError

_PREFLIGHT = "sys/internal/ui/mounts/"
_LOG = "sys/log/"


def explain(error: ApiError, *, has_token: bool, is_biscuit: bool = False) -> str:
    """The explanation without a newline; empty when the server's own words say enough."""
    if error.status == 403:
        return explain_refusal(error, has_token=has_token, is_biscuit=is_biscuit)
    if error.status == 503 and error.errors == ("Vault is sealed",):
        return (
            "Key holders open it with `vaultctl operator unseal`; `vaultctl status` shows how far they are."
        )
    if error.path == "sys/unseal" and any("migrate option not provided" in text for text in error.errors):
        return (
            "The server's configuration has a seal stanza that this vault does not use yet, or has none for what it uses. "
            "The same shares open it and change it over with `vaultctl operator unseal -migrate`, each of them; "
            "to leave it as it was, put the configuration back and restart."
        )
    if error.path == "sys/unseal" and any("unable to retrieve stored keys" in text for text in error.errors):
        return (
            "At least one of the shares was wrong, and all given so far are forgotten: begin again "
            "with `vaultctl operator unseal`."
        )
    if error.status == 404 and NO_NAMESPACE in error.errors:
        return (
            "`vaultctl namespace list` shows which there are; -namespace, BAO_NAMESPACE or VAULT_NAMESPACE says which "
            "is meant."
        )
    if error.status == 404 and not (error.errors or error.warnings):
        return f'There is nothing at "{error.path}".'
    if error.status == 500 and error.errors == ("internal error",):
        return (
            "The server's log says why. One reason is told by `vaultctl read sys/health`, too: with `audit_blocked` "
            "no audit device takes records, and so nothing is answered."
        )
    return _explain_words(error)


def _explain_words(error: ApiError) -> str:
    """The explanation of a refusal that its words tell apart; empty for others."""
    if error.status != 400:
        return ""
    if not error.errors and not error.path.isprintable():
        return "A path has no line break and no other control character."
    if any("plugin not found in the catalog" in text for text in error.errors):
        return "`vaultctl plugin list` shows what can be mounted."
    if "/registrations/" in error.path and "workload: there is none of this name" in error.errors:
        return (
            "Make the workload first, with `vaultctl nhi workload write -owner=TEAM -ttl=90d NAME`; "
            "-workload names one that has another name than the registration."
        )
    return ""


def explain_refusal(error: ApiError, *, has_token: bool, is_biscuit: bool = False) -> str:
    """The explanation for a 403, without a newline; empty when the server's own words say enough."""
    mount = login_mount(error.path) if not has_token else ""
    if mount and error.errors != ("permission denied",):
        return ""
    if mount:
        return (
            f'Either no method is mounted at "auth/{mount}/" (-path=NAME names another mount), or this name is locked '
            "after wrong attempts, or nobody may log in from this address, or the proof was refused or could not be checked: "
            "the server's log says why."
        )
    if not has_token:
        return "No token was sent: run `vaultctl login`, or set BAO_TOKEN."
    if error.path.startswith(_PREFLIGHT):
        path = error.path.removeprefix(_PREFLIGHT)
        if not any("preflight" in text for text in error.errors):
            return "The token itself was refused: it is unknown, expired or revoked (`vaultctl login`)."
        return (
            f'Nothing is mounted at "{path}", or no policy of this token grants anything there: '
            "compare `vaultctl secrets list` and `vaultctl token lookup`."
        )
    if "bad token" in error.errors:
        return "The token asked about is unknown, expired or revoked."
    if not any("permission denied" in text for text in error.errors):
        return ""
    if error.path.startswith(_LOG) and error.errors != ("permission denied",):
        return (
            f'The right to read the log is one of its own: a policy has it by a rule that names "{_LOG}", and by no rule '
            "for more. The root policy has it only where the server's configuration says root_reads."
        )
    needed = capabilities(error.method, error.path, query=error.query)
    words = " or ".join(f'"{word}"' for word in needed if word != "sudo")
    lack = words + (' and "sudo"' if "sudo" in needed else "") + f' on path "{error.path}"'
    if error.errors == ("permission denied",):
        return (
            "Most likely the token itself was refused: it is unknown, expired or revoked (`vaultctl login`). "
            f"Otherwise it lacks {lack}."
        )
    ways = f"see `vaultctl token capabilities {error.path}`, and for the reason `vaultctl policy explain {error.path}`"
    if is_biscuit:
        return f"No policy of this token grants {lack}, or a check of its own forbids it: {ways}."
    return f"No policy of this token grants {lack}: {ways}."


def login_mount(path: str) -> str:
    """The mount of the method that logs in at `path`; empty for a path that logs no client in."""
    rest = path.removeprefix("auth/")
    for end in ("/login", "/oidc/auth_url"):
        mount, found, tail = rest.partition(end)
        if rest != path and mount and found and (not tail or tail.startswith("/")):
            return mount
    return ""

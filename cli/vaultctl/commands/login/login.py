# SPDX-License-Identifier: EUPL-1.2
"""login with a token, a password or a secret id, and print token."""

from __future__ import annotations

from vaultctl.body import parse_body
from vaultctl.commands.login.methods import with_certificate, with_jwt, with_kubernetes, with_workload
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError, UsageError
from vaultctl.flags import environment_value
from vaultctl.http.token_helper import store
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.prompt import ask_hidden, from_stdin
from vaultctl.text.json import as_map

_DONE = """Success! You are logged in, and the token below is kept in the token helper:
further commands use it by themselves.
"""
_DONE_ONCE = """Success! You are logged in.
"""
_NOT_KEPT = """The token was not kept in the token helper: set BAO_TOKEN to it for further commands.
"""
_UNKEPT = """You are logged in, but the token is kept nowhere. It is shown below, this once.
"""
_OVERRIDDEN = """WARNING! BAO_TOKEN or VAULT_TOKEN is set in the environment and wins over the token that was just
kept. Unset it to use the new token.
"""


def login(invocation: Invocation) -> int:
    """Log in, keep the token and show it."""
    method = invocation.text("method") or "token"
    if invocation.truth("no-store") and invocation.truth("no-print"):
        raise UsageError("-no-store and -no-print cannot be used together")
    if method not in _METHODS:
        raise UsageError(
            f"Unknown auth method: use {', '.join([*_METHODS][:-1])} or {[*_METHODS][-1]}. Other methods log in with "
            "`vaultctl write auth/<mount>/login key=value...`."
        )
    answer = _METHODS[method](invocation)
    if as_map(answer.get("auth")).get("mfa_requirement"):
        from vaultctl.commands.login import second_factor

        if second_factor.waits(answer):
            if invocation.truth("non-interactive") or not invocation.stdin.isatty():
                return second_factor.explain(invocation, answer)
            answer = second_factor.complete(invocation, answer)
    token = str(as_map(answer.get("auth")).get("client_token") or "")
    if not token:
        raise CommandError("Error authenticating: the server's answer holds no token", EXIT_REMOTE)
    if invocation.truth("token-only"):
        invocation.emit(token, "\n" if invocation.stdout.isatty() else "")
        return EXIT_OK
    if invocation.truth("no-store"):
        invocation.warn(_NOT_KEPT)
    else:
        try:
            store(invocation.environ, token)
        except CommandError as error:
            return _unkept(invocation, answer, error)
        if environment_value(invocation.environ, "TOKEN"):
            invocation.warn(_OVERRIDDEN)
    if invocation.truth("no-print"):
        return EXIT_OK
    if invocation.tabular and not invocation.text("field"):
        invocation.say(_DONE_ONCE if invocation.truth("no-store") else _DONE)
    return invocation.print_answer(answer)


def _unkept(invocation: Invocation, answer: dict[str, object], error: CommandError) -> int:
    """Show the token that could not be kept, whatever was asked for: its login may not be done a second time."""
    from vaultctl.text.output import key_values, secret_document, secret_rows

    invocation.warn(f"{error}\n{_UNKEPT}")
    if not invocation.tabular:
        invocation.print_value(secret_document(answer))
    else:
        invocation.say(key_values(secret_rows(answer)))
    return EXIT_REMOTE


def print_token(invocation: Invocation) -> int:
    """Print the token that commands use."""
    invocation.emit(invocation.token)
    return EXIT_OK


def _with_token(invocation: Invocation) -> dict[str, object]:
    """Check the token and describe it as a login's answer does."""
    args = invocation.args
    if args and args[0] != "-" and "=" not in args[0]:
        config: dict[str, object] = {"token": args[0], **_pairs(invocation, args[1:])}
    elif args and args[0] == "-":
        config = {"token": from_stdin(invocation)}
    else:
        config = _pairs(invocation, args)
    token = str(config.get("token") or "").strip()
    if not token:
        token = _asked(invocation, "Token", "-")
    if not token:
        raise CommandError("Error authenticating: a token must be passed to auth", EXIT_REMOTE)
    client = invocation.client_with(token, wrap=False)
    with ErrorPrefix("Error authenticating: error looking up token"):
        data = as_map(client.send("GET", "auth/token/lookup-self").json().get("data"))
    return {
        "auth": {
            "client_token": token,
            "accessor": data.get("accessor"),
            "policies": data.get("policies"),
            "token_policies": data.get("policies"),
            "metadata": data.get("meta"),
            "lease_duration": data.get("ttl") or 0,
            "renewable": bool(data.get("renewable")),
        }
    }


def _with_password(invocation: Invocation) -> dict[str, object]:
    config = _pairs(invocation, invocation.args)
    user = str(config.get("username") or "")
    if not user:
        raise CommandError("Error authenticating: 'username' must be specified", EXIT_REMOTE)
    password = str(config.get("password") or "")
    if not password:
        password = _asked(invocation, "Password", "password=-")
    mount = (invocation.text("path") or str(config.get("mount") or "") or "userpass").strip("/")
    client = invocation.client_with("", wrap=False)
    with ErrorPrefix("Error authenticating"):
        return client.send(
            "PUT", f"auth/{mount}/login/{user}", body={"password": password}, with_token=False
        ).json()


def _with_role(invocation: Invocation) -> dict[str, object]:
    """Log in with a role id and a secret id, which is asked for where it is not given."""
    config = _pairs(invocation, invocation.args)
    role_id = str(config.get("role_id") or "")
    if not role_id:
        raise CommandError("Error authenticating: 'role_id' must be specified", EXIT_REMOTE)
    secret_id = str(config.get("secret_id") or "") or _asked(invocation, "Secret ID", "secret_id=-")
    mount = (invocation.text("path") or str(config.get("mount") or "") or "approle").strip("/")
    client = invocation.client_with("", wrap=False)
    body = {"role_id": role_id, "secret_id": secret_id}
    with ErrorPrefix("Error authenticating"):
        return client.send("PUT", f"auth/{mount}/login", body=body, with_token=False).json()


def _with_browser(invocation: Invocation) -> dict[str, object]:
    from vaultctl.commands.login.oidc import with_browser

    return with_browser(invocation)


_METHODS = {
    "token": _with_token,
    "userpass": _with_password,
    "approle": _with_role,
    "jwt": with_jwt,
    "kubernetes": with_kubernetes,
    "cert": with_certificate,
    "nhi": with_workload,
    "oidc": _with_browser,
}


def _pairs(invocation: Invocation, arguments: list[str]) -> dict[str, object]:
    return parse_body(arguments, invocation.stdin)


def _asked(invocation: Invocation, what: str, instead: str) -> str:
    try:
        return ask_hidden(invocation, what, instead)
    except CommandError as error:
        raise CommandError(f"Error authenticating: {error}", EXIT_REMOTE) from None

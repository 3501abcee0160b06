# SPDX-License-Identifier: EUPL-1.2
"""Where the token is kept between commands: ~/.vault-token (0600), or an external token helper."""

from __future__ import annotations

import os

from vaultctl.errors import EXIT_REMOTE, CommandError
from vaultctl.flags import environment_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def current_token(environ: Mapping[str, str]) -> str:
    """BAO_TOKEN or VAULT_TOKEN, else what the token helper keeps, else the empty string."""
    return environment_value(environ, "TOKEN").strip() or load(environ)


def load(environ: Mapping[str, str]) -> str:
    """The stored token, white space trimmed; empty when there is none."""
    helper = _external(environ)
    if helper:
        return _run(helper, "get", environ).strip()
    try:
        with open(token_path(environ), encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as err:
        raise CommandError(
            f"cannot read the token file {token_path(environ)}: {_reason(err)}", EXIT_REMOTE
        ) from None


def store(environ: Mapping[str, str], token: str) -> None:
    """Replace the stored token in one step; nobody but the owner can read it at any moment."""
    helper = _external(environ)
    if helper:
        _run(helper, "store", environ, token)
        return
    import tempfile

    path = token_path(environ)
    try:
        handle, temporary = tempfile.mkstemp(prefix=".vault-token-", dir=os.path.dirname(path) or ".")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(token)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as err:
        raise CommandError(f"cannot write the token file {path}: {_reason(err)}") from None


def token_path(environ: Mapping[str, str]) -> str:
    """BAO_TOKEN_PATH, or .vault-token in the home directory."""
    given = environment_value(environ, "TOKEN_PATH")
    return given or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".vault-token")


def _external(environ: Mapping[str, str]) -> str:
    """The token_helper of the client configuration file, if it names one."""
    home = environ.get("HOME") or os.path.expanduser("~")
    path = environment_value(environ, "CONFIG_PATH") or os.path.join(home, ".bao")
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    for line in lines:
        key, equals, value = line.partition("=")
        if equals and key.strip() == "token_helper":
            helper = value.strip().strip('"')
            if not os.path.isabs(helper):
                raise CommandError(f"token_helper in {path} must be an absolute path", EXIT_REMOTE)
            return helper
    return ""


def _run(helper: str, operation: str, environ: Mapping[str, str], token: str = "") -> str:
    import shlex
    import subprocess

    shell = environ.get("SHELL") or "/bin/sh"
    try:
        done = subprocess.run(
            [shell, "-c", f"{shlex.quote(helper)} {operation}"],
            input=token,
            encoding="utf-8",
            capture_output=True,
            check=False,
            env=dict(environ),
        )
    except OSError as err:
        raise CommandError(f"cannot run the shell {shell} (SHELL): {err.strerror}", EXIT_REMOTE) from None
    except UnicodeDecodeError:
        raise CommandError(f"the token helper {helper} answered what is not text", EXIT_REMOTE) from None
    if done.returncode:
        raise CommandError(
            f"the token helper {helper} failed on {operation} with exit code {done.returncode}", EXIT_REMOTE
        )
    return done.stdout


def _reason(err: Exception) -> str:
    return (err.strerror or "unreadable") if isinstance(err, OSError) else "it is not text"

# SPDX-License-Identifier: EUPL-1.2
"""Secrets as environment variables: what they are called, how they are spelled, and in `.env` files."""

from __future__ import annotations

import re

from vaultctl.errors import CommandError
from vaultctl.text.json import compact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OTHER = re.compile(r"[^A-Za-z0-9_]")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
_STEERING = frozenset(
    ("ALL_PROXY", "AWS_CONFIG_FILE", "BASHOPTS", "BASH_ENV", "BROWSER", "BUNDLE_GEMFILE", "BUNDLE_PATH", "CARGO_HOME",
     "CDPATH", "CLASSPATH", "CURL_CA_BUNDLE", "CURL_HOME", "DOCKER_CONFIG", "DOCKER_HOST", "DOTNET_ADDITIONAL_DEPS",
     "DOTNET_STARTUP_HOOKS", "EDITOR", "ENV", "ERL_AFLAGS", "ERL_FLAGS", "ERL_LIBS", "ERL_ZFLAGS", "FTP_PROXY",
     "GCONV_PATH", "GEM_HOME", "GEM_PATH", "GIO_EXTRA_MODULES", "GIO_MODULE_DIR", "GLIBC_TUNABLES", "GOFLAGS",
     "GOPATH", "GOPROXY", "GOROOT", "GRADLE_OPTS", "GTK_MODULES", "GTK_PATH", "HOME", "HOSTALIASES", "HTTPS_PROXY",
     "HTTP_PROXY", "IFS", "JAVA_OPTS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "JULIA_DEPOT_PATH", "JULIA_LOAD_PATH",
     "KRB5_CONFIG", "KUBECONFIG", "LESSCLOSE", "LESSOPEN", "LOCPATH", "MAKEFLAGS", "MANPAGER", "MAVEN_OPTS", "NLSPATH",
     "NODE_EXTRA_CA_CERTS", "NODE_OPTIONS", "NODE_PATH", "NODE_TLS_REJECT_UNAUTHORIZED", "NO_PROXY", "PAGER", "PATH",
     "PERLLIB", "PHPRC", "PHP_INI_SCAN_DIR", "PROMPT_COMMAND", "PS4", "QT_PLUGIN_PATH", "REQUESTS_CA_BUNDLE",
     "RES_OPTIONS", "RUBYLIB", "RUBYOPT", "RUSTC", "RUSTC_WRAPPER", "RUSTFLAGS", "R_ENVIRON", "R_ENVIRON_USER",
     "R_LIBS", "R_LIBS_SITE", "R_LIBS_USER", "R_PROFILE", "R_PROFILE_USER", "SHELL", "SHELLOPTS", "SSH_ASKPASS",
     "SSLKEYLOGFILE", "SSL_CERT_DIR", "SSL_CERT_FILE", "SUDO_ASKPASS", "TCLLIBPATH", "TERMCAP", "TERMINFO", "TMPDIR",
     "VISUAL", "WGETRC", "ZDOTDIR", "_JAVA_OPTIONS")
)  # fmt: skip
"""What chooses the code that programs load or start, whom they trust, and where they connect."""
_STEERING_FAMILIES = (
    "BASH_FUNC_", "CORECLR_", "COR_", "DYLD_", "GIT_", "LD_", "LUA_", "MALLOC_", "NPM_CONFIG_", "OPENSSL_", "PERL5",
    "PIP_", "PYTHON", "UV_", "XDG_",
)  # fmt: skip
_OUR_OWN = re.compile(
    r"(?:BAO|VAULT)_(?:ADDR|AGENT_ADDR|CACERT|CACERT_BYTES|CAPATH|CONFIG_PATH|HTTP_PROXY|PROXY_ADDR|SKIP_VERIFY|TLS_SERVER_NAME)"
)
"""Where our own commands connect, and whom they take for the server: a token goes there."""


def named(fields: Mapping[str, object], prefix: str, where: str) -> dict[str, str]:
    """The variables of a secret's fields: the prefix, then the field's name in capitals, other signs as `_`.

    CommandError for a name that no variable can have, one that two fields would have, and one that steers how
    programs are loaded: a person who may write a secret must not choose in this way what its readers run.
    """
    found: dict[str, str] = {}
    origin: dict[str, str] = {}
    for field, value in fields.items():
        name = _OTHER.sub("_", prefix + field).upper()
        if not _NAME.fullmatch(name):
            raise CommandError(f'field "{field}" of {where} makes no name of a variable: give a -prefix')
        if name in found:
            raise CommandError(
                f'fields "{origin[name]}" and "{field}" of {where} would both be {name}: name one with -env'
            )
        if name in _STEERING or name.startswith(_STEERING_FAMILIES) or _OUR_OWN.fullmatch(name):
            raise CommandError(
                f'field "{field}" of {where} would be {name}, which steers how programs run: '
                "give a -prefix, or name it with -env if it is meant"
            )
        found[name] = spelled(value, f'field "{field}" of {where}')
        origin[name] = field
    return found


def spelled(value: object, what: str) -> str:
    """A value as a variable has it: text as it is, nothing for null, all else as JSON. CommandError for a NUL."""
    text = value if isinstance(value, str) else "" if value is None else compact(value)
    if "\0" in text:
        raise CommandError(
            f"{what} has a NUL character, which no variable can hold: encode it, as base64 say"
        )
    return text


def checked_name(name: str) -> str:
    """The name, if a variable can have it; CommandError otherwise."""
    if not _NAME.fullmatch(name):
        raise CommandError(f'"{name}" is no name of a variable: letters, digits and _, not a digit first')
    return name


def dotenv_line(name: str, value: str) -> str:
    r"""A line of a `.env` file: in single quotes where need be, with `\'` and `\\` in them."""
    if _PLAIN.fullmatch(value) or not value:
        return f"{name}={value}"
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{name}='{escaped}'"


def shell_line(name: str, value: str) -> str:
    """A line that a POSIX shell evaluates."""
    import shlex

    return f"export {name}={shlex.quote(value)}"


def parse_dotenv(text: str, where: str) -> dict[str, str]:
    """The variables of a `.env` file, as they are spelled there: nothing is put in for `${NAME}`.

    CommandError names the line that cannot be read, and nothing of what it says.
    """
    import io

    from dotenv.parser import parse_stream

    found: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        line = binding.original.line + _blank_lines(binding.original.string)
        if binding.error:
            raise CommandError(f"{where}, line {line}: a line is NAME=value, and quotes end where they began")
        if binding.key is None:
            continue
        if binding.value is None:
            raise CommandError(f"{where}, line {line}: this name has no value; write NAME= for an empty one")
        if binding.key in found:
            raise CommandError(f"{where}, line {line}: this name was there before")
        found[binding.key] = binding.value
    return found


def _blank_lines(text: str) -> int:
    """How many lines end before the first sign of a text."""
    return text[: len(text) - len(text.lstrip())].count("\n")

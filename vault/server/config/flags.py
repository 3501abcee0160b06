# SPDX-License-Identifier: EUPL-1.2
"""The command line of the server: OpenBao's flags with one dash or two, `-name=value` or `-name value`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

import msgspec

from vault.server.failure import StartFailure

USAGE: Final = """\
Usage: vaultctl server [options]

  Starts the server. It starts sealed: initialise it with `vaultctl operator init`, unseal it with
  `vaultctl operator unseal`. To try things out, start with -dev.

      $ vaultctl server -config=/etc/coffre/config.hcl
      $ vaultctl server -dev

  -config=<path>               File, or directory of .hcl and .json files; may be repeated (BAO_CONFIG_PATH)
  -test-config                 Check the configuration and end: 0 good, 1 problems, 2 warnings only. Certificates are
                               read and directories looked at; no port is bound and no database opened
  -check-health                Ask the server of the configuration, on each of its listeners, and end: 0 it answers, sealed or
                               not, 1 it does not. For health checks of containers
  -log-level=<name>            trace, debug, info, warn or error (BAO_LOG_LEVEL)
  -log-format=<name>           standard or json (BAO_LOG_FORMAT)
  -log-file=<path>             Log to a file instead of standard error

Development mode, never for production:

  -dev                         Unsealed, in memory, on 127.0.0.1:8200, with a root token that it prints. -config adds
                               to it: listeners on loopback, audit devices, settings, another storage or seal
  -dev-storage=<path>          Keep the secrets in this SQLite file; a second start finds them again
  -dev-keys=<path>             Keep what opens the storage of -config in this file: a second start, and further servers
                               on it, find it there
  -dev-root-token-id=<token>   The root token (BAO_DEV_ROOT_TOKEN_ID)
  -dev-listen-address=<addr>   Another loopback address or port (BAO_DEV_LISTEN_ADDRESS)
  -dev-no-store-token          Do not write the root token to the token file of the command line
  -dev-no-kv                   Do not mount KV at secret/
  -dev-tls                     Serve TLS with a certificate made for this start
  -dev-tls-cert-dir=<path>     Where -dev-tls puts its certificates
"""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line said; empty strings were not given."""

    help: bool = False
    test_config: bool = False
    check_health: bool = False
    config: tuple[str, ...] = ()
    log_level: str = ""
    log_format: str = ""
    log_file: str = ""
    dev: bool = False
    dev_storage: str = ""
    dev_keys: str = ""
    dev_root_token_id: str = ""
    dev_listen_address: str = ""
    dev_no_store_token: bool = False
    dev_no_kv: bool = False
    dev_tls: bool = False
    dev_tls_cert_dir: str = ""

    def __repr__(self) -> str:
        """Show no token."""
        return f"Options(dev={self.dev}, {len(self.config)} configuration paths)"


_SWITCHES: Final = frozenset(
    {"help", "test_config", "check_health", "dev", "dev_no_store_token", "dev_no_kv", "dev_tls"}
)
_NOT_HERE: Final = {
    "recovery": "there is no recovery mode",
    "exit_on_core_shutdown": "the process always ends with its application",
    "dev_cluster_json": "there is no development cluster",
    "log_rotate_bytes": "use logrotate and SIGHUP",
    "log_rotate_duration": "use logrotate and SIGHUP",
    "log_rotate_max_files": "use logrotate and SIGHUP",
}


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line. Raises `StartFailure` for what it does not know; values are not repeated."""
    given: dict[str, object] = {}
    config: list[str] = []
    rest = list(arguments)
    while rest:
        name, value = _next(rest)
        if name == "config":
            config.append(str(value))
        else:
            given[name] = value
    if any(name.startswith("dev_") for name in given):
        given["dev"] = True
    return Options(config=tuple(config), **given)  # type: ignore[arg-type]  # kinds come from the table


def _next(rest: list[str]) -> tuple[str, str | bool]:
    """Take one flag, and its value, from the front."""
    word = rest.pop(0)
    if not word.startswith("-"):
        raise StartFailure("the server takes flags only; see `vaultctl server -help`")
    shown, separator, value = word.lstrip("-").partition("=")
    name = {"h": "help"}.get(shown, shown).replace("-", "_")
    if name in _NOT_HERE:
        raise StartFailure(f"flag -{shown}: {_NOT_HERE[name]}; leave it out")
    if name not in Options.__struct_fields__:
        nearest = difflib.get_close_matches(name, Options.__struct_fields__, n=1)
        hint = f"did you mean -{nearest[0].replace('_', '-')}?" if nearest else "see `vaultctl server -help`"
        raise StartFailure(
            f"unknown flag; {hint}" if separator or not shown else f"unknown flag -{shown}; {hint}"
        )
    if name in _SWITCHES:
        return name, _switch(shown, value) if separator else True
    if not separator:
        if not rest:
            raise StartFailure(f"flag -{shown} needs a value: -{shown}=…")
        value = rest.pop(0)
    return name, value


def _switch(shown: str, value: str) -> bool:
    if value.lower() not in {"true", "false", "1", "0"}:
        raise StartFailure(f"flag -{shown} is true or false")
    return value.lower() in {"true", "1"}

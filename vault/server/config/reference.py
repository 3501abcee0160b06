# SPDX-License-Identifier: EUPL-1.2
"""Writes `docs/configuration.md` from the settings themselves: `python -m vault.server.config.reference`.

A test compares the file with what this returns, so no setting can go undocumented.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import msgspec

from vault.server.config import (
    discovery_settings,
    flags,
    log_devices,
    seal_settings,
    settings,
    stanzas,
    unsupported,
)
from vault.server.config.reader import settings_of
from vault.server.config.snapshots import settings as snapshot_settings
from vault.server.config.telemetry import collector

_INTRODUCTION = """\
# Configuration

<!-- Written by `python -m vault.server.config.reference > docs/configuration.md`; change it there. -->

`vaultctl server -config=PATH` reads a file, or every `.hcl` and `.json` file of a directory in the order
of their names. `-config` may be repeated. A key that a later file repeats replaces the earlier one;
`listener`, `seal`, `audit`, `snapshot`, `user_lockout` and `initialize` stanzas add up. The stanzas are OpenBao's, in HCL or in JSON, so
an existing file carries over. `vaultctl server -test-config -config=PATH` checks without starting.

```hcl
api_addr = "https://vault.example.org:8200"

storage "sqlite" {
  path = "/var/lib/coffre/coffre.db"
}

listener "tcp" {
  address       = "0.0.0.0:8200"
  tls_cert_file = "/etc/coffre/tls.crt"
  tls_key_file  = "/etc/coffre/tls.key"
}

audit "file" "main" {
  options {
    file_path = "/var/log/coffre/audit.log"
  }
}
```

A key that nobody knows stops the server, with its file and line and the nearest key that exists. A key
of OpenBao's that this server does not have is ignored with a warning where that is safe, and refused
where the server would be less secure than the file says; both are listed below. Durations are numbers
of seconds or strings such as `90s`, `30m`, `768h`, `30d`; sizes are bytes.

No secret belongs in this file, in a flag or in the environment, but for development mode.

```hcl
seal "pkcs11" {
  name        = "hsm-a"
  lib         = "/usr/lib/softhsm/libsofthsm2.so"
  token_label = "vault-a"
  key_label   = "vault-kek"
  pin         = "file:///run/credentials/coffre.service/coffre.pin-a"
}
```

Every seal stanza is a slot, and any slot opens the vault. At initialisation each one that answers is used;
later ones are added with `sys/seal-slots`, after SIGHUP without a restart. No dead token keeps the server from starting.
"""

_INITIALIZE = """\
## `initialize "NAME"`

What a new vault is told before any listener answers: requests, in this order, by a root token that nobody sees
and that is revoked at the end. It needs a seal that opens by itself. No recovery shares are made;
`sys/rotate/recovery/init` makes them later, at once. A vault that is initialised already is left alone.
A request that fails stops the server, and this storage is never served: remove it and start again.

```hcl
initialize "access" {
  request "userpass" {
    operation = "update"
    path      = "sys/auth/userpass"
    data      = { type = "userpass" }
  }
  request "admin" {
    operation = "update"
    path      = "auth/userpass/users/admin"
    data = {
      password       = { eval_type = "string" eval_source = "file" path = "/run/credentials/coffre.service/coffre.admin" }
      token_policies = ["admin"]
    }
  }
}
```

| key of `request` | meaning |
|---|---|
| `operation` | create, update, read, list, scan, delete or patch; required. |
| `path` | Where to; required. A namespace is named in it. |
| `data` | The body. |
| `token` | Another token than the root token. |
| `allow_failure` | Go on although it is refused. |

`path`, `token` and every value in `data` may come from elsewhere: a block with `eval_type` (`string`, `int`,
`float64`, `bool`, `any`) and `eval_source`: `env` with `env_var` (and `require_present = true`), `file` with `path`,
or `response` with `initialize_name`, `response_name` and `field_selector`, which leads into that answer's `data` or `auth`.
"""

_ENVIRONMENT = """\
## Environment

`BAO_X` is read before `VAULT_X`; flags go before the environment, the environment before files.

| variable | sets |
|---|---|
| `BAO_CONFIG_PATH` | `-config`, when that is not given |
| `BAO_API_ADDR` | `api_addr` |
| `BAO_CLUSTER_ADDR` | `cluster_addr` |
| `BAO_LOG_LEVEL` | `log_level` |
| `BAO_LOG_FORMAT` | `log_format` |
| `BAO_DEV_ROOT_TOKEN_ID` | `-dev-root-token-id` |
| `BAO_DEV_LISTEN_ADDRESS` | `-dev-listen-address` |
| `BAO_SEAL_TYPE` | makes a `seal "pkcs11"` without a stanza, or must agree with the stanzas there are |
| `BAO_HSM_LIB`, `_SLOT`, `_TOKEN_LABEL`, `_PIN`, `_KEY_LABEL`, `_KEY_ID`, `_MECHANISM`, `_RSA_OAEP_HASH` | the setting of that name of a single unnamed `seal "pkcs11"`; these go before the file |
| `BAO_PKCS11_ALIASES` | the PKCS#11 modules that clients may use, `NAME=FILE,…` ([external-keys.md](external-keys.md#set-up)) |
| `BAO_TOKEN_PATH` | where development mode stores its token |
"""

_SIGNALS = """\
## Signals, exit code and logs

| signal | does |
|---|---|
| SIGHUP | reads the configuration, certificates and audit files anew; connections stay, and settings of listeners hold for new ones. What cannot be used is logged, and the previous one stays. Storage, addresses and most other settings change at a start only, and are named |
| SIGTERM, SIGINT | accepts no more connections, finishes requests in flight for up to 10 seconds, ends with exit code 0; a second one does not wait. One that comes before the server serves ends the start at once, with exit code 143 (SIGINT: 130) |
| SIGUSR2 | nothing but a line in the log: OpenBao writes what it is doing, and goes on as well |

With `-test-config` the exit code is 0, 1 for problems or 2 for warnings only; with `-check-health` 0 where every listener answers, and 1. Otherwise it is 0 after a signal and 1 when the server could not start; then one line on standard error
says which setting or file is wrong and what to do. Log lines hold no request data: no paths, no tokens,
no values; of an unexpected exception its type and place in the code.

The process forbids core dumps, makes its files readable by its own user only, and locks its memory if
the limit of locked memory is infinite and `disable_mlock` is not set.
"""


def render() -> str:
    """Return the whole page."""
    parts = [
        _INTRODUCTION,
        _table("Top level", "", settings.Config),
        _table(
            '`storage "sqlite"`, `storage "postgresql"`, `storage "inmem"`',
            _STORAGE,
            settings.StorageSettings,
        ),
        _table('`listener "tcp"`, `listener "unix"`', _LISTENER, settings.Listener),
        _table("`telemetry` of a listener", "", settings.ListenerTelemetry),
        _table('`audit "file" "NAME"`', _AUDIT, settings.AuditDevice),
        _list("`options` of an audit device", ("option", "meaning"), stanzas.AUDIT_OPTIONS),
        _table("`log`", "", settings.LogSettings),
        _table(
            '`device "syslog" "NAME"` of `log`, or `socket`, `http`, `otlp`', _DEVICE, log_devices.LogDevice
        ),
        _table('`witness "NAME"` of the log', _WITNESS, settings.WitnessStanza),
        _table(
            '`snapshot "directory" "NAME"`, `snapshot "s3" "NAME"`',
            _SNAPSHOT,
            snapshot_settings.SnapshotSettings,
        ),
        _table("`discovery`", "", discovery_settings.DiscoverySettings),
        _table('`user_lockout "all"`, or an auth method', _LOCKOUT, settings.UserLockout),
        _table("`telemetry`", "", settings.Telemetry),
        _table("`otlp` of `telemetry`", _OTLP, collector.Collector),
        _table('`seal "shamir"`', _SHAMIR, seal_settings.ShamirSeal),
        _list('`seal "pkcs11"`', ("key", "meaning"), _PKCS11, level="##"),
        _table('`seal "static"`', _STATIC, seal_settings.StaticSeal),
        _table("`hsm`", "", seal_settings.HsmPolicy),
        _INITIALIZE,
        _ENVIRONMENT,
        _SIGNALS,
        _foreign("Refused", "What to do instead", unsupported.REFUSED),
        _foreign("Ignored with a warning", "Why nothing is missing", unsupported.IGNORED),
        f"## Flags\n\n```text\n{flags.USAGE}```\n",
    ]
    return "\n".join(parts)


_OTLP = """\
An OpenTelemetry collector, which is sent traces of requests, metrics, and the lines of the server's log ([observability.md](observability.md#traces)).
Needs the extra `otel`.
"""
_STORAGE = """\
`sqlite` is for production on one node: one file, every write durable before it is answered. `postgresql` is for any
number of nodes, which all read and write ([scale.md](scale.md)); `vaultctl operator db init` makes its tables. `inmem`
forgets everything when the server stops and has no settings.
"""
_LISTENER = """\
Several may be given. TLS is 1.2 and 1.3, with ECDHE and AES-GCM or ChaCha20-Poly1305 only. Client
certificates are asked for when `tls_client_ca_file` is set. Request lines and headers may take 64 KiB.

`custom_response_headers` holds a block for each status (`"default"`, `"2xx"`, `"404"`) with headers and
their lists of values. Names that start with `X-Vault-` are refused.
"""
_SHAMIR = """\
People hold shares of a key; it is what there is without any seal stanza too. Beside key slots it makes the
recovery shares a way in when every slot is gone, whatever `recovery_can_unseal` says.
"""
_STATIC = "For a key that the deployment's own secret store provides. The stanza is OpenBao's.\n"
_PKCS11: Mapping[str, str] = {
    "lib": "Absolute path of the PKCS#11 module; `module` is the same. It runs in a process of its own.",
    "pin": "`file://PATH`, `credential://NAME` (systemd) or `env://NAME`; a PIN itself is accepted with a warning.",
    "name": 'Name of the slot, unique among seals; "default" for OpenBao\'s form, a single unnamed stanza.',
    "priority": "Slots are tried in this order, lowest first; 1 unless set.",
    "disabled": "The vault is to leave this slot: it opens for `unseal -migrate` only.",
    "token_label": "Label of the token; `token` is the same.",
    "token_serial": "Serial number of the token, where labels are not unique.",
    "slot": "Number of the PKCS#11 slot, decimal or 0x; the last resort.",
    "key_label": "Label of the key that wraps; `label` is the same.",
    "key_id": "Its `CKA_ID` in hexadecimal; the newest version unless set.",
    "mechanism": "`AES_GCM`, `RSA_PKCS_OAEP` or `AES_CBC_HMAC`; chosen by what the key can unless set.",
    "rsa_oaep_hash": "`sha256`, `sha384`, `sha512`, or `sha1` for tokens that know nothing else.",
    "timeout": "How long one operation may take, its wait for others included; `2s` unless set.",
    "max_sessions": "How many operations run at once; 4 unless set.",
    "library_parameters": "What NSS wants to know at its start; for no other module.",
    "force_pin_final_try": "Log in although the token says that one more wrong PIN locks it.",
}
_LOCKOUT = """\
For `userpass` and `approle`. What a stanza does not set is as in that of `all`. A mount that is tuned goes before, but
locks nobody out where `disable_lockout` is set here.
"""
_DEVICE = """\
Whom the log is sent to, record by record and in order; what each kind promises is in [audit-devices.md](audit-devices.md).
Devices are declared here alone: nobody can make one by the API.

```hcl
log {
  path = "/var/lib/coffre/log"

  device "syslog" "siem" {
    address     = "tls://siem.example:6514"
    policy      = "required"
    tls_ca_file = "/etc/coffre/siem-ca.pem"
  }
}
```
"""
_WITNESS = """\
Who sees that the log only grows, and signs that ([audit-witness.md](audit-witness.md)). A witness that is away delays nothing.

```hcl
log {
  path   = "/var/lib/coffre/log"
  origin = "vault.example.eu/log"
  quorum = 1
  witness "north" {
    url = "https://witness.example.org"
    key = "witness.example.org/w1+4c9bdf99+BKiXmKhSdLwM94epf+TrbD2x0O5uUBIhueJxD/3Htn5F"
  }
}
```
"""
_SNAPSHOT = """\
Backups that the server makes by itself while it is unsealed ([operations.md](operations.md#on-a-schedule)); of several servers
on one storage, one at a time makes each.

```hcl
snapshot "directory" "nightly" {
  interval        = "24h"
  path            = "/backup"
  recipients_file = "/etc/coffre/backup.recipients"
  keep            = 30
}
```
"""
_AUDIT = "The server refuses requests that no audit device can record. SIGHUP opens the files anew.\n"


def _table(title: str, text: str, struct: type[msgspec.Struct]) -> str:
    defaults = {field.name: field for field in msgspec.structs.fields(struct)}
    lines = [f"## {title}\n"]
    lines += [text] if text else []
    lines += ["| key | default | meaning |", "|---|---|---|"]
    for name, setting in settings_of(struct).items():
        shown = setting.shown or _shown(defaults[name].default)
        lines.append(f"| `{name}` | {shown} | {setting.help} |")
    return "\n".join(lines) + "\n"


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "true" if default else "false"
    return str(default) or "none"


def _list(title: str, heads: tuple[str, str], rows: Mapping[str, str], level: str = "###") -> str:
    lines = [f"{level} {title}\n", f"| {heads[0]} | {heads[1]} |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in rows.items()]
    return "\n".join(lines) + "\n"


def _foreign(title: str, head: str, stanzas: Mapping[str, Mapping[str, str]]) -> str:
    lines = [f"## {title}\n", f"| stanza | key | {head.lower()} |", "|---|---|---|"]
    for stanza, keys in stanzas.items():
        lines += [f"| {stanza or 'top level'} | `{key}` | {why} |" for key, why in keys.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())

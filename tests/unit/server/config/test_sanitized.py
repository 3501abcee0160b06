# SPDX-License-Identifier: EUPL-1.2
"""Settings are shown by a list of what may be seen: a new one stays hidden until it is put there (SL-57)."""

import msgspec

from vault.framework.schema import encode
from vault.framework.secret import Secret
from vault.server.config.initialize import FirstRequest
from vault.server.config.sanitized import sanitized
from vault.server.config.seal_settings import SealSettings, StaticSeal
from vault.server.config.settings import AuditDevice, Config, Listener, StorageSettings, UserLockout

MARKER = "hunter2"
HIDDEN = {
    "files",
    "initialize",
    "audit",
    "hsm",
    "discovery",
    "log",
    "log_file",
    "outbound_allow",
    "pid_file",
    "snapshots",
    "ui",
    "user_lockout",
    "warnings",
    "workers",
}
"""Parts of the configuration that nobody who asks needs to see. A new part is put here, or shown on purpose."""


def _config() -> Config:
    return Config(
        listeners=(
            Listener(
                kind="tcp",
                address="127.0.0.1:8200",
                tls_cert_file=MARKER,
                tls_key_file=MARKER,
                custom_response_headers={"default": {"x": MARKER}},
            ),
        ),
        storage=StorageSettings(kind="sqlite", path=MARKER),
        seals=(
            SealSettings(
                kind="static", name="s", static=StaticSeal(current_key=Secret(MARKER), current_key_id=MARKER)
            ),
        ),
        initialize=(FirstRequest(stanza="s", name="n", place="p", path=MARKER, data={"a": MARKER}),),
        audit=(AuditDevice(kind="file", path="file/", options={"file_path": MARKER}),),
    )


def test_sl_57_no_value_that_was_not_listed_is_shown() -> None:
    shown = sanitized(_config())
    assert MARKER.encode() not in encode(shown)
    assert shown["seals"] == [{"disabled": False, "type": "static"}]
    assert shown["storage"] == {"type": "sqlite"}
    assert shown["listeners"] == [
        {"config": {"address": "127.0.0.1:8200", "tls_disable": False}, "type": "tcp"}
    ]


def test_what_locks_users_out_is_shown_in_nanoseconds_with_what_holds_for_all() -> None:
    assert "user_lockout_configs" not in sanitized(_config())
    own = UserLockout(kind="userpass", lockout_threshold=3, lockout_duration=1.5, disable_lockout=True)
    userpass = {
        "disable_lockout": True,
        "lockout_counter_reset": 900_000_000_000,
        "lockout_duration": 1_500_000_000,
        "lockout_threshold": 3,
        "type": "userpass",
    }
    every = {
        "disable_lockout": False,
        "lockout_counter_reset": 900_000_000_000,
        "lockout_duration": 900_000_000_000,
        "lockout_threshold": 5,
        "type": "all",
    }
    assert _lockouts(own) == [every, userpass]
    strict = UserLockout(kind="all", lockout_threshold=1)
    assert _lockouts(own, strict) == [userpass, every | {"lockout_threshold": 1}]


def _lockouts(*lockouts: UserLockout) -> object:
    return sanitized(msgspec.structs.replace(_config(), user_lockout=lockouts))["user_lockout_configs"]


def test_every_part_of_the_configuration_is_shown_or_hidden_on_purpose() -> None:
    parts = {field.name for field in msgspec.structs.fields(Config)}
    assert parts - set(sanitized(_config())) == HIDDEN

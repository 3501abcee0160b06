# SPDX-License-Identifier: EUPL-1.2
"""Command lines for auth methods, audit devices, plugins and a server's past, and the answers that they meet."""

from typing import Any, Final

from tests.cli.canned import Case

_REFUSED: Final = (403, {"errors": ["permission denied"]})
_FORMS: Final = ("", " -format=json", " -format=yaml")
_METHODS: Final[dict[str, Any]] = {
    "data": {
        "p/": {
            "type": "userpass",
            "description": "people",
            "accessor": "x",
            "config": {
                "default_lease_ttl": 0,
                "max_lease_ttl": 60,
                "token_type": "default-service",
                "force_no_cache": False,
            },
            "options": {"a": "b"},
            "local": True,
            "seal_wrap": True,
            "uuid": "u",
            "plugin_version": "v1",
            "running_plugin_version": "v2.7.2+builtin.bao",
            "deprecation_status": "supported",
        },
        "token/": {"type": "token", "accessor": "y", "config": {"default_lease_ttl": 60}, "options": None},
    }
}
_MOVED: Final = (200, {"data": {"migration_id": "m-1"}})


def _state(word: str) -> tuple[int, object]:
    return 200, {"data": {"migration_id": "m-1", "migration_info": {"status": word}}}


_AUTH = [
    Case("auth enable"),
    Case("auth enable userpass", {"POST /v1/sys/auth/userpass": (204, None)}),
    Case(
        "auth enable userpass", {"POST /v1/sys/auth/userpass": (400, {"errors": ["path is already in use"]})}
    ),
    Case(
        "auth enable -path=p -description=d -token-type=batch -default-lease-ttl=1h -max-lease-ttl=90m "
        "-listing-visibility=unauth -audit-non-hmac-request-keys=a -options=x=y -seal-wrap -local userpass",
        {"POST /v1/sys/auth/p": (204, None)},
    ),
    Case("auth enable -plugin-name=userpass plugin", {"POST /v1/sys/auth/userpass": (204, None)}),
    Case("auth tune p", {"POST /v1/sys/mounts/auth/p/tune": (204, None)}),
    Case(
        "auth tune -description= -default-lease-ttl=1h -max-lease-ttl=2h -token-type=batch "
        "-user-lockout-threshold=3 -user-lockout-duration=5m -user-lockout-counter-reset-duration=1m "
        "-user-lockout-disable p/",
        {"POST /v1/sys/mounts/auth/p/tune": (204, None)},
    ),
    Case("auth tune p", {"POST /v1/sys/mounts/auth/p/tune": _REFUSED}),
    Case("auth help nope/", {"GET /v1/sys/auth": (200, _METHODS)}),
    Case("auth help r", {"GET /v1/sys/auth": (200, {"data": {"r/": {"type": "radius", "accessor": "x"}}})}),
    Case("auth help p", {"GET /v1/sys/auth": _REFUSED}),
    Case("auth help"),
    Case("auth disable p/", {"DELETE /v1/sys/auth/p": (204, None)}),
    Case("auth disable p", {"DELETE /v1/sys/auth/p": _REFUSED}),
    *(
        Case(f"auth list{form}{more}", {"GET /v1/sys/auth": (200, _METHODS)})
        for form in _FORMS
        for more in ("", " -detailed")
    ),
    Case("auth list", {"GET /v1/sys/auth": _REFUSED}),
]
_MOVES = [
    Case(line, {"POST /v1/sys/remount": _MOVED, "GET /v1/sys/remount/status/m-1": _state(word)})
    for line in ("secrets move a b/", "auth move auth/a auth/b")
    for word in ("success",)
] + [
    Case("secrets move a"),
    Case("secrets move a b", {"POST /v1/sys/remount": (400, {"errors": ["no matching mount at a/"]})}),
]
_DEVICES = [
    Case("audit enable"),
    Case("audit enable file file_path=/a", {"PUT /v1/sys/audit/file": (204, None)}),
    Case(
        "audit enable -path=b/ -description=d -local file file_path=/a mode=0640",
        {"PUT /v1/sys/audit/b": (204, None)},
    ),
    Case("audit enable file file_path=/a", {"PUT /v1/sys/audit/file": (400, {"errors": ["cannot"]})}),
    Case("audit disable"),
    Case("audit disable file/", {"DELETE /v1/sys/audit/file": (204, None)}),
    Case("audit disable file", {"DELETE /v1/sys/audit/file": _REFUSED}),
]
_DETAILED: Final = [
    {
        "builtin": True,
        "deprecation_status": "supported",
        "name": "userpass",
        "type": "auth",
        "version": "v2.7.2+builtin.bao",
    },
    {"builtin": True, "name": "kv", "type": "secret", "version": ""},
]
_CATALOG: Final = (
    200,
    {"data": {"auth": ["userpass"], "database": [], "secret": ["kv"], "detailed": _DETAILED}},
)
_KV: Final[dict[str, Any]] = {
    "data": {
        "args": None,
        "builtin": True,
        "command": "",
        "deprecation_status": "supported",
        "name": "kv",
        "sha256": "",
        "version": "v1",
    }
}
_RELOADED: Final = (200, {"data": {"reload_id": "r-1"}})
_PLUGINS = [
    *(
        Case(f"plugin list{form}{more}", {"GET /v1/sys/plugins/catalog": _CATALOG})
        for form in ("", " -format=json")
        for more in ("", " -detailed", " auth", " secret")
    ),
    Case("plugin list", {"GET /v1/sys/plugins/catalog": _REFUSED}),
    *(
        Case(f"plugin info{form} secret kv", {"GET /v1/sys/plugins/catalog/secret/kv": (200, _KV)})
        for form in ("", " -format=json", " -field=version", " -field=nothing")
    ),
    Case("plugin reload"),
    Case("plugin reload -plugin=kv", {"PUT /v1/sys/plugins/reload/backend": _RELOADED}),
    Case("plugin reload -mounts=a -mounts=b", {"PUT /v1/sys/plugins/reload/backend": _RELOADED}),
    Case("plugin reload -scope=global -plugin=kv", {"PUT /v1/sys/plugins/reload/backend": _RELOADED}),
    Case("plugin reload -plugin=x", {"PUT /v1/sys/plugins/reload/backend": (400, {"errors": ["not found"]})}),
    Case("plugin register -sha256=aa secret foo", {"PUT /v1/sys/plugins/catalog/secret/foo": (204, None)}),
    Case(
        "plugin register -sha256=aa -command=x -args=a -args=b -version=v1 secret foo",
        {"PUT /v1/sys/plugins/catalog/secret/foo": (204, None)},
    ),
    Case("plugin deregister secret foo", {"DELETE /v1/sys/plugins/catalog/secret/foo?version=": (204, None)}),
]
_PAST: Final[dict[str, Any]] = {
    "data": {
        "keys": ["2.7.1", "2.7.2"],
        "key_info": {
            "2.7.1": {
                "previous_version": None,
                "timestamp_installed": "2026-01-01T00:00:00Z",
                "commit_date": "2026-01-01T00:00:00Z",
            },
            "2.7.2": {
                "previous_version": "2.7.1",
                "timestamp_installed": "2026-02-01T00:00:00Z",
                "commit_date": "2026-01-02T00:00:00Z",
            },
        },
    }
}
_SERVER = [
    *(
        Case(f"version-history{form}", {"GET /v1/sys/version-history?list=true": (200, _PAST)})
        for form in _FORMS[:2]
    ),
    Case("version-history", {"GET /v1/sys/version-history?list=true": _REFUSED}),
    Case("operator step-down", {"PUT /v1/sys/step-down": (204, None)}),
    Case("operator step-down", {"PUT /v1/sys/step-down": _REFUSED}),
    Case("operator members", {"GET /v1/sys/ha-status": (200, {"nodes": []})}),
    Case("operator members", {"GET /v1/sys/ha-status": _REFUSED}),
    Case("monitor -log-level=nope"),
    Case("monitor", {"GET /v1/sys/monitor?log_format=standard&log_level=info": _REFUSED}),
]

CASES = [*_AUTH, *_MOVES, *_DEVICES, *_PLUGINS, *_SERVER]

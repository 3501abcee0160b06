# SPDX-License-Identifier: EUPL-1.2
"""Command lines for secrets, mounts and policies, and the answers that they meet."""

from typing import Any, Final

from tests.cli.canned import Case

_MADE: Final = (200, {"data": {"created_time": "2026-01-01T00:00:00Z", "version": 3, "destroyed": False}})
DONE: Final = (204, None)
NO: Final = (403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]})
_ODD: Final = (405, {"errors": ["1 error occurred:\n\t* unsupported operation\n\n"]})
_WARNED: Final = (200, {"data": None, "warnings": ["this will not last"]})
WRAPPED: Final = (
    200,
    {
        "wrap_info": {
            "token": "s.wrapped",
            "accessor": "acc",
            "ttl": 60,
            "creation_time": "2026-01-01T00:00:00.123456Z",
            "creation_path": "secret/data/x",
            "wrapped_accessor": "inner",
        }
    },
)
_X: Final = "GET /v1/secret/data/x"


def _version(number: int, data: object, **metadata: object) -> tuple[int, Any]:
    told = {"version": number, "deletion_time": "", "destroyed": False, **metadata}
    return (404 if data is None else 200), {"data": {"data": data, "metadata": told}}


_DELETED = _version(1, None, deletion_time="2026-01-01T00:00:00Z")
_DESTROYED = _version(1, None, destroyed=True)
_BOTH = _version(1, None, destroyed=True, deletion_time="2026-01-01T00:00:00Z")

_WRITING = [
    Case("kv put secret/x"),
    Case("kv put secret/x nonsense"),
    Case("kv put kv1/x a=1", {"PUT /v1/kv1/x": DONE}),
    Case("kv put -cas=2 secret/x a=1 b=@text.b64", {"PUT /v1/secret/data/x": _MADE}),
    Case("kv put -cas=0 -format=json secret/x a=1", {"PUT /v1/secret/data/x": _MADE}),
    Case("kv put -field=version secret/x -", {"PUT /v1/secret/data/x": _MADE}, '{"a": [1.50, null]}'),
    Case("kv put secret/x a=1", {"PUT /v1/secret/data/x": NO}),
    Case("kv put -wrap-ttl=1m secret/x a=1", {"PUT /v1/secret/data/x": WRAPPED}),
    Case("kv patch secret/x"),
    Case("kv patch kv1/x a=1"),
    Case("kv patch -cas=2 secret/x a=1", {"PATCH /v1/secret/data/x": _MADE}),
    Case("kv patch -remove-data=b -remove-data=c secret/x", {"PATCH /v1/secret/data/x": _MADE}),
    Case("kv patch secret/x a=1", {"PATCH /v1/secret/data/x": (404, {"errors": []})}),
    Case("kv patch -method=patch secret/x a=1", {"PATCH /v1/secret/data/x": NO}),
    *(
        Case(
            f"kv patch{method} secret/x a=1",
            {
                "PATCH /v1/secret/data/x": refusal,
                _X: _version(7, {"a": 0, "b": 1, "c": 2}),
                "PUT /v1/secret/data/x": _MADE,
            },
        )
        for method, refusal in (("", NO), ("", _ODD), (" -method=rw", _ODD))
    ),
    Case("kv patch -method=rw secret/x a=1"),
    Case("kv patch -method=rw secret/x a=1", {_X: NO}),
    Case("kv patch -method=rw secret/x a=1", {_X: _DELETED}),
]

_VERSIONS = [
    Case("kv delete -versions=1,2 secret/x", {"PUT /v1/secret/delete/x": DONE}),
    Case("kv delete -versions=1 -versions=2 secret/x", {"PUT /v1/secret/delete/x": DONE}),
    Case("kv delete -versions=1 kv1/x", {"DELETE /v1/kv1/x": DONE}),
    Case("kv delete secret/x", {"DELETE /v1/secret/data/x": _WARNED}),
    Case("kv delete -format=json secret/x", {"DELETE /v1/secret/data/x": DONE}),
    Case("kv delete secret/x", {"DELETE /v1/secret/data/x": NO}),
    *(
        case
        for kind in ("undelete", "destroy")
        for case in (
            Case(f"kv {kind} secret/x"),
            Case(f"kv {kind} -versions=1 kv1/x"),
            Case(f"kv {kind} -versions=1,2 secret/x", {f"PUT /v1/secret/{kind}/x": DONE}),
            Case(f"kv {kind} -versions=1 secret/x", {f"PUT /v1/secret/{kind}/x": _WARNED}),
            Case(f"kv {kind} -versions=1 secret/x", {f"PUT /v1/secret/{kind}/x": NO}),
        )
    ),
    Case("kv rollback secret/x"),
    Case("kv rollback -version=0 secret/x"),
    Case("kv rollback -version=1 kv1/x"),
    Case("kv rollback -version=1 secret/x"),
    Case("kv rollback -version=1 secret/x", {_X: _version(2, {"a": 2})}),
    *(
        Case("kv rollback -version=1 secret/x", {_X: newest, f"{_X}?version=1": old, **written})
        for newest, old, written in (
            (_version(2, {"a": 2}), _version(1, {"b": 1, "a": 1}), {"PUT /v1/secret/data/x": _MADE}),
            (_DELETED, _version(1, {"a": 1}), {"PUT /v1/secret/data/x": _MADE}),
            (_version(2, {"a": 2}), _DELETED, {}),
            (_version(2, {"a": 2}), _DESTROYED, {}),
            (_version(2, {"a": 2}), _BOTH, {}),
        )
    ),
    Case("kv enable-versioning kv1/", {"POST /v1/sys/mounts/kv1/tune": DONE}),
    Case("kv enable-versioning kv1", {"POST /v1/sys/mounts/kv1/tune": NO}),
]

_METADATA = [
    Case("kv metadata put secret/x", {"PUT /v1/secret/metadata/x": DONE}),
    Case(
        "kv metadata put -cas-required -delete-version-after=90s -max-versions=3 -custom-metadata=b=2 "
        "-custom-metadata=a=1 secret/x",
        {"PUT /v1/secret/metadata/x": DONE},
    ),
    Case(
        "kv metadata put -cas-required=false -max-versions=0 secret/x", {"PUT /v1/secret/metadata/x": _WARNED}
    ),
    Case("kv metadata put kv1/x"),
    Case("kv metadata patch secret/x", {"PATCH /v1/secret/metadata/x": DONE}),
    Case(
        "kv metadata patch -remove-custom-metadata=a -custom-metadata=b=2 secret/x",
        {"PATCH /v1/secret/metadata/x": DONE},
    ),
    Case("kv metadata patch kv1/x"),
    Case("kv metadata delete secret/x", {"DELETE /v1/secret/metadata/x": DONE}),
    Case("kv metadata delete secret/x", {"DELETE /v1/secret/metadata/x": _WARNED}),
    Case("kv metadata delete secret/x", {"DELETE /v1/secret/metadata/x": NO}),
    Case("kv metadata delete kv1/x"),
    Case("kv metadata get secret/x", {"GET /v1/secret/metadata/x": _WARNED}),
    Case("kv metadata get -wrap-ttl=1m secret/x", {"GET /v1/secret/metadata/x": WRAPPED}),
    Case("kv get secret/x", {_X: (404, {"warnings": ["gone"], "data": None})}),
    Case("kv get secret/x", {_X: _version(1, {})}),
    Case("kv get kv1/x", {"GET /v1/kv1/x": (200, {"data": {}})}),
    Case("kv get kv1/x", {"GET /v1/kv1/x": _WARNED}),
    Case("kv get kv1/x", {"GET /v1/kv1/x": (200, {"data": {"ttl": "1h"}, "lease_duration": 3600})}),
    Case("kv get -mount=other x", {"GET /v1/sys/internal/ui/mounts/other": NO}),
    Case("kv list"),
    Case("kv list -mount=secret", {"GET /v1/secret/metadata?list=true": (200, {"data": {"keys": ["a"]}})}),
]

_LISTING: Final[tuple[int, Any]] = (
    200,
    {"data": {"keys": ["b", "a/"], "key_info": {"b": {"n": 1, "l": ["x"]}}}},
)
_LISTINGS: Final[tuple[tuple[int, object], ...]] = (
    _LISTING,
    (200, {"data": {"keys": []}}),
    (200, {"data": {}}),
    _WARNED,
    WRAPPED,
    NO,
)
_ANY = [
    *(
        Case(f"list{flags} secret/metadata", {"GET /v1/secret/metadata?list=true": answer})
        for flags in ("", " -detailed", " -format=json", " -detailed -format=json")
        for answer in _LISTINGS
    ),
    Case("scan -limit=2 -after=b x", {"GET /v1/x?after=b&limit=2&scan=true": _LISTING}),
    Case("read x a=1 a=2 b=", {"GET /v1/x?a=1&a=2&b=": (200, {"data": {"ttl": 90, "n": 1}})}),
    Case("read x nonsense"),
    Case("read x", {"GET /v1/x": _WARNED}),
    Case("read x", {"GET /v1/x": (404, {"warnings": ["gone"]})}),
    Case("read -format=raw x", {"GET /v1/x": (200, {"anything": "é"})}),
    Case("read -format=raw x", {"GET /v1/x": NO}),
    Case("write x"),
    Case("write -f x", {"PUT /v1/x": DONE}),
    Case("write -force x", {"PUT /v1/x": _WARNED}),
    Case("write x a=1 a=2 b=\\@c d=@text.b64", {"PUT /v1/x": DONE}),
    Case("write x @missing.json"),
    Case("write x a=@missing.txt"),
    Case("write x -", {}, "[1]"),
    Case("write x -", {}, "{"),
    Case("write x a=- b=-", {"PUT /v1/x": DONE}, "once"),
    Case("patch x a=1", {"PATCH /v1/x": DONE}),
    Case("patch x a=1", {"PATCH /v1/x": _ODD}),
    Case("patch -f x", {"PATCH /v1/x": DONE}),
    Case("delete x a=1", {"DELETE /v1/x?a=1": _WARNED}),
    Case("delete x", {"DELETE /v1/x": NO}),
    Case("unwrap", {"PUT /v1/sys/wrapping/unwrap": (200, {"data": {"a": 1}})}),
    Case("unwrap s.wrapped", {"PUT /v1/sys/wrapping/unwrap": (200, {"data": {"a": 1}})}),
    Case("unwrap s.wrapped", {"PUT /v1/sys/wrapping/unwrap": (204, None)}),
    Case(
        "unwrap s.wrapped",
        {"PUT /v1/sys/wrapping/unwrap": (400, {"errors": ["wrapping token is not valid"]})},
    ),
    Case("path-help x", {"GET /v1/x?help=1": (200, {"help": "words"})}),
    Case(
        "path-help -format=json x",
        {"GET /v1/x?help=1": (200, {"help": "words", "openapi": {"b": 1, "a": 2}})},
    ),
]

_CONFIG = {
    "default_lease_ttl": 90,
    "max_lease_ttl": 0,
    "force_no_cache": True,
    "listing_visibility": "unauth",
}
_MOUNTED = {
    "data": {
        "secret/": {
            "type": "kv",
            "options": {"version": "2"},
            "config": _CONFIG,
            "local": True,
            "seal_wrap": True,
            "description": "d",
            "uuid": "u",
            "accessor": "kv_1",
        },
        "sys/": {"type": "system", "options": None, "config": {"default_lease_ttl": 0}},
    }
}
_MOUNTS = [
    Case(
        "secrets enable -path=a/b/ -version=1 -options=z=1 -seal-wrap kv", {"POST /v1/sys/mounts/a/b": DONE}
    ),
    Case(
        "secrets enable -plugin-name=own -plugin-version=v1 -external-entropy-access -force-no-cache plugin",
        {"POST /v1/sys/mounts/own": DONE},
    ),
    Case(
        "secrets enable -audit-non-hmac-request-keys=a,b -audit-non-hmac-response-keys=c "
        "-passthrough-request-headers=d -allowed-response-headers=e -listing-visibility=hidden kv",
        {"POST /v1/sys/mounts/kv": DONE},
    ),
    Case(
        "secrets enable kv", {"POST /v1/sys/mounts/kv": (400, {"errors": ["path is already in use at kv/"]})}
    ),
    Case(
        "secrets tune -plugin-version=v1 -description=d -default-lease-ttl=1h -max-lease-ttl=2h -version=2 "
        "-audit-non-hmac-request-keys= -options=a=b secret",
        {"POST /v1/sys/mounts/secret/tune": DONE},
    ),
    Case("secrets tune secret", {"POST /v1/sys/mounts/secret/tune": NO}),
    Case("secrets disable kv1/", {"DELETE /v1/sys/mounts/kv1": DONE}),
    Case("secrets disable kv1", {"DELETE /v1/sys/mounts/kv1": NO}),
    *(
        Case(f"secrets list{flags}", {"GET /v1/sys/mounts": (200, _MOUNTED)})
        for flags in ("", " -detailed", " -format=json", " -format=yaml")
    ),
    Case("secrets list", {"GET /v1/sys/mounts": NO}),
    Case("policy delete SIDE", {"DELETE /v1/sys/policies/acl/side": DONE}),
    Case(
        "policy delete root",
        {"DELETE /v1/sys/policies/acl/root": (400, {"errors": ['cannot delete "root"']})},
    ),
    Case("policy write Side missing.hcl"),
    Case("policy write Side text.b64", {"PUT /v1/sys/policies/acl/side": DONE}),
    Case("policy list", {"GET /v1/sys/policies/acl?list=true": NO}),
    Case("policy fmt missing.hcl"),
]

CASES = [*_WRITING, *_VERSIONS, *_METADATA, *_ANY, *_MOUNTS]

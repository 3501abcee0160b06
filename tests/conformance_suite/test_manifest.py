# SPDX-License-Identifier: EUPL-1.2
"""Manifests: each fault is told with the member that has it, and no secret stands in one."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from esa_conformance.errors import UsageError
from esa_conformance.manifest import Manifest, read_manifest

_ROOT = Path(__file__).parents[2]
_SCHEMA = json.loads((_ROOT / "api-spec" / "schemas" / "manifest.json").read_text(encoding="utf-8"))
_ENVIRON = {"ESA_TOKEN": "s.kv", "ESA_ADMIN": "s.admin"}
_GOOD: dict[str, Any] = {
    "spec": "1.0",
    "implementation": {
        "organization": "Example",
        "project": "vault",
        "url": "https://example.org",
        "version": "1.4.0",
    },
    "target": {"address": "https://vault.example:8200", "expect": {"cluster_id": "5f0c"}},
    "credentials": {"kv": "env:ESA_TOKEN", "admin": "env:ESA_ADMIN"},
    "claim": ["kv-consume"],
}


def _changed(**changes: Any) -> dict[str, Any]:
    """A good manifest with other members, each named by its path with two underscores; None removes it."""
    made: dict[str, Any] = json.loads(json.dumps(_GOOD))
    for path, value in changes.items():
        *outer, last = path.split("__")
        table = made
        for name in outer:
            table = table.setdefault(name, {})
        if value is None:
            del table[last]
        else:
            table[last] = value
    return made


def _read(members: dict[str, Any], folder: Path) -> Manifest:
    path = folder / "manifest.json"
    path.write_text(json.dumps(members), encoding="utf-8")
    return read_manifest(path, _ENVIRON)


def test_a_good_manifest_has_safe_defaults(tmp_path: Path) -> None:
    made = _read(_GOOD, tmp_path)
    assert jsonschema_rs.is_valid(_SCHEMA, _GOOD)
    assert (made.allow, made.mode, made.features) == (frozenset({"read-only", "mutating"}), "prefix", None)
    assert (made.compat.base, made.compat.mount, made.compat.prefix) == ("/v1", "secret", "")
    assert made.credentials == {"kv": "s.kv", "admin": "s.admin"}
    assert "s.kv" not in repr(made)


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"spec": "2.0"}, "spec"),
        ({"spec": None}, "spec"),
        ({"implementation": None}, "implementation"),
        ({"implementation__project": 7}, "implementation.project"),
        ({"target__address": None}, "target.address"),
        ({"target__adress": "x"}, "target.adress"),
        ({"target__environment": "prod"}, "target.environment"),
        ({"target__expect": {}}, "target.expect"),
        ({"credentials__kv": "s.hidden"}, "credentials.kv"),
        ({"credentials__kv": "env:NONE"}, "credentials.kv"),
        ({"credentials__root": "env:ESA_TOKEN"}, "credentials.root"),
        ({"credentials__kv": None}, "credentials"),
        ({"credentials__admin": None}, "credentials"),
        ({"credentials__denied": "env:ESA_TOKEN"}, "credentials.denied"),
        ({"claim": ["X-pki"]}, "claim"),
        ({"claim": ["kv"]}, "claim"),
        ({"claim": "kv-consume"}, "claim"),
        (
            {"claim": ["identity"], "credentials__admin": None, "credentials__denied": "env:ESA_ADMIN"},
            "credentials",
        ),
        ({"allow": ["everything"]}, "allow"),
        ({"isolation__mode": "none"}, "isolation.mode"),
        ({"isolation__ttl_s": 10}, "isolation.ttl_s"),
        ({"isolation__ttl_s": True}, "isolation.ttl_s"),
        ({"limits__rps": 0}, "limits"),
        ({"limits__rps": "fast"}, "limits.rps"),
        ({"hooks__seal_key": "hidden"}, "hooks.seal_key"),
        ({"hooks__openssl": 3}, "hooks.openssl"),
        ({"artefacts__records": "hidden"}, "artefacts.records"),
        ({"artefacts__audit": ["hidden"]}, "artefacts.audit"),
        ({"artefacts__checkpoint_keys": ["name+00000000+hidden"]}, "artefacts.checkpoint_keys"),
        ({"expected_failures": "none.toml"}, "expected_failures"),
        ({"bindings__native": {}}, "bindings.native"),
        *(
            ({f"bindings__compat__{member}": path}, f"bindings.compat.{member}")
            for member in ("prefix", "mount", "base")
            for path in ("../x", "a/../b", "a/..", "./a", "a//b", "a?b", "a#b", "a%2e", "a b", "a\\b", "a\n")
        ),
    ],
)
def test_a_fault_is_told_with_its_member(changes: dict[str, Any], member: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as told:
        _read(_changed(**changes), tmp_path)
    assert str(told.value).startswith(member)
    assert "hidden" not in str(told.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": "2.0"},
        {"implementation__project": 7},
        {"target__adress": "x"},
        {"credentials__kv": "s.secret"},
        {"allow": ["everything"]},
        {"isolation__ttl_s": 10},
        {"limits__rps": 0},
        {"hooks__openssl": ""},
        {"artefacts__records": "log"},
        {"artefacts__checkpoint_keys": ["hidden"]},
        {"bindings__compat__prefix": "../x"},
        {"bindings__compat__mount": "a/.."},
        {"bindings__compat__base": "/v1?x"},
    ],
)
def test_the_schema_refuses_what_the_suite_refuses(changes: dict[str, Any]) -> None:
    assert not jsonschema_rs.is_valid(_SCHEMA, _changed(**changes))


def test_what_is_handed_over_is_found_from_the_manifest(tmp_path: Path) -> None:
    keys = json.loads((_ROOT / "api-spec" / "vectors" / "log.json").read_text(encoding="utf-8"))[
        "ed25519_vkey"
    ]
    given = {
        "artefacts__records": ["log", "https://logs.example/audit.log", "/var/log/audit.log"],
        "artefacts__checkpoints": ["notes"],
        "artefacts__checkpoint_keys": [keys],
        "hooks__openssl": "/usr/bin/openssl",
        "target__ca_file": "ca.pem",
    }
    assert jsonschema_rs.is_valid(_SCHEMA, _changed(**given))
    made = _read(_changed(**given), tmp_path)
    assert made.artefacts.records == (
        str(tmp_path / "log"),
        "https://logs.example/audit.log",
        "/var/log/audit.log",
    )
    assert made.artefacts.checkpoints == (str(tmp_path / "notes"),)
    assert made.artefacts.checkpoint_keys == (keys,)
    assert made.artefacts.ca_file == str(tmp_path / "ca.pem")
    assert made.openssl == "/usr/bin/openssl"


def test_a_run_that_only_reads_needs_to_know_less(tmp_path: Path) -> None:
    assert _read(_changed(target__expect={}, allow=["read-only"]), tmp_path).allow == {"read-only"}


@pytest.mark.parametrize("text", ["spec = ", '"text"', "\xff"])
def test_what_is_not_well_formed_is_told(text: str, tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="not well-formed"):
        read_manifest(path, _ENVIRON)


def test_expected_failures_have_a_reason(tmp_path: Path) -> None:
    (tmp_path / "expected.toml").write_text(
        '[one_winner]\nissue = "https://example.org/1"\n', encoding="utf-8"
    )
    with pytest.raises(UsageError, match=r"expected_failures\.one_winner\.reason"):
        _read(_changed(expected_failures="expected.toml"), tmp_path)

# SPDX-License-Identifier: Apache-2.0
"""The manifest: what is judged, where, with which credentials, and what may be done there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from esa_conformance.decoding import json_of, toml_of
from esa_conformance.errors import TooDeep, UsageError
from esa_conformance.evidence.files import Artefacts, is_address
from esa_conformance.evidence.notes import key_of
from esa_conformance.requirements import profiles, with_needed

CLASSES: Final = ("read-only", "mutating", "disruptive")
MODES: Final = ("prefix", "namespace")
CREDENTIALS: Final = ("kv", "admin", "denied")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Implementation:
    """Who made what is judged."""

    organization: str
    project: str
    url: str
    version: str
    contact: tuple[str, ...]


@dataclass(frozen=True)
class Expect:
    """What the server must be before anything is written; empty members are not compared."""

    product: str
    version: str
    cluster_id: str
    tls_sha256: str


@dataclass(frozen=True)
class Compat:
    """Where the KV2 dialect is served: base path, mount, and a prefix below it that ends in a slash or is empty."""

    base: str
    mount: str
    prefix: str


@dataclass(frozen=True)
class Limits:
    """Requests in a second, seconds for a request, seconds for the whole run; seconds until a record can be found."""

    rps: float
    request_s: float
    run_s: float
    settle_s: float


@dataclass(frozen=True)
class ExpectedFailure:
    """A failure that is known, with its reason and issue."""

    reason: str
    issue: str
    until: str


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read whole; `credentials` are secrets and stand in no output."""

    spec: str
    implementation: Implementation
    address: str
    expect: Expect
    environment: str
    ca_file: str | None
    compat: Compat
    credentials: Mapping[str, str]
    claim: tuple[str, ...]
    features: tuple[str, ...] | None
    allow: frozenset[str]
    seal_key: str | None
    openssl: str | None
    artefacts: Artefacts
    mode: str
    ttl_s: int
    limits: Limits
    expected_failures: Mapping[str, ExpectedFailure]
    sha256: str

    def __repr__(self) -> str:
        return f"Manifest({self.implementation.project!r})"


def read_manifest(path: Path, environ: Mapping[str, str]) -> Manifest:
    """Read a manifest in TOML, or JSON where the name ends so. Raises UsageError that names the member."""
    try:
        text = path.read_bytes()
        raw = json_of(text) if path.suffix == ".json" else toml_of(text.decode())
    except OSError as error:
        raise UsageError(f"the manifest cannot be read: {error.strerror}") from None
    except (ValueError, TooDeep) as error:
        raise UsageError(f"the manifest is not well-formed: {error}") from None
    if not isinstance(raw, dict):
        raise UsageError("the manifest is not an object")
    return _manifest(_Table(raw, ""), path.parent, environ, hashlib.sha256(text).hexdigest())


class _Table:
    """A table of the manifest: members are taken out one by one, and none may be left."""

    def __init__(self, members: Mapping[str, Any], name: str) -> None:
        self._members = dict(members)
        self._name = name

    def path(self, member: str) -> str:
        return f"{self._name}.{member}" if self._name else member

    def take(self, member: str, kind: type[_T], default: _T | None = None) -> _T:
        """A member of the given type. Without `default` it must be there."""
        value = self._members.pop(member, default)
        if value is None:
            raise UsageError(f"{self.path(member)} is missing")
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise UsageError(f"{self.path(member)}: a {_TYPES[kind]} is needed")
        return value

    def table(self, member: str, *, needed: bool = False) -> _Table:
        """A table of its own; an empty one where it is missing and not needed."""
        return _Table(self.take(member, dict, None if needed else {}), self.path(member))

    def texts(self, member: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of texts."""
        value = self.take(member, list, None if default is None else list(default))
        if not all(isinstance(one, str) for one in value):
            raise UsageError(f"{self.path(member)}: a list of texts is needed")
        return tuple(value)

    def names(self) -> list[str]:
        return sorted(self._members)

    def end(self) -> None:
        """Refuse what nobody has taken."""
        for member in sorted(self._members):
            raise UsageError(f"{self.path(member)} is not a member of manifests")


_TYPES: Final[Mapping[type, str]] = {
    str: "text", int: "whole number", float: "number", list: "list", dict: "table", bool: "true or false",
}  # fmt: skip


def _manifest(top: _Table, folder: Path, environ: Mapping[str, str], sha256: str) -> Manifest:
    spec = top.take("spec", str)
    if spec != "1.0":
        raise UsageError('spec: this suite judges "1.0"')
    implementation = _implementation(top.table("implementation", needed=True))
    target = top.table("target", needed=True)
    address = target.take("address", str)
    ca_file = target.take("ca_file", str, "")
    environment = _one_of(target, "environment", ("test", "staging", "production"), "test")
    expect = _expect(target.table("expect"))
    target.end()
    hooks = top.table("hooks")
    seal_key = hooks.take("seal_key", str, "")
    openssl = hooks.take("openssl", str, "")
    hooks.end()
    isolation = top.table("isolation")
    mode = _one_of(isolation, "mode", MODES, "prefix")
    ttl_s = isolation.take("ttl_s", int, 86_400)
    isolation.end()
    claim = _each_of(top, "claim", tuple(name for name, one in profiles().items() if not one.reserved), ())
    allow = frozenset(_each_of(top, "allow", CLASSES, ("read-only", "mutating")))
    made = Manifest(
        spec=spec,
        implementation=implementation,
        address=address,
        expect=expect,
        environment=environment,
        ca_file=str(folder / ca_file) if ca_file else None,
        compat=_compat(top.table("bindings")),
        credentials=_credentials(top.table("credentials"), environ),
        claim=claim,
        features=_features(top),
        allow=allow,
        seal_key=_from_environment(seal_key, "hooks.seal_key", environ) if seal_key else None,
        openssl=openssl or None,
        artefacts=_artefacts(top.table("artefacts"), folder, ca_file),
        mode=mode,
        ttl_s=ttl_s,
        limits=_limits(top.table("limits")),
        expected_failures=_expected_failures(top.take("expected_failures", str, ""), folder),
        sha256=sha256,
    )
    top.end()
    _check(made)
    return made


def _check(made: Manifest) -> None:
    """What members say together."""
    given = made.credentials
    claimed = with_needed(made.claim)
    if "kv-consume" in claimed and ("kv" not in given or not {"denied", "admin"} & given.keys()):
        raise UsageError(f"credentials: to claim {' and '.join(made.claim)}, give kv, and denied or admin")
    if claimed and set(claimed) != {"kv-consume"} and "admin" not in given:
        raise UsageError("credentials: to claim more than kv-consume, give admin")
    if given.get("denied") in {value for name, value in given.items() if name != "denied"}:
        raise UsageError(
            "credentials.denied: it is one that may; give one that may nothing below the base path"
        )
    if made.mode == "namespace" and "admin" not in given:
        raise UsageError("isolation.mode: a namespace needs credentials.admin")
    if made.ttl_s < 600:
        raise UsageError("isolation.ttl_s: at least 600 seconds")
    if made.allow != {"read-only"} and not (made.expect.cluster_id or made.expect.tls_sha256):
        raise UsageError("target.expect: give cluster_id or tls_sha256, as the run writes")


def _implementation(table: _Table) -> Implementation:
    made = Implementation(
        organization=table.take("organization", str),
        project=table.take("project", str),
        url=table.take("url", str),
        version=table.take("version", str),
        contact=table.texts("contact", ()),
    )
    table.end()
    return made


def _expect(table: _Table) -> Expect:
    made = Expect(
        product=table.take("product", str, ""),
        version=table.take("version", str, ""),
        cluster_id=table.take("cluster_id", str, ""),
        tls_sha256=table.take("tls_sha256", str, "").replace(":", "").lower(),
    )
    table.end()
    return made


def _compat(bindings: _Table) -> Compat:
    table = bindings.table("compat")
    bindings.end()
    prefix = _path(table, "prefix", "")
    made = Compat(
        base="/" + _path(table, "base", "/v1"),
        mount=_path(table, "mount", "secret"),
        prefix=f"{prefix}/" if prefix else "",
    )
    table.end()
    return made


def _path(table: _Table, member: str, default: str) -> str:
    """A path without slashes around it. Refused is what is none, or could lead elsewhere than it says."""
    value = table.take(member, str, default).strip("/")
    odd = any(one in "?#%\\" or not one.isprintable() or one.isspace() for one in value)
    if odd or (value and not {"", ".", ".."}.isdisjoint(value.split("/"))):
        raise UsageError(
            f"{table.path(member)}: a path is needed, without '.', '..', '?', '#', '%' and spaces"
        )
    return value


def _limits(table: _Table) -> Limits:
    made = Limits(
        rps=table.take("rps", float, 50.0),
        request_s=table.take("request_s", float, 10.0),
        run_s=table.take("run_s", float, 900.0),
        settle_s=table.take("settle_s", float, 20.0),
    )
    table.end()
    if min(made.rps, made.request_s, made.run_s, made.settle_s) <= 0:
        raise UsageError("limits: numbers above zero are needed")
    return made


def _artefacts(table: _Table, folder: Path, ca_file: str) -> Artefacts:
    """What the operator hands over: paths begin at the manifest's folder."""

    def placed(member: str) -> tuple[str, ...]:
        places = table.texts(member, ())
        return tuple(place if is_address(place) else str(folder / place) for place in places)

    made = Artefacts(
        records=placed("records"),
        checkpoints=placed("checkpoints"),
        checkpoint_keys=table.texts("checkpoint_keys", ()),
        ca_file=str(folder / ca_file) if ca_file else None,
    )
    table.end()
    if not all(map(key_of, made.checkpoint_keys)):
        raise UsageError("artefacts.checkpoint_keys: NAME+HASH+KEY of Ed25519 or P-256 is needed")
    return made


def _credentials(table: _Table, environ: Mapping[str, str]) -> Mapping[str, str]:
    made = {}
    for name in table.names():
        if name not in CREDENTIALS:
            raise UsageError(f"credentials.{name} is not a member of manifests")
        made[name] = _from_environment(table.take(name, str), f"credentials.{name}", environ)
    return made


def _from_environment(value: str, member: str, environ: Mapping[str, str]) -> str:
    """The secret that `env:NAME` names; one that stands in the file itself is refused and not repeated."""
    if not value.startswith("env:"):
        raise UsageError(f'{member}: secrets are given as "env:NAME"')
    found = environ.get(value.removeprefix("env:"), "")
    if not found:
        raise UsageError(f"{member}: the environment variable is not set")
    return found


def _features(top: _Table) -> tuple[str, ...] | None:
    if "features" not in top.names():
        return None
    return top.texts("features")


def _expected_failures(name: str, folder: Path) -> Mapping[str, ExpectedFailure]:
    if not name:
        return {}
    try:
        raw = toml_of((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, TooDeep) as error:
        raise UsageError(f"expected_failures: {error}") from None
    made = {}
    for test, members in raw.items():
        if not isinstance(members, dict):
            raise UsageError(f"expected_failures: {test} is not a table")
        table = _Table(members, f"expected_failures.{test}")
        made[test] = ExpectedFailure(
            table.take("reason", str), table.take("issue", str, ""), table.take("until", str, "")
        )
        table.end()
    return made


def _one_of(table: _Table, member: str, known: Sequence[str], default: str) -> str:
    value = table.take(member, str, default)
    if value not in known:
        raise UsageError(f"{table.path(member)}: one of {', '.join(known)} is needed")
    return value


def _each_of(table: _Table, member: str, known: Sequence[str], default: Sequence[str]) -> tuple[str, ...]:
    values = table.texts(member, default)
    for value in values:
        if value not in known:
            raise UsageError(f"{table.path(member)}: {value} is none of {', '.join(known)}")
    return values

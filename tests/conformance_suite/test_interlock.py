# SPDX-License-Identifier: EUPL-1.2
"""Before the first write: another server, or one in production, is not written to."""

from dataclasses import replace
from pathlib import Path

import pytest

from esa_conformance.errors import SafetyStop
from esa_conformance.manifest import Expect
from esa_conformance.run.interlock import Identity, check, identify
from esa_conformance.run.session import connect
from tests.conformance_suite.made import manifest
from tests.conformance_suite.stub import Said, Sent, serving

_FOUND = Identity("coffre", "1.4.0", "5f0c", False, "ab" * 32, {"environment": "test"}, "0" * 64)
_DISCOVERY = b'{"implementation": {"project": "coffre", "version": "1.4.0"}, "environment": "staging"}'


@pytest.mark.parametrize(
    "expect",
    [
        Expect("openbao", "", "5f0c", ""),
        Expect("", "1.4.1", "5f0c", ""),
        Expect("", "", "5f0d", ""),
        Expect("", "", "", "ac" * 32),
    ],
)
@pytest.mark.parametrize("writes", [True, False])
def test_another_server_is_not_asked_anything(expect: Expect, writes: bool, tmp_path: Path) -> None:
    with pytest.raises(SafetyStop, match=r"target\.expect"):
        check(replace(manifest(tmp_path), expect=expect), _FOUND, writes=writes)


def test_the_server_that_is_meant_is_accepted(tmp_path: Path) -> None:
    check(
        replace(manifest(tmp_path), expect=Expect("coffre", "1.4.0", "5f0c", "ab" * 32)), _FOUND, writes=True
    )
    silent = replace(_FOUND, product="", discovery=None)
    check(replace(manifest(tmp_path), expect=Expect("coffre", "", "5f0c", "")), silent, writes=True)


def test_a_sealed_server_that_a_run_opens_again_need_not_tell_its_cluster_and_all_else(
    tmp_path: Path,
) -> None:
    meant = replace(manifest(tmp_path), expect=Expect("coffre", "1.4.0", "5f0c", "ab" * 32))
    sealed = replace(_FOUND, sealed=True, cluster_id="")
    check(meant, sealed, writes=True, opens=True)
    for found in (
        replace(sealed, sealed=False),
        replace(sealed, cluster_id="5f0d"),
        replace(sealed, tls_sha256=""),
    ):
        with pytest.raises(SafetyStop):
            check(meant, found, writes=True, opens=True)
    with pytest.raises(SafetyStop):
        check(meant, sealed, writes=True)


def test_production_is_only_read(tmp_path: Path) -> None:
    made = manifest(tmp_path)
    told = replace(_FOUND, discovery={"environment": "production"})
    for one, found in ((made, told), (replace(made, environment="production"), _FOUND)):
        check(one, found, writes=False)
        with pytest.raises(SafetyStop, match="production"):
            check(one, found, writes=True)


def test_who_a_server_is_is_asked_without_credential(tmp_path: Path) -> None:
    def behave(request: Sent) -> Said:
        health = request.target == "/v1/sys/health"
        return Said(200, b'{"version": "2.7.2", "cluster_id": "5f0c"}' if health else _DISCOVERY)

    with serving(behave) as (port, seen):
        found = identify(connect(manifest(tmp_path, port=port), read_only=True))
    assert (found.product, found.version, found.cluster_id) == ("coffre", "1.4.0", "5f0c")
    assert all("x-vault-token" not in one.headers for one in seen)
    assert [line.partition(":")[0] for line in found.lines()] == [
        "product",
        "version",
        "cluster id",
        "certificate",
    ]


def test_a_server_that_tells_nothing_is_known_by_nothing(tmp_path: Path) -> None:
    with serving(lambda _: Said(404, b"none")) as (port, _):
        found = identify(connect(manifest(tmp_path, port=port), read_only=True))
    assert (found.product, found.version, found.cluster_id, found.discovery) == ("", "", "", None)

# SPDX-License-Identifier: EUPL-1.2
"""An archive is data and no list of requests: each kind is written in its places alone."""

import pytest

from vaultctl.port.settings.catalog import may_write


@pytest.mark.parametrize(
    ("kind", "path", "may"),
    [
        ("quota", "sys/quotas/rate-limit/wide", True),
        ("quota", "sys/mounts/secret", False),
        ("quota", "sys/quotas/rate-limit/wide/../../../mounts/secret", False),
        ("approle", "auth/team/ci/role/r", True),
        ("approle", "auth/token/roles/r", False),
        ("approle", "sys/auth/role/r", False),
        ("auth-role", "auth/jwt/role/r", True),
        ("auth-role", "auth/cert/certs/r", True),
        ("auth-role", "auth/userpass/users/r", False),
        ("auth-config", "auth/token/config", False),
        ("kv-config", "secret/config", True),
        ("kv-config", "sys/config", False),
        ("ssh-role", "identity/roles/x", False),
        ("ssh-role", "team/ssh/roles/x", True),
        ("quota", "sys/quotas/rate-limit/a/b", False),
        ("quota-config", "sys/quotas/config", True),
        ("kv-config", "config", False),
        ("approle", "auth/role/r", False),
        ("unknown", "secret/config", False),
    ],
)
def test_a_kind_is_written_in_its_places_alone(kind: str, path: str, may: bool) -> None:
    assert may_write(kind, path) is may

# SPDX-License-Identifier: EUPL-1.2
"""No name has more than 4,096 characters, wherever one is given: each is folded, hashed or spelled in a URL (SL-70)."""

import pytest

from tests.routes.complexity import furnished
from tests.routes.driver import TARGETS, Application, Target
from tests.routes.furniture import BASES, UNKNOWN
from vault.framework.limits import NAME
from vault.storage.protocol import LONGEST_PATH

NAMES = {"name", "alias_name", "display_name", "entity_alias", "method_name", "issuer", "account_name"}
OTHERWISE = {
    "POST auth/cert/login": "a role's name is looked up as it is",
    "POST auth/nhi/login": "a workload's name is looked up as it is",
    "POST auth/kubernetes/config": "an issuer that is compared with what a token says",
    "POST identity/oidc/config": "an issuer that is a URL, with limits of its own",
    "POST identity/oidc/provider/{name:word}": "an issuer that is a URL, with limits of its own",
}
"""Routes with a field that is called like a name and is none, or is not worked on."""
NAMED = [
    (target, name)
    for target in TARGETS
    for name, parameter in target.route.parameters.items()
    if target.bodied and not parameter.in_path and name in NAMES and str(target) not in OTHERWISE
]


def _answer(application: Application, target: Target, name: str, length: int) -> tuple[int, list[str]]:
    body = {**BASES.get(target.route.template, {}), name: "\u00e9" * length}
    answer = application.request(target.method, target.path(method_id=UNKNOWN), body, token="root")
    return answer.status, answer.json().get("errors", []) if answer.body else []


@pytest.mark.parametrize(("target", "name"), NAMED, ids=str)
def test_sl_70_a_name_that_is_too_long_is_refused_by_its_field(target: Target, name: str) -> None:
    refusal = f"field '{name}' may have at most {NAME} characters"
    with Application(like=furnished()) as application:
        assert _answer(application, target, name, NAME + 1) == (400, [refusal])
        assert refusal not in _answer(application, target, name, NAME)[1]


@pytest.mark.parametrize(
    ("field", "path", "body"),
    [
        ("path", "sys/mounts/LONG", {"type": "kv"}),
        ("path", "sys/auth/LONG", {"type": "userpass"}),
        ("path", "sys/namespaces/LONG", {}),
        ("path", "sys/audit/LONG", {"type": "file", "options": {"file_path": "/dev/null"}}),
        ("to", "sys/remount", {"from": "plain", "to": "LONG"}),
    ],
)
def test_sl_70_nothing_is_mounted_at_a_path_that_is_too_long(
    field: str, path: str, body: dict[str, object]
) -> None:
    refusal = f"field '{field}' may have at most {NAME} characters"
    with Application() as application:
        for length, refused in ((NAME + 1, True), (NAME, False)):
            name = "a" * length
            asked = {key: name if item == "LONG" else item for key, item in body.items()}
            answer = application.request("POST", f"/v1/{path.replace('LONG', name)}", asked, token="root")
            assert (refusal in answer.body.decode()) == refused, answer.body[:200]


@pytest.mark.parametrize(
    ("path", "body", "deleted"),
    [
        ("secret/data/LONG", {"data": {"a": "1"}}, "secret/metadata/LONG"),
        ("plain/LONG", {"a": "1"}, "plain/LONG"),
        ("cubbyhole/LONG", {"a": "1"}, "cubbyhole/LONG"),
        ("auth/approle/role/LONG", {}, "auth/approle/role/LONG"),
        ("auth/userpass/users/LONG", {"password": "x"}, "auth/userpass/users/LONG"),
    ],
)
def test_sl_70_nothing_is_stored_at_a_path_that_not_every_storage_takes(
    application: Application, path: str, body: dict[str, object], deleted: str
) -> None:
    long = "a" * LONGEST_PATH
    here, there = path.replace("LONG", long), deleted.replace("LONG", long)
    application.records()
    answer = application.request("POST", f"/v1/{here}", body, token="root")
    refusal = f"the path would be stored in more than {LONGEST_PATH} bytes"
    assert (answer.status, answer.json()) == (400, {"errors": [refusal]})
    assert application.records()[-1]["error"]
    assert application.request("GET", f"/v1/{here}", token="root").status == 404
    assert application.request("DELETE", f"/v1/{there}", token="root").status == 204
    weak = application.token('path "nothing" { capabilities = ["read"] }')
    assert application.request("POST", f"/v1/{here}", body, token=weak).status == 403
    fits = path.replace("LONG", "a" * 2000)
    assert application.request("POST", f"/v1/{fits}", body, token="root").status < 300


def test_names_are_where_they_are_looked_for() -> None:
    assert {name for _, name in NAMED} == NAMES
    assert set(OTHERWISE) <= {str(target) for target in TARGETS}

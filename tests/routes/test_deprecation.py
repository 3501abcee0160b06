# SPDX-License-Identifier: EUPL-1.2
"""What is due to go is announced where it is used, and nowhere else (ESA-GEN-011)."""

from datetime import date
from typing import Annotated

import pytest

from tests.routes.driver import TARGETS, Application, Target
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.fields import Doc
from vault.framework.help.openapi import document
from vault.framework.request.operation import Operation
from vault.framework.route import Params, write
from vault.framework.route_table import RouteTable
from vault.values.deprecation import Deprecation

SINCE = "@1795996800"
LEAVING = [target for target in TARGETS if target.route.access.deprecation]


def test_these_routes_are_due_to_go() -> None:
    assert {f"{target.method} {target.route.template}" for target in LEAVING} == {
        "GET response", "GET internal/counters/requests",
        *(f"{method} plugins/catalog/{{kind}}" for method in ("GET", "POST", "DELETE")),
        *(f"{method} role/{{role_name:word}}/bound-cidr-list" for method in ("GET", "POST", "DELETE")),
    }  # fmt: skip


@pytest.mark.parametrize("target", LEAVING, ids=str)
def test_a_route_that_is_due_to_go_says_since_when(application: Application, target: Target) -> None:
    body: dict[str, object] | None = {} if target.bodied else None
    for _ in range(2):  # by a plan too
        answer = application.request(target.method, target.path(), body, token="root")
        assert (answer.headers.get("deprecation"), answer.headers.get("sunset")) == (SINCE, None), answer


def test_a_member_that_is_due_to_go_is_announced_by_who_uses_it(application: Application) -> None:
    old = {"rules": 'path "a" { capabilities = ["read"] }'}
    for path, body, said in (
        ("sys/policy/a", old, SINCE),
        ("sys/policy/a", {"policy": old["rules"]}, None),
        ("auth/token/create", {"lease": "1h"}, SINCE),
        ("auth/token/create", {"ttl": "1h"}, None),
        ("sys/capabilities-self", {"path": "a"}, SINCE),
        ("sys/capabilities-self", {"paths": "a"}, None),
    ):
        answer = application.request("POST", f"/v1/{path}", body, token="root")
        assert (answer.status < 300, answer.headers.get("deprecation")) == (True, said), path


def test_who_may_not_is_told_nothing(application: Application) -> None:
    token = application.token('path "elsewhere/*" { capabilities = ["read"] }')
    for target in LEAVING:
        body: dict[str, object] | None = {} if target.bodied else None
        for caller in ("", token):
            if target.route.template != "response" or not caller:
                answer = application.request(target.method, target.path(), body, token=caller)
                assert (answer.status, answer.headers.get("deprecation")) == (403, None)


class _Changed(Params, frozen=True):
    """Has a member that goes."""

    name: Annotated[str, Doc("Which.")] = ""
    old: Annotated[str, Doc("Which.", deprecation=Deprecation(date(2030, 1, 1), date(2031, 1, 1)))] = ""


class _Leaving(Engine):
    """Has a route with a member that goes."""

    @write("a")
    async def change(self, call: Call, params: _Changed) -> None:
        """Change."""


def test_an_end_that_is_set_is_said_and_stands_in_the_document() -> None:
    bound = RouteTable([_Leaving()]).match("a", Operation.UPDATE)[0]
    call = Call()
    call.admission = [(b"x", b"y")]
    for data, said in (({"name": "b"}, {b"x"}), ({"old": "b"}, {b"x", b"deprecation", b"sunset"})):
        call.data = data
        for _ in range(2):  # a call that starts over
            coroutine = bound.invoke(call, _Changed())
            with pytest.raises(StopIteration):
                coroutine.send(None)  # type: ignore[attr-defined]  # it is a coroutine
        names = [name for name, _ in call.admission]
        assert (len(names), {*names}) == (len(said), said)
    assert dict(call.admission)[b"sunset"] == b"Wed, 01 Jan 2031 00:00:00 GMT"
    operation = document({"m/": _Leaving.routes})["paths"]["/m/a"]["post"]
    properties = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert ({*properties["old"]} - {*properties["name"]}, "deprecated" in operation) == (
        {"deprecated"},
        False,
    )


def test_the_document_marks_what_is_due_to_go() -> None:
    for target in LEAVING:
        paths = document({"m/": [target.route]})["paths"]
        assert [one["deprecated"] for item in paths.values() for one in item.values()] == [True]

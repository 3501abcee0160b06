# SPDX-License-Identifier: EUPL-1.2
"""The name of an event by route, mount and operation, and what it is about by route and path."""

from collections.abc import Mapping
from typing import Final

import pytest

from tests.calls import fill_call, mount_facts
from vault.framework.call import NOWHERE, Call, MountFacts, Namespace
from vault.framework.request.operation import Operation
from vault.framework.route import EVENT, Access
from vault.framework.route_table import special
from vault.log.events import event_name, resource
from vault.values.ids import NamespaceId

ONE: Final = Namespace(NamespaceId("one"), "one/")


async def _nothing(call: Call) -> None:
    """Answer nothing."""


def _call(mount: MountFacts, path: str, access: Access | None, captures: Mapping[str, str]) -> Call:
    call = fill_call(Call(), mount=mount, path=path, captures=captures, operation=Operation.READ)
    if access is not None:
        call.bound = special(_nothing, Operation.READ, access)
    return call


@pytest.mark.parametrize(
    ("declared", "kind", "operation", "name"),
    [
        ("", "kv", Operation.READ, "esa.kv.read"),
        ("", "kv", Operation.CREATE, "esa.kv.write"),
        ("", "kv", Operation.UPDATE, "esa.kv.write"),
        ("", "kv", Operation.PATCH, "esa.kv.patch"),
        ("", "system", Operation.READ, "esa.sys.read"),
        ("", "", Operation.LIST, "esa.request.list"),
        ("", "Their-Engine.1", Operation.SCAN, "esa.their_engine_1.scan"),
        ("auth.login", "approle", Operation.UPDATE, "esa.auth.login"),
        ("policy.write", "system", Operation.CREATE, "esa.policy.write"),
        ("policy.write", "system", Operation.HELP, "esa.sys.help"),
    ],
)
def test_an_event_is_called_as_declared_or_by_mount_and_operation(
    declared: str, kind: str, operation: Operation, name: str
) -> None:
    route = special(_nothing, operation, Access(event=declared)).route
    for _ in range(2):  # the second time from memory
        assert event_name(route, kind, operation) == name
    assert EVENT.fullmatch(name.removeprefix("esa."))


def test_a_request_without_a_route_is_called_by_its_mount() -> None:
    assert event_name(None, "kv", Operation.DELETE) == "esa.kv.delete"
    assert event_name(None, "", Operation.READ) == "esa.request.read"


def test_a_secret_has_one_id_on_every_route_of_its_mount() -> None:
    mount = mount_facts(path="team/secret/")
    calls = [
        _call(mount, f"team/secret/{head}/app/db", Access(resource="kv.secret"), {"path": "app/db"})
        for head in ("data", "metadata", "destroy")
    ]
    assert {resource(call) for call in calls} == {("kv.secret", "team/secret/app/db")}
    within = fill_call(calls[0], namespace=ONE)
    assert resource(within) == ("kv.secret", "one/team/secret/app/db")


@pytest.mark.parametrize(
    ("mount", "access", "found"),
    [
        (mount_facts(), Access(), ("kv", "one/secret/x")),
        (mount_facts(kind="system"), Access(), ("sys", "one/secret/x")),
        (mount_facts(kind="system"), Access(event="policy.write"), ("policy", "one/secret/x")),
        (NOWHERE, Access(), ("request", "one/secret/x")),
        (mount_facts(), None, ("kv", "one/secret/x")),
    ],
)
def test_everything_else_is_called_by_its_path_from_the_root_namespace(
    mount: MountFacts, access: Access | None, found: tuple[str, str]
) -> None:
    assert resource(fill_call(_call(mount, "secret/x", access, {}), namespace=ONE)) == found

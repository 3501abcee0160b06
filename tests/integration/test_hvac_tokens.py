# SPDX-License-Identifier: EUPL-1.2
"""hvac makes, shows, renews and revokes tokens, writes policies, wraps and unwraps, over TLS."""

from collections.abc import Callable, Generator

import hvac
import pytest
from hvac import exceptions

from tests.integration.coffre import Place

_READER = 'path "%s/*" {\n  capabilities = ["read", "list"]\n}\n'


@pytest.fixture
def login(place: Place) -> Generator[Callable[[str], hvac.Client]]:
    """Makes clients with other tokens."""
    made: list[hvac.Client] = []

    def with_token(token: str) -> hvac.Client:
        made.append(place.client(token))
        return made[-1]

    yield with_token
    for client in made:
        client.adapter.close()


def test_a_token_is_made_as_asked_for(root: hvac.Client) -> None:
    made = root.auth.token.create(
        policies=["one", "two"],
        meta={"team": "x"},
        ttl="1h",
        explicit_max_ttl="3h",
        display_name="me",
        num_uses=9,
    )["auth"]
    assert made["policies"] == made["token_policies"] == ["default", "one", "two"]
    assert (made["lease_duration"], made["renewable"], made["orphan"]) == (3600, True, False)
    assert made["metadata"] == {"team": "x"}
    seen = root.auth.token.lookup(made["client_token"])["data"]
    assert seen["display_name"] == "token-me"
    assert (seen["num_uses"], seen["explicit_max_ttl"], seen["creation_ttl"]) == (9, 10800, 3600)
    assert (seen["path"], seen["type"], seen["meta"]) == ("auth/token/create", "service", {"team": "x"})
    assert "ttl" in seen and "expire_time" in seen and "issue_time" in seen


def test_tokens_of_every_kind(root: hvac.Client, login: Callable[[str], hvac.Client]) -> None:
    create = root.auth.token.create
    orphan = root.auth.token.create_orphan(policies=["default"], ttl="1h")["auth"]
    assert orphan["orphan"] is True
    assert create(no_parent=True, policies=["default"])["auth"]["orphan"] is True
    periodic = create(policies=["default"], period="30m")["auth"]
    assert root.auth.token.lookup(periodic["client_token"])["data"]["period"] == 1800
    bare = create(policies=["lonely"], no_default_policy=True, renewable=False)["auth"]
    assert (bare["policies"], bare["renewable"]) == (["lonely"], False)
    batch = create(policies=["default"], type="batch", ttl="10m", renewable=False)["auth"]
    assert (batch["token_type"], batch["accessor"]) == ("batch", "")
    assert login(batch["client_token"]).auth.token.lookup_self()["data"]["type"] == "batch"


def test_a_token_has_the_name_asked_for(root: hvac.Client, name: str) -> None:
    made = root.auth.token.create(id=name, policies=["default"], ttl="5m")["auth"]
    assert made["client_token"] == name
    with pytest.raises(exceptions.InvalidRequest):
        root.auth.token.create(id=name, policies=["default"])


def test_a_token_is_renewed(root: hvac.Client, login: Callable[[str], hvac.Client]) -> None:
    made = root.auth.token.create(policies=["default"], ttl="1h", explicit_max_ttl="2h")["auth"]
    mine = login(made["client_token"])
    assert root.auth.token.renew(made["client_token"], increment="30m")["auth"]["lease_duration"] == 1800
    assert mine.auth.token.renew_self(increment="90m")["auth"]["lease_duration"] == 5400
    assert root.auth.token.renew_accessor(made["accessor"])["auth"]["client_token"] == ""
    longest = root.auth.token.renew(made["client_token"], increment="9h")
    assert 7100 < longest["auth"]["lease_duration"] <= 7200
    assert longest["warnings"]


def test_a_token_is_seen_by_itself_and_by_accessor(
    root: hvac.Client, login: Callable[[str], hvac.Client]
) -> None:
    made = root.auth.token.create(policies=["default"], ttl="1h")["auth"]
    own = login(made["client_token"]).auth.token.lookup_self()["data"]
    assert (own["id"], own["accessor"]) == (made["client_token"], made["accessor"])
    other = root.auth.token.lookup_accessor(made["accessor"])["data"]
    assert (other["id"], other["accessor"]) == ("", made["accessor"])
    assert made["accessor"] in root.auth.token.list_accessors()["data"]["keys"]
    assert login(made["client_token"]).is_authenticated()


def test_revoking_ends_a_token_and_its_children(
    root: hvac.Client, login: Callable[[str], hvac.Client]
) -> None:
    parent = root.auth.token.create(policies=["root"], ttl="1h")["auth"]["client_token"]
    child = login(parent).auth.token.create(policies=["default"])["auth"]["client_token"]
    root.auth.token.revoke(parent)
    for token in (parent, child):
        assert not login(token).is_authenticated()
        with pytest.raises(exceptions.Forbidden):
            root.auth.token.lookup(token)


def test_revoking_by_accessor_by_itself_and_sparing_children(
    root: hvac.Client, login: Callable[[str], hvac.Client]
) -> None:
    made = root.auth.token.create(policies=["default"])["auth"]
    root.auth.token.revoke_accessor(made["accessor"])
    with pytest.raises(exceptions.InvalidRequest):
        root.auth.token.lookup_accessor("none-at-all")
    own = root.auth.token.create(policies=["default"])["auth"]["client_token"]
    login(own).auth.token.revoke_self()
    assert not login(own).is_authenticated()
    parent = root.auth.token.create(policies=["root"], ttl="1h")["auth"]["client_token"]
    child = login(parent).auth.token.create(policies=["default"])["auth"]["client_token"]
    root.auth.token.revoke_and_orphan_children(parent)
    assert not login(parent).is_authenticated()
    assert login(child).auth.token.lookup_self()["data"]["orphan"] is True


def test_a_token_with_few_uses_is_used_up(root: hvac.Client, login: Callable[[str], hvac.Client]) -> None:
    token = root.auth.token.create(policies=["default"], num_uses=2)["auth"]["client_token"]
    client = login(token)
    assert client.auth.token.lookup_self()["data"]["num_uses"] == 1
    client.auth.token.lookup_self()
    with pytest.raises(exceptions.Forbidden):
        client.auth.token.lookup_self()


def test_policies_through_both_interfaces(root: hvac.Client, name: str) -> None:
    text = _READER % name
    assert root.sys.create_or_update_acl_policy(name, text).status_code == 204
    assert root.sys.read_acl_policy(name)["data"]["policy"] == text
    assert root.sys.read_policy(name)["data"]["rules"] == text
    assert name in root.sys.list_policies()["data"]["policies"]
    assert name in root.sys.list_acl_policies()["data"]["keys"]
    root.sys.create_or_update_policy(name, {"path": {f"{name}/a": {"capabilities": ["list"]}}})
    assert '"capabilities"' in root.get_policy(name)
    assert root.sys.delete_policy(name).status_code == 204
    with pytest.raises(exceptions.InvalidPath):
        root.sys.read_acl_policy(name)
    assert root.sys.delete_acl_policy(name).status_code == 204
    with pytest.raises(exceptions.InvalidRequest):
        root.sys.create_or_update_acl_policy(name, 'path "a" { capabilities = ["fly"] }')
    with pytest.raises(exceptions.InvalidRequest):
        root.sys.delete_policy("default")


def test_a_policy_decides(root: hvac.Client, name: str, login: Callable[[str], hvac.Client]) -> None:
    root.sys.enable_secrets_engine("kv", path=name, options={"version": "1"})
    root.sys.create_or_update_acl_policy(name, _READER % name)
    root.secrets.kv.v1.create_or_update_secret("a", {"x": "1"}, mount_point=name)
    made = root.auth.token.create(policies=[name])["auth"]
    reader = login(made["client_token"])
    assert reader.secrets.kv.v1.read_secret("a", mount_point=name)["data"] == {"x": "1"}
    assert reader.secrets.kv.v1.list_secrets("", mount_point=name)["data"]["keys"] == ["a"]
    with pytest.raises(exceptions.Forbidden):
        reader.secrets.kv.v1.create_or_update_secret("a", {"x": "2"}, mount_point=name)
    with pytest.raises(exceptions.Forbidden):
        reader.secrets.kv.v1.delete_secret("a", mount_point=name)
    paths = [f"{name}/a", "sys/mounts"]
    for shown in (
        reader.sys.get_capabilities(paths),
        root.sys.get_capabilities(paths, token=made["client_token"]),
        root.sys.get_capabilities(paths, accessor=made["accessor"]),
    ):
        assert shown["data"][f"{name}/a"] == ["list", "read"]
        assert shown["data"]["sys/mounts"] == ["deny"]


def test_responses_are_wrapped_and_unwrapped_once(
    root: hvac.Client, name: str, login: Callable[[str], hvac.Client]
) -> None:
    wrapped = root.sys.wrap({"x": name}, ttl=120)["wrap_info"]
    assert (wrapped["ttl"], wrapped["creation_path"]) == (120, "sys/wrapping/wrap")
    seen = root.write_data("sys/wrapping/lookup", data={"token": wrapped["token"]})["data"]
    assert (seen["creation_ttl"], seen["creation_path"]) == (120, "sys/wrapping/wrap")
    assert root.sys.unwrap(wrapped["token"])["data"] == {"x": name}
    with pytest.raises(exceptions.InvalidRequest):
        root.sys.unwrap(wrapped["token"])
    own = root.auth.token.create(policies=["default"], wrap_ttl="60s")["wrap_info"]
    fetched = login(own["token"]).sys.unwrap()
    assert fetched["auth"]["accessor"] == own["wrapped_accessor"]
    again = root.read("auth/token/lookup-self", wrap_ttl="1m")["wrap_info"]["token"]
    moved = root.write_data("sys/wrapping/rewrap", data={"token": again})["wrap_info"]
    assert root.sys.unwrap(moved["token"])["data"]["policies"] == ["root"]


def test_refusals_are_the_exceptions_that_people_catch(
    root: hvac.Client, place: Place, login: Callable[[str], hvac.Client]
) -> None:
    for token in ("", "s.nobody"):
        with pytest.raises(exceptions.Forbidden) as refusal:
            login(token).auth.token.lookup_self()
        assert "permission denied" in refusal.value.errors
    assert login("s.nobody").is_authenticated() is False
    with pytest.raises(exceptions.InvalidPath):
        root.secrets.kv.v1.read_secret("x", mount_point="nothing-here")
    with pytest.raises(exceptions.InvalidRequest):
        root.auth.token.create(ttl="nonsense")
    with pytest.raises(exceptions.UnexpectedError):
        root.delete("sys/health")
    assert place.address in str(refusal.value)

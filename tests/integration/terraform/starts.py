# SPDX-License-Identifier: EUPL-1.2
"""How the provider begins: with a token, a login, in a namespace; and with tokens that may not do what it then does."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.integration.terraform.calls import Client, Refused, Where, data, start
from tests.integration.terraform.guide import POLICY, apply_example
from tests.integration.terraform.identity import ENTITY, ENTITY_ALIAS, GROUP, GROUP_ALIAS
from tests.integration.terraform.mounts import AuthMount, Mount
from tests.integration.terraform.secrets import KvSecretV2, kv_read
from tests.integration.terraform.stories import Played
from tests.integration.terraform.stories_identity import made
from tests.integration.terraform.stories_secrets import enabled, mounted
from tests.integration.terraform.system import RATE_LIMIT, Namespace, Policy

Start = Callable[[Where, Played], None]


def _root(where: Where, played: Played) -> Client:
    return Client(where, where.root, said=played.said)


def _made(client: Client, **fields: Any) -> str:
    answer = client.post("auth/token/create", fields)
    assert answer is not None
    return str(answer["auth"]["client_token"])


def _may(client: Client, name: str, text: str) -> None:
    client.write(f"sys/policies/acl/{name}", {"policy": text})


def _who(client: Client) -> Mapping[str, Any]:
    return data(client.read("auth/token/lookup-self"))


def with_a_token(where: Where, played: Played) -> None:
    """A token of its own for the run: 20 minutes, never renewed, with the policies of the one that was given."""
    root = _root(where, played)
    _may(root, "tf-start", 'path "auth/token/create" { capabilities = ["update"] }')
    who = _who(start(where, played.said, token=_made(root, policies=["tf-start"], ttl="1h")))
    assert (who["display_name"], who["renewable"], who["explicit_max_ttl"]) == (
        "token-terraform",
        False,
        1200,
    )
    assert (who["policies"], who["creation_ttl"], who["num_uses"]) == (["default", "tf-start"], 1200, 0)


def with_its_own_token(where: Where, played: Played) -> None:
    """With ``skip_child_token`` it goes on with the one that was given."""
    token = _made(_root(where, played), policies=["default"], ttl="1h")
    client = start(where, played.said, token=token, skip_child_token=True)
    assert client.token == token


def with_a_token_that_makes_none(where: Where, played: Played) -> None:
    """Whoever may not make a token is refused before anything is read."""
    token = _made(_root(where, played), policies=["default"], ttl="1h")
    _refused(played, where, token, 403)


def with_a_batch_token(where: Where, played: Played) -> None:
    """A batch token makes none either."""
    root = _root(where, played)
    _may(root, "tf-batch", 'path "auth/token/create" { capabilities = ["update"] }')
    token = _made(root, policies=["tf-batch"], ttl="1h", type="batch")
    _refused(played, where, token, 400)


def with_no_good_token(where: Where, played: Played) -> None:
    """A token that is none, or was revoked."""
    root = _root(where, played)
    _refused(played, where, "s.none", 403)
    token = _made(root, policies=["default"])
    root.post("auth/token/revoke", {"token": token})
    _refused(played, where, token, 403)


def _refused(played: Played, where: Where, token: str, status: int) -> None:
    with pytest.raises(Refused) as refused:
        start(where, played.said, token=token)
    assert refused.value.status == status


def with_a_login(where: Where, played: Played) -> None:
    """``auth_login``: by AppRole, by password, and by any path; then as with a token."""
    root = _root(where, played)
    _may(root, "tf-login", 'path "auth/token/create" { capabilities = ["update"] }')
    terms = {"token_policies": "tf-login", "token_ttl": "30m"}
    enabled("tf-start-approle", "approle")(root)
    root.write("auth/tf-start-approle/role/app", {**terms, "role_id": "tf-start", "bind_secret_id": False,
                                                  "token_bound_cidrs": "127.0.0.0/8"})  # fmt: skip
    enabled("tf-start-users", "userpass")(root)
    root.write("auth/tf-start-users/users/ann", {**terms, "password": "correct-horse"})
    for path, body in (
        ("auth/tf-start-approle/login", {"role_id": "tf-start"}),
        ("auth/tf-start-users/login/ann", {"username": "ann", "password": "correct-horse"}),
    ):
        answer = Client(where, "", said=played.said).write(path, body)
        assert answer is not None
        who = _who(start(where, played.said, token=answer["auth"]["client_token"]))
        assert who["policies"] == ["default", "tf-login"]


def in_a_namespace(where: Where, played: Played) -> None:
    """The provider's namespace is that of its token, unless it is told another; a resource may have one below it."""
    root = _root(where, played)
    root.write("sys/namespaces/tf-home")
    inside = root.within("tf-home")
    inside.write("sys/namespaces/below")
    everything = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
    _may(inside, "tf-all", everything)
    token = _made(inside, policies=["tf-all"], ttl="1h")
    client = start(where, played.said, token=token)
    assert client.namespace == "tf-home"
    assert _who(client)["namespace_path"] == "tf-home/"
    for each in (client, client.within("below")):
        mounted("tf-kv", version="2")(each)
        secret = KvSecretV2()
        config = {"mount": "tf-kv", "name": "a", "data_json": '{"user": "app"}', "delete_all_versions": True}
        held = secret.apply(each, config)
        assert secret.differs(config, held) == set()
        secret.delete(each, held)
        assert secret.refresh(each, held) is None
    assert root.within("tf-home/below").read("sys/mounts/tf-kv") is not None
    assert start(where, played.said, namespace="tf-home/below").namespace == "tf-home/below"


def with_the_guides_policy(where: Where, played: Played) -> None:
    """The policy of the guide is enough for all of its example, and for nothing else."""
    root = _root(where, played)
    _may(root, "tf-guide", POLICY)
    client = start(where, played.said, token=_made(root, policies=["tf-guide"], ttl="1h"))
    apply_example(client)
    for path in ("sys/audit", "sys/namespaces/other"):
        with pytest.raises(Refused) as refused:
            client.read(path)
        assert refused.value.status == 403


def with_little_rights(where: Where, played: Played) -> None:
    """Who may read one secret reads it, and finds nothing elsewhere: which version a mount has is told only within it."""
    root = _root(where, played)
    mounted("tf-narrow", version="2")(root)
    mounted("tf-hidden", version="2")(root)
    for path in ("tf-narrow/data/a", "tf-narrow/data/b", "tf-hidden/data/a"):
        root.write(path, {"data": {"user": "app"}})
    _may(root, "tf-narrow", 'path "tf-narrow/data/a" { capabilities = ["read"] }')
    token = _made(root, policies=["tf-narrow"], ttl="1h")
    client = start(where, played.said, token=token, skip_child_token=True)
    assert data(kv_read(client, "tf-narrow/a")) == {"user": "app"}
    assert kv_read(client, "tf-narrow/b") is None
    assert kv_read(client, "tf-hidden/a") is None


def with_what_enterprise_has(where: Where, played: Played) -> None:
    """What the provider sends because a version says so, and only Vault Enterprise knows: answered alike, and not kept."""
    client = start(where, played.said)
    enabled("tf-more", "approle")(client)
    role = {"token_policies": ["one"], "alias_metadata": {"a": "b"}}
    client.write("auth/tf-more/role/app", role)
    assert "alias_metadata" not in data(client.read("auth/tf-more/role/app"))
    config = {"allowed_managed_keys": ["a"], "delegated_auth_accessors": ["b"], "identity_token_key": "c"}
    client.post("sys/mounts/tf-more", {"type": "kv", "options": {"version": "1"}, "config": config})
    assert not config.keys() & data(client.read("sys/mounts/tf-more"))["config"].keys()
    quota = {"path": "tf-more", "rate": 1000, "group_by": "none", "secondary_rate": 5}
    client.write("sys/quotas/rate-limit/tf-more", quota)
    assert not {"group_by", "secondary_rate"} & data(client.read("sys/quotas/rate-limit/tf-more")).keys()
    rules = 'length = 8\nrule "charset" {\n  charset = "abc"\n}\n'
    client.write("sys/policies/password/tf-more", {"policy": rules, "entropy_source": "platform"})
    assert data(client.read("sys/policies/password/tf-more")) == {"policy": rules}


def with_what_is_there_already(where: Where, played: Played) -> None:
    """Making what is there already: mounts are refused, entities and groups answered with nothing, the rest written over."""
    client = start(where, played.said)
    known = {
        **enabled("tf-twice", "userpass")(client),
        **made(twice_of="entity", external_twice="group")(client),
    }
    alias = {"name": "ann", "mount_accessor": known["accessor"], "custom_metadata": {}}
    for resource, config, again in (
        (Mount(), {"path": "tf-twice", "type": "kv", "options": {"version": "1"}}, Refused),
        (AuthMount(), {"path": "tf-twice-auth", "type": "approle"}, Refused),
        (Namespace(), {"path": "tf-twice"}, None),
        (ENTITY, {"name": "tf-twice", "policies": ["one"]}, AssertionError),
        (GROUP, {"name": "tf-twice", "policies": ["one"]}, AssertionError),
        (ENTITY_ALIAS, {**alias, "canonical_id": known["twice_of"]}, AssertionError),
        (
            GROUP_ALIAS,
            {"name": "ops", "mount_accessor": known["accessor"], "canonical_id": known["external_twice"]},
            Refused,
        ),
        (RATE_LIMIT, {"name": "tf-twice", "path": "auth/tf-twice/", "rate": 1000}, None),
        (Policy(), {"name": "tf-twice", "policy": 'path "a" {\n  capabilities = ["read"]\n}\n'}, None),
    ):
        held = resource.apply(client, config)
        if again is None:
            resource.apply(client, config)
        else:
            with pytest.raises(again):
                resource.apply(client, config)
        read = resource.refresh(client, held)
        assert read is not None
        assert resource.differs(config, read) == set()
        resource.delete(client, read)


STARTS: tuple[Start, ...] = (
    with_a_token,
    with_its_own_token,
    with_a_token_that_makes_none,
    with_a_batch_token,
    with_no_good_token,
    with_a_login,
    in_a_namespace,
    with_the_guides_policy,
    with_little_rights,
    with_what_enterprise_has,
    with_what_is_there_already,
)


def begin(how: Start, where: Where) -> Played:
    """Begin so at a server; what goes otherwise is a problem."""
    played = Played()
    try:
        how(where, played)
    except (Refused, AssertionError) as problem:
        played.problems.append(f"after {played.said[-1].step.title()}: {type(problem).__name__} {problem}")
    return played

# SPDX-License-Identifier: EUPL-1.2
"""Lives of entities, groups, second factors, and of what issues identity tokens."""

from collections.abc import Callable, Sequence

from tests.integration.terraform import oidc
from tests.integration.terraform.calls import Client
from tests.integration.terraform.identity import (
    ENTITY,
    ENTITY_ALIAS,
    ENTITY_POLICIES,
    GROUP,
    GROUP_ALIAS,
    GROUP_ENTITIES,
    GROUP_GROUPS,
    GROUP_POLICIES,
    MFA_ENFORCEMENT,
    MFA_TOTP,
)
from tests.integration.terraform.stories import Known, Story, deleted, wrote
from tests.integration.terraform.stories_secrets import enabled


def made(**roots: str) -> Callable[[Client], Known]:
    """Makes entities and groups, each by the name of its place: knows their ids."""

    def needs(client: Client) -> Known:
        known = {}
        for name, root in roots.items():
            kind = {"type": "external"} if name.startswith("external") else {}
            body = {"name": f"tf-{name.replace('_', '-')}", **kind}
            answer = client.write(f"identity/{root}", body)
            assert answer is not None
            known[name] = answer["data"]["id"]
        return known

    return needs


def both(*needs: Callable[[Client], Known]) -> Callable[[Client], Known]:
    """Prepares several things."""
    return lambda client: {name: value for one in needs for name, value in one(client).items()}


def _factor(client: Client) -> Known:
    answer = client.write("identity/mfa/method/totp", {"issuer": "tf-enforced"})
    assert answer is not None
    return {"method": answer["data"]["method_id"]}


def _kept(path: str, body: object) -> Callable[[Client], Known]:
    def needs(client: Client) -> Known:
        client.write(path, body)
        return {}

    return needs


_ENTITIES = both(made(owner="group", one="entity", two="entity", three="entity"))

ENTITIES: Sequence[Story] = (
    Story(
        resource=ENTITY,
        first={"name": "tf-entity", "policies": ["one", "two"], "metadata": {"team": "a"}},
        second={
            "name": "tf-entity-renamed",
            "policies": ["two"],
            "metadata": {"site": "b"},
            "disabled": True,
        },
        drift=wrote("identity/entity/id/{id}", {"policies": ["theirs"]}),
        drifted=("policies",),
    ),
    Story(
        resource=ENTITY,
        note="bare, its policies elsewhere",
        first={"name": "tf-entity-bare", "external_policies": True},
        second={"name": "tf-entity-bare", "external_policies": True, "metadata": {"a": "b"}},
        unimported=("external_policies",),
    ),
    Story(
        resource=ENTITY_ALIAS,
        needs=both(enabled("tf-alias", "userpass"), made(alias_of="entity", alias_then="entity")),
        first=lambda known: {
            "name": "ann",
            "mount_accessor": known["accessor"],
            "canonical_id": known["alias_of"],
            "custom_metadata": {"who": "ann"},
        },
        second=lambda known: {
            "name": "anna",
            "mount_accessor": known["accessor"],
            "canonical_id": known["alias_of"],
            "custom_metadata": {"who": "anna"},
        },
        drift=wrote("identity/entity-alias/id/{id}", {"custom_metadata": {"who": "theirs"}}),
        drifted=("custom_metadata",),
    ),
    Story(
        resource=ENTITY_POLICIES,
        needs=made(policies_of="entity"),
        first=lambda known: {"entity_id": known["policies_of"], "policies": ["one", "two"]},
        second=lambda known: {"entity_id": known["policies_of"], "policies": ["two"]},
        imports=False,
        drift=wrote("identity/entity/id/{id}", {"policies": ["theirs"]}),
        drifted=("policies",),
        empties=("policies",),
    ),
    Story(
        resource=ENTITY_POLICIES,
        note="beside others'",
        needs=made(policies_beside="entity"),
        first=lambda known: {"entity_id": known["policies_beside"], "policies": ["one"], "exclusive": False},
        second=lambda known: {
            "entity_id": known["policies_beside"],
            "policies": ["two", "three"],
            "exclusive": False,
        },
        imports=False,
        drift=wrote("identity/entity/id/{id}", {"policies": ["theirs"]}),
        drifted=("policies",),
        empties=("policies",),
    ),
    Story(
        resource=GROUP,
        needs=made(member="entity", other="entity", inner="group"),
        first=lambda known: {
            "name": "tf-group",
            "policies": ["one"],
            "member_entity_ids": [known["member"], known["other"]],
            "member_group_ids": [known["inner"]],
            "metadata": {"team": "a"},
        },
        second=lambda known: {
            "name": "tf-group-renamed",
            "policies": ["two"],
            "member_entity_ids": [known["other"]],
        },
        drift=wrote("identity/group/id/{id}", {"member_entity_ids": [], "metadata": {"team": "theirs"}}),
        drifted=("member_entity_ids", "metadata"),
        unordered=("data.member_entity_ids",),
    ),
    Story(
        resource=GROUP,
        note="external",
        first={"name": "tf-group-external", "type": "external", "policies": ["one"], "metadata": {"a": "b"}},
        second={"name": "tf-group-external", "type": "external", "policies": []},
    ),
    Story(
        resource=GROUP,
        note="its members elsewhere",
        first={
            "name": "tf-group-open",
            "external_member_entity_ids": True,
            "external_member_group_ids": True,
        },
        second={
            "name": "tf-group-open",
            "external_member_entity_ids": True,
            "external_member_group_ids": True,
            "policies": ["one"],
        },
        unimported=("external_member_entity_ids", "external_member_group_ids"),
    ),
    Story(
        resource=GROUP_ALIAS,
        needs=both(enabled("tf-group-alias", "userpass"), made(external_one="group", external_two="group")),
        first=lambda known: {
            "name": "staff",
            "mount_accessor": known["accessor"],
            "canonical_id": known["external_one"],
        },
        second=lambda known: {
            "name": "people",
            "mount_accessor": known["accessor"],
            "canonical_id": known["external_one"],
        },
    ),
    Story(
        resource=GROUP_POLICIES,
        needs=made(policies_group="group"),
        first=lambda known: {"group_id": known["policies_group"], "policies": ["one", "two"]},
        second=lambda known: {"group_id": known["policies_group"], "policies": ["two"]},
        imports=False,
        empties=("policies",),
    ),
    Story(
        resource=GROUP_ENTITIES,
        needs=made(members_group="group", member_one="entity", member_two="entity"),
        first=lambda known: {"group_id": known["members_group"], "member_entity_ids": [known["member_one"]]},
        second=lambda known: {"group_id": known["members_group"], "member_entity_ids": [known["member_two"]]},
        imports=False,
        drift=wrote("identity/group/id/{id}", {"member_entity_ids": []}),
        drifted=("member_entity_ids",),
        empties=("member_entity_ids",),
    ),
    Story(
        resource=GROUP_ENTITIES,
        note="beside others'",
        needs=made(members_beside="group", beside_one="entity", beside_two="entity"),
        first=lambda known: {
            "group_id": known["members_beside"],
            "member_entity_ids": [known["beside_one"]],
            "exclusive": False,
        },
        imports=False,
        drift=wrote(
            "identity/group/id/{id}",
            lambda known: {"member_entity_ids": [known["beside_one"], known["beside_two"]]},
        ),
        empties=("member_entity_ids",),
        unordered=("data.member_entity_ids",),
    ),
    Story(
        resource=GROUP_GROUPS,
        needs=made(outer_group="group", inner_one="group", inner_two="group"),
        first=lambda known: {"group_id": known["outer_group"], "member_group_ids": [known["inner_one"]]},
        second=lambda known: {"group_id": known["outer_group"], "member_group_ids": [known["inner_two"]]},
        imports=False,
        empties=("member_group_ids",),
    ),
    Story(
        resource=MFA_TOTP,
        first={"issuer": "tf-issuer"},
        second={
            "issuer": "tf-other",
            "period": 60,
            "algorithm": "SHA512",
            "digits": 8,
            "skew": 0,
            "key_size": 40,
        },
        drift=wrote("identity/mfa/method/totp/{id}", {"issuer": "theirs"}),
        drifted=("issuer", "algorithm"),
    ),
    Story(
        resource=MFA_ENFORCEMENT,
        needs=both(_factor, enabled("tf-enforced", "userpass"), made(enforced_group="group")),
        first=lambda known: {
            "name": "tf-enforcement",
            "mfa_method_ids": [known["method"]],
            "auth_method_accessors": [known["accessor"]],
        },
        second=lambda known: {
            "name": "tf-enforcement",
            "mfa_method_ids": [known["method"]],
            "identity_group_ids": [known["enforced_group"]],
            "auth_method_accessors": [known["accessor"]],
        },
        sticky=("identity_group_ids",),
    ),
)

_TEMPLATE = '{"who": {{identity.entity.name}}}'
ISSUERS: Sequence[Story] = (
    Story(
        resource=oidc.Issuer(),
        first={"issuer": "https://one.example:8200"},
        second={"issuer": "https://two.example"},
        imports=False,
    ),
    Story(
        resource=oidc.KEY,
        first={"name": "tf-key", "allowed_client_ids": ["one", "two"]},
        second={
            "name": "tf-key",
            "algorithm": "ES256",
            "rotation_period": 3600,
            "verification_ttl": 7200,
            "allowed_client_ids": ["*"],
        },
        drift=wrote("identity/oidc/key/tf-key", {"rotation_period": 43200}),
        drifted=("rotation_period",),
        unordered=("data.allowed_client_ids",),
    ),
    Story(
        resource=oidc.KeyClient(),
        needs=_kept("identity/oidc/key/tf-shared-key", {"algorithm": "ES256"}),
        first={"key_name": "tf-shared-key", "allowed_client_id": "one"},
        imports=False,
    ),
    Story(
        resource=oidc.KeyClient(),
        note="its key is gone",
        needs=_kept("identity/oidc/key/tf-lost-key", {"algorithm": "ES256"}),
        first={"key_name": "tf-lost-key", "allowed_client_id": "one"},
        imports=False,
        remove=deleted("identity/oidc/key/tf-lost-key"),
        again=False,
    ),
    Story(
        resource=oidc.ROLE,
        needs=_kept("identity/oidc/key/tf-role-key", {"algorithm": "ES256"}),
        first={"name": "tf-oidc", "key": "tf-role-key"},
        second={
            "name": "tf-oidc",
            "key": "tf-role-key",
            "template": _TEMPLATE,
            "ttl": 600,
            "client_id": "chosen",
        },
        drift=wrote("identity/oidc/role/tf-oidc", {"ttl": 60}),
        drifted=("ttl",),
    ),
    Story(
        resource=oidc.SCOPE,
        first={"name": "tf-scope", "template": _TEMPLATE},
        second={"name": "tf-scope", "template": "{}", "description": "what it is for"},
        drift=wrote("identity/oidc/scope/tf-scope", {"description": "theirs"}),
        drifted=("description",),
    ),
    Story(
        resource=oidc.ASSIGNMENT,
        needs=made(assigned="entity", assigned_group="group"),
        first=lambda known: {"name": "tf-assignment", "entity_ids": [known["assigned"]]},
        second=lambda known: {"name": "tf-assignment", "group_ids": [known["assigned_group"]]},
        drift=wrote("{id}", {"entity_ids": []}),
        drifted=("entity_ids",),
    ),
    Story(
        resource=oidc.CLIENT,
        needs=_kept("identity/oidc/key/tf-client-key", {"algorithm": "ES256", "allowed_client_ids": "*"}),
        first={"name": "tf-client", "key": "tf-client-key", "redirect_uris": ["https://app.example/cb"]},
        second={
            "name": "tf-client",
            "key": "tf-client-key",
            "redirect_uris": ["https://app.example/cb", "https://other.example/cb"],
            "assignments": ["allow_all"],
            "id_token_ttl": 600,
            "access_token_ttl": 900,
        },
        sticky=("assignments",),
        drift=wrote("{id}", {"redirect_uris": ["https://theirs.example"]}),
        drifted=("redirect_uris",),
    ),
    Story(
        resource=oidc.PROVIDER,
        needs=_kept("identity/oidc/scope/tf-provided", {"template": "{}"}),
        first={"name": "tf-provider"},
        second={
            "name": "tf-provider",
            "https_enabled": False,
            "issuer_host": "issuer.example:8200",
            "allowed_client_ids": ["*"],
            "scopes_supported": ["tf-provided"],
        },
        sticky=("allowed_client_ids", "scopes_supported"),
        imports=False,
    ),
)
STORIES = (*ENTITIES, *ISSUERS)

# SPDX-License-Identifier: EUPL-1.2
"""What data sources and ephemeral resources are asked for, what they find, and what is not there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.integration.terraform.calls import Client, Refused, Where, start
from tests.integration.terraform.model import State
from tests.integration.terraform.sources import EPHEMERALS, SOURCES
from tests.integration.terraform.stories import Known, Played, nothing
from tests.integration.terraform.stories_identity import both, made
from tests.integration.terraform.stories_roles import CERTIFICATE
from tests.integration.terraform.stories_secrets import enabled, mounted

NOTHING = "nothing there"
"""What the provider says where a read finds nothing."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One reading of a source, and some of what it must find; a text is the failure that ends the run."""

    name: str
    config: State | Callable[[Known], State]
    finds: Mapping[str, Any] | str
    needs: Callable[[Client], Known] = nothing
    ephemeral: bool = False
    namespace: str = ""
    shapes: Mapping[str, int] = field(default_factory=dict)
    """How deep answers are compared whose values are made, by the end of their path."""
    unordered: Sequence[str] = ()
    """Dotted paths of lists in answers whose order OpenBao does not promise."""
    note: str = ""

    @property
    def key(self) -> str:
        """Which reading it is."""
        kind = "ephemeral " if self.ephemeral else ""
        return kind + self.name.removeprefix("vault_") + (f": {self.note}" if self.note else "")


def read(reading: Reading, where: Where) -> Played:
    """Read it at a server; what is found otherwise than it says is a problem."""
    played = Played()
    try:
        client = start(where, played.said)
        client.shapes, client.unordered = reading.shapes, reading.unordered
        known = reading.needs(client)
        client.namespace = reading.namespace
        config = reading.config(known) if callable(reading.config) else reading.config
        source = (EPHEMERALS if reading.ephemeral else SOURCES)[reading.name]
        answer: Mapping[str, Any] | str
        try:
            answer = source(client, config)
        except (AssertionError, Refused) as problem:
            answer = str(problem)
        _judge(reading.finds, answer, played.problems)
    except (Refused, AssertionError) as problem:
        played.problems.append(f"after {played.said[-1].step.title()}: {type(problem).__name__} {problem}")
    return played


def _judge(expected: Mapping[str, Any] | str, answer: Mapping[str, Any] | str, problems: list[str]) -> None:
    if isinstance(expected, str) or isinstance(answer, str):
        if expected != answer:
            problems.append(f"found {answer}, not {expected}")
        return
    wrong = {name: answer.get(name) for name, value in expected.items() if answer.get(name) != value}
    if wrong:
        problems.append(f"found {wrong}")


def _wrote(*writes: tuple[str, object]) -> Callable[[Client], Known]:
    def needs(client: Client) -> Known:
        for path, body in writes:
            client.write(path, body)
        return {}

    return needs


def _second(mount: str) -> Callable[[Client], Known]:
    """A mount of version 2 with a secret of two versions, and another below it."""
    return both(
        mounted(mount, version="2"),
        _wrote(
            (f"{mount}/data/a", {"data": {"user": "old"}}),
            (f"{mount}/data/a", {"data": {"user": "app", "deep": {"port": 5432}}}),
            (f"{mount}/metadata/a", {"custom_metadata": {"owner": "team"}}),
            (f"{mount}/data/b/c", {"data": {}}),
        ),
    )


def _first(mount: str) -> Callable[[Client], Known]:
    secrets = _wrote((f"{mount}/a", {"user": "app", "ttl": "30m", "n": 5}), (f"{mount}/b/c", {"x": "y"}))
    return both(mounted(mount, version="1"), secrets)


def _entity(mount: str, name: str) -> Callable[[Client], Known]:
    """An entity in a group, with an alias."""

    def needs(client: Client) -> Known:
        known = {**enabled(mount, "userpass")(client), **made(**{name: "entity"})(client)}
        client.write(
            "identity/entity-alias",
            {"name": "ann", "canonical_id": known[name], "mount_accessor": known["accessor"]},
        )
        group = {"name": f"tf-{mount}", "member_entity_ids": [known[name]], "policies": ["of-the-group"]}
        client.write("identity/group", group)
        return known

    return needs


def _oidc(name: str) -> Callable[[Client], Known]:
    return _wrote(
        (f"identity/oidc/key/{name}", {"algorithm": "ES256", "allowed_client_ids": "*"}),
        (f"identity/oidc/scope/{name}", {"template": "{}"}),
        (f"identity/oidc/client/{name}", {"key": name, "redirect_uris": "https://app.example/cb"}),
        (f"identity/oidc/provider/{name}", {"allowed_client_ids": "*", "scopes_supported": name}),
    )


def _role(mount: str) -> Callable[[Client], Known]:
    role = {"token_policies": "one", "role_id": "tf-chosen-id"}
    return both(enabled(mount, "approle"), _wrote((f"auth/{mount}/role/app", role)))


_RULES = [
    {"path": "secret/*", "capabilities": ["read", "list"]},
    {"path": "auth/token/create", "capabilities": ["update"]},
]

READINGS: Sequence[Reading] = (
    Reading(
        name="vault_approle_auth_backend_role_id",
        needs=_role("tf-read-approle"),
        config={"backend": "tf-read-approle", "role_name": "app"},
        finds={"role_id": "tf-chosen-id"},
    ),
    Reading(
        name="vault_approle_auth_backend_role_id",
        note="of no role",
        needs=enabled("tf-read-none", "approle"),
        config={"backend": "tf-read-none", "role_name": "none"},
        finds=NOTHING,
    ),
    Reading(
        name="vault_auth_backend",
        needs=enabled("tf-read-auth", "userpass"),
        config={"path": "tf-read-auth"},
        finds={"type": "userpass", "local": False, "default_lease_ttl": 0, "description": ""},
    ),
    Reading(
        name="vault_auth_backends",
        needs=enabled("tf-read-jwt", "kubernetes"),
        config={"type": "no-such-type"},
        finds={"paths": []},
    ),
    Reading(
        name="vault_identity_entity",
        note="by name",
        needs=_entity("tf-read-users", "read_by_name"),
        config={"entity_name": "tf-read-by-name"},
        finds={"disabled": False, "policies": [], "metadata": None, "inherited_group_ids": []},
    ),
    Reading(
        name="vault_identity_entity",
        note="by alias",
        needs=_entity("tf-read-alias", "read_by_alias"),
        config=lambda known: {"alias_name": "ann", "alias_mount_accessor": known["accessor"]},
        finds={"entity_name": "tf-read-by-alias"},
    ),
    Reading(name="vault_identity_entity", note="none", config={"entity_name": "tf-none"}, finds=NOTHING),
    Reading(
        name="vault_identity_group",
        note="by name",
        needs=_entity("tf-read-group", "read_of_group"),
        config={"group_name": "tf-tf-read-group"},
        finds={"type": "internal", "policies": ["of-the-group"], "alias_name": None},
    ),
    Reading(name="vault_identity_group", note="none", config={"group_name": "tf-none"}, finds=NOTHING),
    Reading(
        name="vault_kubernetes_auth_backend_config",
        needs=both(
            enabled("tf-read-k8s", "kubernetes"),
            _wrote(
                (
                    "auth/tf-read-k8s/config",
                    {"kubernetes_host": "https://127.0.0.1:1", "kubernetes_ca_cert": CERTIFICATE},
                )
            ),
        ),
        config={"backend": "tf-read-k8s"},
        finds={
            "kubernetes_host": "https://127.0.0.1:1",
            "pem_keys": [],
            "issuer": "",
            "disable_iss_validation": True,
        },
    ),
    Reading(
        name="vault_kubernetes_auth_backend_config",
        note="none",
        needs=enabled("tf-read-k8s-none", "kubernetes"),
        config={"backend": "tf-read-k8s-none"},
        finds=NOTHING,
    ),
    Reading(
        name="vault_kubernetes_auth_backend_role",
        needs=both(
            enabled("tf-read-k8s-role", "kubernetes"),
            _wrote(
                (
                    "auth/tf-read-k8s-role/role/app",
                    {
                        "bound_service_account_names": "a,b",
                        "bound_service_account_namespaces": "*",
                        "token_ttl": "1h",
                    },
                )
            ),
        ),
        config={"backend": "tf-read-k8s-role", "role_name": "app"},
        finds={
            "bound_service_account_names": ["a", "b"],
            "token_ttl": 3600,
            "alias_name_source": "serviceaccount_uid",
        },
    ),
    Reading(
        name="vault_namespace",
        needs=_wrote(("sys/namespaces/tf-read", {"custom_metadata": {"a": "b"}})),
        config={"path": "tf-read"},
        finds={"custom_metadata": {"a": "b"}},
    ),
    Reading(name="vault_namespace", note="its own", config={}, finds={"path": ""}),
    Reading(name="vault_namespace", note="none", config={"path": "tf-none"}, finds=NOTHING),
    Reading(
        name="vault_namespaces",
        needs=both(
            _wrote(("sys/namespaces/tf-tree", None)),
            lambda client: _wrote(("sys/namespaces/one", None), ("sys/namespaces/two", None))(
                client.within("tf-tree")
            ),
            lambda client: _wrote(("sys/namespaces/deep", None))(client.within("tf-tree/one")),
        ),
        namespace="tf-tree",
        config={"recursive": True},
        finds={"paths": ["one", "one/deep", "two"]},
        unordered=("data.keys",),
    ),
    Reading(
        name="vault_generic_secret",
        note="version 1",
        needs=_first("tf-read-generic"),
        config={"path": "tf-read-generic/a"},
        finds={"data": {"user": "app", "ttl": "30m", "n": "5"}, "lease_duration": 1800, "renewable": False},
    ),
    Reading(
        name="vault_generic_secret",
        note="version 2",
        needs=_second("tf-read-second"),
        config={"path": "tf-read-second/a", "version": 1},
        finds={"data": {"user": "old"}},
    ),
    Reading(
        name="vault_generic_secret",
        note="none",
        needs=mounted("tf-read-empty", version="2"),
        config={"path": "tf-read-empty/a"},
        finds=NOTHING,
    ),
    Reading(
        name="vault_kv_secret",
        needs=_first("tf-read-kv"),
        config={"path": "tf-read-kv/a"},
        finds={"data": {"user": "app", "ttl": "30m", "n": "5"}},
    ),
    Reading(
        name="vault_kv_secret",
        note="none",
        needs=mounted("tf-read-kv-none", version="1"),
        config={"path": "tf-read-kv-none/a"},
        finds=NOTHING,
    ),
    Reading(
        name="vault_kv_secret_v2",
        needs=_second("tf-read-kv2"),
        config={"mount": "tf-read-kv2", "name": "a"},
        finds={
            "data": {"user": "app", "deep": '{"port": 5432}'},
            "version": 2,
            "destroyed": False,
            "deletion_time": "",
            "custom_metadata": {"owner": "team"},
        },
    ),
    Reading(
        name="vault_kv_secret_v2",
        note="an older version",
        needs=_second("tf-read-kv2-old"),
        config={"mount": "tf-read-kv2-old", "name": "a", "version": 1},
        finds={"data": {"user": "old"}, "version": 1},
    ),
    Reading(
        name="vault_kv_secret_v2",
        note="a version that is not there",
        needs=_second("tf-read-kv2-none"),
        config={"mount": "tf-read-kv2-none", "name": "a", "version": 9},
        finds=NOTHING,
    ),
    Reading(
        name="vault_kv_secrets_list",
        needs=_first("tf-read-list"),
        config={"path": "tf-read-list"},
        finds={"names": ["a", "b/"]},
    ),
    Reading(
        name="vault_kv_secrets_list_v2",
        needs=_second("tf-read-list2"),
        config={"mount": "tf-read-list2"},
        finds={"names": ["a", "b/"]},
    ),
    Reading(
        name="vault_kv_secrets_list_v2",
        note="below a name",
        needs=_second("tf-read-list3"),
        config={"mount": "tf-read-list3", "name": "b"},
        finds={"names": ["c"]},
    ),
    Reading(
        name="vault_kv_secrets_list_v2",
        note="none",
        needs=mounted("tf-read-list-none", version="2"),
        config={"mount": "tf-read-list-none"},
        finds=NOTHING,
    ),
    Reading(
        name="vault_kv_secret_subkeys_v2",
        needs=_second("tf-read-subkeys"),
        config={"mount": "tf-read-subkeys", "name": "a"},
        finds={"data": {"user": "null", "deep": '{"port": null}'}},
    ),
    Reading(
        name="vault_identity_oidc_client_creds",
        needs=_oidc("tf-read-client"),
        config={"name": "tf-read-client"},
        finds={"client_type": "confidential"},
    ),
    Reading(
        name="vault_identity_oidc_openid_config",
        needs=_oidc("tf-read-provider"),
        config={"name": "tf-read-provider"},
        finds={"request_uri_parameter_supported": False, "scopes_supported": ["tf-read-provider", "openid"]},
    ),
    Reading(
        name="vault_identity_oidc_public_keys",
        needs=_oidc("tf-read-keys"),
        config={"name": "tf-read-keys"},
        finds={"kinds": ["EC"]},
        shapes={"/.well-known/keys": 1},
    ),
    Reading(
        name="vault_sys_config_cors",
        needs=_wrote(
            ("sys/config/cors", {"allowed_origins": "https://one.example", "allowed_headers": "X-Own"})
        ),
        config={},
        finds={"enabled": True, "allowed_origins": ["https://one.example"], "allowed_headers": ["X-Own"]},
    ),
    Reading(
        name="vault_policy_document",
        config={"rules": _RULES[:1]},
        finds={"hcl": 'path "secret/*" {\n  capabilities = ["read", "list"]\n}\n'},
    ),
    Reading(
        name="vault_kv_secret_v2",
        ephemeral=True,
        needs=_second("tf-open-kv2"),
        config={"mount": "tf-open-kv2", "name": "a"},
        finds={"version": 2},
    ),
    Reading(
        name="vault_generic_secret",
        ephemeral=True,
        needs=_second("tf-open-generic"),
        config={"path": "tf-open-generic/data/a"},
        finds={"data": {"user": "app", "deep": '{"port": 5432}'}},
    ),
    Reading(
        name="vault_approle_auth_backend_role_secret_id",
        ephemeral=True,
        needs=_role("tf-open-approle"),
        config={"backend": "tf-open-approle", "role_name": "app"},
        finds={"secret_id_ttl": 60},
    ),
    Reading(
        name="vault_userpass_auth_login",
        ephemeral=True,
        needs=both(
            enabled("tf-open-users", "userpass"),
            _wrote(("auth/tf-open-users/users/ann", {"password": "correct-horse", "token_ttl": "10m"})),
        ),
        config={"mount": "tf-open-users", "username": "ann", "password": "correct-horse"},
        finds={
            "lease_duration": 600,
            "policies": ["default"],
            "renewable": True,
            "metadata": {"username": "ann"},
        },
    ),
    Reading(
        name="vault_token",
        ephemeral=True,
        config={"policies": ["one"], "ttl": "60s", "no_parent": True},
        finds={"policies": ["default", "one"], "lease_duration": 60, "orphan": True, "token_type": "service"},
    ),
    Reading(
        name="vault_generic_endpoint",
        ephemeral=True,
        config={"path": "sys/tools/random/8", "data": {"format": "hex"}, "write_fields": ["random_bytes"]},
        finds={},
    ),
    Reading(
        name="vault_generic_endpoint",
        note="wrapped",
        ephemeral=True,
        config={
            "path": "auth/token/create",
            "data": {"ttl": "60s"},
            "wrap": "120s",
            "write_fields": ["ttl", "creation_path"],
        },
        finds={"ttl": 120, "creation_path": "auth/token/create"},
    ),
)

# SPDX-License-Identifier: EUPL-1.2
"""Auth methods: their mounts, configurations, roles and users."""

from collections.abc import Mapping
from typing import Any

from tests.integration.terraform.calls import Client, Refused, data
from tests.integration.terraform.entries import TOKEN, Entry, token_fields
from tests.integration.terraform.model import (
    COMPUTED,
    FLAG,
    JSON,
    LIST,
    MAP,
    NUMBER,
    SET,
    TEXT,
    Attr,
    Data,
    Held,
    Resource,
    State,
)
from tests.integration.terraform.mounts import TUNE, AuthMount, mount_at, tuned


def _given_or_changed(*names: str) -> Any:
    return lambda data: token_fields(data) | (data.given(*names) if data.new else data.changed(*names))


def _approle(data: Data) -> State:
    names = ("secret_id_num_uses", "secret_id_ttl", "secret_id_bound_cidrs")
    flags = ("bind_secret_id", "local_secret_ids")
    own = data.given(*names) | data.always(*flags) if data.new else data.changed(*names, *flags)
    return token_fields(data) | own


class AppRole(Entry):
    """An AppRole, whose role id is a path of its own."""

    def create(self, client: Client, data: Data) -> str:
        id = super().create(client, data)
        if data["role_id"]:
            client.write(f"{id}/role-id", data.always("role_id"))
        return id

    def read(self, client: Client, id: str, state: State) -> State | None:
        found = super().read(client, id, state)
        if found is None:
            return None
        return found | {"role_id": data(client.read(f"{id}/role-id"))["role_id"]}

    def update(self, client: Client, id: str, data: Data) -> str:
        super().update(client, id, data)
        if changed := data.changed("role_id"):
            client.write(f"{id}/role-id", changed)
        return id


APPROLE_ROLE = AppRole(
    name="vault_approle_auth_backend_role",
    path="auth/{backend}/role/{role_name}",
    schema=TOKEN
    | {
        "backend": Attr(default="approle"),
        "role_name": TEXT,
        "role_id": COMPUTED,
        "bind_secret_id": Attr("flag", default=True),
        "secret_id_bound_cidrs": SET,
        "secret_id_num_uses": NUMBER,
        "secret_id_ttl": NUMBER,
        "local_secret_ids": FLAG,
    },
    creates=_approle,
    reads=(
        *TOKEN,
        "secret_id_bound_cidrs",
        "bind_secret_id",
        "secret_id_num_uses",
        "secret_id_ttl",
        "local_secret_ids",
    ),
    addresses=("token_bound_cidrs",),
)


class SecretId(Resource):
    """A secret id of an AppRole, found again by its accessor."""

    name = "vault_approle_auth_backend_role_secret_id"
    schema: Mapping[str, Attr] = {
        "backend": Attr(default="approle"),
        "role_name": TEXT,
        "secret_id": COMPUTED,
        "cidr_list": SET,
        "token_bound_cidrs": SET,
        "metadata": JSON,
        "ttl": NUMBER,
        "num_uses": NUMBER,
        "accessor": COMPUTED,
        "wrapping_ttl": TEXT,
        "wrapping_token": COMPUTED,
        "with_wrapped_accessor": FLAG,
    }
    _GONE = ("invalid accessor", "failed to find accessor entry")

    def create(self, client: Client, data: Data) -> str:
        role = f"auth/{data['backend']}/role/{data['role_name']}"
        body = data.given("secret_id", "ttl", "num_uses") | {"metadata": data["metadata"]}
        for name in ("cidr_list", "token_bound_cidrs"):
            if data[name]:
                body[name] = ",".join(data[name])
        own = "custom-secret-id" if data["secret_id"] else "secret-id"
        made = client.write(f"{role}/{own}", body, wrap=data["wrapping_ttl"])
        assert made is not None
        if data["wrapping_ttl"]:
            accessor = made["wrap_info"]["accessor"]
            data.planned |= {"wrapping_token": made["wrap_info"]["token"]}
            if data["with_wrapped_accessor"]:
                accessor = made["wrap_info"]["wrapped_accessor"]
            else:
                accessor = f"wrapped-{accessor}"
        else:
            accessor = made["data"]["secret_id_accessor"]
            data.planned |= {"secret_id": made["data"]["secret_id"], "accessor": accessor}
        return f"backend={data['backend']}::role={data['role_name']}::accessor={accessor}"

    def read(self, client: Client, id: str, state: State) -> State | None:
        backend, role, accessor = (part.partition("=")[2] for part in id.split("::"))
        try:
            if accessor.startswith("wrapped-"):
                client.write("auth/token/lookup-accessor", {"accessor": accessor.removeprefix("wrapped-")})
                return {}
            asked = {"secret_id_accessor": accessor}
            found = client.write(f"auth/{backend}/role/{role}/secret-id-accessor/lookup", asked)
        except Refused as refused:
            if self._is_gone(refused, role):
                return None
            raise
        return None if found is None else self._read(found["data"], backend, role, accessor)

    def _is_gone(self, refused: Refused, role: str) -> bool:
        """What the provider takes for "it is not there any more"; anything else ends a plan."""
        said = str(refused)
        if refused.status == 404 or any(text in said for text in self._GONE):
            return True
        return refused.status == 500 and f'role "{role}" does not exist' in said

    def _read(self, found: Mapping[str, Any], backend: str, role: str, accessor: str) -> State:
        return {
            "backend": backend,
            "role_name": role,
            "accessor": accessor,
            "cidr_list": found["cidr_list"],
            "token_bound_cidrs": found["token_bound_cidrs"],
            "metadata": found["metadata"] or None,
            "ttl": found["secret_id_ttl"],
            "num_uses": found["secret_id_num_uses"],
        }

    def delete(self, client: Client, held: Held) -> None:
        backend, role, accessor = (part.partition("=")[2] for part in held.id.split("::"))
        if accessor.startswith("wrapped-"):
            client.write("auth/token/revoke-accessor", {"accessor": accessor.removeprefix("wrapped-")})
        else:
            body = {"secret_id_accessor": accessor}
            client.write(f"auth/{backend}/role/{role}/secret-id-accessor/destroy", body)


class JwtMount(AuthMount):
    """A JWT or OpenID Connect method: the mount, its configuration and its tuning."""

    name = "vault_jwt_auth_backend"
    options = (
        "oidc_discovery_url", "oidc_discovery_ca_pem", "oidc_client_id", "oidc_client_secret", "oidc_response_mode",
        "oidc_response_types", "jwks_url", "jwks_ca_pem", "jwks_pairs", "jwt_validation_pubkeys", "bound_issuer",
        "jwt_supported_algs", "default_role", "provider_config", "namespace_in_state",
    )  # fmt: skip
    _LISTS = ("oidc_response_types", "jwks_pairs", "jwt_validation_pubkeys", "jwt_supported_algs")
    schema: Mapping[str, Attr] = (
        dict.fromkeys(options, TEXT)
        | dict.fromkeys(_LISTS, LIST)
        | {
            "provider_config": MAP,
            "namespace_in_state": Attr("flag", default=True),
            "path": Attr(default="jwt"),
            "type": Attr(default="jwt"),
            "description": TEXT,
            "local": FLAG,
            "accessor": COMPUTED,
            "tune": TUNE,
        }
    )

    def configure(self, client: Client, path: str, data: Data) -> None:
        sent = data.given(*self.options) | data.changed(*self.options) | data.always("namespace_in_state")
        if not data["oidc_client_secret"]:
            sent.pop("oidc_client_secret", None)
        client.write(f"auth/{path}/config", sent)
        if data.changed("tune") and data["tune"]:
            client.post(f"sys/mounts/auth/{path}/tune", tuned(data["tune"]))

    def read(self, client: Client, id: str, state: State) -> State | None:
        mount = mount_at(client, f"sys/auth/{id}")
        if mount is None:
            return None
        config = client.read(f"auth/{id}/config")
        if config is None:
            return None
        found = {name: data(config).get(name) for name in self.options if name != "oidc_client_secret"}
        kept = state["provider_config"]
        found["provider_config"] = kept | {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in (found["provider_config"] or {}).items()
        }
        own = {name: mount[name] for name in ("type", "description", "local", "accessor")}
        return {**found, **own, "path": id, "tune": self.tune(client, id, state)}


def _jwt_role(data: Data) -> State:
    claims = {
        name: [value.strip()]
        if data["disable_bound_claims_parsing"]
        else [one.strip() for one in value.split(",")]
        for name, value in data["bound_claims"].items()
    }
    always = (
        "bound_audiences", "user_claim", "user_claim_json_pointer", "clock_skew_leeway", "expiration_leeway",
        "not_before_leeway", "verbose_oidc_logging",
    )  # fmt: skip
    given = (
        "max_age", "allowed_redirect_uris", "role_type", "bound_subject", "oidc_scopes", "bound_claims_type",
        "claim_mappings", "groups_claim",
    )  # fmt: skip
    return token_fields(data) | data.always(*always) | data.given(*given) | {"bound_claims": claims}


class JwtRole(Entry):
    """A role of a JWT method; its bound claims are lists at the server and texts in the configuration."""

    def read(self, client: Client, id: str, state: State) -> State | None:
        found = super().read(client, id, state)
        if found and found["bound_claims"]:
            claims = found["bound_claims"].items()
            found["bound_claims"] = {
                name: value if isinstance(value, str) else ",".join(value) for name, value in claims
            }
        return found


JWT_ROLE = JwtRole(
    name="vault_jwt_auth_backend_role",
    path="auth/{backend}/role/{role_name}",
    schema=TOKEN
    | {
        "backend": Attr(default="jwt"),
        "role_name": TEXT,
        "role_type": COMPUTED,
        "bound_audiences": SET,
        "user_claim": TEXT,
        "user_claim_json_pointer": FLAG,
        "clock_skew_leeway": NUMBER,
        "expiration_leeway": NUMBER,
        "not_before_leeway": NUMBER,
        "allowed_redirect_uris": SET,
        "bound_subject": TEXT,
        "oidc_scopes": SET,
        "bound_claims_type": COMPUTED,
        "bound_claims": MAP,
        "disable_bound_claims_parsing": FLAG,
        "claim_mappings": MAP,
        "groups_claim": TEXT,
        "verbose_oidc_logging": FLAG,
        "max_age": NUMBER,
    },
    creates=_jwt_role,
    reads=(
        *TOKEN, "bound_audiences", "user_claim", "allowed_redirect_uris", "role_type", "bound_subject", "oidc_scopes",
        "bound_claims_type", "bound_claims", "claim_mappings", "groups_claim", "clock_skew_leeway",
        "expiration_leeway", "not_before_leeway", "verbose_oidc_logging", "user_claim_json_pointer", "max_age",
    ),
    addresses=("token_bound_cidrs",),
)  # fmt: skip


def _kubernetes(data: Data) -> State:
    """`pem_keys` are one text; what switches something off is said only where it is on."""
    body = data.given("kubernetes_ca_cert", "token_reviewer_jwt", "issuer", "disable_local_ca_jwt")
    if data["pem_keys"]:
        body["pem_keys"] = ",".join(data["pem_keys"])
    always = ("kubernetes_host", "disable_iss_validation", "use_annotations_as_alias_metadata")
    return body | data.always(*always)


KUBERNETES_CONFIG = Entry(
    name="vault_kubernetes_auth_backend_config",
    path="auth/{backend}/config",
    schema={
        "backend": Attr(default="kubernetes"),
        "kubernetes_host": TEXT,
        "kubernetes_ca_cert": COMPUTED,
        "token_reviewer_jwt": TEXT,
        "pem_keys": LIST,
        "issuer": TEXT,
        "disable_iss_validation": Attr("flag", computed=True),
        "disable_local_ca_jwt": Attr("flag", computed=True),
        "use_annotations_as_alias_metadata": Attr("flag", computed=True),
    },
    creates=_kubernetes,
    reads=(
        "kubernetes_ca_cert", "kubernetes_host", "issuer", "disable_iss_validation", "disable_local_ca_jwt", "pem_keys",
        "use_annotations_as_alias_metadata",
    ),
    asks_first=True,
    deletes=False,
)  # fmt: skip


def _kubernetes_role(data: Data) -> State:
    body = token_fields(data) | data.given("bound_service_account_names", "bound_service_account_namespaces")
    own = data.given if data.new else data.changed
    body |= data.always("bound_service_account_namespace_selector")
    return body | own("audience", "alias_name_source")


KUBERNETES_ROLE = Entry(
    name="vault_kubernetes_auth_backend_role",
    path="auth/{backend}/role/{role_name}",
    schema=TOKEN
    | {
        "backend": Attr(default="kubernetes"),
        "role_name": TEXT,
        "bound_service_account_names": SET,
        "bound_service_account_namespaces": SET,
        "bound_service_account_namespace_selector": TEXT,
        "audience": Attr(default=""),
        "alias_name_source": COMPUTED,
    },
    creates=_kubernetes_role,
    reads=(
        *TOKEN, "bound_service_account_names", "bound_service_account_namespaces", "audience", "alias_name_source",
        "bound_service_account_namespace_selector",
    ),
    addresses=("token_bound_cidrs",),
)  # fmt: skip

_CERT_TEXTS = ("certificate", "display_name", "ocsp_ca_certificates")
_CERT_SETS = (
    "allowed_common_names", "allowed_dns_sans", "allowed_email_sans", "allowed_names", "allowed_organizational_units",
    "allowed_uri_sans", "ocsp_servers_override", "required_extensions",
)  # fmt: skip
_CERT_FLAGS = ("ocsp_enabled", "ocsp_fail_open", "ocsp_query_all_servers")
_CERT_NUMBERS = ("ocsp_max_retries", "ocsp_this_update_max_age")


def _cert(data: Data) -> State:
    units = "allowed_organizational_units"
    sent = data.given(*_CERT_TEXTS, *_CERT_SETS, *_CERT_NUMBERS)
    if not data.new:
        sent = {name: value for name, value in sent.items() if name != units} | data.changed(units)
    return token_fields(data) | sent | data.always(*_CERT_FLAGS)


class CertRole(Entry):
    """A certificate that may log in. Numbers that no answer has stay as they are."""

    def read(self, client: Client, id: str, state: State) -> State | None:
        found = super().read(client, id, state)
        if found is None:
            return None
        return {
            name: value for name, value in found.items() if value is not None or name not in _CERT_NUMBERS
        }


CERT_ROLE = CertRole(
    name="vault_cert_auth_backend_role",
    path="auth/{backend}/certs/{name}",
    schema=TOKEN
    | {name: Attr("set", computed=True) for name in _CERT_SETS}
    | {
        "backend": Attr(default="cert"),
        "name": TEXT,
        "certificate": TEXT,
        "display_name": COMPUTED,
        "allowed_organizational_units": SET,
        "ocsp_servers_override": SET,
        "ocsp_ca_certificates": TEXT,
        "ocsp_max_retries": Attr("number", default=4),
        "ocsp_this_update_max_age": NUMBER,
    }
    | {name: Attr("flag", computed=True) for name in _CERT_FLAGS},
    creates=_cert,
    reads=(
        *TOKEN, "certificate", "display_name", "allowed_names", "allowed_dns_sans", "allowed_email_sans",
        "allowed_uri_sans", "required_extensions", "allowed_organizational_units", "ocsp_ca_certificates",
        *_CERT_FLAGS, "ocsp_servers_override", *_CERT_NUMBERS,
    ),
    addresses=("token_bound_cidrs",),
)  # fmt: skip


def _user(data: Data) -> State:
    """All of its tokens' fields, zero or not; sets that are not configured are null."""
    sent = {name: data[name] if data[name] != [] else None for name in TOKEN if name != "alias_metadata"}
    return sent | ({"password": data["password_wo"]} if data["password_wo"] else {})


USERPASS_USER = Entry(
    name="vault_userpass_auth_backend_user",
    path="auth/{mount}/users/{username}",
    schema=TOKEN | {"mount": TEXT, "username": TEXT, "password_wo": TEXT},
    creates=_user,
    reads=tuple(name for name in TOKEN if name != "alias_metadata"),
)

_ROLE_SETS = (
    "allowed_policies", "allowed_policies_glob", "disallowed_policies", "disallowed_policies_glob",
    "allowed_entity_aliases",
)  # fmt: skip


def _token_role(data: Data) -> State:
    sent = data.always(*TOKEN, *_ROLE_SETS, "orphan", "renewable", "path_suffix")
    if data["token_ttl"]:
        sent.pop("token_period")
    if data["token_period"]:
        sent.pop("token_ttl")
    return sent


TOKEN_ROLE = Entry(
    name="vault_token_auth_backend_role",
    path="auth/token/roles/{role_name}",
    schema=TOKEN
    | dict.fromkeys(_ROLE_SETS, SET)
    | {
        "role_name": TEXT,
        "orphan": FLAG,
        "renewable": Attr("flag", default=True),
        "path_suffix": Attr(default=""),
        "token_type": Attr(default="default-service"),
    },
    creates=_token_role,
    reads=(*TOKEN, *_ROLE_SETS, "orphan", "path_suffix", "renewable"),
    addresses=("token_bound_cidrs",),
)

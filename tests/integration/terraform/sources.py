# SPDX-License-Identifier: EUPL-1.2
"""Data sources, which are read, and ephemeral resources, which are opened, and closed when the run ends."""

import json
from collections.abc import Mapping
from typing import Any

from tests.integration.terraform.calls import Client, Secret, data
from tests.integration.terraform.entries import TOKEN
from tests.integration.terraform.model import State
from tests.integration.terraform.mounts import mount_at
from tests.integration.terraform.secrets import kv_read, texts
from tests.integration.terraform.ssh import sign as sign_ssh
from tests.integration.terraform.system import OWN_CORS_HEADERS
from tests.integration.terraform.transit import decrypt, encrypt, sign, verify


def found(secret: Secret | None) -> Mapping[str, Any]:
    """The data of an answer; the provider refuses to go on without any."""
    assert secret is not None, "nothing there"
    return data(secret)


def role_id(client: Client, config: State) -> State:
    """``vault_approle_auth_backend_role_id``: the role id of an AppRole."""
    path = f"auth/{config['backend']}/role/{config['role_name']}/role-id"
    return {"role_id": found(client.read(path))["role_id"]}


def auth_backend(client: Client, config: State) -> State:
    """``vault_auth_backend``: a mounted auth method."""
    mount = mount_at(client, f"sys/auth/{config['path']}")
    assert mount is not None
    settings = ("default_lease_ttl", "max_lease_ttl", "listing_visibility")
    own = {name: mount[name] for name in ("type", "description", "accessor", "local")}
    return own | {name: mount["config"].get(name) for name in settings}


def auth_backends(client: Client, config: State) -> State:
    """``vault_auth_backends``: all auth methods, or those of a type."""
    mounts = found(client.read("sys/auth"))
    chosen = {path: one for path, one in mounts.items() if config.get("type") in (None, one["type"])}
    return {
        "paths": sorted(path.rstrip("/") for path in chosen),
        "accessors": [one["accessor"] for one in chosen.values()],
    }


def _looked_up(client: Client, kind: str, config: State) -> Mapping[str, Any]:
    """Entities and groups are looked up by name, id or alias."""
    names = {f"{kind}_name": "name", f"{kind}_id": "id"}
    asked = {names.get(name, name): value for name, value in config.items()}
    answer = found(client.write(f"identity/lookup/{kind}", asked))
    assert answer["id"]
    return answer


def identity_entity(client: Client, config: State) -> State:
    """``vault_identity_entity``: an entity, with its aliases and groups."""
    answer = _looked_up(client, "entity", config)
    names = (
        "direct_group_ids",
        "disabled",
        "group_ids",
        "inherited_group_ids",
        "merged_entity_ids",
        "metadata",
    )
    aliases = [
        {name: alias[name] for name in ("name", "mount_path", "mount_type", "metadata")}
        for alias in answer.get("aliases") or ()
    ]
    read = {name: answer[name] for name in (*names, "policies", "namespace_id")}
    return {**read, "entity_name": answer["name"], "entity_id": answer["id"], "aliases": aliases}


def identity_group(client: Client, config: State) -> State:
    """``vault_identity_group``: a group, with its alias and members."""
    answer = _looked_up(client, "group", config)
    names = (
        "member_entity_ids",
        "member_group_ids",
        "metadata",
        "modify_index",
        "parent_group_ids",
        "policies",
        "type",
    )
    alias = {f"alias_{name}": answer["alias"].get(name) for name in ("name", "mount_path", "mount_type")}
    return (
        {name: answer[name] for name in names}
        | alias
        | {"group_name": answer["name"], "group_id": answer["id"]}
    )


def kubernetes_config(client: Client, config: State) -> State:
    """``vault_kubernetes_auth_backend_config``: how a Kubernetes method is configured."""
    answer = found(client.read(f"auth/{config['backend']}/config"))
    names = ("kubernetes_host", "kubernetes_ca_cert", "pem_keys", "issuer", "disable_iss_validation")
    return {name: answer[name] for name in (*names, "disable_local_ca_jwt")}


def kubernetes_role(client: Client, config: State) -> State:
    """``vault_kubernetes_auth_backend_role``: a role of one."""
    answer = found(client.read(f"auth/{config['backend']}/role/{config['role_name']}"))
    bound = (
        "bound_service_account_names",
        "bound_service_account_namespaces",
        "audience",
        "alias_name_source",
    )
    return {name: answer[name] for name in (*bound, *TOKEN) if name in answer}


def namespace(client: Client, config: State) -> State:
    """``vault_namespace``: a namespace; without a path the provider's own, of which nothing is asked."""
    if not config.get("path"):
        return {"path": "", "path_fq": ""}
    answer = found(client.read(f"sys/namespaces/{config['path']}"))
    return {
        "namespace_id": answer["id"],
        "path": config["path"],
        "custom_metadata": answer["custom_metadata"],
    }


def namespaces(client: Client, config: State) -> State:
    """``vault_namespaces``: those below the provider's, or all below them."""
    listed = client.listed("sys/namespaces/")
    paths = []
    for name in (
        sorted(data(listed)["keys"] or ()) if listed else ()
    ):  # in the order of a set: OpenBao has none
        path = name.rstrip("/")
        paths.append(path)
        if config.get("recursive"):
            inner = namespaces(client.within(path), config)["paths"]
            paths += [f"{path}/{one}" for one in inner]
    return {"paths": paths}


def generic_secret(client: Client, config: State) -> State:
    """``vault_generic_secret``: a secret of either version, its newest or another."""
    secret = kv_read(client, config["path"], config.get("version", 0))
    return {
        "data": texts(found(secret)),
        **{name: (secret or {})[name] for name in ("lease_id", "lease_duration", "renewable")},
    }


def kv_secret(client: Client, config: State) -> State:
    """``vault_kv_secret``: a secret of version 1."""
    secret = client.read(config["path"])
    return {
        "data": texts(found(secret)),
        **{name: (secret or {})[name] for name in ("lease_id", "lease_duration", "renewable")},
    }


def kv_secret_v2(client: Client, config: State) -> State:
    """``vault_kv_secret_v2``: a secret of version 2, with what is known of the version."""
    query = {"version": str(config["version"])} if config.get("version") else {}
    answer = found(client.read(f"{config['mount']}/data/{config['name']}", **query))
    metadata = answer["metadata"]
    names = ("created_time", "deletion_time", "destroyed", "version", "custom_metadata")
    shown = texts(answer["data"]) if answer["data"] is not None else {}
    return {"data": shown, **{name: metadata[name] for name in names}}


def kv_list(client: Client, config: State) -> State:
    """``vault_kv_secrets_list``: the names below a path of version 1."""
    return {"names": found(client.listed(config["path"]))["keys"]}


def kv_list_v2(client: Client, config: State) -> State:
    """``vault_kv_secrets_list_v2``: the names below a path of version 2."""
    path = f"{config['mount']}/metadata/{config.get('name', '')}"
    return {"names": found(client.listed(path))["keys"]}


def kv_subkeys(client: Client, config: State) -> State:
    """``vault_kv_secret_subkeys_v2``: the keys of a secret without their values."""
    return {"data": texts(found(client.read(f"{config['mount']}/subkeys/{config['name']}"))["subkeys"])}


def oidc_client(client: Client, config: State) -> State:
    """``vault_identity_oidc_client_creds``: by what a client of the OpenID Connect provider shows itself."""
    answer = found(client.read(f"identity/oidc/client/{config['name']}"))
    assert answer["client_id"]
    assert answer["client_secret"] or answer["client_type"] == "public"
    return {name: answer.get(name) for name in ("client_id", "client_secret", "client_type")}


def oidc_configuration(client: Client, config: State) -> State:
    """``vault_identity_oidc_openid_config``: what a provider says of itself; no answer with an envelope."""
    answer = client.read(f"identity/oidc/provider/{config['name']}/.well-known/openid-configuration")
    names = (
        "issuer", "jwks_uri", "authorization_endpoint", "token_endpoint", "userinfo_endpoint",
        "request_uri_parameter_supported", "id_token_signing_alg_values_supported", "response_types_supported",
        "scopes_supported", "subject_types_supported", "grant_types_supported", "token_endpoint_auth_methods_supported",
    )  # fmt: skip
    assert answer is not None
    return {name: answer[name] for name in names}


def oidc_keys(client: Client, config: State) -> State:
    """``vault_identity_oidc_public_keys``: the keys of a provider; no answer with an envelope."""
    answer = client.read(f"identity/oidc/provider/{config['name']}/.well-known/keys")
    assert answer is not None
    return {"kinds": sorted({key["kty"] for key in answer["keys"]})}


def cors(client: Client, config: State) -> State:
    """``vault_sys_config_cors``: which origins and headers browsers may use."""
    answer = found(client.read("sys/config/cors"))
    headers = [name for name in answer.get("allowed_headers") or () if name not in OWN_CORS_HEADERS]
    return {
        "enabled": answer["enabled"],
        "allowed_origins": answer.get("allowed_origins"),
        "allowed_headers": headers,
    }


def policy_document(client: Client, config: State) -> State:
    """``vault_policy_document``: rules as HCL, made by the provider alone and then written as a policy."""
    blocks = [
        f'path "{rule["path"]}" {{\n  capabilities = {json.dumps(rule["capabilities"])}\n}}\n'
        for rule in config["rules"]
    ]
    return {"hcl": "\n".join(blocks)}


def ephemeral_kv(client: Client, config: State) -> State:
    """``vault_kv_secret_v2``, ephemeral: as the data source, and nothing of it is kept."""
    return kv_secret_v2(client, config)


def ephemeral_secret(client: Client, config: State) -> State:
    """``vault_generic_secret``, ephemeral: one read of any path; data of version 2 are taken out."""
    answer = found(client.read(config["path"]))
    inner = answer.get("data")
    return {"data": texts(inner if isinstance(inner, dict) else answer)}


def ephemeral_secret_id(client: Client, config: State) -> State:
    """``vault_approle_auth_backend_role_secret_id``, ephemeral: destroyed when the run ends."""
    role = f"auth/{config['backend']}/role/{config['role_name']}"
    made = found(client.write(f"{role}/secret-id", {"num_uses": 1, "ttl": 60}))
    assert made["secret_id"]
    client.write(f"{role}/secret-id-accessor/destroy", {"secret_id_accessor": made["secret_id_accessor"]})
    return {"secret_id_ttl": made["secret_id_ttl"]}


def ephemeral_login(client: Client, config: State) -> State:
    """``vault_userpass_auth_login``, ephemeral: the token is revoked when the run ends."""
    path = f"auth/{config['mount']}/login/{config['username']}"
    made = client.write(path, {"password": config["password"]})
    assert made is not None
    client.post("auth/token/revoke-accessor", {"accessor": made["auth"]["accessor"]})
    return {name: made["auth"][name] for name in ("policies", "renewable", "lease_duration", "metadata")}


def ephemeral_token(client: Client, config: State) -> State:
    """``vault_token``, ephemeral: revoked when the run ends."""
    body = {"display_name": "token", "num_uses": 0, "type": "service", "entity_alias": "", **config}
    made = client.post("auth/token/create", body)
    assert made is not None
    client.post("auth/token/revoke-accessor", {"accessor": made["auth"]["accessor"]})
    return {
        name: made["auth"][name]
        for name in ("policies", "renewable", "lease_duration", "token_type", "orphan")
    }


def ephemeral_endpoint(client: Client, config: State) -> State:
    """``vault_generic_endpoint``, ephemeral: one write to any path, and the fields of its answer that are asked for."""
    made = client.write(config["path"], config["data"], wrap=config.get("wrap", ""))
    assert made is not None
    said = {**(made["data"] or {}), **(made["auth"] or {}), **(made.get("wrap_info") or {})}
    return {name: said[name] for name in config["write_fields"]}


SOURCES = {
    "vault_approle_auth_backend_role_id": role_id,
    "vault_auth_backend": auth_backend,
    "vault_auth_backends": auth_backends,
    "vault_generic_secret": generic_secret,
    "vault_identity_entity": identity_entity,
    "vault_identity_group": identity_group,
    "vault_identity_oidc_client_creds": oidc_client,
    "vault_identity_oidc_openid_config": oidc_configuration,
    "vault_identity_oidc_public_keys": oidc_keys,
    "vault_kubernetes_auth_backend_config": kubernetes_config,
    "vault_kubernetes_auth_backend_role": kubernetes_role,
    "vault_kv_secret": kv_secret,
    "vault_kv_secret_subkeys_v2": kv_subkeys,
    "vault_kv_secret_v2": kv_secret_v2,
    "vault_kv_secrets_list": kv_list,
    "vault_kv_secrets_list_v2": kv_list_v2,
    "vault_namespace": namespace,
    "vault_namespaces": namespaces,
    "vault_policy_document": policy_document,
    "vault_sys_config_cors": cors,
    "vault_ssh_secret_backend_sign": sign_ssh,
    "vault_transit_decrypt": decrypt,
    "vault_transit_encrypt": encrypt,
    "vault_transit_sign": sign,
    "vault_transit_verify": verify,
}
EPHEMERALS = {
    "vault_approle_auth_backend_role_secret_id": ephemeral_secret_id,
    "vault_generic_endpoint": ephemeral_endpoint,
    "vault_generic_secret": ephemeral_secret,
    "vault_kv_secret_v2": ephemeral_kv,
    "vault_token": ephemeral_token,
    "vault_userpass_auth_login": ephemeral_login,
}

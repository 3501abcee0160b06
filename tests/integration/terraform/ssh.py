# SPDX-License-Identifier: EUPL-1.2
"""The issuer and the roles of an SSH mount, and what is signed with them."""

from tests.integration.terraform.calls import Client, Refused, data
from tests.integration.terraform.entries import Entry
from tests.integration.terraform.model import FLAG, MAP, NUMBER, SET, TEXT, Attr, Data, State

_FLAGS = (
    "allow_bare_domains", "allow_host_certificates", "allow_subdomains", "allow_user_certificates", "allow_user_key_ids",
)  # fmt: skip
_TEXTS = (
    "allowed_critical_options", "allowed_domains", "cidr_list", "allowed_extensions", "default_extensions",
    "default_critical_options", "allowed_users", "default_user", "key_id_format", "algorithm_signer", "max_ttl", "ttl",
    "not_before_duration",
)  # fmt: skip
_TEMPLATES = ("default_extensions_template", "allowed_users_template", "default_user_template")
_READ = (
    "key_type", *_FLAGS, *(name for name in _TEXTS if name != "default_extensions"), "allowed_users_template",
    "default_user_template", "allowed_domains_template", "allow_empty_principals",
)  # fmt: skip
_SIGNING = ("public_key", "ttl", "valid_principals", "cert_type", "key_id")


class Issuer(Entry):
    """The default issuer of a mount."""

    def read(self, client: Client, id: str, state: State) -> State | None:
        """Read it. Where there is none the provider ends with an error, on any server: somebody takes it out then."""
        try:
            answer = client.read(f"{id}/config/ca")
        except Refused:
            return None
        return {"public_key": data(answer)["public_key"], "backend": id} if answer is not None else None

    def delete(self, client: Client, held: object) -> None:
        client.delete(f"{getattr(held, 'id')}/config/ca")  # noqa: B009 -- its type is that of any resource


def _issuer(planned: Data) -> State:
    return planned.always("generate_signing_key", "private_key", "public_key", "key_type", "key_bits") | {
        "managed_key_name": "",
        "managed_key_id": "",
    }


ISSUER = Issuer(
    name="vault_ssh_secret_backend_ca",
    path="{backend}/config/ca",
    id="{backend}",
    schema={
        "backend": Attr(default="ssh"),
        "generate_signing_key": FLAG,
        "key_type": Attr(default="ssh-rsa"),
        "key_bits": NUMBER,
        "private_key": Attr(computed=True),
        "public_key": Attr(computed=True),
    },
    creates=_issuer,
)


class Role(Entry):
    """A role of certificates or of one-time passwords."""

    def read(self, client: Client, id: str, state: State) -> State | None:
        answer = client.read(id)
        if answer is None:
            return None
        role = data(answer)
        found = {name: role.get(name) for name in _READ}
        for name in ("ttl", "max_ttl", "not_before_duration"):
            found[name] = str(found[name]) if found[name] is not None else None
        found["port"] = role.get("port", 0)
        for name in ("default_extensions", "default_extensions_template"):
            found[name] = role.get(name, state[name])
        networks = role.get("exclude_cidr_list")
        found["exclude_cidr_list"] = networks.split(",") if networks else state["exclude_cidr_list"]
        sizes = role.get("allowed_user_key_lengths") or {}
        found["allowed_user_key_config"] = [f"{kind}={lengths}" for kind, lengths in sorted(sizes.items())]
        return found | self.parts(id)


def _role(planned: Data) -> State:
    body = planned.always("key_type", *_FLAGS, "allowed_domains_template", "allow_empty_principals")
    body |= planned.given(*_TEXTS, "port")
    body |= {name: True for name in _TEMPLATES if planned[name]}
    if planned["exclude_cidr_list"]:
        body["exclude_cidr_list"] = ",".join(planned["exclude_cidr_list"])
    return body


ROLE = Role(
    name="vault_ssh_secret_backend_role",
    path="{backend}/roles/{name}",
    schema={
        "name": TEXT,
        "backend": TEXT,
        "key_type": TEXT,
        **dict.fromkeys((*_FLAGS, *_TEMPLATES, "allow_empty_principals"), FLAG),
        "allowed_domains_template": Attr("flag", computed=True),
        **{
            name: TEXT
            for name in _TEXTS
            if name not in {"default_extensions", "default_critical_options", "algorithm_signer"}
        },
        "default_extensions": MAP,
        "default_critical_options": MAP,
        "exclude_cidr_list": SET,
        "port": Attr("number", computed=True),
        "algorithm_signer": Attr(computed=True),
        "ttl": Attr(computed=True),
        "max_ttl": Attr(computed=True),
        "not_before_duration": Attr(computed=True),
        "allowed_user_key_config": Attr("set", computed=True),
    },
    creates=_role,
)


def sign(client: Client, config: State) -> State:
    """``vault_ssh_secret_backend_sign``: a public key."""
    body = {name: config[name] for name in _SIGNING if config.get(name)}
    signed = data(client.write(f"{config['path']}/sign/{config['name']}", body))
    return {"serial_number": signed["serial_number"], "signed_key": signed["signed_key"]}

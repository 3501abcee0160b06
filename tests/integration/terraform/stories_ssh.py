# SPDX-License-Identifier: EUPL-1.2
"""Lives of the issuer and of roles of an SSH mount, and what is signed."""

from collections.abc import Callable, Sequence

from tests.integration.terraform.calls import Client
from tests.integration.terraform.readings import Reading
from tests.integration.terraform.ssh import ISSUER, ROLE
from tests.integration.terraform.stories import Known, Story, wrote
from tests.integration.terraform.stories_secrets import mounted
from tests.ssh_keys import ed25519_pair, private_pem, public_line

_PAIR = ed25519_pair("terraform")
_USERS = {
    "key_type": "ca",
    "allow_user_certificates": True,
    "allowed_users": "a,b",
    "default_user": "a",
    "default_extensions": {"permit-pty": ""},
    "ttl": "300",
}


def _signing(mount: str) -> Callable[[Client], Known]:
    """A mount with an issuer and a role."""

    def needs(client: Client) -> Known:
        mounted(mount, "ssh")(client)
        client.write(f"{mount}/config/ca", {"key_type": "ed25519"})
        client.write(f"{mount}/roles/one", {**_USERS, "allow_user_key_ids": True})
        return {}

    return needs


STORIES: Sequence[Story] = (
    Story(
        resource=ISSUER,
        needs=mounted("tf-ssh-ca", "ssh"),
        first={"backend": "tf-ssh-ca", "generate_signing_key": True, "key_type": "ed25519"},
        unimported=("generate_signing_key", "key_type"),
    ),
    Story(
        resource=ISSUER,
        note="brought",
        needs=mounted("tf-ssh-brought", "ssh"),
        first={
            "backend": "tf-ssh-brought",
            "generate_signing_key": False,
            "private_key": private_pem(_PAIR),
            "public_key": public_line(_PAIR, "comment"),
        },
        imports=False,
    ),
    Story(
        resource=ROLE,
        note="users",
        needs=mounted("tf-ssh-users", "ssh"),
        first={"backend": "tf-ssh-users", "name": "one", **_USERS},
        second={
            "backend": "tf-ssh-users",
            "name": "one",
            **_USERS,
            "allowed_users": "{{identity.entity.name}}",
            "allowed_users_template": True,
            "allowed_extensions": "permit-pty,permit-user-rc",
            "default_critical_options": {"force-command": "ls"},
            "allow_user_key_ids": True,
            "key_id_format": "x-{{role_name}}",
        },
        drift=wrote("{id}", {**_USERS, "allowed_users": "c"}),
        drifted=("allowed_users",),
    ),
    Story(
        resource=ROLE,
        note="hosts",
        needs=mounted("tf-ssh-hosts", "ssh"),
        first={
            "backend": "tf-ssh-hosts",
            "name": "one",
            "key_type": "ca",
            "allow_host_certificates": True,
            "allowed_domains": "example.com",
            "allow_subdomains": True,
            "algorithm_signer": "rsa-sha2-512",
            "not_before_duration": "60",
        },
    ),
    Story(
        resource=ROLE,
        note="one-time passwords",
        needs=mounted("tf-ssh-otp", "ssh"),
        first={
            "backend": "tf-ssh-otp",
            "name": "one",
            "key_type": "otp",
            "default_user": "a",
            "cidr_list": "10.0.0.0/8",
        },
        second={
            "backend": "tf-ssh-otp",
            "name": "one",
            "key_type": "otp",
            "default_user": "a",
            "allowed_users": "b",
            "cidr_list": "10.0.0.0/8",
            "exclude_cidr_list": ["10.1.0.0/16"],
            "port": 2222,
        },
    ),
)
_KEY = public_line(ed25519_pair("client"))
READINGS: Sequence[Reading] = (
    Reading(
        name="vault_ssh_secret_backend_sign",
        needs=_signing("tf-ssh-sign"),
        config={
            "path": "tf-ssh-sign",
            "name": "one",
            "public_key": _KEY,
            "valid_principals": "b",
            "key_id": "k",
        },
        finds={},
    ),
    Reading(
        name="vault_ssh_secret_backend_sign",
        note="as a host",
        needs=_signing("tf-ssh-host"),
        config={"path": "tf-ssh-host", "name": "one", "public_key": _KEY, "cert_type": "host"},
        finds="400: cert_type 'host' is not allowed by role",
    ),
)

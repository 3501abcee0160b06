# SPDX-License-Identifier: Apache-2.0
"""A caller of secrets with a lease: one-time passwords, which the target asks the server about, so that a test can be the target."""

from __future__ import annotations

from dataclasses import dataclass, replace

from esa_conformance.binding.client import Client
from esa_conformance.binding.replies import Reply

ADDRESS = "192.0.2.1"
"""A machine that nobody has (RFC 5737)."""
_ROLE = {"key_type": "otp", "default_user": "esa", "cidr_list": "192.0.2.0/24"}


@dataclass(frozen=True)
class Leases:
    """Asks as one caller at one mount of one-time passwords, and for leases wherever they are from."""

    client: Client
    mount: str

    def by(self, client: Client) -> Leases:
        """The same mount, asked by another caller."""
        return replace(self, client=client)

    def path(self, role: str) -> str:
        """Where a role's secrets are taken, as policies name it, and what their leases begin with."""
        return f"{self.mount}/creds/{role}"

    def make_role(self, role: str) -> Reply:
        """Have a role made that gives passwords for `ADDRESS`."""
        return self.client.send("POST", f"{self.mount}/roles/{role}", _ROLE)

    def take(self, role: str) -> Reply:
        """Take a secret of a role."""
        return self.client.send("POST", self.path(role), {"ip": ADDRESS})

    def accepts(self, secret: str) -> bool:
        """Whether the target is told that a secret is good; it is good once."""
        return self.client.using(None).send("POST", f"{self.mount}/verify", {"otp": secret}).ok

    def look_up(self, lease: str) -> Reply:
        """Read about a lease."""
        return self.client.send("POST", "sys/leases/lookup", {"lease_id": lease})

    def listed(self, role: str) -> Reply:
        """List the leases of a role."""
        return self.client.send("LIST", f"sys/leases/lookup/{self.path(role)}/")

    def renew(self, lease: str, seconds: int) -> Reply:
        """Ask for more time."""
        return self.client.send("POST", "sys/leases/renew", {"lease_id": lease, "increment": seconds})

    def revoke(self, lease: str) -> Reply:
        """End a lease, and be answered when it has ended."""
        return self.client.send("POST", "sys/leases/revoke", {"lease_id": lease, "sync": True})

    def revoke_below(self, prefix: str) -> Reply:
        """End all leases below a path, and be answered when they have ended."""
        return self.client.send("POST", f"sys/leases/revoke-prefix/{prefix}", {"sync": True})

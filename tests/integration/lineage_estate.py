# SPDX-License-Identifier: EUPL-1.2
"""Workloads whose tokens were narrowed hop by hop and presented, as security teams look at them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import hvac
import requests
from biscuit_auth import Biscuit, BlockBuilder, PublicKey
from requests.adapters import HTTPAdapter

TEAMS: Final = {
    "billing": "team-billing",
    "checkout": "team-shop",
    "invoice-mailer": "team-billing",
    "nightly-export": "data@example.org",
}
_REGIONS: Final = ("eu", "us", "jp")


def _hop(depth: int, folder: str, number: int) -> tuple[str, dict[str, Any]]:
    """What holders at some depth take away, as Datalog with parameters; each something that was there before.

    `folder` is what the token that they narrow is good for, or for no more than that.
    """
    if number % 41 == 40:
        return "check if true;", {}
    if depth == 0:
        return "check if resource($r), $r.starts_with({below});", {"below": folder}
    if depth == 1:
        operations = {"read", "list"} if number % 2 else {"read"}
        return "check if operation($o), {operations}.contains($o);", {"operations": operations}
    if depth == 2:
        return "check if resource($r), $r == {path};", {"path": f"{folder}customer-{number}"}
    if depth == 3:
        end = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5 + number % 30)
        return "check if time($t), $t < {end};", {"end": end}
    return "check if client_nets($n), $n.contains({net});", {"net": "127.0.0.0/8"}


class Estate:
    """An engine `nhi` at `mount`, with a key, and workloads that get tokens by `issue`."""

    def __init__(self, root: hvac.Client, mount: str = "nhi") -> None:
        self.root, self.mount = root, mount
        root.sys.enable_secrets_engine("nhi", path=mount)
        root.write(f"{mount}/keys", algorithm="ed25519")
        (key,) = root.adapter.get(f"/v1/{mount}/public-keys")["data"]["keys"]
        self.key = PublicKey(f"{key['algorithm']}/{key['key_bytes']}")

    def add(self, name: str, owner: str, description: str = "", **registration: Any) -> None:
        """Make a workload with a registration of the same name, whose policy lets it read its secrets, and look itself up."""
        policy = (
            f'path "secret/data/{name}/*" {{ capabilities = ["read", "list"] }}'
            'path "auth/token/lookup-self" { capabilities = ["read"] }'
        )
        self.root.sys.create_or_update_policy(f"{name}-ro", policy)
        self.root.write(f"{self.mount}/workloads/{name}", owner=owner, ttl="90d", description=description)
        self.root.write(
            f"{self.mount}/registrations/{name}", workload=name, policies=f"{name}-ro", **registration
        )

    def issue(self, name: str) -> str:
        """Return a new token of a registration."""
        return str(self.root.write(f"{self.mount}/issue/{name}")["auth"]["client_token"])

    def narrowed(self, token: str, *sources: str, **terms: Any) -> str:
        """Return a token with further blocks, made by the library of Datalog with these parameters."""
        held = Biscuit.from_base64(token, self.key)
        for source in sources:
            held = held.append(BlockBuilder(source, terms))
        return str(held.to_base64())

    def present(self, *tokens: str, source: str = "127.0.0.1") -> None:
        """Ask something of the server with each token, from an address; what it answers does not matter."""
        for token in tokens:
            with requests.Session() as session:
                for scheme in ("http://", "https://"):
                    session.mount(scheme, _From(source))
                session.verify = self.root.adapter._kwargs["verify"]
                client = hvac.Client(url=self.root.url, token=token, session=session)
                client.adapter.get("/v1/auth/token/lookup-self", raise_exception=False)

    def odd(self, name: str) -> str:
        """Have something go wrong with credentials of a registration, in each way; return the one that was used after its end.

        The registration must have a `max_depth` of four at most.
        """
        copied, forged, dull, long = (self.issue(name) for _ in range(4))
        self.present(copied)
        self.present(copied, source="127.0.0.2")
        self.present(self.narrowed(forged, f'workload("{name}-admin");'))
        self.present(self.narrowed(dull, "check if true;"))
        self.present(self.narrowed(long, *['check if operation("read");', 'check if method("GET");'] * 2))
        far = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
        self.present(self.narrowed(self.issue(name), "check if time($t), $t < {far};", far=far))
        kept = self.narrowed(copied, 'check if operation("read");')
        self.present(kept)
        identity = self.token_id(copied)
        block = self.root.read(f"{self.mount}/credentials/{identity}")["data"]["nodes"][1]["id"]
        self.root.write(f"{self.mount}/revoke", id=block, reason="lost laptop")
        self.present(kept, source="127.0.0.2")
        return identity

    def token_id(self, token: str) -> str:
        """Return the id of the credential that a token is of."""
        answer = self.root.write(f"{self.mount}/introspect", token=token)
        return str(answer["data"]["token_id"])

    def grow(self, name: str, shape: Sequence[int]) -> str:
        """Issue a token, have it attenuated by holders who hand it on, and return its id.

        `shape` says how many others are made at each hop, evenly of the tokens of the hop before.
        """
        first = self.issue(name)
        layer, number = [(first, "")], 0
        self.present(first)
        for depth, size in enumerate(shape):
            grown = []
            for place in range(size):
                number += 1
                token, folder = layer[place * len(layer) // size]
                folder = folder or f"secret/data/{name}/{_REGIONS[number % len(_REGIONS)]}/"
                source, terms = _hop(depth, folder, number)
                grown.append((self.narrowed(token, source, **terms), folder))
            self.present(*(token for token, _ in grown))
            layer = grown
        return self.token_id(first)


class _From(HTTPAdapter):
    """Connections that come from an address of this machine."""

    def __init__(self, source: str) -> None:
        self._source = source
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more, source_address=(self._source, 0))

# SPDX-License-Identifier: EUPL-1.2
"""Two tenants with the same furniture, a third with none, and what may never pass between them."""

import base64
import json
import re
import string
from collections.abc import Mapping
from typing import Any

from tests.calls import call_for_account
from tests.routes.driver import Answer, Application, Target
from tests.unit.engines.driver import who
from tests.unit.lease.bench import OtherSystem
from vault.barrier.view import core_prefix
from vault.engines.system.mounts.rules import LOCKABLE
from vault.namespace.ids import LENGTH
from vault.values.ids import NO_TOKEN_KEY, NamespaceId
from vault.values.times import Seconds

EVERYTHING = (
    'path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "scan", "sudo"] }'
)
MARK = "theirs-alone"
"""Occurs in everything that the other tenant keeps, and in no answer to anybody else."""
_SPELLED = ": the token is not spelled as base64 is written"
"""Told of a text that is no Biscuit: it is in the text alone."""
_LONGEST_ID = 120
"""Letters of the longest id but those of tokens."""
MINE, THEIRS, BLANK = "mine/", "theirs/", "blank/"


class Tenants(Application):
    """The application with namespaces `mine` and `theirs`, which hold the same things, and `blank`, with nothing.

    Every kind of mount is in each of them: only what is in the mounts is different.
    """

    def __init__(self) -> None:
        super().__init__(bare=True)
        self.ids: dict[str, dict[str, str]] = {}
        self._made = 0
        for vault in self.vaults:
            vault.leases.endings.serve("fake", OtherSystem())
        for path in (MINE, THEIRS, BLANK):
            made = self.root("POST", f"sys/namespaces/{path.rstrip('/')}", {"custom_metadata": {"of": path}})
            self.ids[path] = {"namespace": made["data"]["id"], "uuid": made["data"]["uuid"]}
        for path in (MINE, THEIRS):
            self._furnish(path)
        self._mount_all(BLANK, "")

    def another(self) -> str:
        """Make a tenant with mounts and a policy, for a test that changes its own namespace; return its path."""
        self._made += 1
        path = f"another{self._made}/"
        self.root("POST", f"sys/namespaces/{path.rstrip('/')}", {})
        self.root("POST", f"{path}sys/mounts/secret", {"type": "kv-v2"})
        self.root("POST", f"{path}sys/mounts/plain", {"type": "kv"})
        self.root("POST", f"{path}sys/policies/acl/x", {"policy": EVERYTHING})
        self._mount_all(path, "")
        return path

    def _mount_all(self, path: str, mark: str) -> None:
        for table, kind in self.mountable():
            self.root("POST", f"{path}sys/{table}/{kind}", {"type": kind, "description": mark})
            if kind in LOCKABLE:  # so that asking often is answered as asking once
                never = {"user_lockout_config": {"lockout_disable": True}}
                self.root("POST", f"{path}sys/mounts/auth/{kind}/tune", never)

    def _furnish(self, path: str) -> None:
        mark = MARK if path == THEIRS else "mine-too"
        self.root("POST", f"{path}sys/namespaces/x", {"custom_metadata": {"of": mark}})
        self.root("POST", f"{path}sys/mounts/secret", {"type": "kv-v2", "description": mark})
        self.root("POST", f"{path}sys/mounts/plain", {"type": "kv", "description": mark})
        self.root("POST", f"{path}sys/policies/acl/x", {"policy": f"# {mark}\n{EVERYTHING}"})
        self.root("POST", f"{path}secret/data/x", {"data": {"a": mark}})
        self.root("POST", f"{path}plain/x", {"a": mark})
        token = self.new_token(path, mark)
        self.ids[path] |= {"token": token["client_token"], "accessor": token["accessor"]}
        self.request("POST", f"/v1/{path}cubbyhole/x", {"a": mark}, token=token["client_token"])
        wrapped = self.request(
            "GET", f"/v1/{path}plain/x", token=token["client_token"], headers={"x-vault-wrap-ttl": "3600"}
        ).json()["wrap_info"]
        self.ids[path] |= {"wrapping": wrapped["token"], "wrapping-accessor": wrapped["accessor"]}
        self._mount_all(path, mark)
        self._furnish_logins(path, mark)
        self._people(path, mark)
        self._biscuit(path, mark)
        self.root("POST", f"{path}sys/mounts/before", {"type": "kv"})
        moved = self.root("POST", f"{path}sys/remount", {"from": "before", "to": "after"})
        self.ids[path]["migration"] = moved["data"]["migration_id"]
        self.ids[path]["lease"] = self.run(self._issue(path))
        mounts = self.root("GET", f"{path}sys/mounts")["data"]
        self.ids[path] |= {"mount": mounts["plain/"]["accessor"], "mount-uuid": mounts["plain/"]["uuid"]}

    def _furnish_logins(self, path: str, mark: str) -> None:
        role = f"{path}auth/approle/role/x"
        self.root("POST", role, {"token_policies": ["x"]})
        made = self.root("POST", f"{role}/secret-id", {"metadata": json.dumps({"of": mark})})["data"]
        self.ids[path] |= {
            "role-id": self.root("GET", f"{role}/role-id")["data"]["role_id"],
            "secret-id": made["secret_id"],
            "secret-id-accessor": made["secret_id_accessor"],
        }
        user = {"password": "x", "token_policies": ["x"]}
        self.root("POST", f"{path}auth/userpass/users/x", user)
        batch = {"type": "batch", "policies": ["x"], "ttl": "1h"}
        self.ids[path]["batch"] = self.root("POST", f"{path}auth/token/create-orphan", batch)["auth"][
            "client_token"
        ]
        mounts = self.root("GET", f"{path}sys/auth")["data"]
        self.ids[path]["auth-mount"] = mounts["approle/"]["accessor"]

    def _biscuit(self, path: str, mark: str) -> None:
        """A token of a mount beside the one that is asked, so that what this publishes is the same everywhere."""
        issuer = f"{path}issuer"
        self.root("POST", f"{path}sys/mounts/issuer", {"type": "nhi"})
        self.root("POST", f"{issuer}/keys", {})
        self.root("POST", f"{issuer}/workloads/x", {"owner": mark, "ttl": "30d"})
        self.root("POST", f"{issuer}/registrations/x", {"workload": "x", "policies": "x"})
        token = self.root("POST", f"{issuer}/issue/x", {})["auth"]["client_token"]
        assert self.request("GET", f"/v1/{path}plain/x", token=token).status == 200
        shown = self.root("POST", f"{issuer}/introspect", {"token": token})["data"]
        self.ids[path] |= {
            "biscuit": token,
            "biscuit-token": shown["token_id"],
            "biscuit-block": shown["blocks"][0]["id"],
        }

    async def _issue(self, path: str) -> str:
        """Make a lease, as an engine in this namespace does; return its identifier."""
        vault, identifier = self.vault, NamespaceId(self.ids[path]["namespace"])
        namespace = vault.mounts.namespaces.live(identifier)
        assert namespace is not None
        call = call_for_account(vault.ground.clock.millis(), namespace=namespace)
        call.identity = who("somebody")
        call.identity.key = NO_TOKEN_KEY
        lease = vault.leases.store.new(call, ttl=Seconds(3600), longest=Seconds(7200), detail=MARK.encode())
        async with vault.ground.barrier.write(identifier, core_prefix(identifier)) as core:
            await vault.leases.store.issue(core, lease)
        return lease.id

    def _people(self, path: str, mark: str) -> None:
        """Make an entity with an alias, and an external group with one."""
        accessor = self.root("GET", f"{path}sys/auth")["data"]["token/"]["accessor"]
        alias = {"name": mark, "mount_accessor": accessor}
        entity = self.root("POST", f"{path}identity/entity-alias", alias)["data"]
        named = {"name": "x", "metadata": {"of": mark}}
        self.root("POST", f"{path}identity/entity/id/{entity['canonical_id']}", named)
        group = self.root("POST", f"{path}identity/group-alias", alias)["data"]
        self.ids[path] |= {
            "entity": entity["canonical_id"],
            "entity-alias": entity["id"],
            "group": group["canonical_id"],
            "group-alias": group["id"],
        }
        self._second_factor(path)

    def _second_factor(self, path: str) -> None:
        """Let a login wait for its second factor."""
        self.root("POST", f"{path}auth/userpass/users/y", {"password": "y"})
        body = {"password": "y"}
        entity = self.root("POST", f"{path}auth/userpass/login/y", body)["auth"]["entity_id"]
        method = self.root("POST", f"{path}identity/mfa/method/totp", {"issuer": "x"})["data"]["method_id"]
        rule = {"mfa_method_ids": [method], "identity_entity_ids": [entity]}
        self.root("POST", f"{path}identity/mfa/login-enforcement/x", rule)
        waits = self.root("POST", f"{path}auth/userpass/login/y", body)["auth"]["mfa_requirement"]
        self.ids[path] |= {"mfa-method": method, "mfa-request": waits["mfa_request_id"]}

    def root(self, method: str, path: str, body: object = None) -> Any:
        """Ask as root; the answer's JSON, if there is any."""
        answer = self.request(method, f"/v1/{path}", body, token="root")
        assert answer.status < 300, (path, answer.body)
        return answer.json() if answer.body else None

    def new_token(self, path: str, name: str = "x", *, policies: tuple[str, ...] = ("x",)) -> Any:
        """Make a token in a namespace."""
        body = {"policies": list(policies), "display_name": name, "no_default_policy": True}
        return self.root("POST", f"{path}auth/token/create-orphan", body)["auth"]

    def kept(self, path: str) -> Mapping[str, bytes]:
        """Everything that is stored for a namespace, but for what the timers of the background may touch."""
        prefix = f"ns/{self.ids[path]['namespace']}/"

        async def read() -> dict[str, bytes]:
            reader = self.storage.reader()
            found = {}
            for name in await reader.scan(prefix):
                value = await reader.get(prefix + name)
                assert value is not None
                found[name] = value
            return found

        return self.run(read())  # type: ignore[no-any-return]  # what `read` returns

    def call(
        self,
        target: Target,
        namespace: str,
        token: str,
        body: object = None,
        *,
        query: str = "",
        captures: Mapping[str, str] = {},
    ) -> Answer:
        """Ask for a route in a namespace, by path."""
        place = target.path(**captures).removeprefix("/v1/")
        sent = body if body is not None or not target.bodied else {}
        return self.request(target.method, f"/v1/{namespace}{place}{query}", sent, token=token)

    def call_by_header(self, target: Target, path: str, token: str, **captures: str) -> Answer:
        """Ask for a route in a namespace, by header."""
        headers = {"x-vault-namespace": path}
        return self.request(
            target.method,
            target.path(**captures),
            {} if target.bodied else None,
            token=token,
            headers=headers,
        )


def told(answer: Answer) -> tuple[int, object]:
    """What an answer says: all of it, but for the request's id."""
    try:
        body = json.loads(answer.body)
    except ValueError:
        return answer.status, answer.body
    if isinstance(body, dict):
        body.pop("request_id", None)
    return answer.status, body


_SHORTEST = 32
"""Characters of a name that is cut, with what stands before it, at the least."""


def refusal(answer: Answer, *secrets: str) -> tuple[int, object]:
    """What an answer says of something that it was asked about by `secrets`, whatever these are."""
    if answer.status < 400:
        return answer.status, None
    text = _REQUEST.sub("", answer.body.decode()).replace(_SPELLED, "")
    for secret in secrets:
        for spelled in (secret, secret.casefold()):
            text = text.replace(spelled, "<it>")
            if "…" in text:  # a message repeats the beginning of what is long
                for length in range(len(spelled) - 1, _SHORTEST, -1):
                    text = text.replace(f"{spelled[:length]}…", "<it>")
    return answer.status, text


def made_up(identifier: str) -> str:
    """Return an id of the same shape, of the same namespace, which belongs to nothing.

    The few random letters of a namespace's may be a number or a duration, as 12345d is: then that is one as well.
    """
    if len(identifier) > _LONGEST_ID and identifier[1] != ".":
        # A Biscuit, whose proof at the end is replaced, but for its last letters: a word may not end in every one.
        raw = bytearray(base64.urlsafe_b64decode(identifier + "=="))
        raw[-8] ^= 1
        return base64.urlsafe_b64encode(raw).decode()[: len(identifier)]
    kind, dot, rest = (
        identifier.partition(".") if identifier.startswith(("s.", "b.")) else ("", "", identifier)
    )
    own, end, namespace = rest.partition(".")
    made = own.translate(_OF_ANY if len(own) > LENGTH else _OF_NO_NUMBER)
    if made == own:  # an id may have none of them
        place = max(map(own.rfind, string.digits))
        other = str((int(own[place]) + 1) % 10) if place >= 0 else "h" if own.endswith("g") else "g"
        made = own[:place] + other + own[place:][1:]
    return kind + dot + made + end + namespace


_REQUEST = re.compile(r'"request_id":"[0-9a-f-]+"')
_OF_NO_NUMBER = str.maketrans("abcf", "bcfa")
_OF_ANY = str.maketrans("abcdef0123456789", "bcdefa1234567890")
"""What each letter becomes."""

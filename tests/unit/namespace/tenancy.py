# SPDX-License-Identifier: EUPL-1.2
"""The whole application with namespaces that have keys of their own, and with storage that can fail."""

from collections.abc import Sequence
from typing import Any

from tests.routes.driver import Answer, Application
from vault.barrier.view import core_prefix
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import StorageFailure
from vault.values.ids import NamespaceId

NS = "sys/namespaces"
SEALED = (503, "namespace is sealed")
TWO = 'seal "shamir" { shares = 3 threshold = 2 }'
ONE = 'seal "shamir" { shares = 1 threshold = 1 }'


class Tenancy(Application):
    """The application, with storage that can be made to fail at a statement."""

    def __init__(self) -> None:
        self.fails_at: int | None = None
        self.statements = 0
        self.memory = MemoryStorage(on_statement=self._statement)
        super().__init__(self.memory)
        self.shares: dict[str, Sequence[str]] = {}

    def _statement(self, name: str) -> None:
        self.statements += 1
        if self.fails_at is not None:
            self.fails_at -= 1
            if self.fails_at < 0:
                raise StorageFailure("the disk is full")

    def do(self, method: str, path: str, body: object = None, *, token: str = "root") -> Any:
        answer = self.request(method, f"/v1/{path}", body, token=token)
        assert answer.status < 300, (path, answer.body)
        return answer.json() if answer.body else None

    def status_of(
        self, method: str, path: str, body: object = None, *, token: str = "root"
    ) -> tuple[int, str]:
        return said(self.request(method, f"/v1/{path}", body, token=token))

    def make(self, path: str, seal: str = ONE) -> Any:
        """Make a sealable namespace, sealed."""
        outer, _, name = path.rpartition("/")
        made = self.do("POST", f"{outer}/{NS}/{name}" if outer else f"{NS}/{name}", {"seal": seal})["data"]
        self.shares[path] = made["key_shares"]
        return made

    def open(self, path: str) -> None:
        """Unseal a namespace with as many of its shares as it takes."""
        for share in self.shares[path]:
            if not self.unseal(path, {"key": share})["sealed"]:
                return
        raise AssertionError

    def unseal(self, path: str, body: object) -> Any:
        outer, _, name = path.rpartition("/")
        place = f"{outer}/{NS}/{name}" if outer else f"{NS}/{name}"
        return self.do("PUT", f"{place}/unseal", body)["data"]

    def furnished(self, path: str, seal: str = ONE) -> str:
        """Make and open a namespace that holds something; return its id."""
        made = self.make(path, seal)
        self.open(path)
        self.do("POST", f"{path}/sys/mounts/kv", {"type": "kv"})
        self.do("POST", f"{path}/kv/x", {"of": path})
        identifier: str = made["id"]
        return identifier

    def kept(self, namespace_id: str) -> dict[str, bytes]:
        """Everything that lies in storage for a namespace."""

        async def read() -> dict[str, bytes]:
            reader, prefix = self.memory.reader(), core_prefix(NamespaceId(namespace_id))
            found = {}
            for name in await reader.scan(prefix):
                value = await reader.get(prefix + name)
                assert value is not None
                found[prefix + name] = value
            return found

        return self.run(read())  # type: ignore[no-any-return]  # what `read` returns


def said(answer: Answer) -> tuple[int, str]:
    return answer.status, (answer.json()["errors"] or [""])[0] if answer.body and answer.status >= 400 else ""

# SPDX-License-Identifier: EUPL-1.2
"""Mounts and namespaces with more in them than one transaction removes: they are gone with the answer, and the rest follows."""

from typing import Any

from tests.routes.driver import Application

_MANY = 10_000


class _House(Application):
    """The application, with mounts that hold much."""

    def fill(self, place: str, count: int = _MANY) -> None:
        """Store below a prefix what nobody reads."""

        async def put() -> None:
            async with self.storage.write() as tx:
                for number in range(count):
                    await tx.put(f"{place}metadata/{number:05}", b"x")

        self.run(put())

    def left(self, place: str) -> list[str]:
        """What is stored below a prefix."""

        async def scan() -> list[str]:
            return [*await self.storage.reader().scan(place)]

        found: list[str] = self.run(scan())
        return found

    def do(self, method: str, path: str, body: object = None) -> Any:
        answer = self.request(method, f"/v1/{path}", body, token="root")
        assert answer.status < 300, answer.body
        return answer.json() if answer.body else None

    def place_of(self, mount: str) -> str:
        """Where a mount's data lies."""
        return f"ns/root/mnt/{self.do('GET', f'sys/mounts/{mount}')['uuid']}/"

    def restarted(self) -> "_House":
        """Another process on what is stored at this moment, as after a kill, or from a backup."""
        return _House(like=self)


def test_a_large_mount_is_gone_with_the_answer_and_its_rows_follow_also_after_a_restart() -> None:
    with _House() as house:
        house.do("POST", "sys/mounts/big", {"type": "kv", "options": {"version": "2"}})
        house.do("POST", "big/data/mine", {"data": {"of": "before"}})
        house.do("POST", "secret/data/other", {"data": {"of": "others"}})
        before = house.place_of("big")
        house.fill(before)
        house.do("DELETE", "sys/mounts/big")
        assert house.request("GET", "/v1/big/data/mine", token="root").status == 404
        house.do("POST", "sys/mounts/big", {"type": "kv", "options": {"version": "2"}})
        assert house.request("GET", "/v1/big/data/mine", token="root").status == 404
        assert house.request("LIST", "/v1/big/metadata", token="root").status == 404
        house.do("POST", "big/data/mine", {"data": {"of": "after"}})
        assert house.left(before) and house.place_of("big") != before
        with house.restarted() as again:
            again.settle()
            assert not again.left(before)
            assert again.do("GET", "big/data/mine")["data"]["data"] == {"of": "after"}
            assert again.do("GET", "secret/data/other")["data"]["data"] == {"of": "others"}


def test_a_large_namespace_answers_nothing_and_its_path_is_free_once_its_rows_are_gone() -> None:
    with _House() as house:
        place = f"ns/{house.do('POST', 'sys/namespaces/team')['data']['id']}/"
        house.do("POST", "team/sys/mounts/kv", {"type": "kv"})
        house.do("POST", "team/kv/mine", {"of": "before"})
        house.fill(place)
        house.do("DELETE", "sys/namespaces/team")
        assert house.request("GET", "/v1/team/kv/mine", token="root").status == 404
        house.settle()
        assert not house.left(place)
        assert house.do("POST", "sys/namespaces/team")["data"]["id"] not in place


def test_a_token_with_many_entries_in_its_cubbyhole_can_be_revoked() -> None:
    with _House() as house:
        token = house.token('path "cubbyhole/*" { capabilities = ["create", "update", "read"] }')
        hole = house.place_of("cubbyhole")
        before = {*house.left(hole)}
        assert house.request("POST", "/v1/cubbyhole/mine", {"a": "b"}, token=token).status == 204
        (mine,) = {*house.left(hole)} - before
        own = hole + mine.removesuffix("mine")
        house.fill(own, 3000)
        house.do("POST", "auth/token/revoke", {"token": token})
        assert house.request("GET", "/v1/cubbyhole/mine", token=token).status == 403
        house.settle()
        assert not house.left(own)

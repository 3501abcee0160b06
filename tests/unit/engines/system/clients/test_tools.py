# SPDX-License-Identifier: EUPL-1.2
"""Random bytes and hashes; expected hashes are Python's own, expected refusals OpenBao's as measured."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from tests.unit.engines.system.house import House, play
from vault.engines.system.clients.tools import ToolEngine
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Client, Pool

T = TypeVar("T")

HELLO = base64.b64encode(b"hello").decode()
REPLACED = (
    "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{}]"
)


class Counting(Entropy):
    """Bytes that count up."""

    def bytes(self, count: int) -> bytes:
        return bytes(index % 256 for index in range(count))


class Counted(Pool):
    """A pool that counts what it is given."""

    runs = 0

    async def run(self, client: Client, work: Callable[[], T], *, owed: bool = False) -> T:
        self.runs += 1
        return await super().run(client, work, owed=owed)


async def _house(pool: Pool | None = None) -> House:
    house = House()
    return await house.open(ToolEngine(Counting(), pool or Pool()))


def test_sl_70_what_is_long_is_hashed_off_the_loop() -> None:
    async def scenario() -> None:
        pool = Counted()
        house = await _house(pool)
        assert (await house("POST", "sys/tools/hash", {"input": HELLO})).status == 200
        assert pool.runs == 0
        data = b"a" * (1 << 19)
        answer = await house("POST", "sys/tools/hash", {"input": base64.b64encode(data).decode()})
        assert answer.data == {"sum": hashlib.sha256(data).hexdigest()}
        answer = await house("POST", "sys/tools/hash/sha3-512", {"input": "A" * (1 << 19) + "*"})
        assert answer.status == 400
        assert pool.runs == 2

    play(scenario)


@pytest.mark.parametrize("name", ["224", "256", "384", "512"])
@pytest.mark.parametrize("family", ["sha2", "sha3"])
def test_every_algorithm_hashes_as_the_standard_says(family: str, name: str) -> None:
    async def scenario() -> None:
        house = await _house()
        expected = hashlib.new(f"sha{name}" if family == "sha2" else f"sha3_{name}", b"hello")
        answer = await house("POST", f"sys/tools/hash/{family}-{name}", {"input": HELLO})
        assert answer.data == {"sum": expected.hexdigest()}
        answer = await house(
            "POST",
            "sys/tools/hash",
            {"input": HELLO, "algorithm": f"{family}-{name}", "format": "base64"},
        )
        assert base64.b64decode(answer.data["sum"]) == expected.digest()

    play(scenario)


def test_the_path_s_algorithm_wins_and_sha2_256_is_the_default() -> None:
    async def scenario() -> None:
        house = await _house()
        answer = await house("POST", "sys/tools/hash/sha2-224", {"input": HELLO, "algorithm": "sha2-512"})
        assert answer.data["sum"] == hashlib.sha224(b"hello").hexdigest()
        answer = await house("POST", "sys/tools/hash", {})
        assert answer.data["sum"] == hashlib.sha256(b"").hexdigest()

    play(scenario)


@pytest.mark.parametrize(
    ("path", "body", "length"),
    [
        ("random", None, 32),
        ("random", {"bytes": 7}, 7),
        ("random/16", {"bytes": 3}, 16),
        ("random/platform", {"bytes": 4}, 4),
        ("random/platform/9", None, 9),
        ("random/all/9", None, 9),
        ("random", {"bytes": 131072}, 131072),
    ],
)
def test_random_bytes_come_in_the_number_asked_for(path: str, body: Any, length: int) -> None:
    async def scenario() -> None:
        house = await _house()
        answer = await house("PUT", f"sys/tools/{path}", body)
        assert base64.b64decode(answer.data["random_bytes"]) == Counting().bytes(length)
        assert answer.body["warnings"] is None
        answer = await house("POST", f"sys/tools/{path}", {**(body or {}), "format": "hex"})
        assert answer.data["random_bytes"] == Counting().bytes(length).hex()

    play(scenario)


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("random/abc", {}, 'error parsing url-set byte count: strconv.Atoi: invalid syntax'),
        ("random/a/b/c", {}, 'error parsing url-set byte count: strconv.Atoi: invalid syntax'),
        ("random/bogus/9", {}, 'unsupported entropy source; must be "platform" or "seal", or "all"'),
        ("random/0", {}, "'bytes' cannot be less than 1"),
        ("random", {"bytes": -1}, "'bytes' cannot be less than 1"),
        ("random", {"bytes": 131073}, "'bytes' should be less than 131072"),
        ("random", {"format": "bogus"}, 'unsupported encoding format; must be "hex" or "base64"'),
        ("random", {"format": "s.secret!"}, 'unsupported encoding format; must be "hex" or "base64"'),
        ("hash", {"format": "bogus"}, 'unsupported encoding format; must be "hex" or "base64"'),
        ("hash/md5", {}, "unsupported algorithm; must be one of sha2-224, sha2-256, sha2-384, sha2-512, sha3-224, sha3-256, sha3-384, sha3-512"),
        ("hash/SHA2-256", {}, "unsupported algorithm; must be one of sha2-224, sha2-256, sha2-384, sha2-512, sha3-224, sha3-256, sha3-384, sha3-512"),
        ("hash", {"input": "not base64!"}, "unable to decode input as base64: illegal base64 data at input byte 3"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_the_words_of_the_field(path: str, body: object, error: str) -> None:
    async def scenario() -> None:
        house = await _house()
        answer = await house("POST", f"sys/tools/{path}", body)
        assert (answer.status, answer.error) == (400, error)

    play(scenario)


def test_what_only_the_path_can_say_is_ignored_with_a_warning() -> None:
    async def scenario() -> None:
        house = await _house()
        answer = await house("POST", "sys/tools/random", {"source": "bogus", "urlbytes": 3, "x": 1})
        assert sorted(answer.body["warnings"]) == [
            "Endpoint ignored these unrecognized parameters: [x]",
            REPLACED.format("source urlbytes"),
        ]
        answer = await house("POST", "sys/tools/hash", {"urlalgorithm": "x"})
        assert answer.body["warnings"] == [REPLACED.format("urlalgorithm")]
        answer = await house("POST", "sys/tools/random/seal/9", {})
        assert answer.body["warnings"] == [
            "no seal/entropy augmentation available, using platform entropy source"
        ]

    play(scenario)

# SPDX-License-Identifier: EUPL-1.2
"""`sys/tools`: random bytes and hashes, for clients without sources of their own."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Annotated, Final

import msgspec

from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool, client_of
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc
from vault.framework.reply import Reply
from vault.framework.route import Params, write
from vault.seal.shares.encoding import NotBase64, from_base64

MAX_BYTES: Final = 131_072
"""Random bytes in one answer."""
_AT_ONCE: Final = 65_536
"""Characters of input that are hashed on the event loop; more takes more than a millisecond."""
_SOURCES: Final = frozenset({"", "platform", "seal", "all"})
_ALGORITHMS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "sha2-224": lambda data: hashlib.sha224(data).digest(),
    "sha2-256": lambda data: hashlib.sha256(data).digest(),
    "sha2-384": lambda data: hashlib.sha384(data).digest(),
    "sha2-512": lambda data: hashlib.sha512(data).digest(),
    "sha3-224": lambda data: hashlib.sha3_224(data).digest(),
    "sha3-256": lambda data: hashlib.sha3_256(data).digest(),
    "sha3-384": lambda data: hashlib.sha3_384(data).digest(),
    "sha3-512": lambda data: hashlib.sha3_512(data).digest(),
}
_COUNT = re.compile(r"[+-]?[0-9]+")
_SEAL_WARNING: Final = "no seal/entropy augmentation available, using platform entropy source"
_REPLACED: Final = (
    "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{}]"
)


class RandomParams(Params, frozen=True):
    """The number of random bytes, and their encoding."""

    bytes: Annotated[int, Doc("Number of bytes, 1 to 131072.", clear=True)] = 32
    format: Annotated[str, Doc("`base64` or `hex`.", clear=True)] = "base64"
    source: Annotated[str | None, Doc("Only in the path: `platform`, `seal` or `all`.", clear=True)] = None
    urlbytes: Annotated[str | None, Doc("Only in the path: the number of bytes.", clear=True)] = None


class RandomPathParams(RandomParams, frozen=True, kw_only=True):
    """As `RandomParams`, with the rest of the path: a source, a number of bytes, or both."""

    choice: Annotated[str, Doc("A source, a number of bytes, or `source/bytes`.")]


class HashParams(Params, frozen=True):
    """What to hash, and how."""

    algorithm: Annotated[str, Doc("`sha2-` or `sha3-` with 224, 256, 384 or 512.", clear=True)] = "sha2-256"
    input: Annotated[str, Doc("The data, base64 encoded.")] = ""
    format: Annotated[str, Doc("`hex` or `base64`.", clear=True)] = "hex"
    urlalgorithm: Annotated[str | None, Doc("Only in the path: the algorithm.", clear=True)] = None


class HashPathParams(HashParams, frozen=True, kw_only=True):
    """As `HashParams`, with the algorithm in the path."""

    chosen: Annotated[str, Doc("The algorithm; it wins over the one in the body.")]


class RandomBytes(msgspec.Struct, frozen=True):
    """Random bytes, encoded."""

    random_bytes: str


class Sum(msgspec.Struct, frozen=True):
    """A hash, encoded."""

    sum: str


class ToolEngine(Engine):
    """Random bytes and hashes."""

    def __init__(self, entropy: Entropy, pool: Pool) -> None:
        """`pool` hashes long input."""
        self._entropy = entropy
        self._pool = pool

    @write("tools/random", writes=False, event="sys.random")
    async def random(self, call: Call, params: RandomParams) -> Reply[RandomBytes]:
        """Make random bytes."""
        return self._random(call, params, "", params.bytes)

    @write("tools/random/{choice:path}", writes=False, event="sys.random")
    async def random_chosen(self, call: Call, params: RandomPathParams) -> Reply[RandomBytes]:
        """Make random bytes from a source, or of a number, that the path says."""
        source, slash, count = params.choice.partition("/")
        if source not in _SOURCES and not slash:
            source, count = "", source
        return self._random(call, params, source, _count(count) if count else params.bytes)

    @write("tools/hash", writes=False, event="sys.hash")
    async def hash(self, call: Call, params: HashParams) -> Reply[Sum]:
        """Hash data."""
        return await self._hash(call, params, params.algorithm)

    @write("tools/hash/{chosen:path}", writes=False, event="sys.hash")
    async def hash_chosen(self, call: Call, params: HashPathParams) -> Reply[Sum]:
        """Hash data with the algorithm that the path says."""
        return await self._hash(call, params, params.chosen)

    async def _hash(self, call: Call, params: HashParams, algorithm: str) -> Reply[Sum]:
        if len(params.input) <= _AT_ONCE:
            made = _hashed(params, algorithm)
        else:
            made = await self._pool.run(client_of(call), lambda: _hashed(params, algorithm))
        _warn_of_replaced(call, urlalgorithm=params.urlalgorithm)
        return Reply(Sum(made))

    def _random(self, call: Call, params: RandomParams, source: str, count: int) -> Reply[RandomBytes]:
        if count < 1:
            raise Malformed("'bytes' cannot be less than 1")
        if count > MAX_BYTES:
            raise Malformed("'bytes' should be less than 131072")
        if params.format not in {"hex", "base64"}:
            raise Malformed('unsupported encoding format; must be "hex" or "base64"')
        if source not in _SOURCES:
            raise Malformed('unsupported entropy source; must be "platform" or "seal", or "all"')
        reply = Reply(RandomBytes(_encoded(self._entropy.bytes(count), params.format)))
        if source == "seal":
            reply.warnings.append(_SEAL_WARNING)
        _warn_of_replaced(call, source=params.source, urlbytes=params.urlbytes)
        return reply


def _hashed(params: HashParams, algorithm: str) -> str:
    """Return the hash of the input in the requested form. Raises `Malformed`."""
    try:
        data = from_base64(params.input)
    except NotBase64 as error:
        raise Malformed(f"unable to decode input as base64: {error}") from None
    if params.format not in {"hex", "base64"}:
        raise Malformed('unsupported encoding format; must be "hex" or "base64"')
    function = _ALGORITHMS.get(algorithm)
    if function is None:
        raise Malformed(f"unsupported algorithm; must be one of {', '.join(_ALGORITHMS)}")
    return _encoded(function(data), params.format)


def _encoded(data: bytes, form: str) -> str:
    return data.hex() if form == "hex" else base64.b64encode(data).decode()


def _count(text: str) -> int:
    """Return the number of bytes in a path. Raises `Malformed`."""
    if not _COUNT.fullmatch(text):
        raise Malformed("error parsing url-set byte count: strconv.Atoi: invalid syntax")
    if len(text) > 18:
        raise Malformed("error parsing url-set byte count: strconv.Atoi: value out of range")
    return int(text)


def _warn_of_replaced(call: Call, **given: str | None) -> None:
    """Warn of fields that are ignored, since only the path can set them."""
    names = sorted(name for name, value in given.items() if value is not None)
    if names:
        call.warnings.append(_REPLACED.format(" ".join(names)))

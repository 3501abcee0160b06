# SPDX-License-Identifier: EUPL-1.2
"""Hashes for clients without a library of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final

import msgspec

from vault.framework.call import Call
from vault.framework.concurrency.offload import Pool
from vault.framework.errors import Malformed
from vault.framework.fields import Doc
from vault.framework.reply import Reply
from vault.framework.route import Params
from vault.framework.tools.forms import encoded, known_form, warn_of_replaced
from vault.values.encoding import NotBase64, from_base64

_AT_ONCE: Final = 65_536
"""Characters of input that are hashed on the event loop; more takes more than a millisecond."""
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


class HashParams(Params, frozen=True):
    """What to hash, and how."""

    algorithm: Annotated[str, Doc("`sha2-` or `sha3-` with 224, 256, 384 or 512.", clear=True)] = "sha2-256"
    input: Annotated[str, Doc("The data, base64 encoded.")] = ""
    format: Annotated[str, Doc("`hex` or `base64`.", clear=True)] = "hex"
    urlalgorithm: Annotated[str | None, Doc("Only in the path: the algorithm.", clear=True)] = None


class HashPathParams(HashParams, frozen=True, kw_only=True):
    """As `HashParams`, with the algorithm in the path."""

    chosen: Annotated[str, Doc("The algorithm; it wins over the one in the body.")]


class Sum(msgspec.Struct, frozen=True):
    """A hash, encoded."""

    sum: str


async def make_hash(call: Call, params: HashParams, algorithm: str, pool: Pool) -> Reply[Sum]:
    """Hash data; `pool` hashes long input. Raises `Malformed`."""
    made = await pool.do(call, partial(_hashed, params, algorithm), slow=len(params.input) > _AT_ONCE)
    warn_of_replaced(call, urlalgorithm=params.urlalgorithm)
    return Reply(Sum(made))


def _hashed(params: HashParams, algorithm: str) -> str:
    """Return the hash of the input in the requested form. Raises `Malformed`."""
    try:
        data = from_base64(params.input)
    except NotBase64 as error:
        raise Malformed(f"unable to decode input as base64: {error}") from None
    form = known_form(params.format)
    function = _ALGORITHMS.get(algorithm)
    if function is None:
        raise Malformed(f"unsupported algorithm; must be one of {', '.join(_ALGORITHMS)}")
    return encoded(function(data), form)

# SPDX-License-Identifier: EUPL-1.2
"""A key in components that two or more custodians hold. Nothing here touches a token.

No component tells anything of the key; the key is their exclusive or.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hsm.errors import BadConfig

KEY_BYTES: Final = 32


def combine(components: Sequence[bytes]) -> bytes:
    """Return the key of these components. Raises `BadConfig` for what can be no component, or no pair of them."""
    if len(components) < 2:
        raise BadConfig("components: a key comes from at least two, so that nobody knows it alone")
    if any(len(component) != KEY_BYTES for component in components):
        raise BadConfig(
            f"components: each must have {KEY_BYTES} bytes, in {2 * KEY_BYTES} hexadecimal digits"
        )
    if len(set(components)) != len(components) or bytes(KEY_BYTES) in components:
        raise BadConfig("components: one is zero or given twice, so that another would be the key itself")
    return functools.reduce(_exclusive_or, components)


def check_value(key: bytes) -> str:
    """Return what tells keys apart without telling them: three bytes in hexadecimal, as `CKA_CHECK_VALUE` has them.

    It is the start of a block of zeros encrypted with the key (PKCS#11 v3.0, 4.10.2).
    """
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - one block, by definition
    return encryptor.update(bytes(16))[:3].hex()


def _exclusive_or(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))

# SPDX-License-Identifier: EUPL-1.2
"""OpenPGP keys: ones made here, to decrypt with, and three from GnuPG that cannot receive a message."""

import base64

from pysequoia import Tsk, decrypt

from vault.values.times import Millis

SIGN_ONLY = (
    "mDMEawYetRYJKwYBBAHaRw8BAQdAZtHrmfm7NSM0iW6RvaHg6e66XjrLmJAM1TqTInGzSYW0A3NvMoiQBBMWCgA4FiEEPkSVQC04bepBzQI1"
    "4shGhfJInr0FAmsGHrUCGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQ4shGhfJInr3SBAD+PX/D5+IZCJIIN7s6C8klAHuvY2oDNjpz"
    "Xw32njXgifcBAKNOi2YdeZVDHZqlF4AKWdw1Xgmr7T3lmKRFUBjaQZUP"
)
"""An Ed25519 key that may only sign."""

EXPIRED = (
    "mDMEawYetRYJKwYBBAHaRw8BAQdAdzqWWxHM12YXMA7DUsMhpV4LmbyirkuoLWQf/1UsRQS0A2V4MoiWBBMWCgA+FiEEZ4Y9uRojeeQr9uHl"
    "z8CzIx8UeR8FAmsGHrUCGwMFCQAAAAEFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQz8CzIx8UeR+U8AD9FMjFcm7aSEOz7NyPZRvZbkFf"
    "ydUcRjcdwUI4Sg+jVk8BAPymT71ILNdLN7K7dzJ27jMXVpYcZD+6KAOlGbh9kSkEuDgEawYetRIKKwYBBAGXVQEFAQEHQCEmOxrH0nKI8vzg"
    "/7WzyjT/bCva8fmJGvzstQH5RPIxAwEIB4h4BBgWCgAgFiEEZ4Y9uRojeeQr9uHlz8CzIx8UeR8FAmsGHrUCGwwACgkQz8CzIx8UeR/RgwEA"
    "0v63J10/kRqKGDIyLudQlp7X9at2JiX/W+9Kc3XCTZUA/iASNZphqKttPGAA5B4f2XfzNNGs9bQJn0tPVnvDH+MH"
)
"""An Ed25519 key with an encryption subkey, valid for one second in the past."""

REVOKED = (
    "mDMEawYfFhYJKwYBBAHaRw8BAQdAgXwkk7GAmvWsvO+KTO86AOKgG78yweLNFgpRwmAPMR6IeAQgFgoAIBYhBFFL/k+WMu9EexmqhjyhuJ3J"
    "G3/EBQJrBh8WAh0AAAoJEDyhuJ3JG3/Eto0A/jyqNhcUxFoiwY+3ZN2JjMV6z6zXernCes0stP6vIJPkAP9BkHso0L6c02eI9YZmTFbZ8iYB"
    "isbZi8gD+vEM+PI2DrQDcnYyiJAEExYKADgWIQRRS/5PljLvRHsZqoY8obidyRt/xAUCawYfFgIbAwULCQgHAgYVCgkICwIEFgIDAQIeAQIX"
    "gAAKCRA8obidyRt/xNLMAQCQGfY3pmG79zVowMhYOhW//WRFB6sV5PT23TGfAnuZrQD+Kc6WrZnKA7VY4C4ltX79n6Sykg4fqiioy5d5WcHy"
    "qgO4OARrBh8WEgorBgEEAZdVAQUBAQdASwgNJJFlECWmMnk2DDcsUd5IU5ZsVRefGcd6Aa70WWkDAQgHiHgEGBYKACAWIQRRS/5PljLvRHsZ"
    "qoY8obidyRt/xAUCawYfFgIbDAAKCRA8obidyRt/xA88AP40c8GkSLKg29IG2ckhSVZrv9cD9zdsQcipc42AOux/sgD8CFczCwGQsNzcQeaL"
    "JuDUV7M9D4G6j2eK8MiM9g3X0wk="
)
"""An Ed25519 key with an encryption subkey, revoked."""

NOW = Millis(1_800_000_000_000)
"""Milliseconds since the epoch; all keys here are older."""


class Holder:
    """Somebody with a key pair."""

    def __init__(self, name: str) -> None:
        self._tsk = Tsk.generate(name)
        self.public = bytes(self._tsk.extract_certificate())
        self.text = base64.b64encode(self.public).decode()
        self.fingerprint = self._tsk.extract_certificate().fingerprint

    def read(self, message: bytes) -> str:
        """Decrypt `message`."""
        content = decrypt(message, decryptor=self._tsk.decryptor()).bytes
        assert content is not None
        return content.decode()

# SPDX-License-Identifier: EUPL-1.2
"""How the server of a configured address proves who it is: by the machine's authorities, or by those configured."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from cryptography import x509

from vault.outbound.failure import Unreachable

LONGEST: Final = 1 << 18
"""Characters of CA certificates, as many as public authorities have together: all are read at once."""


@lru_cache(maxsize=256)
def context(authorities: str, *, own_names: bool) -> ssl.SSLContext:
    """Return how a server's certificate is verified. Raises `Unreachable` for authorities that cannot be read.

    `authorities` are PEM certificates that replace the machine's; with `own_names` the name is checked afterwards.
    """
    if len(authorities) > LONGEST:
        raise Unreachable(f"the CA certificates are longer than {LONGEST} characters")
    try:
        made = ssl.create_default_context(cadata=authorities or None)
    except (ssl.SSLError, ValueError):
        raise Unreachable("the CA certificates cannot be read") from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.check_hostname = not own_names
    return made


def check_name(certificate: bytes, names: Sequence[str]) -> None:
    """Make sure that a certificate (DER) is for one of `names`. Raises `Unreachable`."""
    leaf = x509.load_der_x509_certificate(certificate)
    try:
        alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = {name.lower() for name in alternatives.get_values_for_type(x509.DNSName)}
    except x509.ExtensionNotFound:
        found = set()
    wanted = {name.lower() for name in names}
    if not wanted & found and not {f"*.{name.partition('.')[2]}" for name in wanted} & found:
        raise Unreachable("the server's certificate is for none of the names that are accepted")

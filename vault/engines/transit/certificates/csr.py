# SPDX-License-Identifier: EUPL-1.2
"""Requests for a certificate (CSR, RFC 2986), signed by a pair of transit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding

from vault.engines.transit.keys.key_types import Signer
from vault.framework.errors import Malformed

_LONGEST: Final = 65_536
"""Characters of a template: many times what one has that names a hundred hosts."""
_NO_PEM: Final = "could not decode PEM CSR"
_BROKEN: Final = "could not parse the CSR"
_HASHES: Final[Mapping[str, SHA256 | SHA384 | SHA512]] = {
    "secp256r1": SHA256(),
    "secp384r1": SHA384(),
    "secp521r1": SHA512(),
}
"""By the curve: what RFC 5480 section 4 sets beside it."""


def read_template(pem: str) -> x509.CertificateSigningRequestBuilder:
    """Return a request with subject and extensions of another one; with none where `pem` is empty.

    The key and the signature of that one count for nothing, nor do its other attributes. Raises `Malformed`.
    """
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if not pem:
        return builder
    if len(pem) > _LONGEST or "-----BEGIN " not in pem:
        raise Malformed(_NO_PEM)
    try:
        template = x509.load_pem_x509_csr(pem.encode())
        builder = x509.CertificateSigningRequestBuilder().subject_name(template.subject)
        for extension in template.extensions:
            builder = builder.add_extension(extension.value, critical=extension.critical)
    except (ValueError, x509.DuplicateExtension, UnsupportedAlgorithm):
        raise Malformed(_BROKEN) from None
    return builder


def signed_request(builder: x509.CertificateSigningRequestBuilder, signer: Signer) -> str:
    """Return a request for the public half of `signer`, in PEM. With RSA it takes a millisecond and more."""
    algorithm: SHA256 | SHA384 | SHA512 | None = None
    if isinstance(signer, rsa.RSAPrivateKey):
        algorithm = SHA256()
    elif isinstance(signer, ec.EllipticCurvePrivateKey):
        algorithm = _HASHES[signer.curve.name]
    return builder.sign(signer, algorithm).public_bytes(Encoding.PEM).decode()

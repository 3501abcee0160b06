# SPDX-License-Identifier: EUPL-1.2
"""A certificate, made of what it is to say: by the library's builder where that can, else by `encoder`."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import SSHCertificateBuilder, SSHCertificateType

from vault.engines.ssh.certificates.encoder import Statement, encoded, type_of_certificate
from vault.engines.ssh.keys.pairs import Signer
from vault.engines.ssh.keys.public_key import PublicKey


def certificate(public: PublicKey, said: Statement, authority: str, signer: Signer, nonce: bytes) -> str:
    """Return a signed certificate as a line. `authority` is the public key of `signer`, as a line."""
    if public.in_device or isinstance(signer, rsa.RSAPrivateKey):
        whole = encoded(public, said, authority, signer, nonce)
        return f"{type_of_certificate(public)} {base64.b64encode(whole).decode()}\n"
    return built(public, said, signer)


def built(public: PublicKey, said: Statement, signer: Signer) -> str:
    """Return a certificate that the library's builder makes and signs, as a line. Its nonce is the library's."""
    builder = (
        SSHCertificateBuilder()
        .public_key(public.key)
        .serial(said.serial)
        .type(SSHCertificateType.HOST if said.host else SSHCertificateType.USER)
        .key_id(said.key_id.encode())
        .valid_after(said.begins)
        .valid_before(said.ends)
    )
    names = [name.encode() for name in said.principals]
    if names:
        builder = builder.valid_principals(names)
    else:
        builder = builder.valid_for_all_principals()  # type: ignore[no-untyped-call]  # the library has no type for it
    for name, value in said.critical_options.items():
        builder = builder.add_critical_option(name.encode(), value.encode())
    for name, value in said.extensions.items():
        builder = builder.add_extension(name.encode(), value.encode())
    return builder.sign(signer).public_bytes().decode() + "\n"

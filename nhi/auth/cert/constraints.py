# SPDX-License-Identifier: EUPL-1.2
"""What a role demands of a certificate beside its issuer; it holds for pinned certificates too (SL-29)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from nhi.auth.cert.model import Role
from vault.framework.globs import fits, fits_any

_STRINGS: Final = {
    0x0C: "utf-8",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1A: "ascii",
    0x1E: "utf-16-be",
}
"""Tags of ASN.1's strings, and how their text is encoded."""


class Facts:
    """What a certificate says of its owner."""

    def __init__(self, certificate: x509.Certificate) -> None:
        subject = certificate.subject
        self.common_name = _first(subject, NameOID.COMMON_NAME)
        self.units = [
            str(one.value) for one in subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        ]
        self.extensions = {
            one.oid.dotted_string: _text(one.value.public_bytes())
            for one in certificate.extensions
            if isinstance(one.value, x509.UnrecognizedExtension)
        }
        self.dns: Sequence[str] = ()
        self.emails: Sequence[str] = ()
        self.uris: Sequence[str] = ()
        try:
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return
        self.dns = names.get_values_for_type(x509.DNSName)
        self.emails = names.get_values_for_type(x509.RFC822Name)
        self.uris = names.get_values_for_type(x509.UniformResourceIdentifier)


def met(role: Role, facts: Facts) -> bool:
    """Whether a certificate meets every demand."""
    names = [facts.common_name] if facts.common_name else []
    demands = (
        (role.allowed_names, [*names, *facts.dns, *facts.emails]),
        (role.allowed_common_names, names),
        (role.allowed_dns_sans, facts.dns),
        (role.allowed_email_sans, facts.emails),
        (role.allowed_uri_sans, facts.uris),
        (role.allowed_organizational_units, facts.units),
    )
    return all(not globs or any(fits_any(text, globs) for text in found) for globs, found in demands) and all(
        _has(facts.extensions, demand) for demand in role.required_extensions or ()
    )


def metadata(certificate: x509.Certificate, role: Role, facts: Facts) -> dict[str, str]:
    """Return what a token's metadata says of the certificate."""
    found = {
        "cert_name": role.name,
        "common_name": facts.common_name,
        "serial_number": str(certificate.serial_number),
        "subject_key_id": "",
        "authority_key_id": "",
    }
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.SubjectKeyIdentifier):
            found["subject_key_id"] = extension.value.digest.hex(":")
        elif isinstance(extension.value, x509.AuthorityKeyIdentifier):
            found["authority_key_id"] = (extension.value.key_identifier or b"").hex(":")
    for oid in role.allowed_metadata_extensions or ():
        if oid in facts.extensions:
            found[oid.replace(".", "-")] = facts.extensions[oid]
    return found


def _first(subject: x509.Name, oid: x509.ObjectIdentifier) -> str:
    found = subject.get_attributes_for_oid(oid)
    return str(found[-1].value) if found else ""


def _text(encoded: bytes) -> str:
    """Return the text of an ASN.1 string; empty for anything else."""
    if len(encoded) < 2 or encoded[0] not in _STRINGS:
        return ""
    length, start = encoded[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(encoded[2:start], "big")
    if start + length != len(encoded):
        return ""
    return encoded[start:].decode(_STRINGS[encoded[0]], "replace")


def _has(extensions: Mapping[str, str], demand: str) -> bool:
    oid, _, wanted = demand.partition(":")
    return oid in extensions and fits(extensions[oid], wanted)

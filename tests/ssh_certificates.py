# SPDX-License-Identifier: EUPL-1.2
"""Reads certificates of SSH (OpenSSH's PROTOCOL.certkeys), all fields of all kinds, to see what servers put into them."""

import base64
import hashlib
from dataclasses import dataclass

_SUFFIX = "-cert-v01@openssh.com"
_FIELDS = {
    "ssh-rsa": 2,
    "ssh-dss": 4,
    "ssh-ed25519": 1,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519": 2,
    "sk-ecdsa-sha2-nistp256": 3,
}


class Bytes:
    """Bytes that are read from front to back."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def number(self, size: int) -> int:
        """A number of `size` bytes."""
        self.at += size
        return int.from_bytes(self.data[self.at - size : self.at])

    def string(self) -> bytes:
        """A string with its length before it."""
        size = self.number(4)
        self.at += size
        assert self.at <= len(self.data)
        return self.data[self.at - size : self.at]

    def strings(self) -> list[bytes]:
        """All strings that are left."""
        found = []
        while self.at < len(self.data):
            found.append(self.string())
        return found


@dataclass(frozen=True)
class SshCertificate:
    """What a certificate says; times are seconds since the epoch."""

    type: str
    nonce: bytes
    key_digest: str
    """SHA-256 of the certified key."""
    serial: int
    kind: int
    key_id: str
    principals: list[str]
    begins: int
    ends: int
    critical_options: list[tuple[str, str]]
    extensions: list[tuple[str, str]]
    authority: str
    algorithm: str


def read_certificate(line: str) -> SshCertificate:
    """Read a line with a certificate."""
    named, text = line.split()[:2]
    body = Bytes(base64.b64decode(text, validate=True))
    kind = body.string().decode()
    assert kind == named
    assert kind.endswith(_SUFFIX)
    key_type = kind.removesuffix(_SUFFIX)
    nonce = body.string()
    begin = body.at
    for _ in range(_FIELDS[key_type]):
        body.string()
    fields = body.data[begin : body.at]
    spelled = key_type + "@openssh.com" * key_type.startswith("sk-")
    key = len(spelled).to_bytes(4) + spelled.encode() + fields
    serial, number = body.number(8), body.number(4)
    key_id = body.string().decode()
    principals = [name.decode() for name in Bytes(body.string()).strings()]
    begins, ends = body.number(8), body.number(8)
    critical, extensions = _options(body.string()), _options(body.string())
    assert body.string() == b""
    authority = Bytes(body.string()).string().decode()
    algorithm = Bytes(body.string()).string().decode()
    assert body.at == len(body.data)
    return SshCertificate(
        kind,
        nonce,
        hashlib.sha256(key).hexdigest(),
        serial,
        number,
        key_id,
        principals,
        begins,
        ends,
        critical,
        extensions,
        authority,
        algorithm,
    )


def _options(data: bytes) -> list[tuple[str, str]]:
    parts = Bytes(data).strings()
    return [
        (name.decode(), Bytes(value).string().decode() if value else "")
        for name, value in zip(parts[::2], parts[1::2], strict=True)
    ]


def described(line: str) -> str:
    """What a certificate says that two servers which were asked alike say alike."""
    said = read_certificate(line)
    key_id = said.key_id.replace(said.key_digest, "<digest of the key>")
    return (
        f"<{said.type} kind {said.kind} nonce of {len(said.nonce)} id {key_id} for {said.principals} "
        f"good for {said.ends - said.begins} with {said.critical_options} and {said.extensions} "
        f"by {said.authority} with {said.algorithm}{' (ended)' * line.endswith(chr(10))}>"
    )

# SPDX-License-Identifier: EUPL-1.2
"""What is measured of engines that compute: transit's keys, one of each kind that matters, and SSH, named by what is done."""

import base64
import json
from collections.abc import Mapping
from typing import Final

from tests.perf.load import Operation, Request
from tests.perf.server import Program, call
from tests.ssh_keys import ed25519_pair, public_line

_KINDS: Final = ("aes256-gcm96", "ed25519", "ecdsa-p256", "rsa-2048", "rsa-4096")
_DATA: Final = base64.b64encode(b"correct horse battery staple 123").decode()
_BATCH: Final = 100
_SSH: Final = json.dumps(
    {"public_key": public_line(ed25519_pair("bench")), "valid_principals": "deploy"}, separators=(",", ":")
)
GOALS: Final[Mapping[str, float]] = {
    "transit encrypt": 3.0,
    "transit decrypt": 3.0,
    "transit hmac": 3.0,
    "transit encrypt 100": 2.5,
    "sign ecdsa-p256": 3.0,
    "sign ed25519": 2.0,
    "sign rsa-2048": 3.0,
    "sign rsa-4096": 3.5,
    "ssh sign": 4.0,
}
"""What is wanted of each rate beside OpenBao's."""
BESIDE: Final = "kv read, signing beside"
"""A read while one client signs with RSA-4096 without pause."""


def set_up_engines(program: Program, root: str) -> str:
    """Mount transit with a key of each kind, and SSH with an issuer and a role; returns a ciphertext of it."""
    call(program, "POST", "sys/mounts/transit", {"type": "transit"}, root)
    for kind in _KINDS:
        call(program, "POST", f"transit/keys/{kind}", {"type": kind}, root)
    made = call(program, "POST", "transit/encrypt/aes256-gcm96", {"plaintext": _DATA}, root)
    call(program, "POST", "sys/mounts/ssh", {"type": "ssh"}, root)
    call(program, "POST", "ssh/config/ca", {"key_type": "ed25519"}, root)
    role = {"key_type": "ca", "allow_user_certificates": True, "allowed_users": "deploy", "ttl": "30m"}
    call(program, "POST", "ssh/roles/people", role, root)
    return str(made["data"]["ciphertext"])


def operations(ciphertext: str, read: Request) -> list[Operation]:
    """The operations, alike on both servers; `read` is what is read while another client signs."""
    return [
        _posting("transit encrypt", "encrypt/aes256-gcm96", {"plaintext": _DATA}),
        _posting("transit decrypt", "decrypt/aes256-gcm96", {"ciphertext": ciphertext}),
        _posting("transit hmac", "hmac/aes256-gcm96", {"input": _DATA}),
        _posting("transit encrypt 100", "encrypt/aes256-gcm96", {"batch_input": [{"plaintext": _DATA}] * _BATCH}),
        Operation("ssh sign", [Request("POST", "/v1/ssh/sign/people", _SSH)]),
        *(_posting(f"sign {kind}", f"sign/{kind}", {"input": _DATA}) for kind in _KINDS[1:]),
        Operation(BESIDE, [read], beside=_request("sign/rsa-4096", {"input": _DATA})),
    ]  # fmt: skip


def _posting(name: str, path: str, body: Mapping[str, object]) -> Operation:
    return Operation(name, [_request(path, body)])


def _request(path: str, body: Mapping[str, object]) -> Request:
    return Request("POST", f"/v1/transit/{path}", json.dumps(body, separators=(",", ":")))

# SPDX-License-Identifier: EUPL-1.2
"""Public keys as they travel: what is read, and what is no key."""

import base64

import pytest

from tests.ssh_keys import (
    ec_pair,
    ed25519_pair,
    odd,
    public_line,
    rsa_line,
    security_key,
    security_key_ec,
    string,
)
from vault.engines.ssh.keys.public_key import line_of, read_public_key
from vault.framework.errors import Malformed

ED = public_line(ed25519_pair("key"), "me@here")
CORE = ED.split()[1]


def refused(text: str) -> str:
    with pytest.raises(Malformed) as caught:
        read_public_key(text, "wrong: ")
    assert caught.value.message.startswith("wrong: ")
    return caught.value.message.removeprefix("wrong: ")


@pytest.mark.parametrize(
    ("line", "family", "bits", "in_device"),
    [
        (ED, "ed25519", 256, False),
        (public_line(ec_pair("key", 256)), "ecdsa", 256, False),
        (public_line(ec_pair("key", 384)), "ecdsa", 384, False),
        (public_line(ec_pair("key", 521)), "ecdsa", 521, False),
        (rsa_line(odd(2048)), "rsa", 2048, False),
        (security_key("key"), "ed25519", 256, True),
        (security_key_ec("key"), "ecdsa", 256, True),
    ],
)
def test_every_kind_of_key_is_read(line: str, family: str, bits: int, in_device: bool) -> None:
    key = read_public_key(line, "")
    assert (key.family, key.bits, key.in_device) == (family, bits, in_device)
    assert key.blob == base64.b64decode(line.split()[1])
    assert key.blob == string(key.type.encode()) + key.fields
    if not in_device:
        assert line_of(key.key).split() == line.split()[:2]


@pytest.mark.parametrize(
    "text", [CORE, f"anything {CORE}", f"ssh-ed25519 {CORE[:20]}\n{CORE[20:]} c", ED + ED]
)
def test_a_key_names_its_own_type(text: str) -> None:
    assert read_public_key(text, "").blob == base64.b64decode(CORE)


def test_what_is_no_key_is_refused_with_the_reason_and_without_itself() -> None:
    blob = base64.b64decode(CORE)

    def encoded(data: bytes) -> str:
        return base64.b64encode(data).decode()

    assert refused("ssh-ed25519 hunter2!") == "illegal base64 data at input byte 7"
    assert refused(" ") == "ssh: short read"
    for end in range(0, len(blob), 7):
        assert refused(encoded(blob[:end])) == "ssh: short read"
    assert refused(encoded(blob + b"x")) == "ssh: trailing junk in public key"
    assert "unknown key algorithm" in refused(encoded(string(b"hunter2") + string(b"")))
    assert "hunter2" not in refused(encoded(string(b"hunter2") + string(b"")))
    point = string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(b"\x04" + bytes(64))
    assert refused(encoded(point)) == "ssh: invalid curve point"
    assert refused(encoded(string(b"ssh-rsa") + string(b"") + string(b""))) == "ssh: no such key"
    assert refused(encoded(string(b"ssh-ed25519") + string(b"\x05"))) == "ssh: no such key"
    assert "16384 characters" in refused("x" * 16385)

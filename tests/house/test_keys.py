# SPDX-License-Identifier: EUPL-1.2
"""Whatever makes a key is described in the crypto inventory, or listed here with the reason why not."""

import ast
import re
from collections.abc import Mapping
from typing import Final

from tests.house.tree import ROOT, files, nodes, spelled
from vault.framework.keys.inventory import Purpose

_FOLDERS: Final = ("vault/", "nhi/", "hsm/", "cli/")
_MAKES: Final = re.compile(
    r"\b(?:generate_private_key|generate_key|generate_keypair|token_bytes|token_hex|token_urlsafe|urandom"
    r"|Ed25519PrivateKey\.generate|KeyPair|_?entropy\.bytes|_?random)$"
)
_NO_KEY: Final = re.compile(r"NONCE|_UUID|KEY_NUMBERS|^(?:[0-9]|1[0-5])$")
"""What is drawn for something else: nonces, names, and whatever is shorter than any key."""

IN_INVENTORY: Final[Mapping[str, tuple[Purpose, ...]]] = {
    "nhi/auth/approle/roles.py": (Purpose.SECRET_ID_HASH,),
    "nhi/biscuit/issue/issuer.py": (Purpose.BISCUIT_ROOT, Purpose.BISCUIT_APPROVER),
    "nhi/identity/mfa/method_routes.py": (Purpose.SECOND_FACTOR,),
    "nhi/jose/signing_key.py": (Purpose.IDENTITY_TOKEN,),
    "vault/audit/device_salts.py": (Purpose.AUDIT_HASH,),
    "vault/barrier/keyring.py": (Purpose.BARRIER,),
    "vault/engines/ssh/keys/pairs.py": (Purpose.SSH_CA,),
    "vault/engines/ssh/otp_routes.py": (Purpose.SSH_OTP_HASH,),
    "vault/engines/totp/engine.py": (Purpose.TOTP,),
    "vault/engines/transit/agreement/routes.py": (Purpose.TRANSIT,),
    "vault/engines/transit/keys/devices.py": (Purpose.TRANSIT,),
    "vault/engines/transit/keys/key_types.py": (Purpose.TRANSIT,),
    "vault/framework/keys/safe.py": (Purpose.SAFE,),
    "vault/log/keys.py": (Purpose.LOG_HASH, Purpose.LOG_SIGNATURE),
    "vault/namespace/seal.py": (Purpose.ROOT, Purpose.SEAL_SLOT),
    "vault/seal/changes/root_rotation.py": (Purpose.ROOT,),
    "vault/seal/consent/rekey.py": (Purpose.SEAL_SLOT, Purpose.RECOVERY),
    "vault/seal/init.py": (Purpose.ROOT, Purpose.SEAL_SLOT, Purpose.RECOVERY),
    "vault/server/dev/tls.py": (Purpose.TLS_LISTENER,),
    "vault/token/entries.py": (Purpose.TOKEN_HASH,),
    "vault/wrap/signing_key.py": (Purpose.WRAPPING_TOKEN,),
    "hsm/agent/keys/generation.py": (Purpose.SEAL_SLOT, Purpose.EXTERNAL),
}
"""Which keys a module makes."""

NOT_A_KEY_IN_USE: Final = {
    "cli/vaultctl/commands/audit/witness.py": "the key of a witness, which is another program",
    "cli/vaultctl/commands/hsm/keys.py": "it is tried before an import, and forgotten",
    "cli/vaultctl/commands/hsm/roundtrip.py": "it is wrapped and unwrapped once, to see whether that works",
    "cli/vaultctl/commands/login/oidc.py": "a nonce",
    "cli/vaultctl/port/compare.py": "it exists for one comparison, so that digests say nothing",
    "cli/vaultctl/port/ground/journal.py": "it hides names in a file that lies beside it",
    "cli/vaultctl/port/sink.py": "passwords that nobody is to know, in place of those that no server tells",
    "hsm/agent/keys/proof.py": "it lives in the token for one proof",
    "hsm/agent/device.py": "randomness that others asked for",
    "hsm/agent/service.py": "randomness that others asked for",
    "hsm/agent/selftest.py": "it lives in the token for one self-test",
    "hsm/envelope.py": "one data key for each value, stored with it under the key of the slot",
    "hsm/pin.py": "a salt in memory, which tells a PIN that failed from another one",
    "nhi/auth/cert/chain.py": "an authority that signs nothing, which strangers are compared with",
    "nhi/auth/jwt/states.py": "it seals sign-ins under way, in the memory of one process, for minutes",
    "nhi/auth/userpass/decoys.py": "a salt that chooses what a name without password is compared with",
    "nhi/biscuit/issue/authority_block.py": "a stand-in whose signature is replaced; it is thrown away",
    "nhi/biscuit/offline/attenuate.py": "the next key of a token, which its holder has",
    "nhi/biscuit/offline/root_signature.py": "a stand-in whose signature is replaced; it is thrown away",
    "vault/engines/kv/plain.py": "it tells equal answers from others, in the memory of one process",
    "vault/engines/transit/encryption.py": "a nonce",
    "vault/engines/ssh/certificate_routes.py": "serial numbers and nonces of certificates",
    "vault/engines/transit/encryption_routes.py": "a key for data, which the client keeps",
    "vault/engines/transit/moving/backup_entry.py": "a key for MACs of a version that came without, one of its own parts",
    "vault/engines/transit/moving/envelope.py": "a key that wraps another for its way, sent with it",
    "vault/engines/transit/moving/material.py": "it signs once, to see whether the pair is sound",
    "vault/framework/tools/random_bytes.py": "randomness for a client",
    "vault/engines/system/policies/password_rules.py": "passwords for a client",
    "vault/framework/clock.py": "where randomness comes from",
    "vault/seal/changes/dry_run.py": "a key that is tried and forgotten",
    "vault/seal/shares/progress.py": "a nonce",
    "vault/seal/shares/shamir.py": "coefficients of shares",
    "vault/server/seals/slots.py": "randomness of a token",
}
"""Modules whose keys are none of the server's in use, with the reason. `docs/crypto-inventory.md` tells of those that operators ask for."""

_MADE_ELSEWHERE: Final = {Purpose.TLS_LISTENER, Purpose.EXTERNAL}


def makes_key(node: ast.AST) -> bool:
    """Whether a call makes a key, or bytes that may be one."""
    if not isinstance(node, ast.Call) or not _MAKES.search(spelled(node.func)):
        return False
    return not any(_NO_KEY.search(spelled(argument)) for argument in node.args[:1])


def _makers() -> set[str]:
    found = set()
    for path in files(".py"):
        name = str(path.relative_to(ROOT))
        if name.startswith(_FOLDERS) and any(
            makes_key(node) for node in nodes(path.read_text(encoding="utf-8"))
        ):
            found.add(name)
    return found


def test_whoever_makes_a_key_is_in_the_inventory_or_has_a_reason() -> None:
    assert IN_INVENTORY.keys() & NOT_A_KEY_IN_USE.keys() == set()
    listed = IN_INVENTORY.keys() | NOT_A_KEY_IN_USE.keys()
    assert sorted(_makers() - listed) == [], (
        "describe the key (vault/framework/keys/inventory.py), or say here why not"
    )
    assert sorted(listed - _makers()) == [], "it makes no key any more"


def test_every_purpose_has_somebody_who_makes_such_keys() -> None:
    assert {purpose for purposes in IN_INVENTORY.values() for purpose in purposes} | _MADE_ELSEWHERE == set(
        Purpose
    )


def test_every_purpose_is_described_by_somebody() -> None:
    named = {
        spelled(node.value)
        for path in files("inventory.py") + files("_keys.py") + files("certificates.py")
        if str(path.relative_to(ROOT)).startswith(("vault/", "nhi/"))
        for node in nodes(path.read_text(encoding="utf-8"))
        if isinstance(node, ast.keyword) and node.arg == "purpose"
    }
    assert named == {f"Purpose.{purpose.name}" for purpose in Purpose}


def test_the_documentation_has_a_row_for_every_purpose() -> None:
    page = (ROOT / "docs" / "crypto-inventory.md").read_text(encoding="utf-8")
    table = page.partition("## What is in it")[2].partition("\n## ")[0]
    named = {
        name
        for row in table.splitlines()
        for name in re.findall(r"`([a-z-]+)`", row.split("|")[1] if "|" in row else "")
    }
    assert named == set(Purpose)


def test_a_call_that_makes_a_key_is_known_and_one_that_makes_a_nonce_is_not() -> None:
    made = {
        text: makes_key(ast.parse(text, mode="eval").body)
        for text in (
            "ec.generate_private_key(curve)", "self._entropy.bytes(32)", "entropy.bytes(4)", "random(KEY_BYTES)",
            "random(NONCE_BYTES)", "os.urandom(32)", "session.generate_key(kind, 256)", "chance.choice(keys)",
        )
    }  # fmt: skip
    assert [text for text, key in made.items() if key] == [
        "ec.generate_private_key(curve)", "self._entropy.bytes(32)", "random(KEY_BYTES)", "os.urandom(32)",
        "session.generate_key(kind, 256)",
    ]  # fmt: skip

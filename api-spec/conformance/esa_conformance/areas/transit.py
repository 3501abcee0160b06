# SPDX-License-Identifier: Apache-2.0
"""Cryptography as a service: keys that stay in the server, and what is done with them."""

from __future__ import annotations

from typing import Final

from esa_conformance.binding.transit import (
    Transit,
    altered,
    ciphertexts_of,
    cut,
    is_valid,
    made_of,
    outcomes_of,
    plaintext_of,
    public_key_der,
    signature_bytes,
    text_of,
    version_of,
)
from esa_conformance.evidence.notes import P256, Key
from esa_conformance.evidence.openssl import is_good
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()
_NEEDS: Final = ("kv", "admin")
_CIPHER: Final = "aes256-gcm96"
_SIGNATURE: Final = "ecdsa-p256"


def _new_key(t: Trial, keys: Transit, name: str = "one", **settings: object) -> str:
    t.done(keys.make_key(name, **{"type": _CIPHER, **settings}), "a key is made")
    return name


def _encrypted(t: Trial, keys: Transit, key: str, data: bytes, **more: object) -> str:
    reply = t.done(keys.encrypt(key, data, **more), "data are encrypted")
    t.need(made_of(reply) != "", "a ciphertext is given")
    return made_of(reply)


@TESTS.test("ESA-TRN-012", needs=_NEEDS)
def named_algorithms_are_there(t: Trial) -> None:
    """AES-256 in GCM, HMAC with SHA-256 and ECDSA on P-256 are there, with outputs of their lengths."""
    keys = t.transit()
    for name in (_CIPHER, _SIGNATURE):
        made = keys.make_key(name, type=name)
        t.is_so(made, made.ok, "a key of an algorithm that every server has is made")
    lengths = (
        (keys.encrypt(_CIPHER, b"data"), {12 + 4 + 16}),
        (keys.authenticate(_CIPHER, b"data"), {32}),
        (keys.sign(_SIGNATURE, b"data"), set(range(8, 73))),
    )
    for reply, wanted in lengths:
        t.is_so(reply, reply.ok, "it is used")
        t.must(len(signature_bytes(made_of(reply))) in wanted, "what it gives has its length")


@TESTS.test("ESA-TRN-001", needs=_NEEDS)
def decryption_gives_what_was_encrypted(t: Trial) -> None:
    """What is decrypted is what was encrypted, from no bytes to 32 KiB."""
    keys = t.transit()
    key = _new_key(t, keys)
    for data in (b"", b"\0", bytes(range(256)), t.text().encode(), bytes(32 * 1024)):
        made = keys.encrypt(key, data)
        t.is_so(made, made.ok, "data are encrypted")
        t.must(version_of(made_of(made)) == 1, "a ciphertext names the version of its key")
        opened = keys.decrypt(key, made_of(made))
        t.is_so(opened, opened.ok, "a ciphertext is decrypted")
        t.must(plaintext_of(opened) == data, "what is decrypted is what was encrypted")


@TESTS.test("ESA-TRN-001", needs=_NEEDS)
def equal_data_have_different_ciphertexts(t: Trial) -> None:
    """Equal bytes have different ciphertexts."""
    keys = t.transit()
    key = _new_key(t, keys)
    data = t.text().encode()
    made = [_encrypted(t, keys, key, data) for _ in range(3)]
    t.must(len(set(made)) == 3, "ciphertexts of equal data differ")
    t.must(
        all(text_of(data) not in one and data not in signature_bytes(one) for one in made),
        "a ciphertext does not show its data",
    )


@TESTS.test("ESA-TRN-002", needs=_NEEDS)
def altered_ciphertext_is_refused(t: Trial) -> None:
    """A ciphertext with a changed bit, a lacking byte or another version is refused."""
    keys = t.transit()
    key = _new_key(t, keys)
    t.done(keys.rotate(key), "a key is rotated")
    made = _encrypted(t, keys, key, t.text().encode())
    old = made.replace("v2:", "v1:", 1)
    for bad in (altered(made, 0), altered(made, 12), altered(made, -1), cut(made), old):
        reply = keys.decrypt(key, bad)
        t.is_so(reply, reply.malformed, "an altered ciphertext is refused")
        t.must(plaintext_of(reply) is None, "nothing is given of its data")


@TESTS.test("ESA-TRN-002", needs=_NEEDS)
def ciphertext_of_another_key_is_refused(t: Trial) -> None:
    """A ciphertext is refused by every key but its own."""
    keys = t.transit()
    one, other = _new_key(t, keys), _new_key(t, keys, "other")
    made = _encrypted(t, keys, one, t.text().encode())
    reply = keys.decrypt(other, made)
    t.is_so(reply, reply.malformed, "a ciphertext of another key is refused")


@TESTS.test("ESA-TRN-002", needs=_NEEDS)
def other_associated_data_are_refused(t: Trial) -> None:
    """What was encrypted with associated data is decrypted with the same alone."""
    keys = t.transit()
    key = _new_key(t, keys)
    data = t.text().encode()
    made = _encrypted(t, keys, key, data, associated_data=text_of(b"row 1"))
    same = keys.decrypt(key, made, associated_data=text_of(b"row 1"))
    t.must(plaintext_of(same) == data, "it is decrypted with the same associated data")
    for more in ({}, {"associated_data": text_of(b"row 2")}):
        reply = keys.decrypt(key, made, **more)
        t.is_so(reply, reply.malformed, "other associated data are refused")


@TESTS.test("ESA-TRN-003", needs=_NEEDS)
def rotated_key_opens_what_it_closed(t: Trial) -> None:
    """New data have the new version, and old ciphertexts are decrypted until their version is withdrawn."""
    keys = t.transit()
    key = _new_key(t, keys)
    data = t.text().encode()
    old = _encrypted(t, keys, key, data)
    rotated = keys.rotate(key)
    t.is_so(rotated, rotated.ok, "a key is rotated")
    new = _encrypted(t, keys, key, data)
    t.must(version_of(new) == 2, "new data are encrypted with the new version")
    for made in (old, new):
        t.must(plaintext_of(keys.decrypt(key, made)) == data, "both versions decrypt")
    t.done(keys.configure(key, min_decryption_version=2), "a version is withdrawn")
    reply = keys.decrypt(key, old)
    t.is_so(reply, reply.malformed, "a withdrawn version does not decrypt")
    reply = keys.rewrap(key, old)
    t.is_so(reply, reply.malformed, "a withdrawn version is not brought to the newest either")
    t.must(plaintext_of(keys.decrypt(key, new)) == data, "the other one goes on")


@TESTS.test("ESA-TRN-004", needs=_NEEDS)
def ciphertext_is_renewed_by_who_may_not_read(t: Trial) -> None:
    """A ciphertext is brought to the newest version by a caller who may not decrypt, and its data are not shown."""
    keys = t.transit()
    key = _new_key(t, keys)
    data = t.text().encode()
    old = _encrypted(t, keys, key, data)
    t.done(keys.rotate(key), "a key is rotated")
    job = keys.by(t.caller({keys.path("rewrap", key): ["update"]}).client)
    made = job.rewrap(key, old)
    t.is_so(made, made.ok, "a ciphertext is brought to the newest version")
    t.must(version_of(made_of(made)) == 2, "it names the newest version")
    t.must(
        data not in made.answer.body and text_of(data).encode() not in made.answer.body,
        "its data are not shown",
    )
    refused = job.decrypt(key, made_of(made))
    t.is_so(refused, refused.denied, "who may rewrap may not decrypt")
    t.must(plaintext_of(keys.decrypt(key, made_of(made))) == data, "its data are the same")


@TESTS.test("ESA-TRN-005", needs=_NEEDS)
def key_stays_in_the_server(t: Trial) -> None:
    """A key is given out only if its settings say that it may be, and they show it."""
    keys = t.transit()
    kept, free = _new_key(t, keys), _new_key(t, keys, "free", exportable=True)
    for key, may in ((kept, False), (free, True)):
        shown = keys.key(key)
        t.is_so(shown, shown.ok, "the settings of a key are read")
        t.must(shown.answer.member("data", "exportable") is may, "they show whether it may be given out")
    given = keys.export("encryption-key", free)
    t.is_so(given, given.ok, "a key that may leave is given out")
    for kind in ("encryption-key", "hmac-key"):
        refused = keys.export(kind, kept)
        t.is_so(refused, not refused.ok, "a key that may not leave is not given out")
        t.must(refused.answer.member("data", "keys") is None, "nothing is given of it")


@TESTS.test("ESA-TRN-005", needs=_NEEDS)
def private_key_stays_in_the_server(t: Trial) -> None:
    """A private key that may not leave is neither given out nor described; its public key is."""
    keys = t.transit()
    kept, free = (
        _new_key(t, keys, name, type=_SIGNATURE, exportable=may)
        for name, may in (("kept", False), ("free", True))
    )
    given = keys.export("signing-key", free)
    t.is_so(given, given.ok, "a key that may leave is given out")
    for kind in ("signing-key", "hmac-key"):
        refused = keys.export(kind, kept)
        t.is_so(refused, not refused.ok, "a key that may not leave is not given out")
        t.must(refused.answer.member("data", "keys") is None, "nothing is given of it")
    shown = keys.key(kept)
    t.must(public_key_der(shown, 1) != b"", "a public key is given")
    t.must(b"PRIVATE KEY" not in shown.answer.body, "a description has no private key")


@TESTS.test("ESA-TRN-006", needs=_NEEDS)
def contexts_are_not_mixed_up(t: Trial) -> None:
    """A ciphertext of one context is refused in another one, and without any."""
    keys = t.transit()
    key = _new_key(t, keys, derived=True)
    data = t.text().encode()
    made = _encrypted(t, keys, key, data, context=text_of(b"tenant 1"))
    same = keys.decrypt(key, made, context=text_of(b"tenant 1"))
    t.must(plaintext_of(same) == data, "it is decrypted in its context")
    for more in ({"context": text_of(b"tenant 2")}, {}):
        reply = keys.decrypt(key, made, **more)
        t.is_so(reply, reply.malformed, "another context is refused")
    reply = keys.encrypt(key, data)
    t.is_so(reply, reply.malformed, "nothing is encrypted without context")


@TESTS.test("ESA-TRN-007", needs=_NEEDS)
def signature_is_of_its_data_and_key(t: Trial) -> None:
    """A signature is valid for its data, by its key and as it is."""
    keys = t.transit()
    for kind in ("ecdsa-p256", "ed25519"):
        if kind != _SIGNATURE and not keys.make_key(kind, type=kind).ok:
            continue  # which others there are is the server's own
        one, other = _new_key(t, keys, f"{kind}-1", type=kind), _new_key(t, keys, f"{kind}-2", type=kind)
        _must_be_of_its_data(t, keys, made_of(keys.sign(one, b"data")), one, other, code=False)


@TESTS.test("ESA-TRN-007", needs=_NEEDS)
def code_is_of_its_data_and_key(t: Trial) -> None:
    """A message authentication code is valid for its data, by its key and as it is."""
    keys = t.transit()
    one, other = _new_key(t, keys), _new_key(t, keys, "other")
    _must_be_of_its_data(t, keys, made_of(keys.authenticate(one, b"data")), one, other, code=True)


def _must_be_of_its_data(t: Trial, keys: Transit, made: str, one: str, other: str, *, code: bool) -> None:
    t.must(version_of(made) == 1, "what is made names the version of its key")
    t.must(is_valid(keys.verify(one, b"data", made, code=code)), "it is valid for its data")
    t.must(not is_valid(keys.verify(one, b"date", made, code=code)), "it is not valid for other data")
    for bad in (altered(made, 0), altered(made), cut(made)):
        t.must(
            not is_valid(keys.verify(one, b"data", bad, code=code)),
            "it is not valid when it was altered or cut",
        )
    t.must(not is_valid(keys.verify(other, b"data", made, code=code)), "it is not valid by another key")


@TESTS.test("ESA-TRN-008", needs=(*_NEEDS, "openssl"))
def signature_is_verified_elsewhere(t: Trial) -> None:
    """A signature is verified by other software with the public key that the server gives."""
    keys = t.transit()
    key = _new_key(t, keys, type=_SIGNATURE)
    for version in (1, 2):
        made = keys.sign(key, b"data")
        t.is_so(made, made.ok, "data are signed")
        der = public_key_der(keys.key(key), version)
        t.must(der != b"", "a public key is given")
        public = Key("key", b"", P256, der)
        good = is_good(str(t.state.openssl), public, b"data", signature_bytes(made_of(made)))
        t.must(good, "a signature is verified by the public key of its version")
        t.done(keys.rotate(key), "a key is rotated")


@TESTS.test("ESA-TRN-009", needs=_NEEDS)
def each_use_of_a_key_is_a_right_of_its_own(t: Trial) -> None:
    """Who may encrypt with one key may not decrypt with it, sign, manage it or use another one."""
    keys = t.transit()
    one, other = _new_key(t, keys), _new_key(t, keys, "other")
    writer = keys.by(t.caller({keys.path("encrypt", one): ["update"]}).client)
    made = writer.encrypt(one, b"data")
    t.is_so(made, made.ok, "who may encrypt does")
    refused = [
        writer.decrypt(one, made_of(made)), writer.encrypt(other, b"data"), writer.sign(one, b"data"),
        writer.authenticate(one, b"data"), writer.rotate(one), writer.key(one), writer.export("hmac-key", one),
    ]  # fmt: skip
    t.every(refused, lambda reply: reply.denied, "who may encrypt may nothing else")


@TESTS.test("ESA-TRN-009", needs=_NEEDS)
def no_right_brings_another(t: Trial) -> None:
    """Who may decrypt may not encrypt, who may sign may not decrypt, and nobody of them manages the key."""
    keys = t.transit()
    one = _new_key(t, keys)
    made = _encrypted(t, keys, one, t.text().encode())
    for right in ("decrypt", "hmac", "keys"):
        by = keys.by(t.caller({keys.path(right, one): ["read", "update"]}).client)
        asked = {
            "encrypt": by.encrypt(one, b"data"), "decrypt": by.decrypt(one, made), "hmac": by.authenticate(one, b"data"),
            "keys": by.key(one), "rotate": by.rotate(one), "config": by.configure(one, exportable=True),
            "export": by.export("encryption-key", one),
        }  # fmt: skip
        t.is_so(asked[right], asked[right].ok, "who has a right uses it")
        others = [reply for verb, reply in asked.items() if verb != right]
        t.every(others, lambda reply: reply.denied, "no right to use a key brings another")


@TESTS.test("ESA-TRN-009", needs=_NEEDS)
def refused_request_makes_no_key(t: Trial) -> None:
    """Encrypting with a key that is not there, by who may not make one, makes none."""
    keys = t.transit()
    writer = keys.by(t.caller({keys.path("encrypt", "none"): ["update"]}).client)
    reply = writer.encrypt("none", b"data")
    t.is_so(reply, not reply.ok, "a key that is not there does not encrypt")
    found = keys.key("none")
    t.is_so(found, found.absent, "a refused request makes no key")


@TESTS.test("ESA-TRN-010", needs=_NEEDS)
def each_of_many_has_its_own_outcome(t: Trial) -> None:
    """Of many ciphertexts the good ones are decrypted, in their order, whatever is between them."""
    keys = t.transit()
    key = _new_key(t, keys)
    data = [t.text().encode() for _ in range(3)]
    made = [_encrypted(t, keys, key, one) for one in data]
    reply = keys.decrypt_all(key, [made[2], altered(made[0]), made[1], "none", made[0]])
    t.equal(
        [found and found.decode("utf-8", "replace") for found in outcomes_of(reply)],
        [data[2].decode(), None, data[1].decode(), None, data[0].decode()],
        "each has its own outcome, in the order in which they were sent",
    )


@TESTS.test("ESA-TRN-010", needs=_NEEDS)
def each_of_many_is_encrypted_in_its_place(t: Trial) -> None:
    """Of many data each has its ciphertext, in their order."""
    keys = t.transit()
    key = _new_key(t, keys)
    data = [t.text().encode() for _ in range(3)]
    made = ciphertexts_of(keys.encrypt_all(key, data))
    t.equal(
        [plaintext_of(keys.decrypt(key, one)) == sent for one, sent in zip(made, data, strict=False)],
        [True] * 3,
        "each has its own ciphertext, in the order in which they were sent",
    )


@TESTS.test("ESA-TRN-011", needs=_NEEDS)
def removal_of_a_key_takes_two_steps(t: Trial) -> None:
    """A key is removed once its settings allow it, and opens nothing from then on."""
    keys = t.transit()
    key = _new_key(t, keys)
    data = t.text().encode()
    made = _encrypted(t, keys, key, data)
    user = keys.by(t.caller({keys.path(verb, key): ["update"] for verb in ("encrypt", "hmac")}).client)
    early = keys.remove_key(key)
    t.is_so(early, not early.ok, "a key is not removed before its settings allow it")
    t.must(plaintext_of(keys.decrypt(key, made)) == data, "it goes on to decrypt")
    t.done(keys.configure(key, deletion_allowed=True), "removal is allowed")
    removed = keys.remove_key(key)
    t.is_so(removed, removed.ok, "a key is removed then")
    found = keys.key(key)
    t.is_so(found, found.absent, "a removed key is not there")
    for reply in (keys.decrypt(key, made), user.encrypt(key, data), user.authenticate(key, data)):
        t.is_so(reply, not reply.ok, "a removed key does nothing")

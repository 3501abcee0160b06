# SPDX-License-Identifier: EUPL-1.2
"""What keeps a ceremony's transcript from being believed.

Its file brings along the keys that it is checked with, so by itself it shows that its participants agree, not who
they are: anybody can write a transcript and sign it with keys of their own. The script says whose keys they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from hsm.ceremony.transcript import Participant, Script, SignedTranscript, Transcript, holds

_T = TypeVar("_T")


def problems(signed: SignedTranscript) -> list[str]:
    """Say what keeps the transcript from being whole by itself."""
    transcript = signed.read()
    return [*_impossible(transcript), *_unsigned(signed, transcript.participants)]


def deviations(transcript: Transcript, script: Script) -> list[str]:
    """Say where the transcript is not of this script: other people or keys, or something left out or added."""
    planned = [(task.by, task.text, task.action) for task in script.step]
    done = [(step.by, step.text, step.action) for step in transcript.steps]
    handed = [(receipt.custodian, receipt.what) for receipt in transcript.receipts]
    custody = [(custody.custodian, custody.what) for custody in script.receipt]
    expected = {person.name: person for person in script.participant}
    found = [
        f"{person.name}: is another person or has another key than in the script"
        for person in transcript.participants
        if expected.get(person.name) != person
    ]
    present = {person.name for person in transcript.participants}
    found += [f"{name}: is missing among the participants" for name in expected if name not in present]
    for differs, problem in (
        ((transcript.title, transcript.place) != (script.title, script.place), "title or place differ"),
        (done != planned, f"the steps differ {_at(done, planned)}"),
        (handed != custody, f"the receipts differ {_at(handed, custody)}"),
        (not transcript.complete, "the ceremony was stopped before its end"),
        (any("failed" in step.found for step in transcript.steps), "a step failed"),
    ):
        if differs:
            found.append(problem)
    return found


def fingerprint(person: Participant) -> str:
    """Return the SHA-256 of a participant's public key, in hexadecimal; empty for a key that cannot be read."""
    try:
        key = load_pem_public_key(person.public_key.encode())
    except ValueError:
        return ""
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def shown(transcript: Transcript) -> Transcript:
    """Return the transcript with each text as it may be shown."""
    return msgspec.convert(_shown(msgspec.to_builtins(transcript)), Transcript)


def plain(text: str) -> str:
    """Return `text` with what a terminal would obey or hide spelt out: what it says, it says on its own line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _shown(value: object) -> object:
    if isinstance(value, dict):
        return {plain(key): _shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return plain(value) if isinstance(value, str) else value


def _impossible(transcript: Transcript) -> list[str]:
    """What no ceremony's transcript has: its script would have been refused."""
    people = transcript.participants
    names = {person.name for person in people}
    keys = {fingerprint(person) for person in people}
    acting = [step.by for step in transcript.steps] + [receipt.custodian for receipt in transcript.receipts]
    strangers = sorted(set(acting) - names)
    return [
        problem
        for wrong, problem in (
            (len(names) < 2, "a ceremony has at least two participants"),
            (len(names) != len(people), "two participants have the same name"),
            (len(keys) != len(people), "two participants have the same key, so one could sign for both"),
            (bool(strangers), f"not a participant: {', '.join(strangers)}"),
        )
        if wrong
    ]


def _unsigned(signed: SignedTranscript, participants: Sequence[Participant]) -> list[str]:
    """A signature that is missing, false, of a stranger, or there twice."""
    people = {person.name: person for person in participants}
    signers = [signature.name for signature in signed.signatures]
    found = [f"{name}: has not signed" for name in people if name not in signers]
    found += [f"{name}: signed more than once" for name in people if signers.count(name) > 1]
    for signature in signed.signatures:
        person = people.get(signature.name)
        if person is None:
            found.append(f"{signature.name}: signed, and is not a participant")
        elif not holds(person, signature, signed.message):
            found.append(f"{signature.name}: the signature does not belong to this transcript")
    return found


def _at(found: Sequence[_T], planned: Sequence[_T]) -> str:
    """Say where two lists begin to differ, counted from 1."""
    for number, (one, other) in enumerate(zip(found, planned, strict=False), 1):
        if one != other:
            return f"at number {number}"
    return f"at number {min(len(found), len(planned)) + 1}"

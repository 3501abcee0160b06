# SPDX-License-Identifier: EUPL-1.2
"""One key slot's token: everything an agent can be asked, done on its sessions. Used from many threads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final, TypeVar

from pkcs11 import KeyType, ObjectClass

from hsm.agent.keys import ciphers, generation, mechanisms, objects, signatures
from hsm.agent.keys.mechanisms import Entropy
from hsm.agent.keys.proof import authenticator, fingerprint, prove
from hsm.agent.session.exceptions import UnclearFault
from hsm.agent.session.login import LoginGate
from hsm.agent.session.module import Module
from hsm.agent.session.pool import SessionPool, TokenSession
from hsm.agent.session.token import info_of, present, quirks
from hsm.errors import (
    BadConfig,
    HsmError,
    IntegrityError,
    KeyAmbiguous,
    KeyMissing,
    KeyReplaced,
    SlotUnavailable,
)
from hsm.key_slot import DEK_BYTES, KeyIdentity, WrappedKey
from hsm.operations import AgentConfig, ProbeResult, PublicHalf, SecretKeyInfo
from hsm.pin import Pin
from hsm.token_info import TokenInfo, WantedToken
from hsm.versions import GONE, KeyVersion, from_printable, newest, printable

Found = TypeVar("Found")
_Known = tuple[str, bytes | None, bool]
"""A key by label and id, and whether it is one that wraps, or encrypts, and no pair that signs."""

_LARGEST_RANDOM: Final = 4096


class Device:
    """Wraps, unwraps, signs. Make it, then `start` it; every method raises `HsmError` and nothing else."""

    def __init__(
        self, config: AgentConfig, module: Module, pin: Pin, gate: LoginGate, *, entropy: Entropy
    ) -> None:
        self._config = config
        self._label = config.key_label
        self._entropy = entropy
        wanted = WantedToken(serial=config.token_serial, label=config.token_label, slot=config.slot)
        self._name = f"{wanted}, key {config.key_label}"
        self._sessions = SessionPool(module, wanted, pin, gate)
        self._current: tuple[int, bytes, str] | None = None
        self._bits = 0
        """Size of the key that is `_current`."""
        self._last = WrappedKey(m="", k="", ct=b"")
        self._proved: set[tuple[int, bytes, str]] = set()
        self._seen: set[_Known] = set()

    def start(self) -> None:
        """Find the token and log in."""
        self._sessions.start()

    def wrap(self, dek: bytes, key: KeyIdentity | None = None) -> WrappedKey:
        """Wrap under `key` or the newest version, and make sure that the token can take it back."""
        if len(dek) != DEK_BYTES:
            raise BadConfig(f"a slot wraps {DEK_BYTES} bytes, not {len(dek)}")
        try:
            return self._run(lambda session: self._wrap(session, dek, key), "wrap")
        except KeyReplaced:
            raise
        except IntegrityError as error:
            raise SlotUnavailable(f"{error}, right after it was wrapped", ckr=error.ckr) from error

    def identify(self, key: KeyIdentity | None = None) -> KeyIdentity:
        """Have `key`, or the newest version as it is now, prove itself; return all that it is known by."""
        if key is None:
            self._current = None
        try:
            return self._run(lambda session: self._identify(session, key), "identify")
        except KeyReplaced:
            raise
        except IntegrityError as error:
            raise SlotUnavailable(f"{error}, right after it was wrapped", ckr=error.ckr) from error

    def unwrap(self, wrapped: WrappedKey) -> bytes:
        """Return what was wrapped, under whichever of several keys of one name opens it."""
        try:
            return self._unwrap_with_one(wrapped)
        except KeyAmbiguous as several:
            return self._unwrap_with_any(wrapped, several)

    def _unwrap_with_any(self, wrapped: WrappedKey, several: KeyAmbiguous) -> bytes:
        """Try each key of the record's version, a bounded number: what opens the record proves to be its key."""
        kind, key_type = _type_of(wrapped.m)
        key_id = from_printable(wrapped.k)
        count = len(
            self._run(lambda session: objects.search(session, kind, self._label, key_id, key_type), "unwrap")
        )
        if count > objects.MOST_TWINS:
            raise several
        for place in range(count):

            def attempt(session: TokenSession, place: int = place) -> bytes:
                found = objects.search(session, kind, self._label, key_id, key_type)
                objects.remember(session, found[place], kind, self._label, key_id, key_type)
                try:
                    return self._unwrap(session, wrapped)
                finally:
                    objects.forget(session, kind, self._label, key_id, key_type)

            with contextlib.suppress(IntegrityError, UnclearFault, BadConfig, IndexError):
                return self._run(attempt, "unwrap", decrypting=True)
        if count < 2:  # keys for HMAC are several, and one of them gave the record's code
            raise several
        raise IntegrityError(f"{several}, and none opens what was wrapped")

    def _unwrap_with_one(self, wrapped: WrappedKey) -> bytes:
        """Return what was wrapped; a canary tells a changed record from a broken device.

        A device may fail once and work again: the record is to blame only when it fails before and after
        a canary that passed.
        """
        try:
            return self._run(lambda session: self._unwrap(session, wrapped), "unwrap", decrypting=True)
        except UnclearFault as error:
            problem = self._canary_of(wrapped)
            if isinstance(problem, KeyAmbiguous):
                raise problem from error
            if problem is not None:
                raise SlotUnavailable(f"{error}, and so does a canary: {problem}", ckr=error.ckr) from error
        try:
            return self._run(lambda session: self._unwrap(session, wrapped), "unwrap", decrypting=True)
        except UnclearFault as error:
            raise IntegrityError(
                f"{error}, but the key works: the record was changed", ckr=error.ckr
            ) from error

    def probe(self) -> ProbeResult:
        """Look up the newest version again, and wrap and unwrap something fresh."""
        self._current = None
        try:
            token = self._run(lambda _: info_of(self._sessions.token), "token information")
            ignored = self._run(lambda session: objects.strangers(session, self._label), "other objects")
        except HsmError as error:
            return self._failed(None, error)
        problem = self._canary()
        if problem is not None:
            return self._failed(token, problem)
        return ProbeResult(
            token=token,
            key_version=self._last.k,
            way=self._last.m,
            key_bits=self._bits,
            ignored=ignored,
            logins=self._sessions.logins,
            sessions=self._sessions.open,
        )

    def random(self, size: int) -> bytes:
        """Return `size` bytes (at most 4096) of the token's own randomness."""
        if not 0 < size <= _LARGEST_RANDOM:
            raise BadConfig(f"random: the size must be between 1 and {_LARGEST_RANDOM} bytes")
        return self._run(lambda session: signatures.random(session.pkcs11, size), "random")

    def sign(self, label: str, key_id: bytes | None, mechanism: str, data: bytes) -> bytes:
        """Sign `data`; see `hsm.agent.keys.signatures.sign`."""
        return self._on_key(
            lambda session: signatures.sign(session, label, key_id, mechanism, data), "sign", label, key_id
        )

    def public_key(self, label: str, key_id: bytes | None) -> PublicHalf:
        """Return a pair's public half; see `hsm.agent.keys.signatures.public_key`."""
        return self._on_key(
            lambda session: signatures.public_key(session, label, key_id, self._entropy),
            "public key",
            label,
            key_id,
        )

    def cipher(self, wanted: ciphers.CipherOperation) -> bytes | SecretKeyInfo:
        """Encrypt or decrypt with a key, or say what it is known by; see `hsm.agent.keys.ciphers`."""
        return ciphers.answered(self._on_key, wanted, self._entropy)

    def generate_key_pair(self, label: str, key_id: bytes, algorithm: str) -> bytes:
        """Make a key pair and return its public half; see `hsm.agent.keys.generation.generate_pair`."""

        def make(session: TokenSession) -> bytes:
            generation.generate_pair(session, label, key_id, algorithm, quirks(self._sessions.token))
            return signatures.public_key(session, label, key_id, self._entropy).public

        return self._run(make, f"generate {algorithm}", write=True)

    def generate_kek(self, algorithm: str, *, modifiable: bool, dry_run: bool = False) -> KeyVersion:
        """Make the next version of the slot's key; see `hsm.agent.keys.generation.generate_kek`."""

        def make(session: TokenSession) -> KeyVersion:
            return generation.generate_kek(
                session,
                self._label,
                algorithm,
                quirks(self._sessions.token),
                modifiable=modifiable,
                dry_run=dry_run,
            )

        made = self._run(make, f"generate {algorithm}", write=True)
        self._current = None
        return made

    def keys(self) -> list[KeyVersion]:
        """Return all versions of the slot's key."""
        return self._run(lambda session: objects.versions(session, self._label), "list keys")

    def retire(self, version: str, *, dry_run: bool = False) -> None:
        """Let a version decrypt only; with `dry_run` refuse what that would refuse."""
        try:
            key_id = from_printable(version)
        except ValueError:
            raise BadConfig(f"version {version!r}: must be a CKA_ID as the list of keys shows it") from None
        self._run(
            lambda session: objects.retire(session, self._label, key_id, dry_run=dry_run),
            f"retire {version}",
            write=True,
        )
        self._current = None

    def _on_key(
        self,
        work: Callable[[TokenSession], Found],
        doing: str,
        label: str,
        key_id: bytes | None,
        *,
        decrypting: bool = False,
        secret: bool = False,
    ) -> Found:
        """Do `work` with a pair, or with the AES key (`secret`) of the same name: that one was seen says nothing of the other."""
        known = (label, key_id, secret)
        found = self._run(work, doing, known=known, decrypting=decrypting)
        # It may be asked for by less next time, and cannot be missing then either.
        self._seen.update({known, (label, None, secret), ("", key_id, secret)})
        return found

    def _run(
        self,
        work: Callable[[TokenSession], Found],
        doing: str,
        *,
        decrypting: bool = False,
        write: bool = False,
        known: _Known | None = None,
    ) -> Found:
        """Do `work` on a session; `known` is the key that it uses, if not the slot's own."""
        key = known or (self._label, None, True)
        return self._sessions.run(
            work,
            f"{self._name}: {doing}",
            decrypting=decrypting,
            write=write,
            seen=lambda: key in self._seen,
        )

    def _wrap(self, session: TokenSession, dek: bytes, key: KeyIdentity | None) -> WrappedKey:
        key_id, way = self._newest(session) if key is None else self._recorded(session, key)
        try:
            return self._wrap_with(session, key_id, way, dek)
        finally:
            if key is not None:
                session.keys.clear()  # a record may be under another key of the same name

    def _identify(self, session: TokenSession, key: KeyIdentity | None) -> KeyIdentity:
        key_id, way = self._newest(session) if key is None else self._recorded(session, key)
        kind, key_type = _type_of(way)
        self._proved.discard(
            (self._sessions.generation, key_id, way)
        )  # it may be another one of the same name
        try:
            found = objects.find(session, kind, self._label, key_id, key_type)
            self._wrap_with(session, key_id, way, self._entropy(DEK_BYTES))
            codes = (
                objects.find_authenticator(session, self._label, key_id) if way == "aes-cbc-hmac" else None
            )
            return KeyIdentity(
                label=self._label,
                version=printable(key_id),
                fingerprint=fingerprint(found),
                authenticator=authenticator(codes) if codes is not None else "",
                imported=objects.describe(session, found, self._label, key_id).imported,
            )
        finally:
            session.keys.clear()

    def _recorded(self, session: TokenSession, key: KeyIdentity) -> tuple[bytes, str]:
        """Return id and way of the key that is recorded; the one of its name that has its fingerprint.

        Raises `KeyMissing`, `KeyAmbiguous`, `KeyReplaced` where other keys have taken its place.
        """
        if key.label not in {"", self._label}:
            raise BadConfig(
                f"{self._name}: what is stored is under key {key.label}; set key_label to that, or rewrap the slot"
            )
        key_id = from_printable(key.version)
        others: list[Any] = []
        for kind, key_type in _TYPES:
            found = objects.search(session, kind, self._label, key_id, key_type)
            if not found:
                continue
            self._few(found, key.version)
            if key.fingerprint:
                shown = [fingerprint(one) for one in found]
                same = [one for one, mark in zip(found, shown, strict=True) if mark == key.fingerprint]
                if not same and not any(shown) and not any(hasattr(one, "encrypt") for one in found):
                    same = found  # one that only decrypts shows nothing, and wraps nothing
                if not same:
                    others += found
                    continue
                found = same[:1]
            if len(found) > 1:
                raise KeyAmbiguous(
                    f"{self._name} id {key.version}: the token has more than one ({objects.handles(found)}), and the "
                    "slot's record does not say which; remove all but one"
                )
            objects.remember(session, found[0], kind, self._label, key_id, key_type)
            way = self._way(objects.describe(session, found[0], self._label, key_id))
            if way == "aes-cbc-hmac":
                self._recall_authenticator(session, key, key_id)
            return key_id, way
        if others:
            raise KeyReplaced(
                f"{self._name} id {key.version}: is another key than the slot's record names "
                f"({objects.handles(others)}); it was exchanged, or restored wrongly; where that was meant, "
                "vaultctl operator seal-slots rewrap takes it"
            )
        objects.find(session, ObjectClass.SECRET_KEY, self._label, key_id, KeyType.AES)
        raise KeyMissing(f"{self._name}: the token has no version {key.version}", ckr="NoSuchKey")

    def _few(self, found: list[Any], version: str) -> None:
        """Refuse to wrap under one of more keys of a name than are tried to unwrap. Raises `KeyAmbiguous`."""
        if len(found) > objects.MOST_TWINS:
            raise KeyAmbiguous(
                f"{self._name} id {version}: the token has more than {objects.MOST_TWINS} ({objects.handles(found)}); remove "
                "those that are not needed"
            )

    def _recall_authenticator(self, session: TokenSession, key: KeyIdentity, key_id: bytes) -> None:
        """Take the HMAC key that is recorded, of several of its name; where none is, `find` refuses to choose."""
        if not key.authenticator:
            return
        found = objects.authenticators(session, self._label, key_id)
        self._few(found, key.version)
        same = next((one for one in found if authenticator(one) == key.authenticator), None)
        if same is None:
            raise KeyReplaced(
                f"{self._name} id {key.version}: its key for HMAC is another one than the slot's record names "
                f"({objects.handles(found)}); it was exchanged, or restored wrongly; where that was meant, "
                "vaultctl operator seal-slots rewrap takes it"
            )
        objects.remember_authenticator(session, same, self._label, key_id)

    def _wrap_with(self, session: TokenSession, key_id: bytes, way: str, dek: bytes) -> WrappedKey:
        """Wrap with a key that has proved itself, and see that the token takes it back."""
        this = (self._sessions.generation, key_id, way)
        if this not in self._proved:
            prove(
                lambda text: self._sealed(session, key_id, way, text),
                lambda wrapped: self._unwrap(session, wrapped),
                self._entropy(DEK_BYTES),
                f"{self._name} id {printable(key_id)}",
            )
            self._proved.add(this)
        wrapped = self._sealed(session, key_id, way, dek)
        if not mechanisms.same(self._unwrap(session, wrapped), dek):
            raise SlotUnavailable(f"{self._name}: the token gave back something else than was wrapped")
        return wrapped

    def _sealed(self, session: TokenSession, key_id: bytes, way: str, dek: bytes) -> WrappedKey:
        if way == "aes-gcm":
            return mechanisms.wrap_gcm(session, self._label, key_id, dek, self._entropy)
        if way == "aes-cbc-hmac":
            return mechanisms.wrap_cbc_hmac(session, self._label, key_id, dek, self._entropy)
        return mechanisms.wrap_oaep(session, self._label, key_id, dek, way.removeprefix("rsa-oaep-"))

    def _unwrap(self, session: TokenSession, wrapped: WrappedKey) -> bytes:
        if wrapped.m == "aes-gcm":
            found = mechanisms.unwrap_gcm(session, self._label, wrapped)
        elif wrapped.m == "aes-cbc-hmac":
            found = mechanisms.unwrap_cbc_hmac(session, self._label, wrapped)
        elif wrapped.m.startswith("rsa-oaep-"):
            found = self._unwrap_oaep(session, wrapped)
        else:
            raise IntegrityError(f"{self._name}: no slot of PKCS#11 wraps by {wrapped.m!r}")
        if len(found) != DEK_BYTES:
            raise IntegrityError(f"{self._name}: what was wrapped is not a key of {DEK_BYTES} bytes")
        self._seen.add((self._label, None, True))
        return found

    def _unwrap_oaep(self, session: TokenSession, wrapped: WrappedKey) -> bytes:
        hash_name = wrapped.m.removeprefix("rsa-oaep-")
        if hash_name not in {"sha256", "sha384", "sha512", self._config.rsa_oaep_hash}:
            raise BadConfig(
                f"{self._name}: the record was wrapped with {hash_name}; "
                f'accept it with rsa_oaep_hash="{hash_name}" if that is what this slot used'
            )
        return mechanisms.unwrap_oaep(session, self._label, wrapped, hash_name)

    def _newest(self, session: TokenSession) -> tuple[bytes, str]:
        """Return id and way of the version that wraps; looked up again after every loss and every change."""
        generation_now = self._sessions.generation
        if self._current is None or self._current[0] != generation_now:
            found = objects.versions(session, self._label)
            try:
                version = self._configured(found) if self._config.key_id else newest(found, self._label)
            except KeyMissing as error:
                ignored = objects.ignored_note(objects.strangers(session, self._label))
                raise KeyMissing(f"{error}{ignored}", ckr=error.ckr) from None
            self._current = (generation_now, from_printable(version.version), self._way(version))
            self._bits = version.bits
            self._seen.add((self._label, None, True))
        return self._current[1:]

    def _configured(self, found: list[KeyVersion]) -> KeyVersion:
        wanted = printable(self._config.key_id)
        for version in found:
            if version.version == wanted:
                return version
        raise KeyMissing(f"{self._name}: the token has no version {wanted}; check key_id", ckr="NoSuchKey")

    def _way(self, version: KeyVersion) -> str:
        """Choose how to wrap with this version. Raises `BadConfig` when configuration and key do not fit."""
        wanted = self._config.mechanism
        if version.kind == "rsa":
            if wanted not in {"", "RSA_PKCS_OAEP"}:
                raise BadConfig(f"{self._name}: is an RSA key; set mechanism to RSA_PKCS_OAEP or remove it")
            return f"rsa-oaep-{self._config.rsa_oaep_hash}"
        if wanted == "RSA_PKCS_OAEP":
            raise BadConfig(f"{self._name}: is an AES key; set mechanism to AES_GCM or remove it")
        token = self._sessions.token
        gcm = "AES_GCM" in info_of(token).mechanisms and not quirks(token).no_gcm
        if wanted == "AES_GCM" or (gcm and not wanted):
            return "aes-gcm"
        if version.authenticated:
            return "aes-cbc-hmac"
        raise BadConfig(
            f"{self._name}: without AES-GCM it needs a second key {self._label}{objects.HMAC_SUFFIX} for HMAC "
            f"(a new slot gets both by vaultctl hsm generate-kek -etm; {GONE})"
        )

    def _canary_of(self, wrapped: WrappedKey) -> HsmError | None:
        """Wrap and unwrap something fresh with the key of `wrapped`, or with the newest if it only decrypts."""
        key_id = from_printable(wrapped.k)
        dek = self._entropy(DEK_BYTES)
        try:
            self._run(lambda session: self._wrap_with(session, key_id, wrapped.m, dek), "canary")
        except BadConfig:
            return self._canary()
        except HsmError as error:
            return error
        return None

    def _canary(self) -> HsmError | None:
        """Wrap something fresh, which unwraps it too. Return what went wrong."""
        try:
            self._last = self.wrap(self._entropy(DEK_BYTES))
        except HsmError as error:
            return error
        return None

    def _failed(self, token: TokenInfo | None, error: HsmError) -> ProbeResult:
        return ProbeResult(
            token=token,
            reason=str(error),
            kind=type(error).__name__,
            ckr=error.ckr,
            logins=self._sessions.logins,
            sessions=self._sessions.open,
        )


_TYPES: Final = ((ObjectClass.SECRET_KEY, KeyType.AES), (ObjectClass.PRIVATE_KEY, KeyType.RSA))


def _type_of(way: str) -> tuple[ObjectClass, KeyType]:
    """Return the class and the type of the keys that wrap this way."""
    return _TYPES[way.startswith("rsa-")]


def tokens(module: Module) -> list[TokenInfo]:
    """Return what all tokens of a module say of themselves. Raises python-pkcs11's exceptions."""
    return [info_of(token) for token in present(module)]

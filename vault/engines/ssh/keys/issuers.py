# SPDX-License-Identifier: EUPL-1.2
"""The authorities of a mount that sign certificates: kept by id, found by id, by name, or as the default."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from vault.barrier.stored import RecordKind, text
from vault.barrier.view import ReadView, View
from vault.cache.follow import BoundedCache
from vault.cache.known_records import KnownRecords
from vault.engines.ssh.keys.pairs import Signer, from_pkcs8, to_pkcs8
from vault.engines.ssh.keys.public_key import PublicKey, read_public_key
from vault.framework.errors import Malformed
from vault.framework.keys.safe import Safe
from vault.framework.quote import quote
from vault.values.times import Millis

ISSUER_FACT: Final = "ssh-issuer"
"""Kind of the cached fact 'the private key of an authority'; its key is the authority's id."""
ISSUERS: Final = "issuer/"
"""Prefix of authorities by their ids, in a mount's data."""
_NAMES: Final = "name/"
_BLOBS: Final = "blob/"
_DEFAULT: Final = "default-issuer"
DEFAULT: Final = "default"
"""The reference of the default authority, which no other may be called."""
NO_DEFAULT: Final = "no default issuer currently configured"
_NAME: Final = re.compile(r"\w(?:[\w.-]*\w)?", re.ASCII)
_OPENED: Final = 256
"""Authorities in memory, and private keys of theirs."""
MOST: Final = 1000
"""Authorities of a mount."""


class Issuer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An authority. `public` is the line that clients get; the private half lies in the safe (`held`)."""

    id: str
    public: str
    digest: str
    """SHA-256 of the public key, by which the same key is known again."""
    created: Millis
    held: bytes
    name: str = ""

    def __repr__(self) -> str:
        """Show nothing of its key."""
        return f"<Issuer {self.id}>"


ISSUER: Final = RecordKind("ssh issuer", Issuer)


class NewIssuer(msgspec.Struct, frozen=True):
    """An authority that is not kept yet."""

    public: PublicKey
    line: str
    private: Signer

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "NewIssuer(…)"


class OpenIssuer(msgspec.Struct, frozen=True):
    """The two keys of an authority, ready to sign."""

    private: Signer
    public: PublicKey

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "OpenIssuer(…)"


class Issuers:
    """Finds authorities, keeps them, and has the keys of those that sign in memory."""

    def __init__(self, safe: Safe) -> None:
        self._safe = safe
        self._opened: BoundedCache[str, OpenIssuer] = BoundedCache(_OPENED)
        self._issuers = KnownRecords(ISSUER.decode, _OPENED)
        self._pointers = KnownRecords(bytes.decode, _OPENED)

    async def find(self, view: ReadView, reference: str) -> Issuer | None:
        """Return the authority that a reference names: an id, a name, or `default`."""
        pointer = _DEFAULT
        if reference != DEFAULT:
            found = await self._issuers.find(view, ISSUERS + reference)
            if found is not None:
                return found
            pointer = _NAMES + reference
        issuer_id = await self._pointers.find(view, pointer)
        return None if issuer_id is None else await self._issuers.find(view, ISSUERS + issuer_id)

    async def known(self, view: ReadView, reference: str) -> Issuer:
        """As `find`. Raises `Malformed` where there is none."""
        found = await self.find(view, reference)
        if found is None:
            missing = f"unable to find issuer for reference: {quote(reference)}"
            raise Malformed(NO_DEFAULT if reference == DEFAULT else missing)
        return found

    async def open(self, issuer: Issuer) -> OpenIssuer:
        """Return the keys of an authority that was just read. Raises `Unavailable`, and `Failed` for an altered one."""
        found = self._opened.get(issuer.id)
        if found is None:
            private = from_pkcs8(await self._safe.open(_about(issuer.id), issuer.held))
            found = OpenIssuer(private, read_public_key(issuer.public, ""))
            self._opened.put(issuer.id, found)
        return found

    async def add(self, view: View, new: NewIssuer, *, issuer_id: str, name: str, now: Millis) -> Issuer:
        """Keep a new authority. Raises `Malformed` where its name may not be or there are too many, and `Unavailable`."""
        await check_name(view, name, "")
        if len(await view.list(ISSUERS, limit=MOST)) >= MOST:
            raise Malformed(f"a mount can have {MOST} issuers: delete one")
        held = self._safe.close(_about(issuer_id), to_pkcs8(new.private))
        issuer = Issuer(
            id=issuer_id, public=new.line, digest=new.public.digest, created=now, held=held, name=name
        )
        await view.put(ISSUERS + issuer_id, ISSUER.encode(issuer))
        await view.put(_BLOBS + issuer.digest, text(issuer_id))
        if name:
            await view.put(_NAMES + name, text(issuer_id))
        return issuer

    async def drop(self, changed: str | None) -> None:
        """Forget the private key of an authority that is gone, or all."""
        self._opened.drop(changed)

    def forget(self) -> None:
        """Forget all authorities with their private keys, as the vault is sealed."""
        self._opened.drop(None)
        self._issuers.forget()
        self._pointers.forget()


def _about(issuer_id: str) -> tuple[str, ...]:
    return ("ssh issuer", issuer_id)


async def issuer_by_id(view: ReadView, issuer_id: str) -> Issuer | None:
    """Return the authority with an id."""
    stored = await view.get(ISSUERS + issuer_id)
    return ISSUER.decode(stored) if stored is not None else None


async def issuer_of_key(view: ReadView, public: PublicKey) -> Issuer | None:
    """Return the authority that has a public key already."""
    return await _pointed(view, _BLOBS + public.digest)


async def _pointed(view: ReadView, place: str) -> Issuer | None:
    issuer_id = await view.get(place)
    return await issuer_by_id(view, issuer_id.decode()) if issuer_id is not None else None


async def default_id(view: ReadView) -> str:
    """Return the id of the default authority; empty for none."""
    return (await view.get(_DEFAULT) or b"").decode()


async def set_default(view: View, issuer_id: str) -> None:
    """Make an authority the default one."""
    await view.put(_DEFAULT, text(issuer_id))


async def check_name(view: ReadView, name: str, own: str) -> None:
    """Make sure that the authority with the id `own` may be called `name`, or none at all. Raises `Malformed`."""
    if not name:
        return
    if name == DEFAULT:
        raise Malformed("reserved keyword 'default' can not be used as issuer name")
    if _NAME.fullmatch(name) is None:
        raise Malformed("issuer name contained invalid characters")
    holder = await _pointed(view, _NAMES + name)
    if holder is not None and holder.id != own:
        raise Malformed("issuer name already in use")


async def rename(view: View, issuer: Issuer, name: str) -> Issuer:
    """Give an authority another name, or none. Raises `Malformed`."""
    await check_name(view, name, issuer.id)
    changed = msgspec.structs.replace(issuer, name=name)
    if issuer.name:
        await view.delete(_NAMES + issuer.name)
    if name:
        await view.put(_NAMES + name, text(issuer.id))
    await view.put(ISSUERS + issuer.id, ISSUER.encode(changed))
    return changed


async def remove(view: View, issuer: Issuer) -> bool:
    """Remove an authority, for good. Return whether it was the default one: then there is none."""
    was_default = await default_id(view) == issuer.id
    await view.delete(ISSUERS + issuer.id)
    await view.delete(_BLOBS + issuer.digest)
    if issuer.name:
        await view.delete(_NAMES + issuer.name)
    if was_default:
        await view.delete(_DEFAULT)
    await view.invalidate(ISSUER_FACT, issuer.id)
    return was_default

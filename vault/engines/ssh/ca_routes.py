# SPDX-License-Identifier: EUPL-1.2
"""The authorities of a mount: made or brought, named, chosen as the default, shown to everybody, removed."""

from __future__ import annotations

from vault.engines.ssh.forms.answers import DefaultIssuer, IssuerInfo, IssuerList, ListedIssuer
from vault.engines.ssh.forms.params import (
    AuthorityParams,
    CaParams,
    DefaultParams,
    ImportParams,
    IssuerName,
    NamedImportParams,
    PageParams,
    RenameParams,
)
from vault.engines.ssh.keys.issuers import (
    DEFAULT,
    ISSUERS,
    Issuer,
    Issuers,
    NewIssuer,
    default_id,
    issuer_by_id,
    issuer_of_key,
    remove,
    rename,
    set_default,
)
from vault.engines.ssh.keys.pairs import MakesPairs, matches, read_private_key
from vault.engines.ssh.keys.public_key import line_of, read_public_key
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.names import check_length
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import delete, list_, read, write

_KNOWN = "An issuer with the provided public key already exists, returning the existing issuer"
_ONLY_ONE = "only one of public_key and private_key set; both must be set to use, or both must be blank to auto-generate"


class AuthorityEngine(Engine):
    """Authorities that sign certificates."""

    def __init__(self, issuers: Issuers, entropy: Entropy, pool: Pool, pairs: MakesPairs) -> None:
        """`pool` makes pairs of RSA, and tries those that are brought."""
        self._issuers = issuers
        self._entropy = entropy
        self._pool = pool
        self._pairs = pairs

    @write("config/ca", before="prepare", event="ssh.issuer.create")
    async def write_ca(self, call: Call, params: CaParams) -> IssuerInfo:
        """Make an issuer or take one in, as the default one. Those that are there stay; one that is there already is shown."""
        return await self._add(call, "", default=True)

    @write("issuers/import", before="prepare", event="ssh.issuer.create")
    async def import_issuer(self, call: Call, params: ImportParams) -> IssuerInfo:
        """Make an issuer or take one in, beside others."""
        return await self._add(call, "", default=params.set_default)

    @write("issuers/import/{issuer_name:word}", before="prepare", event="ssh.issuer.create")
    async def import_named(self, call: Call, params: NamedImportParams) -> IssuerInfo:
        """Make an issuer or take one in, with a name."""
        return await self._add(call, params.issuer_name, default=params.set_default)

    async def prepare(self, call: Call, params: AuthorityParams) -> NewIssuer:
        """Make a pair, which takes up to seconds for RSA, or read and try the one that is brought."""
        given = bool(params.private_key), bool(params.public_key)
        if any(given) and not all(given):
            raise Malformed(_ONLY_ONE)
        if all(given):
            if params.generate_signing_key:
                raise Malformed(
                    "public_key and private_key must not be set when generate_signing_key is set to true"
                )
            return await self._pool.of(call, _brought, params.private_key, params.public_key)
        if params.generate_signing_key is False:
            raise Malformed("missing public_key")
        pair = self._pairs(params.key_type, params.key_bits)
        private = await self._pool.do(call, pair.make, slow=pair.slow)
        line = line_of(private.public_key())
        return NewIssuer(read_public_key(line, ""), line, private)

    async def _add(self, call: Call, name: str, *, default: bool) -> IssuerInfo:
        new = call.prepared
        assert isinstance(new, NewIssuer)
        check_length(issuer_name=name)
        issuer = await issuer_of_key(call.tx, new.public)
        if issuer is None:
            made = self._entropy.uuid()
            issuer = await self._issuers.add(call.tx, new, issuer_id=made, name=name, now=call.now)
            if default or not await default_id(call.tx):
                await set_default(call.tx, issuer.id)
        else:
            call.warnings.append(_KNOWN)
        return _shown(issuer)

    @read("config/ca", event="ssh.issuer.read")
    async def read_ca(self, call: Call) -> IssuerInfo:
        """Show the default issuer."""
        return _shown(await self._issuers.known(call.reader, DEFAULT))

    @delete("config/ca", contained=True, event="ssh.issuer.delete")
    async def delete_ca(self, call: Call) -> Reply[None] | None:
        """Remove all issuers, for good."""
        gone = 0
        turn = TimeSlice()
        for issuer_id in await call.tx.list(ISSUERS):
            issuer = await issuer_by_id(call.tx, issuer_id)
            if issuer is not None:
                await remove(call.tx, issuer)
                gone += 1
            await turn.step()
        if not gone:
            return None
        return Reply(warnings=[f"Deleted {gone} issuers, including default issuer if configured."])

    @read("public_key", public=True, event="ssh.issuer.read")
    async def read_public_key(self, call: Call) -> Reply[None]:
        """Show the public key of the default issuer as a line, to everybody."""
        return _line(await self._issuers.known(call.reader, DEFAULT))

    @read("issuer/{issuer_ref:word}/public_key", public=True, event="ssh.issuer.read")
    async def read_key_of_issuer(self, call: Call, params: IssuerName) -> Reply[None]:
        """Show the public key of an issuer as a line, to everybody."""
        return _line(await self._issuers.known(call.reader, params.issuer_ref))

    @read("issuer/{issuer_ref:word}", event="ssh.issuer.read")
    async def read_issuer(self, call: Call, params: IssuerName) -> IssuerInfo:
        """Show an issuer."""
        return _shown(await self._issuers.known(call.reader, params.issuer_ref))

    @write("issuer/{issuer_ref:word}", contained=True, event="ssh.issuer.write")
    async def rename_issuer(self, call: Call, params: RenameParams) -> IssuerInfo:
        """Give an issuer another name, or none."""
        check_length(issuer_name=params.issuer_name)
        issuer = await self._issuers.known(call.tx, params.issuer_ref)
        return _shown(await rename(call.tx, issuer, params.issuer_name))

    @delete("issuer/{issuer_ref:word}", contained=True, event="ssh.issuer.delete")
    async def delete_issuer(self, call: Call, params: IssuerName) -> Reply[None] | None:
        """Remove an issuer, for good. Certificates that it signed stay good where its key is trusted."""
        issuer = await self._issuers.find(call.tx, params.issuer_ref)
        if issuer is None or not await remove(call.tx, issuer):
            return None
        warning = (
            f"Deleted issuer {issuer.id} (via issuer_ref {quote(params.issuer_ref)}); this was configured as the "
            "default issuer. Operations without an explicit issuer will not work until a new default is configured."
        )
        return Reply(warnings=[warning])

    @list_("issuers", event="ssh.issuer.list")
    async def list_issuers(self, call: Call, params: PageParams) -> IssuerList:
        """List the issuers by their ids."""
        ids = await call.reader.list(ISSUERS, after=params.after, limit=max(params.limit, 0))
        default = await default_id(call.reader)
        shown = {}
        turn = TimeSlice()
        for issuer_id in ids:
            issuer = await issuer_by_id(call.reader, issuer_id)
            if issuer is not None:
                shown[issuer_id] = ListedIssuer(issuer_id == default, issuer.name, issuer.public)
            await turn.step()
        if not shown:
            raise NotFound
        return IssuerList(list(shown), shown)

    @read("config/issuers", event="ssh.issuer.read")
    async def read_default(self, call: Call) -> DefaultIssuer:
        """Show which issuer is the default one."""
        return DefaultIssuer((await self._issuers.known(call.reader, DEFAULT)).id)

    @write("config/issuers", contained=True, event="ssh.issuer.write")
    async def write_default(self, call: Call, params: DefaultParams) -> Reply[DefaultIssuer]:
        """Choose the default issuer."""
        if params.default in ("", DEFAULT):
            raise Malformed("invalid issuer specification; must be non-empty and can't be 'default'.")
        issuer = await self._issuers.find(call.tx, params.default)
        if issuer is None:
            raise Malformed("unable to find issuer for reference in field 'default'")
        before = await default_id(call.tx)
        if before == issuer.id:
            return Reply(warnings=["The default issuer is already set to the specified issuer."])
        await set_default(call.tx, issuer.id)
        if not before:
            return Reply(DefaultIssuer(issuer.id))
        by_name = params.default != issuer.id
        changed = (
            f"Previous default ({before}) has been updated with the issuer "
            f"'{issuer.name if by_name else issuer.id}'{f' (resolved to {issuer.id})' * by_name}"
        )
        return Reply(DefaultIssuer(issuer.id), warnings=[changed])


def _brought(private_key: str, public_key: str) -> NewIssuer:
    """Read a pair that is brought, and try it. Raises `Malformed`."""
    public = read_public_key(public_key, "could not parse public_key provided value: ")
    private = read_private_key(private_key)
    if public.in_device or not matches(private, public.key):
        raise Malformed("public_key and private_key must be the halves of one pair")
    return NewIssuer(public, public_key, private)


def _shown(issuer: Issuer) -> IssuerInfo:
    return IssuerInfo(issuer.id, issuer.name, issuer.public)


def _line(issuer: Issuer) -> Reply[None]:
    return Reply(raw=issuer.public.encode(), content_type="text/plain")

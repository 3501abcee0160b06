# SPDX-License-Identifier: EUPL-1.2
"""`identity/mfa/method`: TOTP methods, and what entities share with their authenticators."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec

from nhi.identity.entities.entity_routes import KeyInfo, own
from nhi.identity.mfa import reach
from nhi.identity.mfa.passcodes import HASHES
from nhi.identity.mfa.reach import Chain
from nhi.identity.records import mfa as model
from nhi.identity.records import store
from nhi.identity.records.mfa import Method, Seed
from vault.framework.call import Call, Namespace
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool, client_of
from vault.framework.display.barcode import barcode
from vault.framework.display.otpauth import otpauth
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Doc, Json, Span
from vault.framework.keys.external import AskFirst
from vault.framework.names import check_length
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, list_, read, write
from vault.mount.router import Router
from vault.values.ids import NOBODY, EntityId
from vault.values.times import Seconds

_DIGITS = (6, 8)
_LARGEST_KEY = 1024
_LARGEST_PICTURE = 2000
_TOO_LONG = "the issuer's name is too long for a barcode: set qr_size to 0"


class TotpParams(Params, frozen=True, kw_only=True):
    """A TOTP method; what is not given has its default, in an old method too."""

    method_name: Annotated[str, Doc("Name that clients may use instead of the id.", clear=True)] = ""
    issuer: Annotated[str, Doc("Who an authenticator says that the code is for.")] = ""
    period: Annotated[Span, Doc("How long a code is good.", clear=True)] = Seconds(30)
    digits: Annotated[int, Doc("Digits of a code: 6 or 8.", clear=True)] = 6
    algorithm: Annotated[str, Doc("SHA1, SHA256 or SHA512.", clear=True)] = "SHA1"
    skew: Annotated[int, Doc("Periods before and after the current one that count: 0 or 1.", clear=True)] = 1
    key_size: Annotated[int, Doc("Bytes of a secret.", clear=True)] = 20
    qr_size: Annotated[int, Doc("Pixels of a barcode's side; 0 for none.", clear=True)] = 200
    max_validation_attempts: Annotated[int, Doc("Wrong codes in a row before a pause.", clear=True)] = 5


class TotpIdParams(TotpParams, frozen=True, kw_only=True):
    """A TOTP method by its id."""

    method_id: Annotated[str, Doc("Id of the method.")]


class MethodId(Params, frozen=True):
    """Which method."""

    method_id: Annotated[str, Doc("Id of the method.")]


class OwnMethod(Params, frozen=True):
    """Which method, for the caller."""

    method_id: Annotated[str, Doc("Id of the method.", clear=True)] = ""


class EntityMethod(Params, frozen=True):
    """Which method, for whom."""

    method_id: Annotated[str, Doc("Id of the method.", clear=True)] = ""
    entity_id: Annotated[str, Doc("Id of the entity.", clear=True)] = ""


class MadeMethod(msgspec.Struct, frozen=True):
    """The id of a method."""

    method_id: str


class SharedSecret(msgspec.Struct, frozen=True):
    """What an authenticator takes in: a picture (PNG in base64) and a URL. The secret is in both."""

    barcode: str
    url: str

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return "<SharedSecret>"


class _NewSecret(msgspec.Struct, frozen=True):
    """A secret that is not kept yet, for an entity and by a method, and what is shown of it."""

    method: Method
    entity_id: EntityId
    seed: Seed
    shown: SharedSecret

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return "<Made>"


class MethodEngine(Engine):
    """TOTP methods and their secrets. Methods of other makers' services are answered as absent."""

    def __init__(self, router: Router, chain: Chain, entropy: Entropy, pool: Pool) -> None:
        """`chain` returns a namespace and all above it; `pool` draws pictures."""
        self._pool = pool
        self._router = router
        self._chain = chain
        self._entropy = entropy

    @write("mfa/method/totp", event="identity.mfa.method.write")
    async def write_totp(self, call: Call, params: TotpParams) -> MadeMethod:
        """Make a TOTP method, or change the one with this name."""
        check_length(issuer=params.issuer, method_name=params.method_name)
        known = [one for one in await model.methods(call.core) if one.name == params.method_name]
        method_id = known[0].id if params.method_name and known else self._entropy.uuid()
        await model.put_method(call.core, _checked(method_id, params))
        return MadeMethod(method_id)

    @write("mfa/method/totp/{method_id:uuid}", event="identity.mfa.method.write")
    async def write_totp_by_id(self, call: Call, params: TotpIdParams) -> None:
        """Change a TOTP method."""
        check_length(issuer=params.issuer, method_name=params.method_name)
        known = await model.method(call.core, params.method_id)
        if known is None:
            await self._refuse_others(call, params.method_id, chained=False)
            raise NotFound
        changed = _checked(params.method_id, params)
        name = params.method_name or known.name
        await model.put_method(call.core, msgspec.structs.replace(changed, name=name))

    @read("mfa/method/totp/{method_id:uuid}", event="identity.mfa.method.read")
    @read("mfa/method/{method_id:uuid}", event="identity.mfa.method.read")
    async def read_method(self, call: Call, params: MethodId) -> dict[str, Json]:
        """Read a method, of this namespace or one above it."""
        found = await reach.method(own(call), self._chain(call.namespace), params.method_id)
        if found is None:
            raise NotFound
        return _shown(*found)

    @list_("mfa/method/totp", event="identity.mfa.method.list")
    @list_("mfa/method", event="identity.mfa.method.list")
    async def list_methods(self, call: Call) -> KeyInfo:
        """List methods by id, with what they are; those of the namespaces above too."""
        known = await reach.methods(own(call), self._chain(call.namespace))
        found = {one.id: _shown(place, one) for place, one in known}
        if not found:
            raise NotFound
        return KeyInfo(found, list(found))

    @delete("mfa/method/totp/{method_id:uuid}", event="identity.mfa.method.delete")
    async def delete_totp(self, call: Call, params: MethodId) -> None:
        """Remove a method that nothing enforces, here or below, with all secrets."""
        await self._refuse_others(call, params.method_id, chained=True)
        for table in self._router.within(call.namespace):
            for one in await model.enforcements(call.core.space(table.namespace.id)):
                if params.method_id in one.methods:
                    raise Malformed(
                        f"methodID is still used by an enforcement configuration with ID: {quote(one.id)}",
                        chained=True,
                    )
        await call.core.delete(model.METHODS + params.method_id)
        await call.core.delete_prefix(f"{model.SECRETS}{params.method_id}/")

    @write("mfa/method/duo", event="identity.mfa.method.write")
    @write("mfa/method/okta", event="identity.mfa.method.write")
    @write("mfa/method/pingid", event="identity.mfa.method.write")
    async def write_absent(self, call: Call) -> None:
        """Refuse a method that this server does not have."""
        del call
        raise Malformed("this server has no such second factor: use mfa/method/totp")

    @list_("mfa/method/duo", event="identity.mfa.method.list")
    @list_("mfa/method/okta", event="identity.mfa.method.list")
    @list_("mfa/method/pingid", event="identity.mfa.method.list")
    async def list_absent(self, call: Call) -> KeyInfo:
        """List methods that this server does not have: none."""
        del call
        raise NotFound

    @write("mfa/method/totp/generate", event="identity.mfa.secret.issue")
    async def generate(self, call: Call, params: OwnMethod) -> Reply[SharedSecret]:
        """Make the caller's own secret. It is shown this once, and never replaced."""
        if not params.method_id:
            raise Malformed("missing method ID")
        caller = call.caller()
        inside = caller.namespace.id == call.namespace.id
        return await self._share(call, params.method_id, caller.entity_id if inside else NOBODY)

    @write("mfa/method/totp/admin-generate", event="identity.mfa.secret.issue")
    async def admin_generate(self, call: Call, params: EntityMethod) -> Reply[SharedSecret]:
        """Make an entity's secret. It is shown this once, and never replaced."""
        if not params.method_id:
            raise Malformed("missing method ID")
        return await self._share(call, params.method_id, EntityId(params.entity_id))

    @write("mfa/method/totp/admin-destroy", event="identity.mfa.secret.delete")
    async def admin_destroy(self, call: Call, params: EntityMethod) -> None:
        """Forget an entity's secret, so that another can be made."""
        if not params.method_id:
            raise Malformed("missing method ID")
        await self._known(call, params.method_id, EntityId(params.entity_id))
        await model.delete_seed(call.core, params.method_id, EntityId(params.entity_id))

    async def _share(self, call: Call, method_id: str, entity_id: EntityId) -> Reply[SharedSecret]:
        """Make and keep a secret. Raises `AskFirst`: no other write waits while its picture is drawn."""
        method = await self._known(call, method_id, entity_id)
        if await model.seed(call.core, method_id, entity_id) is not None:
            return Reply(warnings=[f'Entity already has a secret for MFA method "{quote(method.name)}"'])
        made = call.prepared
        if not isinstance(made, _NewSecret) or made.method != method or made.entity_id != entity_id:
            raise AskFirst(lambda: self._make(call, method, entity_id))
        await model.put_seed(call.core, method_id, entity_id, made.seed)
        return Reply(made.shown)

    async def _make(self, call: Call, method: Method, entity_id: EntityId) -> _NewSecret:
        secret = self._entropy.bytes(method.key_size)
        seed = Seed(
            secret=secret,
            period=method.period,
            digits=method.digits,
            algorithm=method.algorithm,
            skew=method.skew,
        )
        url = otpauth(
            method.issuer,
            entity_id,
            algorithm=method.algorithm,
            digits=method.digits,
            period=method.period,
            secret=secret,
        )
        draw = partial(barcode, url, min(method.qr_size, _LARGEST_PICTURE), refusal=_TOO_LONG)
        picture = await self._pool.run(client_of(call), draw)
        return _NewSecret(method, entity_id, seed, SharedSecret(picture, url))

    async def _known(self, call: Call, method_id: str, entity_id: EntityId) -> Method:
        """Return a method, for an entity that there is. Raises `Malformed`."""
        if not entity_id:
            raise Malformed("missing entityID")
        found = await reach.method(call.core, self._chain(call.namespace), method_id)
        if found is None:
            raise Malformed("configuration for method ID does not exist")
        if await store.entity(call.core, entity_id) is None:
            raise Malformed("invalid entity ID")
        return found[1]

    async def _refuse_others(self, call: Call, method_id: str, *, chained: bool) -> None:
        """Refuse to change what a namespace above decides on. Raises `Malformed`."""
        found = await reach.method(call.core, self._chain(call.namespace), method_id)
        if found is not None and found[0].id != call.namespace.id:
            raise Malformed("request namespace does not match method namespace", chained=chained)


def _checked(method_id: str, params: TotpParams) -> Method:
    """Return a method that holds together. Raises `Malformed`."""
    for wrong, words in (
        (not params.issuer, "issuer must be set"),
        (params.digits not in _DIGITS, "digits can only be 6 or 8"),
        (params.algorithm not in HASHES, "unrecognized algorithm"),
        (params.skew not in {0, 1}, "skew must be 0 or 1"),
        (params.period < 1, "period must be greater than zero"),
        (params.key_size < 1, "key_size must be greater than zero"),
        (params.key_size > _LARGEST_KEY, f"key_size must be at most {_LARGEST_KEY}"),
        (params.max_validation_attempts < 0, "max_validation_attempts must be greater than zero"),
    ):
        if wrong:
            raise Malformed(words)
    return Method(
        id=method_id,
        issuer=params.issuer,
        name=params.method_name,
        period=params.period,
        digits=params.digits,
        algorithm=params.algorithm,
        skew=params.skew,
        key_size=params.key_size,
        qr_size=params.qr_size,
        max_validation_attempts=params.max_validation_attempts or 5,
    )


def _shown(place: Namespace, method: Method) -> dict[str, Json]:
    found: dict[str, Json] = msgspec.to_builtins(method)
    return {**found, "namespace_id": place.id, "namespace_path": place.path, "type": "totp"}

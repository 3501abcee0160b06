# SPDX-License-Identifier: EUPL-1.2
"""Checks proofs: what a workload shows, against what its registration demands.

It runs before any transaction, because keys and clusters have to be asked. A client that is refused does not learn why;
operators do. A proof that counts once is taken in the transaction that issues the token.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from typing import Final

import msgspec

from nhi.auth.cert import chain
from nhi.auth.cert.constraints import Facts
from nhi.auth.jwt.claims import claim
from nhi.auth.jwt.keysets import KeySets
from nhi.auth.kubernetes.model import Config as Cluster
from nhi.auth.kubernetes.review import ApiServer
from nhi.auth.userpass import decoys
from nhi.biscuit.login.client_secrets import IMPORTED, MADE, ClientSecrets, origin
from nhi.biscuit.login.failures import Failures, Reason, reason_of
from nhi.biscuit.records import single_use, store
from nhi.biscuit.records.attestation import APPROLE, CERT, KUBERNETES, PRIVATE_KEY, SECRET, Attestation
from nhi.biscuit.records.model import MountRef, Registration, Workload
from nhi.biscuit.records.single_use import SingleUseProof
from nhi.jose import registered_claims, signature
from vault.barrier.barrier import Barrier
from vault.framework.call import Call
from vault.framework.clock import Clock, Entropy
from vault.framework.concurrency.offload import client_of
from vault.framework.errors import Malformed, Unauthenticated
from vault.framework.fields import Json
from vault.outbound.failure import Unreachable
from vault.outbound.shares import Owner, owner_of
from vault.token.addresses import within
from vault.token.authenticator import core_reader
from vault.token.lockout import Lockout
from vault.token.store import TokenStore
from vault.values.times import Seconds, millis_to_seconds, nanos_to_millis, seconds_to_millis

_LONGEST_ASSERTION: Final = 3600
"""Seconds that a client's own assertion may last at most: so long it must be remembered."""
_SKEW: Final = 60
"""Seconds for which a token that has ended is still taken, the last of them whole."""
_WRONG: Final = "invalid client id or proof"
_USUAL: Final = {CERT: Reason.CERTIFICATE, APPROLE: Reason.OTHER_LOGIN}
"""What is wrong with a proof of a method where nothing more is said; of others it is a token that cannot be read."""


class LoginEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a request shows: a secret, or a signed token. The certificate is the connection's."""

    method: str
    secret: str = ""
    token: str = ""
    audiences: tuple[str, ...] = ()
    """What a client's own assertion must be for: this server's names."""

    def __repr__(self) -> str:
        """Show nothing of it."""
        return f"Evidence({self.method!r})"


class WorkloadProof(msgspec.Struct, frozen=True, kw_only=True):
    """A proof that was good for a registration as it was then. `once` is what may not come again."""

    registration: Registration
    method: str
    once: SingleUseProof | None = None


class ProofChecker:
    """Checks the proofs of workloads. Every refusal is the same for the client, and has a reason for operators."""

    def __init__(
        self,
        barrier: Barrier,
        tokens: TokenStore,
        sets: KeySets,
        server: ApiServer,
        secrets: ClientSecrets,
        lockout: Lockout,
        clock: Clock,
        entropy: Entropy,
        failures: Failures,
    ) -> None:
        self._failures = failures
        self._entropy = entropy
        self._secrets = secrets
        self._lockout = lockout
        self._barrier = barrier
        self._tokens = tokens
        self._sets = sets
        self._server = server
        self._clock = clock

    async def prove(self, call: Call, name: str, shown: LoginEvidence) -> WorkloadProof:
        """Return a good proof of the registration `name`. Raises `Unauthenticated`, the same for every reason."""
        registration = await store.registration(call.reader, name) if name else None
        if shown.method == SECRET:
            return await self._secret(call, name, registration, shown)
        if registration is None or shown.method != registration.method:
            raise self._refused(call, registration, shown.method, Reason.OTHER_METHOD)
        if not near(call, registration):
            raise self._refused(call, registration, shown.method, Reason.ADDRESS)
        usual = _USUAL.get(shown.method, Reason.MALFORMED if shown.token else Reason.NO_PROOF)
        try:
            return await self._other(call, registration, shown)
        except Unauthenticated as error:
            self._refused(call, registration, shown.method, reason_of(error.detail, Reason.CLUSTER))
            raise
        except Malformed as error:
            raise self._refused(call, registration, shown.method, reason_of(error.detail, usual)) from None
        except Unreachable as error:
            raise self._refused(call, registration, shown.method, Reason.UNREACHABLE, str(error)) from None

    async def fail(self, call: Call, name: str, method: str, reason: Reason) -> None:
        """Note that a login of the registration `name` fails before any proof is looked at."""
        self._refused(call, await store.registration(call.reader, name) if name else None, method, reason)

    def lacks(self, call: Call, proof: WorkloadProof, reason: Reason, detail: str = "") -> None:
        """Note that no token comes of a good proof."""
        self._refused(call, proof.registration, proof.method, reason, detail)

    def _refused(
        self, call: Call, registration: Registration | None, method: str, reason: Reason, detail: str = ""
    ) -> Unauthenticated:
        """Note why a login fails; return what the caller is told, which is the same for every reason."""
        name = registration.name if registration is not None else ""
        self._failures.note(call, name, method, reason if name else Reason.UNKNOWN, detail=detail)
        return Unauthenticated(_WRONG)

    async def at_hand(self, call: Call, name: str, secret: str) -> WorkloadProof | None:
        """Return a good proof by a secret that was made here; None where looking at it takes time.

        Raises `Unauthenticated`, as `prove`.
        """
        registration = await store.registration(call.reader, name) if name else None
        found = await self._made_here(call, registration, secret)
        if found is None and await decoys.known(call.reader) is None:
            raise self._refused(
                call,
                registration,
                SECRET,
                _why(call, registration, LoginEvidence(method=SECRET, secret=secret)),
            )
        return found

    async def granted(
        self, call: Call, proof: WorkloadProof, *, fresh: bool = False
    ) -> tuple[Registration, Workload] | None:
        """Return whom a proof is good for, in the open transaction; None where that has changed, or it came before.

        `fresh`: it was looked at in this transaction.
        """
        registration = proof.registration
        if not fresh and await store.registration(call.tx, registration.name) != registration:
            self.lacks(call, proof, Reason.CHANGED)
            return None
        workload = await store.workload(call.tx, registration.workload)
        if workload is None or not workload.alive(call.now):
            self.lacks(call, proof, _ended(workload))
            return None
        if proof.method == SECRET and origin(registration.secret_hash) == IMPORTED:
            await self._lockout.succeeded(call, registration.name)
            await decoys.learn(call.tx, registration.secret_hash, self._entropy)
        if proof.once is not None:
            owner = MountRef(call.namespace.id, call.mount.uuid)
            if not await single_use.take(call.tx, owner, proof.once):
                self.lacks(call, proof, Reason.REPLAYED)
                return None
        if self._failures.noted(call):
            self._failures.pardon(call)
        return registration, workload

    async def _made_here(
        self, call: Call, registration: Registration | None, secret: str
    ) -> WorkloadProof | None:
        """Return a good proof by a secret that was made here; None for any other. Raises `Unauthenticated`.

        None of these ends in a line break, so one that does was read from a file; it is taken without.
        """
        kept = _kept(call, registration)
        secret = secret.removesuffix("\n").removesuffix("\r")
        if (
            registration is None
            or origin(kept) != MADE
            or not await self._secrets.match(client_of(call), secret, kept)
        ):
            return None
        if not near(call, registration):
            raise self._refused(call, registration, SECRET, Reason.ADDRESS)
        return WorkloadProof(registration=registration, method=SECRET)

    async def _secret(
        self, call: Call, name: str, registration: Registration | None, shown: LoginEvidence
    ) -> WorkloadProof:
        """Compare a secret. One that was imported may be a password, so its name is locked after wrong ones.

        Where there are such, a name that has none is looked at, counted and locked no otherwise (SL-22).
        """
        found = await self._made_here(call, registration, shown.secret)
        if found is not None:
            return found
        refused = partial(self._refused, call, registration, SECRET)
        why = _why(call, registration, shown)
        kept = _kept(call, registration)
        guessed = origin(kept) == IMPORTED
        kinds = await decoys.known(call.reader)
        if not guessed and kinds is None:
            raise refused(why)
        counted = name if guessed else sha256(name.encode(errors="surrogatepass")).hexdigest()
        try:
            await self._lockout.check(call, counted, known=guessed)
            decoy = kinds.of(name) if kinds is not None else ""
            right = await self._secrets.match(client_of(call), shown.secret, kept if guessed else decoy)
            if registration is None or not guessed or not right:
                await self._lockout.failed(call, counted, known=guessed)
                raise refused(why)
        except Unauthenticated:
            if not self._failures.noted(call):
                refused(Reason.LOCKED)
            raise
        if not near(call, registration):
            raise refused(Reason.ADDRESS)
        return WorkloadProof(registration=registration, method=SECRET)

    async def _other(self, call: Call, registration: Registration, shown: LoginEvidence) -> WorkloadProof:
        wanted = registration.attestation
        if shown.method == CERT:
            self._certificate(call, wanted)
        elif shown.method == APPROLE:
            return await self._approle(call, registration)
        elif shown.method == KUBERNETES:
            await self._kubernetes(owner_of(call), wanted, shown.token)
        else:
            return await self._jwt(call, registration, shown)
        return WorkloadProof(registration=registration, method=shown.method)

    async def _jwt(self, call: Call, registration: Registration, shown: LoginEvidence) -> WorkloadProof:
        """Look at a token that an issuer, or the client itself, has signed. Raises `Malformed`, `Unreachable`."""
        wanted = registration.attestation
        claims = await self._signed(call, registration, shown.token)
        own = shown.method == PRIVATE_KEY
        expected = registered_claims.ExpectedClaims(
            issuer=registration.name if own else wanted.bound_issuer,
            subject=registration.name if own else wanted.bound_subject,
            audiences=(wanted.bound_audiences or shown.audiences) if own else wanted.bound_audiences,
        )
        now = millis_to_seconds(self._clock.millis())
        registered_claims.check(claims, expected, now)
        expires, issued = registered_claims.moment(claims, "exp"), registered_claims.moment(claims, "iat")
        if not expires or not expected.audiences:
            raise Malformed("a token without an end", detail=Reason.ENDLESS)
        if own and expires > now + _LONGEST_ASSERTION:
            raise Malformed("an assertion that lasts too long", detail=Reason.TOO_LONG)
        if not own and (not issued or now - issued > wanted.max_age):
            raise Malformed("a token that is too old", detail=Reason.TOO_OLD)
        for name, values in wanted.bound_claims.items():
            found = claim(claims, name)
            if not (isinstance(found, str) and found in values):
                raise Malformed("a claim that is not as it must be", detail=Reason.CLAIM)
        if not own and not wanted.one_time:
            return WorkloadProof(registration=registration, method=shown.method)
        return WorkloadProof(
            registration=registration,
            method=shown.method,
            once=SingleUseProof(
                digest=_digest(registration.name, claims, shown.token),
                until=seconds_to_millis(Seconds(expires + _SKEW + 1)),
                registration=registration.name,
                issued=issued,
            ),
        )

    async def _signed(self, call: Call, registration: Registration, text: str) -> Mapping[str, Json]:
        token = signature.read(text)
        asked = owner_of(call), registration.attestation.jwt_config(), registration.name
        claims = token.claims(signature.named(token, await self._sets.keys(*asked)))
        if claims is None:
            claims = token.claims(signature.named(token, await self._sets.newer(*asked)))
        if claims is None:
            raise Malformed("nobody who is trusted signed it", detail=Reason.KEY)
        return claims

    async def _kubernetes(self, owner: Owner, wanted: Attestation, token: str) -> None:
        """Ask the cluster whose token this is. Raises `Unauthenticated`, `Malformed`."""
        cluster = Cluster(
            kubernetes_host=wanted.kubernetes_host,
            kubernetes_ca_cert=wanted.kubernetes_ca_cert,
            token_reviewer_jwt=wanted.token_reviewer_jwt,
        )
        signature.read(token)
        user = await self._server.review(owner, cluster, token.strip(), wanted.bound_audiences)
        allowed = {f"system:serviceaccount:{one.replace('/', ':')}" for one in wanted.service_accounts}
        if user.get("username") not in allowed:
            raise Malformed("another service account", detail=Reason.SUBJECT)

    def _certificate(self, call: Call, wanted: Attestation) -> None:
        """Look at the certificate of the connection. Raises `Malformed`."""
        if not call.proofs.certificate:
            raise Malformed("no certificate", detail=Reason.NO_CERTIFICATE)
        leaf = chain.read(call.proofs.certificate)
        between = [chain.read(one) for one in call.proofs.intermediates]
        if not chain.path_of(leaf, wanted.cert_role(), millis_to_seconds(self._clock.millis()), between):
            raise Malformed("a certificate of nobody who is trusted", detail=Reason.CERTIFICATE)
        facts = Facts(leaf)
        for values, found in (
            (wanted.bound_common_names, [facts.common_name]),
            (wanted.bound_dns_sans, facts.dns),
            (wanted.bound_uri_sans, facts.uris),
        ):
            if values and not set(values) & set(found):
                raise Malformed("a certificate of another name", detail=Reason.CERTIFICATE_NAME)

    async def _approle(self, call: Call, registration: Registration) -> WorkloadProof:
        """Look at the caller's own token: it must be what an AppRole login gave. Raises `Malformed`.

        Here it is the proof, and none of its uses is taken off; one that has only some counts once.
        """
        identity, wanted = call.identity, registration.attestation
        if identity is None or not identity.key or identity.namespace is not call.namespace:
            raise Malformed("no token of a login", detail=Reason.NO_LOGIN)
        core = core_reader(self._barrier, identity.namespace)
        entry = await self._tokens.get(core, identity.key)
        came = entry is not None and entry.path == f"auth/{wanted.approle_mount}/login"
        if entry is None or not came or (entry.metadata or {}).get("role_name") != wanted.approle_role:
            raise Malformed("a token of another login", detail=Reason.OTHER_LOGIN)
        return WorkloadProof(
            registration=registration,
            method=APPROLE,
            once=SingleUseProof(
                digest=sha256(f"{registration.name}\0{identity.key}".encode()).hexdigest(),
                until=nanos_to_millis(entry.expires),
                registration=registration.name,
                token=identity.key,
            )
            if entry.uses
            else None,
        )


def _kept(call: Call, registration: Registration | None) -> str:
    """Return what is kept of a registration's secret that counts now; empty for none."""
    if registration is None or (registration.secret_expires and call.now >= registration.secret_expires):
        return ""
    return registration.secret_hash


def _why(call: Call, registration: Registration | None, shown: LoginEvidence) -> Reason:
    """Return what is wrong with a secret that is not the one of its registration."""
    if registration is None:
        return Reason.UNKNOWN
    if not shown.secret:
        return Reason.OTHER_METHOD if shown.token else Reason.NO_PROOF
    if not registration.secret_hash:
        return Reason.NO_SECRET
    if not _kept(call, registration):
        return Reason.EXPIRED_SECRET
    imported = origin(registration.secret_hash) == IMPORTED
    return Reason.LINE_BREAK if imported and shown.secret.endswith("\n") else Reason.WRONG_SECRET


def _ended(workload: Workload | None) -> Reason:
    """Return why a workload has no tokens now."""
    if workload is None:
        return Reason.WORKLOAD_GONE
    return Reason.DISABLED if workload.disabled else Reason.ENDED


def near(call: Call, registration: Registration) -> bool:
    """Whether a call comes from where its registration logs in."""
    return not registration.cidrs or within(call.client_address, registration.cidrs)


def _digest(name: str, claims: Mapping[str, Json], text: str) -> str:
    """Return what a token is known by when it comes again: its own name, or all that was signed, but no signature."""
    own = claims.get("jti")
    told = f"jti:{own}" if isinstance(own, str) and own else text.strip().rpartition(".")[0]
    return sha256(f"{name}\0{claims.get('iss')}\0{told}".encode()).hexdigest()

# SPDX-License-Identifier: EUPL-1.2
"""Logins of workloads that failed, and why: for operators. The client itself learns nothing of it.

Strangers make them fail as often as they like, so they are kept in memory, by registration, method and reason, each with
a count and the last addresses; unknown names count as one registration without a name. The log has
a line once in a while, and the audit record of each login has its reason.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from vault.cache.follow import BoundedCache
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.telemetry.log import Log
from vault.values.ids import MountId
from vault.values.times import Millis

_MOUNTS: Final = 64
_ADDRESSES: Final = 8
_NAME: Final = "login_failure"
"""What audit records call it."""
_QUIET: Final = 10.0
"""Seconds between two lines of the log about one mount; a tenth of that lies between any two."""


class Reason(StrEnum):
    """Why a login failed."""

    UNKNOWN = "unknown-registration"
    NO_PROOF = "no-proof"
    TWO_PROOFS = "two-proofs"
    OTHER_METHOD = "other-method"
    WRONG_SECRET = "wrong-secret"  # noqa: S105 -- a reason
    LINE_BREAK = "line-break"
    NO_SECRET = "no-secret"  # noqa: S105 -- a reason
    EXPIRED_SECRET = "expired-secret"  # noqa: S105 -- a reason
    LOCKED = "locked"
    ADDRESS = "address"
    MALFORMED = "malformed-token"
    KEY = "unknown-key"
    UNREACHABLE = "unreachable"
    ISSUER = "wrong-issuer"
    SUBJECT = "wrong-subject"
    AUDIENCE = "wrong-audience"
    CLAIM = "wrong-claim"
    EXPIRED = "expired-token"
    EARLY = "early-token"
    ENDLESS = "endless-token"
    TOO_LONG = "too-long"
    TOO_OLD = "too-old"
    REPLAYED = "replayed"
    CLUSTER = "refused-by-cluster"
    NO_CERTIFICATE = "no-certificate"
    CERTIFICATE = "unknown-certificate"
    CERTIFICATE_NAME = "wrong-certificate-name"
    NO_LOGIN = "no-approle-login"
    OTHER_LOGIN = "wrong-approle-login"
    WORKLOAD_GONE = "workload-gone"
    DISABLED = "workload-disabled"
    ENDED = "workload-ended"
    CHANGED = "registration-changed"
    POSSESSION = "no-possession"
    NOT_MADE = "not-made"


SENTENCES: Final[Mapping[Reason, str]] = {
    Reason.UNKNOWN: "no registration has the name that was given",
    Reason.NO_PROOF: "nothing was shown that the registration's method asks for",
    Reason.TWO_PROOFS: "more than one proof was shown",
    Reason.OTHER_METHOD: "the proof is of another method than the registration's",
    Reason.WRONG_SECRET: "the client secret is wrong",
    Reason.LINE_BREAK: "the client secret is wrong, and ends with a line break: an imported one is compared as it is",
    Reason.NO_SECRET: "the registration has no client secret",
    Reason.EXPIRED_SECRET: "the client secret's time is over",
    Reason.LOCKED: "the name is locked for a while after wrong secrets",
    Reason.ADDRESS: "the address is not among the registration's cidrs",
    Reason.MALFORMED: "the token cannot be read, or is no JWT of a kind that is taken",
    Reason.KEY: "none of the keys that are trusted has signed the token",
    Reason.UNREACHABLE: "the issuer of the keys, or the cluster, could not be asked",
    Reason.ISSUER: "the token's issuer (iss) is not the one that is bound",
    Reason.SUBJECT: "whom the token is about (sub, or the service account) is not who is bound",
    Reason.AUDIENCE: "the token is not for any of the audiences that are bound (aud)",
    Reason.CLAIM: "a claim of the token is not as it is bound",
    Reason.EXPIRED: "the token has expired (exp)",
    Reason.EARLY: "the token is not good yet (nbf, iat)",
    Reason.ENDLESS: "the token has no end (exp), or it is not known whom it must be for",
    Reason.TOO_LONG: "the assertion lasts too long (exp)",
    Reason.TOO_OLD: "the token is older than max_age, or does not tell when it was made (iat)",
    Reason.REPLAYED: "the proof counts once, and was shown before",
    Reason.CLUSTER: "the cluster does not take the token for one of its service accounts",
    Reason.NO_CERTIFICATE: "the connection has no client certificate",
    Reason.CERTIFICATE: "the certificate is of nobody who is trusted, or its time is over",
    Reason.CERTIFICATE_NAME: "the certificate has none of the names that are bound",
    Reason.NO_LOGIN: "the request has no token of an AppRole login",
    Reason.OTHER_LOGIN: "the token of the request is of another login than the bound role's",
    Reason.WORKLOAD_GONE: "the workload was removed",
    Reason.DISABLED: "the workload is disabled: its tokens were revoked",
    Reason.ENDED: "the workload's time is over",
    Reason.CHANGED: "the registration was changed meanwhile",
    Reason.POSSESSION: "the key that its tokens are bound to was not proved: no certificate, or no good DPoP proof",
    Reason.NOT_MADE: "the proof is good, and no token can be made",
}


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Logins that failed alike. `registration` is empty for unknown names. Times in milliseconds."""

    registration: str
    method: str
    reason: Reason
    count: int
    first: Millis
    last: Millis
    detail: str
    """What the last of them says further, in words of ours."""
    addresses: tuple[str, ...]
    """The last ones, the newest last."""


def reason_of(detail: str, otherwise: Reason) -> Reason:
    """Return the reason that a refusal's detail names; `otherwise` where it names none."""
    return Reason(detail) if detail in SENTENCES else otherwise


class _Mount:
    """The failures of one mount, and how many of them the log does not have yet."""

    def __init__(self) -> None:
        self.found: OrderedDict[tuple[str, str, Reason], Failure] = OrderedDict()
        self.path = ""
        self.untold = 0
        self.told = -_QUIET


class Failures:
    """Counts failed logins, writes them to the log, and lists what was counted since the vault was unsealed."""

    def __init__(self, log: Log, clock: Clock, *, each: int) -> None:
        """Keep so many entries of each mount; the one that failed longest ago leaves first."""
        self._each = each
        self._log = log
        self._clock = clock
        self._mounts: BoundedCache[str, _Mount] = BoundedCache(_MOUNTS)
        self._told = -_QUIET

    def note(self, call: Call, registration: str, method: str, reason: Reason, *, detail: str = "") -> None:
        """Count that a login failed, once for each call; `registration` is empty where there is none of the name.

        The record of the call has the reason.
        """
        known = _NAME in call.record.noted
        told = {"registration": registration, "method": method, "reason": reason.value, "detail": detail}
        call.record.noted = {
            **call.record.noted,
            _NAME: {name: value for name, value in told.items() if value},
        }
        if known:
            return
        mount = self._mounts.get(call.mount.uuid)
        if mount is None:
            mount = _Mount()
        self._mounts.put(call.mount.uuid, mount)
        key = (registration, method, reason)
        old = mount.found.pop(key, None)
        seen = () if old is None else tuple(one for one in old.addresses if one != call.client_address)
        mount.found[key] = Failure(
            registration=registration,
            method=method,
            reason=reason,
            count=1 if old is None else old.count + 1,
            first=call.now if old is None else old.first,
            last=call.now,
            detail=detail,
            addresses=(*seen[1 - _ADDRESSES :], call.client_address),
        )
        if len(mount.found) > self._each:
            mount.found.popitem(last=False)
        mount.path = call.namespace.path + call.mount.path
        mount.untold += 1
        self._tell(mount)

    def noted(self, call: Call) -> bool:
        """Whether it is known why a login failed."""
        return _NAME in call.record.noted

    def pardon(self, call: Call) -> None:
        """Say nothing of a failure in the record of a call that began again, and went well."""
        call.record.noted = {name: value for name, value in call.record.noted.items() if name != _NAME}

    def of(self, mount: MountId) -> Sequence[Failure]:
        """Return what failed on the mount with this uuid, the latest first."""
        known = self._mounts.get(mount)
        return tuple(reversed(known.found.values())) if known is not None else ()

    def settle(self) -> None:
        """Tell of what was counted some time ago; called once in a while."""
        for mount in self._mounts.values():
            if mount.untold:
                self._tell(mount)

    def forget(self) -> None:
        """Forget everything: the vault is sealed."""
        self._mounts.drop(None)

    def _tell(self, mount: _Mount) -> None:
        """Write a line about the last of them, unless there was one just now; an unknown name makes no difference."""
        now = self._clock.monotonic()
        if now - mount.told < _QUIET or now - self._told < _QUIET / 10:
            return
        last = next(reversed(mount.found.values()))
        self._log.caution(
            "nhi",
            "workloads failed to log in",
            mount=mount.path,
            registration=last.registration,
            method=last.method,
            reason=last.reason.value,
            address=last.addresses[-1],
            count=mount.untold,
        )
        mount.told = self._told = now
        mount.untold = 0

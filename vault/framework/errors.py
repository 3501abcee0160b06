# SPDX-License-Identifier: EUPL-1.2
"""The kinds of refusal. Nothing else is raised to the edge, and no kind knows of HTTP.

A `message` is for the client and never holds an input value (SL-51); names that the client chose for
paths, mounts and policies may appear, because clients of OpenBao match on them. `detail` is for the log.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, Self

from vault.values.times import Seconds

_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Reason(StrEnum):
    """Why a request is refused, as the log says it: a closed set of phrases, with nothing of the request in them.

    No client is told: it would learn what its policies are made of.
    """

    NO_RULE = "no rule covers this path"
    DENIED = "the rule denies"
    CREATE = "the rule does not grant create"
    READ = "the rule does not grant read"
    UPDATE = "the rule does not grant update"
    PATCH = "the rule does not grant patch"
    DELETE = "the rule does not grant delete"
    LIST = "the rule does not grant list"
    SCAN = "the rule does not grant scan"
    SUDO = "the rule does not grant sudo"
    CONTROL_GROUP = "the rule asks for approval by a control group"
    WRAPPING = "the rule asks for response wrapping within its bounds"
    PARAMETERS = "the rule does not accept the parameters"
    LIMIT = "the rule asks for a limit within its bounds"
    TEMPLATE = "a value may not stand in the path of a templated rule"
    OVERGROWN = "more rules with + fit this path than are looked through"
    NAMESPACE = "another namespace"
    CREDENTIAL = "the credential's own checks"
    LOG = "no rule names the log"
    NO_TOKEN = "no valid token"  # noqa: S105 - a phrase
    TOO_MANY = "too many requests"
    LOCKED = "locked by an administrator"
    ORIGIN = "the page's origin is not allowed"
    ENGINE = "the engine refuses"


class VaultError(Exception):
    """Base of every refusal.

    `message` is empty where OpenBao answers with an empty list of errors. `chained` asks the v1 wire for
    the list form (``1 error occurred: …``) that OpenBao uses for errors of its request path. `reason` is for the
    log alone; None where the kind says it all.
    """

    chained = False
    reason: Reason | None = None

    def __init__(self, message: str = "", *, detail: str = "", chained: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        if chained is not None:
            self.chained = chained

    def anew(self) -> Self:
        """Return the same refusal, raised by nobody yet: one that was leads to all that it passed, whoever keeps it."""
        made = type(self).__new__(type(self), *self.args)
        made.__dict__.update(self.__dict__)
        return made


def problem_type(error: VaultError) -> str:
    """Return the URI of a kind of refusal, as problem documents (RFC 9457) and the log name it."""
    return f"urn:coffre:error:{_WORDS.sub('-', type(error).__name__).lower()}"


class Malformed(VaultError):
    """The request cannot be understood or breaks a rule; the message names the field and the fix."""


class Unauthenticated(VaultError):
    """There is no token, or it is not valid (any more)."""

    reason = Reason.NO_TOKEN

    def __init__(self, message: str = "permission denied", *, detail: str = "") -> None:
        super().__init__(message, detail=detail)


class Forbidden(VaultError):
    """The caller is known and may not do this."""

    chained = True

    def __init__(
        self,
        message: str = "permission denied",
        *,
        path: str = "",
        capability: str = "",
        chained: bool | None = None,
        reason: Reason | None = Reason.ENGINE,
    ) -> None:
        super().__init__(message, chained=chained)
        self.reason = reason
        self.path = path
        self.capability = capability


class NotFound(VaultError):
    """There is nothing at this path. OpenBao answers without text."""


class UnsupportedPath(VaultError):
    """The mount has no such path."""

    chained = True

    def __init__(self, message: str = "unsupported path", *, chained: bool | None = None) -> None:
        super().__init__(message, chained=chained)


class UnsupportedOperation(VaultError):
    """The path exists and does not take this verb."""

    chained = True

    def __init__(self, message: str = "unsupported operation", *, chained: bool | None = None) -> None:
        super().__init__(message, chained=chained)


class PreconditionFailed(VaultError):
    """What is there is not what a condition of the request names, so nothing was changed."""


class OtherReplay(VaultError):
    """The idempotency key of the request was that of another request of the same caller, on the same path."""


class UnsupportedMedia(VaultError):
    """The body has a content type that this operation does not take."""


class TooLarge(VaultError):
    """The request is over a limit on its size."""


class Limited(VaultError):
    """Too many requests; `retry_after` is in seconds, `recorded` says whether it goes to the audit log."""

    reason = Reason.TOO_MANY

    def __init__(self, message: str, *, retry_after: Seconds = Seconds(1), recorded: bool = True) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.recorded = recorded


class Busy(VaultError):
    """Too much work waits; the client may try again in `retry_after` seconds."""

    def __init__(
        self, message: str = "too much work is waiting; try again", *, retry_after: Seconds = Seconds(1)
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Sealed(VaultError):
    """The keys are not in memory: only unsealing is possible."""

    def __init__(self, message: str = "Vault is sealed") -> None:
        super().__init__(message)


class Locked(VaultError):
    """An administrator has closed this part of the API for now."""

    reason = Reason.LOCKED


class Unavailable(VaultError):
    """Something that this server needs (storage, an audit device) does not answer now."""

    def __init__(self, message: str = "internal error", *, detail: str = "") -> None:
        super().__init__(message, detail=detail)


class Failed(VaultError):
    """The engine failed and says why: OpenBao answers 500 with the engine's words."""

    chained = True


class Internal(VaultError):
    """A defect of this server. The client learns only that it happened."""

    def __init__(self, *, detail: str = "") -> None:
        super().__init__("internal error", detail=detail)


class FactsChanged(Exception):
    """No refusal: what allowed this call is older than the data that it saw, and the pipeline begins it again."""


def forget_frames(error: BaseException) -> None:
    """Let an exception that was dealt with, and whatever led to it, lead to no frame any more.

    Each of those has the call. Where one leads back to the exception, as that of whoever waited for a future by a name, the
    call would wait for the collector of garbage, its token too (SL-58).
    """
    todo, known = [error], {id(error)}
    while todo:
        one = todo.pop()
        one.__traceback__ = None
        led = [one.__context__, one.__cause__]
        if isinstance(one, BaseExceptionGroup):
            led += one.exceptions
        for each in led:
            if each is not None and id(each) not in known:
                known.add(id(each))
                todo.append(each)

# SPDX-License-Identifier: EUPL-1.2
"""Everything that ends a command early. No message ever holds a request's headers or body (SL-59)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_OK = 0
EXIT_LOCAL = 1
EXIT_REMOTE = 2
EXIT_UNKNOWN = 127


class CommandError(Exception):
    """A command failed: `str(error)` goes to stderr, `code` is the process's exit code."""

    def __init__(self, message: str, code: int = EXIT_LOCAL) -> None:
        super().__init__(message)
        self.code = code


NO_NAMESPACE = "namespace not found"
"""What a server says of a request to a namespace that is not there."""


def no_value(path: str) -> CommandError:
    """Nothing is at the path: exit code 2."""
    return CommandError(f"No value found at {path}", EXIT_REMOTE)


class UsageError(CommandError):
    """Wrong flags or arguments: exit code 1."""


def install(extra: str) -> str:
    """What brings the packages of an extra. Never from an index: whoever has the name there could be anybody."""
    return f"in a checkout, pip install '.[{extra}]'; from wheels, pip install --no-index --find-links DIR 'coffre[{extra}]'"


class ExtraErrors:
    """Has a block that needs the packages of an extra end with the command's errors: for one that is not installed, and what `turned` knows."""

    extra = "server"
    """The extra that brings them."""
    needed: tuple[str, ...] = ()
    """The packages, as they are imported."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Replace the error on its way out."""
        if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in self.needed:
            raise CommandError(f"this command needs module {error.name}: {install(self.extra)}") from None
        turned = None if error is None else self.turned(error)
        if turned is not None:
            raise turned from None

    def turned(self, error: BaseException) -> CommandError | None:
        """The command's error in place of one that its packages raise; None for any other."""
        del error
        return None


class DryRunOutput(Exception):
    """`-output-curl-string` or `-output-policy`: `text` is printed instead of running the request."""

    def __init__(self, text: str) -> None:
        super().__init__("printed instead of executed")
        self.text = text


class DepthError(CommandError):
    """JSON is nested deeper than it is read."""

    def __init__(self) -> None:
        super().__init__("it is nested too deep to be read")


class RequestError(CommandError):
    """The server could not be reached; exit code 2 except for `status`."""

    def __init__(self, message: str) -> None:
        super().__init__(message, EXIT_REMOTE)


class ApiError(CommandError):
    """The server answered with an error status.

    `method` and `path` (below /v1/) say what was asked, `errors` and `warnings` are the server's own lists, `raw` its
    body when it was not the usual JSON. `query` is kept as sent, without values of the body. `namespace`
    is the one that was named.
    """

    def __init__(
        self,
        method: str,
        url: str,
        path: str,
        *,
        status: int,
        errors: Sequence[str],
        raw: str,
        query: str = "",
        namespace: str = "",
        warnings: Sequence[object] = (),
    ) -> None:
        super().__init__(_describe(method, url, status, errors, raw, namespace), EXIT_REMOTE)
        self.method = method
        self.path = path
        self.query = query
        self.status = status
        self.errors = tuple(errors)
        self.warnings = tuple(warnings)


def _describe(method: str, url: str, status: int, errors: Sequence[str], raw: str, namespace: str) -> str:
    where = f"Namespace: {namespace}/\n" if namespace and namespace != "root" else ""
    head = f"Error making API request.\n\n{where}URL: {method} {url}\nCode: {status}. "
    if errors:
        return head + "Errors:\n\n" + "\n".join(f"* {error}" for error in errors)
    return head + f"Raw Message:\n\n{raw}"

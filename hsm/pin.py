# SPDX-License-Identifier: EUPL-1.2
"""Where a token's PIN comes from, and a type that never shows it.

A source is named by a URL: `file://PATH`, `credential://NAME` (systemd's `LoadCredential=`) or `env://NAME`.
Nothing is read before a login needs it, and the server keeps none: of the one that an agent got it knows a mark, to tell
whether another one is there once that was refused.
"""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn, Protocol

from hsm.errors import BadConfig

_LARGEST_BYTES: Final = 4096
_SALT_BYTES: Final = 16
_FORBIDDEN_MODE: Final = 0o027
"""Nobody but the owner may write the file, and others may not even read it."""


class Pin:
    """A PIN as bytes; only `reveal` and `hand_over` give it out. Neither `repr` nor an exception nor pickling does."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes | memoryview) -> None:
        self._value = bytearray(value)

    def reveal(self) -> bytes:
        """Return the PIN, to be handed to the token and to nothing else."""
        return bytes(self._value)

    def hand_over(self, descriptor: int) -> None:
        """Write it to a pipe, and leave nothing of it here."""
        try:
            os.write(descriptor, self._value)
        finally:
            self.wipe()

    def marked(self, salt: bytes) -> bytes:
        """Return what it is known by with this salt."""
        return hmac.digest(salt, self._value, "sha256")

    def wipe(self) -> None:
        """Overwrite it."""
        self._value[:] = bytes(len(self._value))

    def __repr__(self) -> str:
        return "Pin(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a PIN is not pickled")


class PinMark:
    """Knows a PIN again without keeping it."""

    __slots__ = ("_digest", "_salt")

    def __init__(self, pin: Pin) -> None:
        self._salt = os.urandom(_SALT_BYTES)
        self._digest = pin.marked(self._salt)

    def matches(self, pin: Pin) -> bool:
        """Whether it is that PIN; how long that takes tells nothing."""
        return hmac.compare_digest(self._digest, pin.marked(self._salt))


class PinSource(Protocol):
    """What gives the PIN when a login needs it."""

    @property
    def warning(self) -> str:
        """What to tell the operator at start; empty when there is nothing to say."""
        ...

    @property
    def hidden_variables(self) -> tuple[str, ...]:
        """Names of environment variables that hold the PIN and are kept from child processes."""
        ...

    def read(self) -> Pin:
        """Return the PIN, which the caller wipes. Raises `BadConfig` naming the source and the fix."""
        ...


class FilePin:
    """The PIN is a file's first and only line."""

    warning = ""
    hidden_variables: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"FilePin({str(self.path)!r})"

    def read(self) -> Pin:
        """Return the file's content without its last line feed."""
        buffer = bytearray(_LARGEST_BYTES + 1)
        try:
            size = _read_private(self.path, buffer)
            return _cleaned(memoryview(buffer)[:size], f"pin file {self.path}")
        finally:
            buffer[:] = bytes(len(buffer))


class CredentialPin:
    """The PIN is a credential that systemd hands to the service, below `$CREDENTIALS_DIRECTORY`."""

    warning = ""
    hidden_variables: tuple[str, ...] = ()

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        self._name = name
        self._environment = environment

    def __repr__(self) -> str:
        return f"CredentialPin({self._name!r})"

    def read(self) -> Pin:
        """Return the credential's content without its last line feed."""
        directory = self._environment.get("CREDENTIALS_DIRECTORY", "")
        if not directory:
            raise BadConfig(
                f"pin credential {self._name}: $CREDENTIALS_DIRECTORY is not set; "
                "add LoadCredential= to the unit, or use file://"
            )
        return FilePin(Path(directory) / self._name).read()


class EnvironmentPin:
    """The PIN is an environment variable, which everybody who runs as the same user can read."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        self._name = name
        self._environment = environment
        self.warning = (
            f"the PIN comes from the environment variable {name}, which stays readable in /proc; "
            "use file:// or credential://"
        )
        self.hidden_variables = (name,)

    def __repr__(self) -> str:
        return f"EnvironmentPin({self._name!r})"

    def read(self) -> Pin:
        """Return the variable's value."""
        value = self._environment.get(self._name, "")
        return _cleaned(memoryview(os.fsencode(value)), f"pin variable {self._name}")


class LiteralPin:
    """The PIN stands in the configuration file itself."""

    warning = "the PIN stands in the configuration file; use file:// or credential://"
    hidden_variables: tuple[str, ...] = ()

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "LiteralPin(hidden)"

    def read(self) -> Pin:
        """Return the PIN."""
        return Pin(self._value.encode())


def pin_source(text: str, *, literal: bool, environment: Mapping[str, str] | None = None) -> PinSource:
    """Read the setting `pin`.

    `literal` allows the PIN itself in place of a URL, as configuration files of OpenBao have it; never pass
    True for anything that came from a command line. `environment` is the process's own unless given.
    Raises `BadConfig`, which repeats nothing of `text` that could be a PIN.
    """
    found = os.environ if environment is None else environment
    scheme, separator, rest = text.partition("://")
    if separator and scheme in {"file", "credential", "env"}:
        return _by_url(scheme, rest, found)
    if not text:
        raise BadConfig("pin: is empty; name file://PATH, credential://NAME or env://NAME")
    if not literal:
        raise BadConfig("pin: must be file://PATH, credential://NAME or env://NAME, not the PIN itself")
    return LiteralPin(text)


def _by_url(scheme: str, rest: str, environment: Mapping[str, str]) -> PinSource:
    if scheme == "file":
        if not rest.startswith("/"):
            raise BadConfig("pin: file:// needs an absolute path, as in file:///etc/coffre/pin")
        return FilePin(Path(rest))
    if not rest or "/" in rest or rest in {".", ".."}:
        raise BadConfig(f"pin: {scheme}:// needs a plain name, as in {scheme}://hsm-pin")
    if scheme == "credential":
        return CredentialPin(rest, environment)
    return EnvironmentPin(rest, environment)


def _read_private(path: Path, buffer: bytearray) -> int:
    """Read a small file that is nobody else's; return how many bytes it has. Raises `BadConfig`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise BadConfig(f"pin file {path}: cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BadConfig(f"pin file {path}: is not a regular file")
        if status.st_uid not in {0, os.geteuid()}:
            raise BadConfig(f"pin file {path}: belongs to uid {status.st_uid}; make it the server's own")
        if status.st_mode & _FORBIDDEN_MODE:
            raise BadConfig(f"pin file {path}: others may read or write it; chmod 0400 {path}")
        return os.readv(descriptor, [buffer])
    finally:
        os.close(descriptor)


def _cleaned(raw: memoryview, source: str) -> Pin:
    """Take the line feed of the last line away. Raises `BadConfig` for what is no PIN."""
    end = len(raw)
    for ending in b"\n\r":
        if end and raw[end - 1] == ending:
            end -= 1
    value = raw[:end]
    if not value:
        raise BadConfig(f"{source}: is empty")
    if len(value) > _LARGEST_BYTES or any(byte in b"\n\0" for byte in value):
        raise BadConfig(f"{source}: must hold one line of at most {_LARGEST_BYTES} bytes")
    return Pin(value)

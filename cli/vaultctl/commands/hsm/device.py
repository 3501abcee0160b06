# SPDX-License-Identifier: EUPL-1.2
"""Which module, token and key the flags name, and how to reach them."""

from __future__ import annotations

import asyncio
import resource
import sys

from vaultctl.errors import EXIT_REMOTE, CommandError, ExtraErrors, UsageError
from vaultctl.flags import SECOND, environment_value
from vaultctl.invocation import Invocation
from vaultctl.prompt import ask_hidden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from hsm.client.pkcs11_slot import Pkcs11Slot
    from hsm.orders import TokenAccess
    from hsm.pin import PinSource
    from hsm.token_info import WantedToken

    Found = TypeVar("Found")

_DEFAULT_SECONDS = 10.0
_SLOT = "here"


class DeviceErrors(ExtraErrors):
    """`with DeviceErrors():` turns errors of a device, and a package that is not installed, into the command's own."""

    extra = "hsm"
    needed = ("hsm", "msgspec", "pkcs11", "cryptography")

    def __enter__(self) -> None:
        """Forbid core dumps: a PIN may be typed, and a key's components."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def turned(self, error: BaseException) -> CommandError | None:
        """See `ExtraErrors.turned`."""
        errors = sys.modules.get("hsm.errors")
        if errors is not None and isinstance(error, errors.HsmError):
            return CommandError(str(error).removeprefix(f"slot {_SLOT}: "), EXIT_REMOTE)
        return None


class TokenFlags:
    """The token that an invocation's flags name; its PIN is asked for once, when something first needs it."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._pin: PinSource | None = None
        self.lib = setting(invocation, "lib")
        if not self.lib.startswith("/"):
            raise UsageError("-lib: name the PKCS#11 module by its absolute path")
        self.key_label = setting(invocation, "key-label")
        self.parameters = invocation.text("library-parameters")

    @property
    def seconds(self) -> float:
        """How long one operation may take."""
        return seconds(self._invocation)

    def wanted(self) -> WantedToken:
        """Which token; by slot only where nothing else is given."""
        from hsm.client.settings import slot_number
        from hsm.token_info import WantedToken

        slot = setting(self._invocation, "slot")
        found = WantedToken(
            label=setting(self._invocation, "token-label"),
            serial=self._invocation.text("token-serial"),
            slot=slot_number("slot", slot) if slot else None,
        )
        if not (found.label or found.serial) and found.slot is None:
            raise UsageError(
                "-token-label: name the token by -token-label or -token-serial, at worst by -slot"
            )
        return found

    def access(self) -> TokenAccess:
        """The token with its PIN, for a process of its own."""
        import importlib.util
        import os

        if importlib.util.find_spec("pkcs11") is None:  # that process would die of it without a word
            raise ModuleNotFoundError(name="pkcs11")
        from hsm.orders import TokenAccess
        from hsm.runtime import runtime_directory

        return TokenAccess(
            lib=self.lib,
            parameters=self.parameters,
            wanted=self.wanted(),
            pin=self.pin().read().reveal(),
            runtime=str(runtime_directory(os.environ)),
            force=self._invocation.truth("force-pin-final-try"),
        )

    def pin(self) -> PinSource:
        """Where the PIN comes from; typed on the terminal unless -pin names a file or a credential."""
        from hsm.pin import LiteralPin, pin_source

        if self._pin is None:
            named = setting(self._invocation, "pin")
            if named and not named.startswith(("file://", "credential://")):
                raise UsageError(
                    "-pin: names where the PIN is, file:///PATH or credential://NAME; a PIN itself would show "
                    "in the list of processes, so leave -pin out and type it"
                )
            typed = "" if named else ask_hidden(self._invocation, f"PIN of {self.wanted()}")
            self._pin = pin_source(named, literal=False) if named else LiteralPin(typed)
        return self._pin

    def slot(self) -> Pkcs11Slot:
        """A key slot on the token, as a server has one."""
        from hsm.client.pkcs11_slot import Pkcs11Slot
        from hsm.client.settings import Pkcs11Settings

        wanted = self.wanted()
        if not self.key_label:
            raise UsageError("-key-label: name the key that wraps")
        settings = Pkcs11Settings(
            lib=self.lib,
            library_parameters=self.parameters,
            pin=self.pin(),
            name=_SLOT,
            token_label=wanted.label,
            token_serial=wanted.serial,
            slot=wanted.slot,
            key_label=self.key_label,
            mechanism=setting(self._invocation, "mechanism"),
            rsa_oaep_hash=setting(self._invocation, "rsa-oaep-hash") or "sha256",
            timeout=self.seconds,
            force_pin_final_try=self._invocation.truth("force-pin-final-try"),
        )
        return Pkcs11Slot(settings, chance=_no_chance)

    def run(self, work: Callable[[Pkcs11Slot], Awaitable[Found]]) -> Found:
        """Do `work` with a slot, which is closed afterwards."""

        async def all_of_it() -> Found:
            slot = self.slot()
            try:
                return await work(slot)
            finally:
                await slot.close()

        return asyncio.run(all_of_it())


def _no_chance() -> float:
    """Many servers must not knock on a device at the same moment; one operator may."""
    return 0.0


def setting(invocation: Invocation, name: str) -> str:
    """A flag, or else OpenBao's variable of the same meaning, such as BAO_HSM_LIB for -lib."""
    return invocation.text(name) or environment_value(
        invocation.environ, "HSM_" + name.upper().replace("-", "_")
    )


def seconds(invocation: Invocation) -> float:
    """How long one operation may take."""
    given = invocation.number("timeout")
    return _DEFAULT_SECONDS if given is None else given / SECOND

# SPDX-License-Identifier: EUPL-1.2
"""What can go wrong with a hardware security module, by what its user must do about it.

A message names the slot, the token's label or serial, the key's label and the fix; never a PIN, never
key bytes. No class says more than its name: the kind decides between retry, failover and stop.
"""

from __future__ import annotations


class HsmError(Exception):
    """Base of everything that this package raises on purpose.

    `ckr` is what the module said, for counting: a name like `DeviceError`, or empty.
    """

    def __init__(self, message: str = "", *, ckr: str = "") -> None:
        super().__init__(message)
        self.ckr = ckr


class IntegrityError(HsmError):
    """What was to be unwrapped is not what was wrapped: no retry, no failover, alert."""


class KeyReplaced(IntegrityError):
    """Another key has taken the place of the one that a record names."""


class SlotUnavailable(HsmError):
    """The device, the token or the agent does not answer: try again later, or another slot now."""


class AgentDied(SlotUnavailable):
    """The module took its process down with it, logged in: what can be asked twice may be asked of another one at once.

    Not so within the login, where nobody heard what became of the PIN.
    """


class KeyMissing(HsmError):
    """The token answers, and has never had the named key."""


class KeyAmbiguous(HsmError):
    """More than one token or key has the configured name: stop, and name a serial or an id."""


class PinBlocked(HsmError):
    """The PIN is wrong, expired or locked: terminal, because another try could lock the token."""


class BadConfig(HsmError):
    """The slot cannot work as configured (mechanism, key type, module): terminal for the slot."""

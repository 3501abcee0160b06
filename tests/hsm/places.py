# SPDX-License-Identifier: EUPL-1.2
"""The tokens that objects are planted on: a slot for who has the PIN, and a process that has not."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsm.client.pkcs11_slot import Pkcs11Slot
from tests.hsm.planting import Attack, attack
from tests.hsm.slots import slot_on
from tests.hsm.test_second_module import _slot
from tests.hsm.tokens import PIN, SO_PIN, SOFTHSM, SoftHsm
from tests.hsm.tokens_nss import new_nss_token
from tests.hsm.tokens_opencryptoki import OFFICER_PIN, opencryptoki_token

PLACES: Final = ("softhsm", "nss", "opencryptoki")


@dataclass(frozen=True)
class Place:
    """A token, with a slot for who has the PIN and an attack for who has not."""

    name: str
    slot: Callable[..., Pkcs11Slot]
    """Takes settings that differ."""
    attack: Callable[..., dict[str, str]]
    algorithm: str
    """What its slot wraps with."""
    plants: bool
    """Whether it lets anybody make a secret key that is not private."""
    pins: dict[str, str]
    """Of the user and the officer; none for the officer where the token has no such role."""

    def told(self, story: Callable[[Pkcs11Slot], Awaitable[None]], **changed: object) -> None:
        """Tell a story of a slot, whose agent sees the token as it is when it starts."""

        async def whole() -> None:
            slot = self.slot(**changed)
            try:
                await story(slot)
            finally:
                await slot.close()

        asyncio.run(whole())


def attacker(lib: str, label: str, **how: object) -> Callable[..., dict[str, str]]:
    """Return what runs an attack on a token's key."""
    parameters = str(how.pop("parameters", ""))

    def run(key_label: str, key_id: bytes, *deeds: str, **more: object) -> dict[str, str]:
        what = Attack(
            lib=lib,
            parameters=parameters,
            token_label=label,
            key_label=key_label,
            key_id=key_id,
            deeds=deeds,
            **more,  # type: ignore[arg-type]  # as given
        )
        return attack(what, **how)  # type: ignore[arg-type]  # as given

    return run


@contextmanager
def placed(name: str, softhsm: Callable[[], SoftHsm], folder: Path) -> Iterator[Place]:
    """Make a token of this kind, in `folder`."""
    if name == "softhsm":
        token = softhsm()
        reach = attacker(SOFTHSM, "a", environment=token.environment)
        pins = {"user": PIN, "officer": SO_PIN}
        yield Place(name, lambda **changed: slot_on(token, **changed), reach, "aes", plants=True, pins=pins)
    elif name == "nss":
        nss = new_nss_token(folder / "nss")
        reach = attacker(str(nss.library), nss.label, parameters=nss.parameters)
        pins = {"user": nss.pin, "officer": ""}
        yield Place(
            name, lambda **changed: _slot(nss, folder, **changed), reach, "aes+hmac", plants=False, pins=pins
        )
    else:
        with opencryptoki_token(folder / "ock") as ock:
            reach = attacker(str(ock.library), ock.label, inside=ock.inside)
            pins = {"user": ock.pin, "officer": OFFICER_PIN}
            yield Place(
                name, lambda **changed: _slot(ock, folder, **changed), reach, "aes", plants=True, pins=pins
            )

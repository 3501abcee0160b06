# SPDX-License-Identifier: EUPL-1.2
"""hsm generate-kek, rotate-kek, retire-kek and import-kek."""

from __future__ import annotations

import os

from vaultctl.commands.hsm.device import DeviceErrors, TokenFlags
from vaultctl.errors import EXIT_OK, CommandError, UsageError
from vaultctl.invocation import Invocation
from vaultctl.prompt import ask_hidden, check_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hsm.client.pkcs11_slot import Pkcs11Slot
    from hsm.versions import KeyVersion

_CUSTODIANS = ("first", "second")


def generate(invocation: Invocation) -> int:
    """Make the first version of a key that wraps."""
    with DeviceErrors():
        device = TokenFlags(invocation)
        return _show(invocation, device, make_first(invocation, device))


def rotate(invocation: Invocation) -> int:
    """Make the next version of a key that wraps; older ones still unwrap."""
    with DeviceErrors():
        from hsm.versions import newest

        device = TokenFlags(invocation)
        wanted = _algorithm(invocation)
        made = _make(invocation, device, lambda found: wanted or _kind_of(newest(found, device.key_label)))
        code = _show(invocation, device, made)
    return code if made is None else _remind(invocation, code)


def retire(invocation: Invocation) -> int:
    """Let an old version of a key unwrap only."""
    version = invocation.args[0]
    with DeviceErrors():
        from hsm.versions import newest

        device = TokenFlags(invocation)
        dry_run = invocation.truth("dry-run")

        async def let(slot: Pkcs11Slot) -> None:
            found = await slot.keys()
            if version not in [known.version for known in found]:
                raise CommandError(f"key {device.key_label}: the token has no version {version}")
            if newest(found, device.key_label).version == version:
                raise CommandError(f"version {version} is the newest, which wraps: make another one first")
            await slot.retire(version, dry_run=dry_run)

        device.run(let)
    if dry_run:
        return invocation.succeed(f"Would let version {version} of {device.key_label} unwrap only.")
    return invocation.succeed(f"Success! Version {version} of {device.key_label} only unwraps from now on.")


def import_components(invocation: Invocation) -> int:
    """Store the key that two custodians' components make, as the next version of a label."""
    with DeviceErrors():
        from hsm.client.oneshot import import_key
        from hsm.components import KEY_BYTES, check_value, combine
        from hsm.orders import ImportKek

        device = TokenFlags(invocation)
        found = device.run(lambda slot: slot.keys())
        if invocation.truth("dry-run"):
            check_terminal(invocation, _asked(_CUSTODIANS[0]))
            trial = ImportKek(device.key_label, os.urandom(KEY_BYTES), dry_run=True)
            import_key(device.access(), trial, seconds=device.seconds)
            return _say_next(invocation, device, found, "import")
        components = [_component(invocation, custodian) for custodian in _CUSTODIANS]
        key = combine(components)
        task = ImportKek(device.key_label, key)
        made = import_key(device.access(), task, seconds=device.seconds)
        invocation.warn(f"Check value of the key: {check_value(key)}. The key was outside a token once.")
        return _show(invocation, device, made)


def make_first(invocation: Invocation, device: TokenFlags) -> KeyVersion | None:
    """Make the first version, or refuse; None in a dry run."""
    algorithm = _algorithm(invocation) or "aes"

    def first(found: Sequence[KeyVersion]) -> str:
        if not found:
            return algorithm
        versions = ", ".join(known.version for known in found)
        raise CommandError(
            f"key {device.key_label}: the token has it already (versions {versions}); "
            "choose another label, or make the next version with hsm rotate-kek"
        )

    return _make(invocation, device, first)


def key_document(device: TokenFlags, made: KeyVersion) -> dict[str, object]:
    """What is known of a version, with its check value where the token gives one."""
    from hsm.client.oneshot import check_value
    from hsm.orders import CheckValue

    value = ""
    if made.kind == "aes":
        task = CheckValue(device.key_label, made.version)
        value = check_value(device.access(), task, seconds=device.seconds)
    return {
        "label": device.key_label,
        "version": made.version,
        "kind": made.kind,
        "bits": made.bits,
        "authenticated": made.authenticated,
        "protected": made.protected,
        "retired": made.retired,
        "check_value": value,
    }


def _make(
    invocation: Invocation, device: TokenFlags, choose: Callable[[Sequence[KeyVersion]], str]
) -> KeyVersion | None:
    """Make the version whose algorithm is chosen by those that are there: in one login. None in a dry run."""
    modifiable, dry_run = invocation.truth("modifiable"), invocation.truth("dry-run")

    async def make(slot: Pkcs11Slot) -> tuple[list[KeyVersion], str, KeyVersion]:
        found = await slot.keys()
        algorithm = choose(found)
        return found, algorithm, await slot.generate_kek(algorithm, modifiable=modifiable, dry_run=dry_run)

    found, algorithm, made = device.run(make)
    if dry_run:
        _say_next(invocation, device, found, f"generate ({algorithm})")
        return None
    return made


def _say_next(invocation: Invocation, device: TokenFlags, found: Sequence[KeyVersion], verb: str) -> int:
    from hsm.versions import next_version, printable

    versions = ", ".join(known.version for known in found) or "none"
    return invocation.succeed(
        f"Would {verb} version {printable(next_version(found))} of key {device.key_label} "
        f"in {device.wanted()}; versions there: {versions}."
    )


def _show(invocation: Invocation, device: TokenFlags, made: KeyVersion | None) -> int:
    if made is None:
        return EXIT_OK
    document = key_document(device, made)
    if not invocation.tabular:
        return invocation.print_value(document)
    from vaultctl.text.output import key_values

    invocation.say(key_values([(key, words(value)) for key, value in document.items()]))
    return EXIT_OK


def words(value: object) -> str:
    """A value as people read it."""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _remind(invocation: Invocation, code: int) -> int:
    if invocation.tabular:
        invocation.warn("The server wraps with it after `vaultctl operator seal-slots rewrap NAME`.")
    return code


def _algorithm(invocation: Invocation) -> str:
    """`aes`, `aes+hmac`, `rsa3072`, `rsa4096`, or nothing when it is not said."""
    kind = invocation.text("alg")
    if not invocation.truth("etm"):
        return kind
    if kind not in ("", "aes"):
        raise UsageError("-etm goes with an AES key: the second key authenticates what the first encrypted")
    return "aes+hmac"


def _kind_of(version: KeyVersion) -> str:
    if version.kind == "rsa":
        return f"rsa{version.bits}"
    return "aes+hmac" if version.authenticated else "aes"


def _asked(custodian: str) -> str:
    return f"Component of the {custodian} custodian"


def _component(invocation: Invocation, custodian: str) -> bytes:
    from hsm.components import KEY_BYTES, check_value

    typed = ask_hidden(invocation, _asked(custodian)).replace(" ", "")
    try:
        component = bytes.fromhex(typed)
    except ValueError:
        component = b""
    if len(component) != KEY_BYTES:
        raise CommandError(f"the {custodian} component must be {2 * KEY_BYTES} hexadecimal digits")
    invocation.warn(f"Check value of this component: {check_value(component)}")
    return component

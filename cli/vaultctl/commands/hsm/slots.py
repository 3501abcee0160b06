# SPDX-License-Identifier: EUPL-1.2
"""hsm list-slots and probe."""

from __future__ import annotations

import asyncio

from vaultctl.commands.hsm.device import DeviceErrors, TokenFlags, seconds
from vaultctl.errors import EXIT_OK, EXIT_REMOTE
from vaultctl.invocation import Invocation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hsm.client.report import Report
    from hsm.token_info import TokenInfo

_SHOWN = {
    "AES-GCM": "AES_GCM",
    "AES-CBC": "AES_CBC_PAD",
    "HMAC": "SHA256_HMAC",
    "OAEP": "RSA_PKCS_OAEP",
    "ECDSA": "ECDSA",
    "EdDSA": "EDDSA",
}
"""Mechanisms that matter here, by their column's heading."""


def list_slots(invocation: Invocation) -> int:
    """List the tokens of a module, without logging in."""
    with DeviceErrors():
        from hsm.client.pkcs11_slot import list_tokens

        device = TokenFlags(invocation)
        found = asyncio.run(list_tokens(device.lib, device.parameters, seconds=seconds(invocation)))
    if not invocation.tabular:
        return invocation.print_value([_document(token) for token in found])
    from vaultctl.text.output import columns

    head = ["Slot", "Label", "Serial", "Model", "Firmware", *_SHOWN, "Remarks"]
    invocation.say(columns([head, *(_row(token) for token in found)]))
    return EXIT_OK


def probe(invocation: Invocation) -> int:
    """Try everything that a seal and managed keys need of a token."""
    with DeviceErrors():
        from hsm.client import report

        device = TokenFlags(invocation)
        dry_run = invocation.truth("dry-run")
        allowed = max(device.seconds, report.TRIAL_SECONDS)
        found = report.probe(device.access(), seconds=allowed, dry_run=dry_run)
        if dry_run:
            invocation.say(f"Would try in {device.wanted()}, with keys of the session alone:")
            invocation.say("\n".join(f"  {trial.name}" for trial in found.trials))
            return EXIT_OK
    if invocation.tabular:
        _print(invocation, found)
    else:
        invocation.print_value(_report_document(found))
    return EXIT_OK if found.seals else EXIT_REMOTE


def token_document(token: TokenInfo) -> dict[str, object]:
    """What a token says of itself, for programs and for transcripts."""
    return {
        "slot": token.slot,
        "label": token.label,
        "serial": token.serial,
        "manufacturer": token.manufacturer,
        "model": token.model,
        "firmware": token.firmware,
        "flags": list(token.words),
        "software": token.software,
    }


def _document(token: TokenInfo) -> dict[str, object]:
    return {**token_document(token), "mechanisms": list(token.mechanisms)}


def _row(token: TokenInfo) -> list[str]:
    from hsm.client.report import SOFTWARE_WARNING

    remarks = [*token.words, *([SOFTWARE_WARNING] if token.software else [])]
    return [
        str(token.slot),
        token.label,
        token.serial,
        token.model,
        token.firmware,
        *("yes" if mechanism in token.mechanisms else "no" for mechanism in _SHOWN.values()),
        "; ".join(remarks) or "-",
    ]


def _print(invocation: Invocation, found: Report) -> None:
    from vaultctl.text.output import columns

    rows = [
        [row.name, row.purpose, row.outcome, f"{row.microseconds / 1000:.1f}", row.detail or "-"]
        for row in found.results
    ]
    invocation.say(f"{found.token.description}, firmware {found.token.firmware}\n")
    invocation.say(columns([["Check", "Needed for", "Passed", "ms", "Remark"], *rows]))
    invocation.say("")
    for warning in found.warnings:
        invocation.say(f"WARNING: {warning}")
    fit = ", ".join(found.seals) or "nothing that is known here"
    invocation.say(f"Mechanisms for a seal: {fit}")


def _report_document(found: Report) -> dict[str, object]:
    return {
        "token": _document(found.token),
        "trials": [
            {
                "name": row.name,
                "purpose": row.purpose,
                "outcome": row.outcome,
                "detail": row.detail,
                "microseconds": row.microseconds,
            }
            for row in found.results
        ],
        "seal_mechanisms": found.seals,
        "warnings": found.warnings,
    }

# SPDX-License-Identifier: EUPL-1.2
"""audit status, audit devices: how the log is, how far it is indexed and signed, and where it is forwarded to."""

from __future__ import annotations

from datetime import UTC, datetime

from vaultctl.commands.audit.pages import client_of
from vaultctl.commands.audit.words import text_of
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError
from vaultctl.invocation import ErrorPrefix
from vaultctl.text.json import as_list, as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from vaultctl.http.client import Client
    from vaultctl.invocation import Invocation

_STATUS = "sys/log/status"
_RETENTION = (("retention_min", "Kept at least"), ("retention_max", "Kept at most"))
_WELL = "healthy"
"""What a device says that takes records in time."""


def read_status(client: Client) -> dict[str, object]:
    """How the log is, as the server says it."""
    with ErrorPrefix(f"Error reading {_STATUS}"):
        return as_map(client.send("GET", _STATUS).json().get("data"))


def status(invocation: Invocation) -> int:
    """Show how the log is; exit code 2 where something keeps it from being whole."""
    from vaultctl.text.output import columns, key_values

    found = read_status(client_of(invocation))
    trouble = _trouble(found)
    if not invocation.tabular:
        invocation.print_value(found)
        return EXIT_REMOTE if trouble else EXIT_OK
    signed = text_of(found, "signed")
    rows = [
        ("Log of this process", text_of(found, "log")),
        ("Records", text_of(found, "records")),
        ("Signed", f"the first {signed}" if signed not in ("", "-1", "0") else "none yet"),
        ("Key", text_of(found, "key")),
        (
            "Index",
            f"{text_of(found, 'index_bytes')} bytes{', being made anew' if found.get('rebuilding') else ''}",
        ),
        *_signatures(found),
        *_keeping(found),
    ]
    invocation.say(key_values(rows))
    logs = [as_map(one) for one in as_list(found.get("logs"))]
    if logs:
        heads = (
            "Log",
            "First",
            "Indexed through",
            "Behind",
            "Segments",
            "Proofs",
            "Key in the HSM",
            "Damage",
        )
        hsm = as_map(as_map(found.get("hsm")).get("keys"))
        invocation.say("\n" + columns([heads, *(_row(log, hsm) for log in logs)]))
    witnesses = [as_map(one) for one in as_list(as_map(found.get("witnessed")).get("witnesses"))]
    if witnesses:
        invocation.say(
            "\n" + columns([("Witness", "Cosigned", "At", "Trouble"), *map(_witness_row, witnesses)])
        )
    for words in trouble:
        invocation.warn(f"WARNING! {words}")
    return EXIT_REMOTE if trouble else EXIT_OK


def _signatures(found: Mapping[str, object]) -> list[tuple[str, str]]:
    """What signs checkpoints besides the log's own key: a key in an HSM, and witnesses."""
    hsm, witnessed = found.get("hsm"), found.get("witnessed")
    rows = []
    if hsm is not None:
        signs = text_of(found, "log") in as_map(as_map(hsm).get("keys"))
        trouble = text_of(as_map(hsm), "trouble")
        rows.append(("HSM signature", trouble or ("on checkpoints" if signs else "none yet")))
    if witnessed is not None:
        told = as_map(witnessed)
        cosigned = _first(told)
        rows.append(
            ("Witnessed", f"{cosigned}, as of {text_of(told, 'time')}" if told.get("time") else cosigned)
        )
        rows.append(
            ("Quorum", f"{text_of(told, 'quorum')} of {len(as_list(told.get('witnesses')))} witnesses")
        )
    return rows


def _first(found: Mapping[str, object]) -> str:
    records = text_of(found, "records")
    return f"the first {records}" if records not in ("", "-1") else "none yet"


def _keeping(found: Mapping[str, object]) -> list[tuple[str, str]]:
    """How long records are kept, and what is kept longer."""
    retention, holds = as_map(found.get("retention")), as_map(found.get("holds"))
    told = [(title, text_of(retention, name)) for name, title in _RETENTION]
    rows = [(title, text) for title, text in told if text not in ("", "0s")]
    if holds:
        rows.append(("Holds", "; ".join(f"{name} ({holds[name]})" for name in sorted(holds))))
    return rows


def _witness_row(witness: Mapping[str, object]) -> tuple[str, ...]:
    seconds = witness.get("time")
    moment = datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) and seconds else None
    return (
        text_of(witness, "name"),
        _first(witness),
        f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment is not None else "",
        text_of(witness, "trouble") or "none",
    )


def _row(log: Mapping[str, object], hsm: Mapping[str, object]) -> tuple[str, ...]:
    through = text_of(log, "indexed_through")
    return (
        text_of(log, "log"),
        text_of(log, "first"),
        "none" if through == "-1" else through,
        f"{text_of(log, 'behind')} records, {text_of(log, 'behind_bytes')} bytes",
        text_of(log, "segments"),
        "yes" if log.get("proofs") else "no",
        "yes" if text_of(log, "log") in hsm else "no",
        text_of(log, "damage") or "none",
    )


def _trouble(found: Mapping[str, object]) -> list[str]:
    """What is not as it should be, in the server's words."""
    told = [f"The log reader does not go on: {text_of(found, 'trouble')}"] if found.get("trouble") else []
    hsm = text_of(as_map(found.get("hsm")), "trouble")
    if hsm:
        told.append(f"The key in the HSM does not sign: {hsm}")
    for log in map(as_map, as_list(found.get("logs"))):
        if log.get("damage"):
            told.append(f"{text_of(log, 'log')}: {text_of(log, 'damage')}")
        elif log.get("proofs") is False:
            told.append(f"{text_of(log, 'log')}: hashes of its tree are lost, so it has no proofs")
    return told


def devices(invocation: Invocation) -> int:
    """Show where the log is forwarded to, and how far each device has it; exit code 2 where one does not take records in time."""
    from vaultctl.text.output import columns

    told = read_status(client_of(invocation)).get("devices")
    if told is None:
        raise CommandError("This server does not say where it sends its log.", EXIT_REMOTE)
    found = [as_map(one) for one in as_list(told)]
    code = EXIT_OK if all(text_of(one, "state") == _WELL for one in found) else EXIT_REMOTE
    if not invocation.tabular:
        invocation.print_value({"devices": found})
        return code
    if not found:
        invocation.say("The log is forwarded nowhere.")
        return EXIT_OK
    heads = (
        "Name",
        "Kind",
        "Policy",
        "State",
        "Behind",
        "Oldest waits",
        "Accepted",
        "Failures",
        "Last error",
    )
    invocation.say(columns([heads, *map(_device_row, found)]))
    return code


def _device_row(device: Mapping[str, object]) -> tuple[str, ...]:
    seconds = device.get("lag_seconds")
    return (
        text_of(device, "name"),
        text_of(device, "kind"),
        text_of(device, "policy").replace("_", " "),
        text_of(device, "state"),
        f"{text_of(device, 'lag_records')} records",
        f"{seconds:.0f} s" if isinstance(seconds, (int, float)) else "",
        text_of(device, "accepted"),
        text_of(device, "failures"),
        text_of(device, "error") or "none",
    )

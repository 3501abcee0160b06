# SPDX-License-Identifier: EUPL-1.2
"""Whether a record is proven: which checkpoint covers it, how old that is, and the proof to be kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import Response

from vault.log.format.proof import parse_proof
from vault.ui.html.components import facts, when
from vault.ui.html.elements import Child, el
from vault.ui.html.layout import HEADERS, href
from vault.ui.html.times import millis
from vault.ui.session.api_client import ApiAnswer
from vault.ui.session.visit import ApiRefusal, Visit, objects, require, text
from vault.ui.views.log.asking import LOG, forbidden, place_of
from vault.values.times import Millis, Seconds, millis_to_seconds, time_between

_NOTE: Final = re.compile(r"(?P<origin>[^\n]{1,1024})\n(?P<size>[0-9]{1,19})\n(?P<root>[^\n]{1,64})\n")
_NAME: Final = re.compile(r"[^0-9A-Za-z-]")


class Checkpoint(msgspec.Struct, frozen=True):
    """What a checkpoint says: whose it is, how many records it covers, and the root of their tree."""

    origin: str
    size: int
    root: str


async def state_of(visit: Visit, log: str, seq: int) -> Child:
    """Return what is said of the proof of a record."""
    answer = await visit.api.read_text(f"{LOG}/checkpoints/{log}")
    if answer.status == 403:
        return el("p", f"This token may not read {LOG}/checkpoints/{log}, so this is not known here.")
    found = _checkpoint(answer)
    if found is None or found.size <= seq:
        covered = "There is no checkpoint yet" if found is None else f"The newest covers {found.size} records"
        return el(
            "p",
            f"Not yet covered by a checkpoint. {covered}; one is signed every second while records come. Load the page again.",
            class_="note",
        )
    return [
        el("p", "Covered: a signed checkpoint says that this record is in the log.", class_="note"),
        facts(
            ("Checkpoint of", el("span", found.origin, class_="id")),
            ("Covers", f"{found.size} records, 0 to {found.size - 1}"),
            ("Root", el("span", found.root, class_="id")),
            ("Age", await _age(visit, log, found)),
        ),
        el(
            "p",
            el(
                "a",
                "Download the proof",
                class_="button",
                href=href("log/proof", mount=visit.mount, log=log, seq=str(seq)),
                download=True,
            ),
        ),
        el(
            "p",
            "The file is a C2SP tlog-proof with the record as its extra data. Whoever has the log's public key verifies it without this server: ",
            el("code", "vaultctl audit verify -proof=FILE -key=KEY"),
            ".",
            class_="why",
        ),
    ]


async def _age(visit: Visit, log: str, found: Checkpoint) -> Child:
    """Return how old a checkpoint is at most: it was signed after its last record, which a tenant may not see."""
    answer = await visit.api.get(f"{LOG}/records/{log}/{found.size - 1}", {})
    last = objects(answer.data, "records")[:1] if answer.status == 200 else []
    time = text(last[0], "observed_timestamp") if last else ""
    then = millis(time)
    if then is None:
        return "not known here: its last record is another tenant's"
    return [
        "signed after ",
        when(time),
        f", so at most {length(_since(then, visit.now))} old",
    ]


def _since(then: Millis, now: Millis) -> Seconds:
    return Seconds(max(0, millis_to_seconds(time_between(then, now))))


async def proof(visit: Visit) -> Response:
    """Send the proof of a record as a file, with the record as its extra data: nothing else is needed but a key."""
    log, seq = place_of(visit)
    there = f"{LOG}/records/{log}/{seq}"
    try:
        found = parse_proof(require(await visit.api.read_text(f"{there}/proof")).raw)
        line = require(await visit.api.read_text(there)).raw.partition(b"\n")[0]
    except ApiRefusal as refused:
        return forbidden(visit, refused, "Proof")
    name = f"{_NAME.sub('', log)}-{seq}.tlog-proof"
    headers: Mapping[str, str] = {
        **HEADERS,
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    whole = msgspec.structs.replace(found, extra=line).format()
    return Response(whole, media_type="text/plain; charset=utf-8", headers=dict(headers))


def length(seconds: Seconds) -> str:
    """Return how long a time is, in the largest unit of which there are two."""
    for unit, many in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * many:
            return f"{seconds // many} {unit}"
    return f"{seconds} second" if seconds == 1 else f"{seconds} seconds"


def _checkpoint(answer: ApiAnswer) -> Checkpoint | None:
    """Return what a signed note says; None where there is none. Nobody's signature is verified here."""
    if answer.status != 200:
        return None
    found = _NOTE.match(answer.raw.decode("utf-8", "replace"))
    return None if found is None else Checkpoint(found["origin"], int(found["size"]), found["root"])

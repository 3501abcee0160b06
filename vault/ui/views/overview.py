# SPDX-License-Identifier: EUPL-1.2
"""The first page: numbers, each a link to what it counts.

It reads one page of each list, however long the list is; where there are more, the number says `100+`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import Response

from vault.framework.fields import Json
from vault.ui.html.components import chooser
from vault.ui.html.elements import Child, Html, el
from vault.ui.html.layout import href, page
from vault.ui.html.times import millis, moment, to_utc
from vault.ui.session.visit import ApiRefusal, Visit, objects, text, texts
from vault.ui.views.credentials import ACTIVE, UNUSED
from vault.ui.views.registrations import LIMIT, by_client_secret, soon
from vault.ui.views.severity import tally
from vault.values.times import DAY, seconds_to_millis, time_between

_MOST: Final = "100"
"""Credentials that are counted."""


class _Answer(msgspec.Struct, frozen=True):
    """The answers of the server; `missing` names what the token may not read."""

    data: Mapping[str, Json]
    missing: str = ""


async def overview(visit: Visit) -> Response:
    """Show how many credentials, anomalies, expiries, client secrets and failed logins there are."""
    since = moment(time_between(seconds_to_millis(DAY), visit.now))
    seen = await _ask(visit, "credentials", since=to_utc(since), limit=_MOST)
    unused = await _ask(visit, "credentials", presented="no", limit=_MOST)
    odd = await _ask(visit, "credentials", anomaly="any", limit=_MOST)
    report = await _ask(visit, "report", limit=str(LIMIT))
    orphans = await _ask(visit, "orphans")
    failures = await _ask(visit, "failures")
    return page(
        "Overview",
        chooser(visit, "overview"),
        el(
            "ul",
            _credentials(visit, seen, since),
            _unused(visit, unused),
            _new(visit, odd, since),
            _all(visit, odd),
            _strangers(visit, orphans),
            _ending(visit, report),
            _secrets(visit, report),
            _failures(visit, failures),
            class_="tiles",
        ),
        session=visit.session,
        mount=visit.mount,
        here="overview",
    )


async def _ask(visit: Visit, path: str, **fields: str) -> _Answer:
    """Return an answer, or the missing one that the token may not read. Raises `ApiRefusal` for any other refusal."""
    try:
        return _Answer(await visit.get(path, **fields))
    except ApiRefusal as refused:
        if refused.answer.kind != "forbidden":
            raise
        return _Answer({}, f"This token may not read {visit.mount}/{path}.")


def _credentials(visit: Visit, seen: _Answer, since: str) -> Html:
    """Count valid credentials. No Biscuit lives longer than a day, so all of them were first seen since yesterday."""
    active = [one for one in objects(seen.data, "credentials") if text(one, "state") == ACTIVE]
    number = _number(len(active), more=bool(text(seen.data, "next")))
    there = href("credentials", mount=visit.mount, state=ACTIVE, since=since)
    says = "Tokens of workloads that were presented here and are valid now."
    return _tile(seen, number, "active credentials", says, there)


def _unused(visit: Visit, unused: _Answer) -> Html:
    number = _number(len(objects(unused.data, "credentials")), more=bool(text(unused.data, "next")))
    says = "They were issued, are valid now, and came here in no request."
    there = href("credentials", mount=visit.mount, state=UNUSED)
    return _tile(unused, number, "credentials never presented", says, there)


def _new(visit: Visit, odd: _Answer, since: str) -> Html:
    """Count entries since yesterday. Lists are newest first: once an older entry comes, none is left out."""
    found, start = objects(odd.data, "credentials"), millis(since) or 0
    new = [one for one in found if (millis(text(one, "first_seen")) or 0) >= start]
    number = _number(len(new), more=bool(text(odd.data, "next")) and len(new) == len(found))
    there = href("anomalies", mount=visit.mount, since=since)
    says = _graves(new, "They were first seen in the last 24 hours.")
    return _tile(odd, number, "new credentials with anomalies", says, there)


def _all(visit: Visit, odd: _Answer) -> Html:
    found = objects(odd.data, "credentials")
    number = _number(len(found), more=bool(text(odd.data, "next")))
    says = _graves(found, "Old and new, as long as they are on record.")
    return _tile(odd, number, "credentials with anomalies in all", says, href("anomalies", mount=visit.mount))


def _strangers(visit: Visit, orphans: _Answer) -> Html:
    count = len(objects(orphans.data, "orphans"))
    number = _number(count, more=bool(orphans.data.get("more")))
    says = (
        "High: signed with one of our keys, and no record of them. Somebody else may have the key."
        if count
        else "This server issued every token that was presented to it."
    )
    there = href("anomalies", mount=visit.mount)
    return _tile(orphans, number, "tokens that were not issued here", says, there, alarming=bool(count))


def _ending(visit: Visit, report: _Answer) -> Html:
    found = soon(objects(report.data, "registrations"), visit.now)
    number = _number(len(found), more=bool(text(report.data, "next")))
    says = "They get no tokens after their end, unless their owner extends them."
    return _tile(report, number, "workloads that end within 14 days", says, href("ending", mount=visit.mount))


def _secrets(visit: Visit, report: _Answer) -> Html:
    found = by_client_secret(objects(report.data, "registrations"))
    number = _number(len(found), more=bool(text(report.data, "next")))
    there = href("secrets", mount=visit.mount, used="1")
    says = "A client secret can be stolen and used anywhere."
    return _tile(report, number, "registrations that log in by client secret", says, there)


def _failures(visit: Visit, failures: _Answer) -> Html:
    found = objects(failures.data, "failures")
    times = sum(one["count"] for one in found if isinstance(one.get("count"), int))
    says = (
        f"The last reason: {text(found[0], 'message')}." if found else "None since this server was unsealed."
    )
    return _tile(failures, str(times), "failed logins", says, href("failures", mount=visit.mount))


def _graves(found: list[Mapping[str, Json]], whose: str) -> str:
    count = tally(texts(one, "anomalies") for one in found)
    return f"{whose} By severity: {count}." if count else whose


def _number(count: int, *, more: bool) -> str:
    return f"{count}+" if more else str(count)


def _tile(answer: _Answer, number: str, name: str, says: str, there: str, *, alarming: bool = False) -> Html:
    """Return a number as a link to what it counts, or a note that the token may not read it."""
    head: Child = el("a", el("span", number, class_="number"), " ", name, href=there)
    if answer.missing:
        head, says = [el("span", "?", class_="number"), " ", name], answer.missing
    return el("li", el("h2", head), el("p", says), class_="alarmed" if alarming else False)

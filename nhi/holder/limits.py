# SPDX-License-Identifier: EUPL-1.2
"""What a holder restricts a token to, as Datalog. Every value is a parameter: none is ever put into the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Final

import msgspec

from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.offline.guard import Term

OPERATIONS: Final = frozenset({"create", "read", "update", "delete", "list", "patch", "scan"})


class HolderLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a new block demands; what is empty demands nothing. `until` is in seconds since the epoch."""

    operations: Sequence[str] = ()
    paths: Sequence[str] = ()
    """Paths; one that ends in `*` stands for all that begin like it."""
    until: int = 0
    networks: Sequence[str] = ()
    body_sha256: str = ""
    checks: Sequence[str] = ()
    """Datalog of the holder's own."""


def datalog(limits: HolderLimits) -> tuple[str, Mapping[str, Term]]:
    """Return the text of a block and its parameters. Raises `BiscuitError` for limits that are none."""
    texts: list[str] = []
    terms: dict[str, Term] = {}
    if limits.operations:
        unknown = set(limits.operations) - OPERATIONS
        if unknown:
            raise BiscuitError(f"operations: must be some of {', '.join(sorted(OPERATIONS))}")
        terms["operations"] = frozenset(limits.operations)
        texts.append("check if operation($o), {operations}.contains($o)")
    if limits.paths:
        texts.append(f"check if {' or '.join(_path(n, one, terms) for n, one in enumerate(limits.paths))}")
    if limits.networks:
        texts.append(
            f"check if {' or '.join(_network(n, one, terms) for n, one in enumerate(limits.networks))}"
        )
    if limits.body_sha256:
        terms["body"] = limits.body_sha256
        texts.append("check if body_sha256({body})")
    if limits.until:
        terms["until"] = datetime.fromtimestamp(limits.until, UTC)
        texts.append("check if time($t), $t < {until}")
    texts += [text.strip().rstrip(";") for text in limits.checks]
    if not texts:
        raise BiscuitError(
            "this would take nothing away: name operations, paths, networks, an end, or a check"
        )
    return "".join(f"{text};\n" for text in texts), terms


def _path(number: int, path: str, terms: dict[str, Term]) -> str:
    name = f"path{number}"
    terms[name] = path.removesuffix("*")
    if path.endswith("*"):
        return f"resource($r), $r.starts_with({{{name}}})"
    return f"resource($r), $r == {{{name}}}"


def _network(number: int, network: str, terms: dict[str, Term]) -> str:
    try:
        terms[f"net{number}"] = str(ip_network(network))
    except ValueError:
        raise BiscuitError(
            "network: must be an address or a network without host bits, as 10.0.0.0/8"
        ) from None
    return f"client_nets($n), $n.contains({{net{number}}})"

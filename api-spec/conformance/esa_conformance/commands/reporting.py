# SPDX-License-Identifier: Apache-2.0
"""report, diff, sign, verify: what is done with finished reports."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from esa_conformance.errors import EXIT_DOES_NOT, EXIT_HOLDS, ConformanceError, UsageError
from esa_conformance.report.badge import badge
from esa_conformance.report.difference import difference
from esa_conformance.report.junit import junit
from esa_conformance.report.page import page
from esa_conformance.report.readme import readme
from esa_conformance.report.signing import Signature, looked_at, sign
from esa_conformance.report.verification import faults, read_report
from esa_conformance.report.yaml import gateway_like


@contextmanager
def _of_reports() -> Iterator[None]:
    """Something in a report is missing or of another type than reports have, wherever it is looked for."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise UsageError("this is no report: a member is missing, or of another type") from None


@_of_reports()
def show(arguments: argparse.Namespace, _environ: Mapping[str, str], out: TextIO, _err: TextIO) -> int:
    """Print a report in another form; HTML takes several, side by side."""
    reports = [read_report(path) for path in arguments.report]
    if len(reports) > 1 and arguments.format != "html":
        raise UsageError("only html shows several reports")
    first = reports[0]
    if arguments.format == "html":
        out.write(page(reports))
    elif arguments.format == "junit":
        out.write(junit(first))
    elif arguments.format == "yaml":
        out.write(gateway_like(first))
    elif arguments.format == "badge":
        out.write(badge(first, hashlib.sha256(arguments.report[0].read_bytes()).hexdigest()))
    else:
        out.write(readme(first, arguments.reproduce))
    return EXIT_HOLDS


@_of_reports()
def compare(arguments: argparse.Namespace, _environ: Mapping[str, str], out: TextIO, _err: TextIO) -> int:
    """Print what is otherwise in the second report; exit code 1 where something is worse."""
    changes = difference(read_report(arguments.old), read_report(arguments.new))
    out.writelines(f"{change.kind}: {change.what}\n" for change in changes)
    return EXIT_DOES_NOT if any(change.worse for change in changes) else EXIT_HOLDS


def sign_one(arguments: argparse.Namespace, _environ: Mapping[str, str], out: TextIO, _err: TextIO) -> int:
    """Sign a finished report, as a run does with --sign-key."""
    read_report(arguments.report)
    out.write(f"{sign(arguments.report, arguments.key)}\n")
    return EXIT_HOLDS


@_of_reports()
def verify(arguments: argparse.Namespace, _environ: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    """Print what does not fit in a report; exit code 1 where anything does not."""
    found = list(faults(read_report(arguments.report)))
    signature, said = None, ""
    try:
        signature = looked_at(arguments.report, arguments.signers)
    except ConformanceError as error:
        if arguments.signers:
            raise
        err.write(f"the signature was not looked at: {error}\n")
    else:
        said = _said(signature)
    if signature is not None and signature.fault:
        found.append(f"signature: {signature.fault}")
    elif signature is None and arguments.signers:
        found.append("signature: there is none")
    out.writelines(f"{fault}\n" for fault in found)
    if not found:
        digest = hashlib.sha256(arguments.report.read_bytes()).hexdigest()
        out.write(f"sha256: {digest}\nthe report is whole{said}\n")
    return EXIT_DOES_NOT if found else EXIT_HOLDS


def _said(signature: Signature | None) -> str:
    """What is known of who signed."""
    if signature is None:
        return ", and not signed"
    by = signature.signer or "somebody: --signers tells whose key this is"
    return f", and signed with {signature.key} by {by}"

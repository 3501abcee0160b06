# SPDX-License-Identifier: Apache-2.0
"""The log: its records, events, proofs and files, in the order in which they run."""

from __future__ import annotations

from esa_conformance.areas.log import events, files, proofs, records

AREAS = (records, events, proofs, files)

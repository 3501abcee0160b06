# SPDX-License-Identifier: EUPL-1.2
"""What a request does to a path."""

from __future__ import annotations

from enum import StrEnum


class Operation(StrEnum):
    """What a request does to a path; also the capability that it needs."""

    READ = "read"
    LIST = "list"
    SCAN = "scan"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    PATCH = "patch"
    HELP = "help"
    HEADER = "header"


WRITES = frozenset({Operation.CREATE, Operation.UPDATE, Operation.DELETE, Operation.PATCH})

# SPDX-License-Identifier: EUPL-1.2
"""What is named by an id: one type per kind of id, so that a checker tells when two are mixed up.

At run time all are plain strings. An id gets its type where it is made or read; what a request says it is gets its
type where it is looked up.
"""

from __future__ import annotations

from typing import Final, NewType

NamespaceId = NewType("NamespaceId", str)
"""Names a namespace for good, while its path may change."""
ROOT_ID: Final = NamespaceId("root")
VAULT: Final = NamespaceId("")
"""Stands for the vault where it is said whose keys encrypt something: a namespace's, or the vault's own."""
EntityId = NewType("EntityId", str)
"""Names an entity."""
NOBODY: Final = EntityId("")
"""Stands for the entity of a credential that belongs to none."""

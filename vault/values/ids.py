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
MountId = NewType("MountId", str)
"""Names a mount for good, while its path may change: what `uuid` is of a mount."""
NO_MOUNT: Final = MountId("")
"""Stands for the mount of a path that has none."""
MountAccessor = NewType("MountAccessor", str)
"""Names a mount to operators and in aliases; no data lies under it."""
TokenAccessor = NewType("TokenAccessor", str)
"""Names a token to whoever may not have it."""
NO_ACCESSOR: Final = TokenAccessor("")
"""Stands for the accessor of a credential that has none."""
TokenKey = NewType("TokenKey", str)
"""Where a token is kept: made from the token, which it does not give away. What tokens hang on has one as well."""
NO_TOKEN_KEY: Final = TokenKey("")
"""Stands for the key of a token where there is none."""
SecretIdAccessor = NewType("SecretIdAccessor", str)
"""Names a secret id of AppRole to whoever may not have it."""
LeaseId = NewType("LeaseId", str)
"""Names a lease."""
NO_LEASE: Final = LeaseId("")
"""Stands for the lease of a reply that has none."""
GroupId = NewType("GroupId", str)
"""Names a group of entities."""
TokenId = NewType("TokenId", str)
"""Names a Biscuit, with all that was made from it."""

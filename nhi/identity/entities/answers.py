# SPDX-License-Identifier: EUPL-1.2
"""How entities, groups and aliases are shown, and what they may hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from nhi.identity.records.model import Alias, Entity, Group
from vault.framework.call import Call
from vault.framework.clock import rfc3339
from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.framework.names import check_length
from vault.mount.entry import MountEntry
from vault.mount.router import Router
from vault.policy.names import valid_name
from vault.values.ids import MountAccessor

# OpenBao's limits of metadata.
MAX_PAIRS: Final = 64
MAX_KEY: Final = 128
"""Characters of a metadata key."""
MAX_VALUE: Final = 512
"""Characters of a metadata value."""


class Answers:
    """Shows identities. Where a mount is, and its type, is looked up when it is shown: mounts move."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def mount(self, call: Call, accessor: MountAccessor) -> MountEntry | None:
        """Return the mount of the call's namespace with this accessor; those of others are as good as made up."""
        table = self._router.of(call.namespace)
        return next((one.entry for one in table if one.entry.accessor == accessor), None)

    def entity(
        self, call: Call, entity: Entity, direct: Sequence[Group], inherited: Sequence[Group]
    ) -> dict[str, Json]:
        """Return an entity as it is read."""
        groups = {"direct_group_ids": direct, "inherited_group_ids": inherited}
        ids = {name: [group.id for group in found] for name, found in groups.items()}
        return {
            "aliases": [self._alias(call, alias, entity.id) for alias in entity.aliases],
            "creation_time": rfc3339(entity.created),
            "disabled": entity.disabled,
            **ids,
            "group_ids": [*ids["direct_group_ids"], *ids["inherited_group_ids"]],
            "id": entity.id,
            "last_update_time": rfc3339(entity.updated),
            "merged_entity_ids": entity.merged or None,
            "metadata": entity.metadata,
            "name": entity.name,
            "namespace_id": call.namespace.id,
            "policies": entity.policies,
        }

    def group(
        self,
        call: Call,
        group: Group,
        *,
        members: Sequence[str],
        inner: Sequence[str],
        outer: Sequence[str],
    ) -> dict[str, Json]:
        """Return a group as it is read."""
        alias: dict[str, Json] = {}
        if group.alias is not None:
            shown = self._alias(call, group.alias, group.id)
            alias = {name: value for name, value in shown.items() if name not in {"custom_metadata", "local"}}
        return {
            "alias": alias,
            "creation_time": rfc3339(group.created),
            "id": group.id,
            "last_update_time": rfc3339(group.updated),
            "member_entity_ids": members if members or group.listed else None,
            "member_group_ids": inner or None,
            "metadata": group.metadata,
            "modify_index": group.index,
            "name": group.name,
            "namespace_id": call.namespace.id,
            "parent_group_ids": outer if outer or group.released else None,
            "policies": group.policies,
            "type": "external" if group.external else "internal",
        }

    def alias(self, call: Call, alias: Alias, owner: str) -> dict[str, Json]:
        """Return an alias as it is read by itself."""
        return {**self._alias(call, alias, owner), "namespace_id": call.namespace.id}

    def listed(self, call: Call, alias: Alias, owner: str) -> dict[str, Json]:
        """Return what a list of aliases says of one."""
        shown = self._alias(call, alias, owner)
        left_out = {"id", "creation_time", "last_update_time", "merged_from_canonical_ids"}
        return {name: value for name, value in shown.items() if name not in left_out}

    def brief(self, call: Call, alias: Alias) -> dict[str, Json]:
        """Return what a list of entities says of an alias."""
        return {"id": alias.id, **self.place(call, alias), "name": alias.name}

    def place(self, call: Call, alias: Alias) -> dict[str, Json]:
        """Return where an alias is one; of a mount that is gone, only the accessor."""
        mount = self.mount(call, alias.accessor)
        if mount is None:
            return {"mount_accessor": alias.accessor}
        return {"mount_accessor": alias.accessor, "mount_path": mount.path, "mount_type": mount.kind}

    def _alias(self, call: Call, alias: Alias, owner: str) -> dict[str, Json]:
        return {
            "canonical_id": owner,
            "creation_time": rfc3339(alias.created),
            "custom_metadata": alias.custom_metadata,
            "id": alias.id,
            "last_update_time": rfc3339(alias.updated),
            "local": alias.local,
            "merged_from_canonical_ids": alias.merged_from or None,
            "metadata": alias.metadata,
            **self.place(call, alias),
            "name": alias.name,
        }


def checked_policies(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of policies in their one form, sorted: normalised first, judged second (SL-11). Raises `Malformed`."""
    found = {valid_name(name) for name in names if name.strip()}
    if None in found:
        raise Malformed("policies: every name must be printable, without dot segments")
    if "root" in found:
        raise Malformed("policies cannot contain root")
    return tuple(sorted(name for name in found if name is not None))


def checked_metadata(pairs: Mapping[str, str], what: str) -> dict[str, str]:
    """Return metadata that is within its limits. Raises `Malformed`, which repeats nothing of it."""
    if len(pairs) > MAX_PAIRS:
        raise Malformed(f"{what} cannot contain more than {MAX_PAIRS} key/value pairs")
    for key, value in pairs.items():
        if not key:
            raise Malformed(f"invalid {what}: key cannot be blank")
        if len(key) > MAX_KEY:
            raise Malformed(f"invalid {what}: key is too long (limit: {MAX_KEY} characters)")
        if len(value) > MAX_VALUE:
            raise Malformed(f"invalid {what}: value is too long (limit: {MAX_VALUE} characters)")
    return dict(pairs)


def checked_name(name: str) -> str:
    """Return what was given as `name` if people can tell it apart. Raises `Malformed` where it is long or has control characters."""
    check_length(name=name)
    if any(ord(char) < 32 or ord(char) == 127 for char in name):
        raise Malformed("name may have printable characters only")
    return name

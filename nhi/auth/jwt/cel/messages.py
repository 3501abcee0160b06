# SPDX-License-Identifier: EUPL-1.2
"""The messages that a program makes: names and types of their fields, as programs use them in OpenBao.

They are never sent to anybody, so their fields have numbers in the order of their names here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.timestamp_pb2 import DESCRIPTOR as TIMESTAMP

_F = FieldDescriptorProto
_SCALARS: Final = {"text": _F.TYPE_STRING, "int": _F.TYPE_INT64, "uint": _F.TYPE_UINT32, "bool": _F.TYPE_BOOL}

_ALIAS: Final = {
    "mount_type": "text",
    "mount_accessor": "text",
    "name": "text",
    "namespace_id": "text",
    "metadata": "pairs",
    "custom_metadata": "pairs",
    "local": "bool",
}
_LEASE: Final = {
    "TTL": "int",
    "renewable": "bool",
    "increment": "int",
    "issue_time": ".google.protobuf.Timestamp",
    "MaxTTL": "int",
}
_AUTH: Final = {
    "lease_options": ".pb.LeaseOptions",
    "internal_data": "text",
    "display_name": "text",
    "policies": "[text",
    "metadata": "pairs",
    "client_token": "text",
    "accessor": "text",
    "period": "int",
    "num_uses": "int",
    "entity_id": "text",
    "alias": ".logical.Alias",
    "group_aliases": "[.logical.Alias",
    "bound_cidrs": "[text",
    "token_policies": "[text",
    "identity_policies": "[text",
    "explicit_max_ttl": "int",
    "token_type": "uint",
    "no_default_policy": "bool",
}


def pool() -> DescriptorPool:
    """Return the descriptions of `pb.Auth` and of what it is made of."""
    found = DescriptorPool()
    known = FileDescriptorProto()
    TIMESTAMP.CopyToProto(known)
    found.Add(known)
    logical = FileDescriptorProto(name="logical", package="logical", syntax="proto3")
    _fill(logical, "Alias", _ALIAS)
    found.Add(logical)
    file = FileDescriptorProto(name="pb", package="pb", syntax="proto3", dependency=["logical", known.name])
    _fill(file, "LeaseOptions", _LEASE)
    _fill(file, "Auth", _AUTH)
    found.Add(file)
    return found


def _fill(file: FileDescriptorProto, name: str, fields: Mapping[str, str]) -> None:
    message = file.message_type.add(name=name)
    for number, (field, kind) in enumerate(fields.items(), 1):
        if kind == "pairs":
            entry = message.nested_type.add(name="".join(part.title() for part in field.split("_")) + "Entry")
            entry.options.map_entry = True
            _add(entry, "key", 1, "text")
            _add(entry, "value", 2, "text")
            _add(message, field, number, f"[.{file.package}.{name}.{entry.name}")
        else:
            _add(message, field, number, kind)


def _add(message: DescriptorProto, name: str, number: int, kind: str) -> None:
    label = _F.LABEL_REPEATED if kind.startswith("[") else _F.LABEL_OPTIONAL
    kind = kind.removeprefix("[")
    if kind in _SCALARS:
        message.field.add(name=name, number=number, label=label, type=_SCALARS[kind])
    else:
        message.field.add(name=name, number=number, label=label, type=_F.TYPE_MESSAGE, type_name=kind)

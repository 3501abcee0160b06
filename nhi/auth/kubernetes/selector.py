# SPDX-License-Identifier: EUPL-1.2
"""Label selectors for namespaces, as Kubernetes has them, in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from vault.framework import schema
from vault.framework.errors import Malformed

_INVALID: Final = 'invalid "bound_service_account_namespace_selector" configured'
_Text = Annotated[str, msgspec.Meta(max_length=317)]


class Expression(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A demand on one label."""

    key: _Text
    operator: str
    values: tuple[_Text, ...] = ()

    def met(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet it. An unknown operator meets nothing."""
        value = labels.get(self.key)
        if self.operator == "In":
            return value in self.values
        if self.operator == "NotIn":
            return value not in self.values
        if self.operator == "Exists":
            return value is not None
        return self.operator == "DoesNotExist" and value is None


class Selector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Demands that must all be met; none are met by every namespace."""

    match_labels: Mapping[_Text, _Text] = msgspec.field(name="matchLabels", default_factory=dict)
    match_expressions: tuple[Expression, ...] = msgspec.field(name="matchExpressions", default=())

    def met(self, labels: Mapping[str, str]) -> bool:
        """Whether a namespace with these labels is selected."""
        plain = all(labels.get(key) == value for key, value in self.match_labels.items())
        return plain and all(expression.met(labels) for expression in self.match_expressions)


def parse(text: str) -> Selector:
    """Read a selector. Raises `Malformed`."""
    try:
        found = msgspec.convert(schema.decode_object(text.encode()), Selector)
    except (Malformed, msgspec.ValidationError):
        raise Malformed(_INVALID) from None
    known = {"In", "NotIn", "Exists", "DoesNotExist"}
    if any(expression.operator not in known for expression in found.match_expressions):
        raise Malformed(_INVALID)
    return found

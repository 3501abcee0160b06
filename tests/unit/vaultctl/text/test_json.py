# SPDX-License-Identifier: EUPL-1.2
"""JSON of others is read, or refused by an error that says why."""

import pytest

from vaultctl.errors import DepthError
from vaultctl.text.json import parse


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, "[" * 900 + '"\\ud800"' + "]" * 900])
def test_json_that_is_nested_too_deep_ends_with_an_error(text: str) -> None:
    with pytest.raises(DepthError, match="nested too deep"):
        parse(text)

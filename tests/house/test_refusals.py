# SPDX-License-Identifier: EUPL-1.2
"""No refusal and no warning is put together from what a client sent, but by `vault.framework.quote` (SL-51)."""

import pytest

from tests.house.refusals import LISTED, composed, composed_in
from tests.house.tree import nodes


def listed() -> list[str]:
    lines = LISTED.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_sl_51_a_text_is_put_together_from_names_that_are_quoted_and_from_what_is_listed() -> None:
    """Quote a name of the path, leave out a value, or list it under the reason why it is neither."""
    found = {f"{file} | {expression}" for file, expression in composed()}
    assert sorted(found - {*listed()}) == []


def test_the_list_holds_nothing_that_is_gone_and_nothing_twice() -> None:
    found = {f"{file} | {expression}" for file, expression in composed()}
    assert sorted({*listed()} - found) == []
    assert len(listed()) == len({*listed()})


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("raise Malformed(f'no {params.name}')", {"params.name"}),
        ("raise Malformed('no ' + params.name)", {"params.name"}),
        ("raise Malformed('no %s' % params.name)", {"params.name"}),
        ("raise Malformed('no {}'.format(params.name))", {"params.name"}),
        ("raise Malformed(' '.join(params.names))", {"params.names"}),
        ("raise Malformed(message=params.name)", {"params.name"}),
        ("raise Ours(f'no {params.name}')", {"params.name"}),
        ("reply.warnings.append(f'no {params.name}')", {"params.name"}),
        ("Reply(warnings=[f'no {params.name}'])", {"params.name"}),
        ("raise Malformed(text if text else 'x')", {"text"}),
        ("raise Malformed(f'no {quote(params.name)} of {len(names)}, {_MOST}')", set()),
        ("raise Malformed(', '.join(map(quote, names)))", set()),
        ("raise Other(f'no {params.name}')", set()),
    ],
)
def test_the_rule_sees_every_way_to_put_a_text_together(line: str, parts: set[str]) -> None:
    source = (
        f"class Malformed(VaultError): ...\nclass Ours(Malformed): ...\nclass Other(Exception): ...\n{line}"
    )
    assert composed_in({"one.py": nodes(source)}) == {("one.py", part) for part in parts}

# SPDX-License-Identifier: EUPL-1.2
"""Attenuation trees as text, DOT and SVG: legible, the same each time, and no text of a holder is ever markup."""

import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nhi.picture.layout import BOX, place
from nhi.picture.lineage import ANOMALIES, grown, line_of
from nhi.picture.node import Node, State, cut, shown, walk, width, wrapped
from nhi.picture.svg import COLUMNS, MOST_LINES, as_svg
from nhi.picture.text import as_dot, as_text
from tests.house.tree import ROOT

_SVG = "{http://www.w3.org/2000/svg}"
_HOSTILE = '"></text><script>alert(1)</script>\\" ]; evil -> evil [label="x\n\x1b[2J\u202etxt\x00'


def _node(number: int, *children: Node, says: tuple[str, ...] = ("operations: read",)) -> Node:
    return Node(f"{number:032x}", f"hop {number}", says, children=children)


def _two_hundred() -> Node:
    """A tree of 200 nodes, five hops deep."""
    levels = [[_node(number) for number in range(100, 200)]]
    for size in (60, 30, 8, 1):
        below = levels[-1]
        shares = [below[place::size] for place in range(size)]
        levels.append([_node(len(levels) * 1000 + i, *share) for i, share in enumerate(shares)])
    return _node(1, *levels[-1])


trees = st.recursive(
    st.builds(Node, st.text(max_size=12), st.text(max_size=30), st.lists(st.text(max_size=90)).map(tuple)),
    lambda inner: st.builds(
        Node,
        st.text(max_size=12),
        st.text(max_size=30),
        st.just(()),
        st.text(max_size=20),
        st.text(max_size=20),
        st.sampled_from(State),
        st.lists(st.text(max_size=20), max_size=2).map(tuple),
        st.lists(inner, max_size=4).map(tuple),
    ),
    max_leaves=30,
)


def test_pictures_are_drawn_with_the_standard_library_alone() -> None:
    code = "import sys, nhi.picture.svg, nhi.picture.text, nhi.picture.lineage; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT)},
    ).stdout.split()
    assert {name.split(".")[0] for name in loaded} - sys.stdlib_module_names - {"__main__"} == {"nhi"}


def test_a_tree_in_a_terminal() -> None:
    dead = Node("cc" * 16, "", ("path: secret/data/a",), "10.0.0.7", "18:00", State.REVOKED, ("no-op",))
    over = Node("bb" * 16, says=("a", "b"), state=State.EXPIRED, children=(dead,))
    tree = Node("aa" * 16, "billing", children=(over, Node("dd" * 16)))
    assert as_text(tree).splitlines() == [
        f"{'aa' * 16}  billing",
        f"├─ {'bb' * 16}  a; b [expired]",
        f"│  └─ {'cc' * 16}  path: secret/data/a · first by 10.0.0.7, 18:00 [revoked] !! no-op",
        f"└─ {'dd' * 16}",
    ]


@given(trees)
def test_a_block_has_one_line_whatever_it_says(tree: Node) -> None:
    assert len(as_text(tree).splitlines()) == sum(1 for _ in walk(tree))
    assert as_text(tree).replace("\n", "").isprintable()


@given(trees)
def test_boxes_stand_in_the_column_of_their_hop_and_never_on_each_other(tree: Node) -> None:
    layout = place(tree, lambda node: 20 + 7 * len(node.says))
    columns: dict[int, list[tuple[int, int]]] = {}
    for box in layout.boxes:
        columns.setdefault(box.x, []).append((box.y, box.y + box.height))
        assert box.x + BOX < layout.width
        assert box.y + box.height < layout.height
        if box.parent >= 0:
            parent = layout.boxes[box.parent]
            assert parent.x + BOX < box.x
            assert parent.y <= box.y
            first = parent.node.children[0] is box.node
            assert not first or parent.y == box.y
    for spans in columns.values():
        assert all(one[1] < other[0] for one, other in pairwise(sorted(spans)))


def _svg(tree: Node) -> ET.Element:
    return ET.fromstring(as_svg(tree, name="a tree", link=lambda node: f"?id={node.id}"))  # noqa: S314 -- ours


def _texts(root: ET.Element) -> Iterator[str]:
    for element in root.iter(f"{_SVG}text"):
        assert len(element) == 0
        yield element.text or ""


@given(trees)
def test_svg_is_well_formed_and_its_texts_are_texts(tree: Node) -> None:
    root = _svg(tree)
    tags = {element.tag.removeprefix(_SVG) for element in root.iter()}
    assert tags <= {"svg", "style", "rect", "path", "a", "title", "text"}
    assert "".join(_texts(root)).isprintable()
    assert len(list(root.iter(f"{_SVG}a"))) == sum(1 for _ in walk(tree))


def test_no_text_of_a_holder_becomes_markup_in_any_form() -> None:
    tree = Node(_HOSTILE, _HOSTILE, (_HOSTILE,), _HOSTILE, _HOSTILE, State.ACTIVE, (_HOSTILE,), (_node(1),))
    svg = as_svg(tree, name=_HOSTILE)
    assert "<script" not in svg
    assert "\x1b" not in svg + as_dot(tree) + as_text(tree)
    assert "\u202e" not in svg + as_dot(tree) + as_text(tree)
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', '""', as_dot(tree))
    assert outside.count("->") == 1
    assert "evil" not in outside


@given(trees)
def test_dot_has_a_node_and_an_edge_for_each_block_and_nothing_else(tree: Node) -> None:
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', '""', as_dot(tree))
    count = sum(1 for _ in walk(tree))
    assert len(re.findall(r"^  n\d+ \[label=\"\",", outside, re.MULTILINE)) == count
    assert len(re.findall(r"^  n\d+ -> n\d+;$", outside, re.MULTILINE)) == count - 1
    assert len(outside.splitlines()) == 2 * count - 1 + 4


def test_two_hundred_blocks_are_legible_and_drawn_the_same_each_time() -> None:
    tree = _two_hundred()
    assert sum(1 for _ in walk(tree)) == 200
    svg = as_svg(tree, name="tree")
    assert svg == as_svg(_two_hundred(), name="tree")
    assert len(svg.encode()) < 200_000
    root = _svg(tree)
    assert int(root.attrib["width"]) < 2200
    for element in root.iter(f"{_SVG}text"):
        assert width(element.text or "") <= COLUMNS


def test_what_does_not_fit_a_box_is_in_its_title() -> None:
    long = tuple(f"check if a($x), $x == {number}" for number in range(20))
    texts = list(_texts(_svg(_node(1, says=long))))
    assert f"… {20 - MOST_LINES + 1} more lines" in texts
    titles = [element.text or "" for element in _svg(_node(1, says=long)).iter(f"{_SVG}title")]
    assert titles[0].splitlines()[1:21] == list(long)


@pytest.mark.parametrize(
    ("text", "columns", "lines"),
    [
        ("", 5, []),
        ("one two three", 7, ["one two", "three"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("漢字漢字", 5, ["漢字", "漢字"]),
        ("漢字", 3, ["漢", "字"]),
        ("a bcdefg", 4, ["a", "bcde", "fg"]),
    ],
)
def test_lines_are_broken_between_words_where_that_is_possible(
    text: str, columns: int, lines: list[str]
) -> None:
    assert wrapped(text, columns) == lines


@given(st.text(), st.integers(3, 40))
def test_no_line_is_wider_than_it_may_be_and_nothing_is_lost(text: str, columns: int) -> None:
    lines = wrapped(shown(text), columns)
    assert all(width(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == shown(text).replace(" ", "")
    assert width(cut(shown(text), columns)) <= columns


def _answer(*nodes: tuple[str, str], **more: object) -> dict[str, object]:
    """What the server answers about a credential of these blocks, each with its parent."""
    return {
        "credential": {"workload": "billing", "policies": ["ro"], "state": "active", **more},
        "nodes": [
            {
                "id": name,
                "parent": parent,
                "narrowing": [f"{name} only"],
                "first_seen": "2026-11-26T18:00:01.5Z",
            }
            | {"source": "10.0.0.7", "sources": ["10.0.0.7"]}
            for name, parent in nodes
        ],
    }


def test_a_tree_grows_from_what_the_server_answers() -> None:
    answer = _answer(("a", ""), ("b", "a"), ("c", "b"), ("d", "a"))
    nodes = answer["nodes"]
    assert isinstance(nodes, list)
    nodes[1] |= {"revoked": True, "reason": "stolen", "anomalies": ["no-op", "new-one"]}
    nodes[3] |= {
        "approver": "ed25519/ab",
        "refused": "too deep",
        "sources": ["10.0.0.7", "10.0.0.8"],
        "source": "",
    }
    root = grown(answer)
    assert root is not None
    odd = f" !! {ANOMALIES['no-op']} !! new-one"
    assert as_text(root).splitlines() == [
        "a  billing · policies: ro; a only · first by 10.0.0.7, 2026-11-26 18:00",
        "├─ b  b only; revoked: stolen · first by 10.0.0.7, 2026-11-26 18:00 [revoked]" + odd,
        "│  └─ c  c only · first by 10.0.0.7, 2026-11-26 18:00 [revoked]",
        "└─ d  d only; signed by ed25519/ab; refused: too deep · first by ? and 2 more, 2026-11-26 18:00",
    ]


@pytest.mark.parametrize(
    ("state", "shown_as"),
    [("expired", State.EXPIRED), ("workload-ended", State.REVOKED), ("active", State.ACTIVE)],
)
def test_a_block_is_no_better_than_its_credential(state: str, shown_as: State) -> None:
    root = grown(_answer(("a", ""), ("b", "a"), state=state))
    assert root is not None
    assert [node.state for node, _ in walk(root)] == [shown_as, shown_as]


def test_what_was_renewed_hangs_on_the_first_block_and_ends_by_itself() -> None:
    answer = _answer(("a", ""), ("b", "a"), state="expired")
    answer["renewals"] = [
        {
            "token_id": "t1",
            "id": "c",
            "parent": "a",
            "expire_time": "2026-11-26T19:00:00Z",
            "state": "active",
        },
        {"token_id": "t2", "id": "d", "parent": "c", "expire_time": "", "state": "revoked"},
    ]
    root = grown(answer, {"d"})
    assert root is not None
    assert [(child.id, child.says, child.state) for child in root.children[1:]] == [
        ("c", ("renewed: another token, until 2026-11-26 19:00:00",), State.ACTIVE),
        ("d", ("renewed from c: another token, until",), State.DYING),
    ]
    again = grown(answer)
    assert again is not None
    assert again.children[2].state is State.REVOKED


def test_a_service_token_says_when_it_was_made_and_nothing_of_who_presented_it() -> None:
    answer = _answer(("a", ""))
    answer["tokens"] = [
        {
            "accessor": "x",
            "parent": "a",
            "policies": ["p"],
            "issue_time": "2026-11-26T18:00:00Z",
            "expire_time": "2026-11-26T19:00:00Z",
        }
    ]
    root = grown(answer)
    assert root is not None
    (held,) = root.children
    made = "service token with its checks, made 2026-11-26 18:00:00, until 2026-11-26 19:00:00; policies: p"
    assert (held.id, held.says, held.seen) == ("x", (made,), "")


def test_what_would_end_is_shown_with_what_it_was_made_from() -> None:
    root = grown(_answer(("a", ""), ("b", "a"), ("c", "b"), ("d", "c"), ("e", "a"), ("f", "b")), {"c", "d"})
    assert root is not None
    kept = [(node.id, node.state) for node, _ in walk(line_of(root, {"c", "d"}))]
    assert kept == [("a", State.ACTIVE), ("b", State.ACTIVE), ("c", State.DYING), ("d", State.DYING)]


def test_an_answer_that_is_not_as_it_should_be_draws_what_can_be_drawn() -> None:
    assert grown({}) is grown({"credential": 1, "nodes": [1, {}, {"id": 3}]}) is None
    odd = _answer(("a", "b"), ("b", "b"), ("a", ""), ("c", "none"), ("d", "a"), ("e", "d"), ("d", "e"))
    root = grown(odd)
    assert root is not None
    assert [node.id for node, _ in walk(root)] == ["a", "d", "e"]
    deep = grown(_answer(("0", ""), *((str(number), str(number - 1)) for number in range(1, 300))))
    assert deep is not None
    assert sum(1 for _ in walk(deep)) < 100

# SPDX-License-Identifier: EUPL-1.2
"""Texts that read as a number, a word or a mark of YAML are quoted where bao quotes them."""

import random
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from tests.cli.canned import Case, theatre

pytestmark = pytest.mark.loopback
_KNOWN = (
    "+_1 7E_76 _1 1_ +1_ 1e_5 .5_ ._5 .5_5 +_.5 0_7 0o_7 0x_1 0b8 0o8b 7.E_6 1:_10 1_0:10 ---x ...x --- ... oFF Off OFF "
    "off y Y yes yEs .inf .Inf .INF -.inf +.inf .iNF .nan .NaN .NAN .nAn ~ null Null nULL True tRue"
)
_SIGNS = "+-_.0178eExobF:"


def test_words_are_quoted_as_bao_quotes_them(tmp_path: Path) -> None:
    enable_socket()
    chance = random.Random(20_260)
    made = ("".join(chance.choices(_SIGNS, k=chance.randint(1, 6))) for _ in range(4000))
    texts = dict.fromkeys([*_KNOWN.split(), *made])
    data = {f"k{number:05d}": text for number, text in enumerate(texts)}
    case = Case("read -format=yaml x", {"GET /v1/x": (200, {"data": data})})
    with theatre() as stage:
        bao, ours = stage.by_bao(case, tmp_path).stdout, stage.by_vaultctl(case, tmp_path).stdout
    assert len(bao.splitlines()) > 2500
    differ = [pair for pair in zip(bao.splitlines(), ours.splitlines(), strict=True) if pair[0] != pair[1]]
    assert differ == []

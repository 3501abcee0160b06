# SPDX-License-Identifier: EUPL-1.2
"""What documents print is held against what is so, where nobody types them in a test that runs with the others."""

import re

from tests.house.tree import ROOT

_TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text("utf-8") for page in ROOT.glob("docs/**/*.md")}


def test_what_is_given_as_a_password_was_written_without_a_line_break() -> None:
    """`password=@FILE` is the file as it is, and whoever types the password types no line break."""
    for page, text in _TEXTS.items():
        for given in re.findall(r'password=@"?([\w$/.-]+)', text):
            writers = re.findall(rf'^(.*) > "?{re.escape(given)}\b', text, re.MULTILINE)
            assert all("printf %s " in one for one in writers), (page, given, writers)


def test_credentials_lie_where_systemd_shows_them_to_the_unit_of_the_package() -> None:
    (unit,) = re.findall(
        r"^ImportCredential=(.+)\*$",
        (ROOT / "packaging/debian/coffre.service").read_text("utf-8"),
        re.MULTILINE,
    )
    named = [
        file for text in _TEXTS.values() for file in re.findall(r"/run/credentials/(coffre[^\s\"`]+)", text)
    ]
    assert named
    assert [file for file in named if not file.startswith(f"coffre.service/{unit}")] == []

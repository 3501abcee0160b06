# SPDX-License-Identifier: EUPL-1.2
"""The one spelling of a path: every other spelling is refused, redirected, or becomes it (SL-01, SL-02)."""

import re
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.framework.errors import Malformed, VaultError
from vault.framework.path import NotATarget, Redirect, Unprintable, canonical, whole

SEGMENT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    [".", "..", "", "a", "%2e"]
)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"", ""),
        (b"secret/data/x", "secret/data/x"),
        (b"secret/data/", "secret/data/"),
        (b"secret/a%20b", "secret/a b"),
        (b"secret/%c3%a9", "secret/é"),
        (b"secret/a..b", "secret/a..b"),
        (b"secret/.hidden", "secret/.hidden"),
        (b"secret/a./b", "secret/a./b"),
        (b"secret/%252e%252e", "secret/%2e%2e"),
        (b"secret/..%5C", "secret/..\\"),
    ],
)
def test_a_clean_path_is_decoded_once(raw: bytes, path: str) -> None:
    assert canonical(raw) == path


@pytest.mark.parametrize(
    "raw",
    [b"secret/%2e%2e/x", b"secret/%2E/x", b"..%2fx", b"secret/x%2f..", b"%2e", b"a%2f%2fb", b"%2fa", b"a/%2fb", b"\xff",
     b"%ff", b"secret/%c3"],
)  # fmt: skip
def test_sl_02_a_spelling_that_hides_its_dots_or_slashes_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        canonical(raw)


@pytest.mark.parametrize("raw", [b"a%00b", b"a%0ab", b"%7f", b"%e2%80%ae", b"%e2%80%8b"])
def test_what_cannot_be_printed_is_refused(raw: bytes) -> None:
    with pytest.raises(Unprintable):
        canonical(raw)


@pytest.mark.parametrize("raw", [b"%", b"a%2", b"a%zz/b", b"%%30"])
def test_a_broken_percent_sign_is_no_target(raw: bytes) -> None:
    with pytest.raises(NotATarget):
        canonical(raw)


@pytest.mark.parametrize(
    ("raw", "location"),
    [
        (b"secret//x", "/v1/secret/x"),
        (b"secret/./x", "/v1/secret/x"),
        (b"secret/../sys/x", "/v1/sys/x"),
        (b"../../x", "/v1/x"),
        (b"/x/", "/v1/x/"),
        (b"./", "/v1/"),
        (b"a/..", "/v1/"),
        (b"a%2fb//c", "/v1/a%2fb/c"),
    ],
)
def test_dots_and_empty_segments_in_the_clear_are_redirected(raw: bytes, location: str) -> None:
    with pytest.raises(Redirect) as redirect:
        canonical(raw)
    assert redirect.value.location == location


@given(st.lists(SEGMENT, max_size=5), st.sampled_from(["", "/", "/.%", "%"]))
def test_sl_01_whatever_is_accepted_has_one_spelling_and_no_dot_segment(
    segments: list[str], safe: str
) -> None:
    raw = "/".join(quote(segment, safe=safe) for segment in segments).encode()
    try:
        path = canonical(raw)
    except VaultError:
        return
    assert path == unquote_to_bytes(raw).decode()
    assert path.isprintable()
    assert not {".", ".."} & set(path.split("/"))
    assert "" not in path.split("/")[:-1]
    assert canonical(quote(path, safe="/").encode()) == path


@given(
    st.binary(max_size=30).flatmap(
        lambda raw: st.sampled_from([raw, b"a//" + raw, raw + b"/../", b"./" + raw])
    )
)
def test_bytes_are_accepted_or_refused_and_a_redirect_leads_to_a_clean_spelling(raw: bytes) -> None:
    try:
        canonical(raw)
    except Redirect as redirect:
        location = redirect.location
        assert location.startswith("/v1/")
        location.encode("latin-1")
        assert "//" not in location and "/./" not in location and "/../" not in location
    except VaultError:
        return


@given(st.lists(st.sampled_from([b"%", b"0", b"f", b"A", b"g", b" ", b"\xff"]), max_size=12).map(b"".join))
def test_each_percent_sign_stands_before_two_digits(text: bytes) -> None:
    assert whole(text) == (re.search(rb"%(?![0-9A-Fa-f]{2})", text) is None)

# SPDX-License-Identifier: EUPL-1.2
"""Which certificates sign, and which are for clients: RFC 5280, for what is pinned too."""

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.certificates import authority, certificate, usage
from tests.unit.nhi.auth.cert.test_login import CA, WRONG, opened
from tests.unit.nhi.auth.house import play
from tests.unit.outbound.authority import Leaf

KEY = CA.key
"""A key that a test needs for nothing."""


def test_an_authority_signs_no_deeper_than_it_may_and_nothing_that_its_key_is_not_for() -> None:
    async def scenario() -> None:
        house = await opened()
        for top, deep in (
            (authority("short", path=0), False),
            (authority("one", path=1), True),
            (authority("lenient", basics=False), True),
            (authority("silent", keys=None), True),
            (authority("nosign", keys=usage(signs=False)), None),
        ):
            await house.trust(certificate=top.pem)
            below = authority("below", top)
            direct = Leaf(certificate("carl", top).certificate, KEY)
            far = Leaf(certificate("dora", below).certificate, KEY)
            between = Leaf(below.certificate, KEY)
            assert (await house.show(direct)).status == (400 if deep is None else 200), top
            assert (await house.show(far, "", between)).status == (200 if deep else 400), top
            assert (await house.show(far)).error == WRONG

    play(scenario)


@pytest.mark.parametrize(
    ("purposes", "critical", "good"),
    [
        (None, None, True),
        ([ExtendedKeyUsageOID.CLIENT_AUTH], None, True),
        ([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], None, True),
        ([ExtendedKeyUsageOID.SERVER_AUTH], None, False),
        (None, x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False),
    ],
)
@pytest.mark.parametrize("ca", [False, None, True])
def test_what_is_pinned_says_what_it_is_for_or_nothing(
    purposes: list[x509.ObjectIdentifier] | None, critical: x509.ExtensionType | None, good: bool, ca: bool
) -> None:
    """RFC 5280, 4.2 and 4.2.1.12: it holds for what is pinned, an authority or not, as for what was signed."""

    async def scenario() -> None:
        house = await opened()
        keys = usage(signs=True) if ca else None
        made = certificate("eve", ca=ca, purposes=purposes, critical=critical, keys=keys)
        leaf = Leaf(made.certificate, KEY)
        body = {"certificate": leaf.pem, "policies": "p"}
        written = await house("POST", "auth/cert/certs/r", body)
        shown = await house.show(leaf)
        assert (shown.status == 200) is good
        if not ca and purposes == [ExtendedKeyUsageOID.SERVER_AUTH]:
            assert written.status == 400
        else:
            assert written.status == 204

    play(scenario)

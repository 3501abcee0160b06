# SPDX-License-Identifier: EUPL-1.2
"""What a holder does offline: the server's own verifier says what became of it."""

from datetime import UTC, datetime, timedelta
from typing import Final

import hypothesis
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import strategies as st

from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.printer import print_key
from nhi.biscuit.offline.keys import RootKey, public_key
from nhi.biscuit.offline.verify import from_text, to_text
from nhi.holder.approvals import approved, asked, given
from nhi.holder.limits import OPERATIONS, HolderLimits, datalog
from nhi.holder.tokens import attenuated, look, problem, root_key, root_key_id, sealed
from tests.unit.nhi.biscuit.tokens import ED25519, NOW, P256, ROOTS, checked, lets, mint, narrowed

ROOT = public_key(ED25519)


def _narrowed(limits: HolderLimits, root: str = "ed25519") -> bytes:
    made = attenuated(to_text(mint(root=ROOTS[root])), public_key(ROOTS[root]), *datalog(limits))
    return from_text(made)


@pytest.mark.parametrize("root", ROOTS)
def test_a_narrowed_token_does_what_stays_and_nothing_else(root: str) -> None:
    until = int(NOW.timestamp()) + 60
    raw = _narrowed(HolderLimits(operations=["read"], paths=["secret/data/app/*", "one"], until=until), root)
    token = checked(raw, ROOTS[root])
    assert lets(token)
    assert lets(token, resource="one")
    assert not lets(token, resource="one/more")
    assert not lets(token, resource="secret/data/other")
    assert not lets(token, operation="update")
    assert not lets(token, time=datetime.fromtimestamp(until, UTC))


@hypothesis.given(st.text(min_size=1).filter(lambda text: not text.endswith("*")), st.text())
def test_a_path_is_that_path_whatever_is_in_it(path: str, other: str) -> None:
    token = checked(_narrowed(HolderLimits(paths=[path])))
    assert lets(token, resource=path)
    assert lets(token, resource=other) is (other == path)


def test_what_a_server_would_refuse_is_said() -> None:
    token = to_text(mint())
    for checks, words in (
        (['check if method("GET")'], ""),
        (['check if resource($r), $r.matches("a")'], "a check has a regular expression"),
        (['policy("root")'], "a block states a fact that only the server or the issuer may state"),
        ([f'check if resource("{"x" * 9000}")'], "the token has more than 8192 bytes"),
    ):
        assert problem(attenuated(token, ROOT, *datalog(HolderLimits(checks=checks))), ROOT) == words


def test_networks_and_checks_of_the_holders_own() -> None:
    source, terms = datalog(
        HolderLimits(networks=["10.0.0.0/8", "2001:db8::1"], checks=['check if method("GET");\n'])
    )
    assert "10.0.0.0/8" not in source
    assert set(terms.values()) == {"10.0.0.0/8", "2001:db8::1/128"}
    assert source.endswith('check if method("GET");\n')
    assert datalog(HolderLimits(body_sha256="ab" * 32))[1] == {"body": "ab" * 32}


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        (HolderLimits(), "nothing"),
        (HolderLimits(operations=["read", "sudo"]), "operations"),
        (HolderLimits(networks=["10.0.0.1/8"]), "network"),
        (HolderLimits(networks=["here"]), "network"),
    ],
)
def test_what_is_no_limit_is_refused_and_not_repeated(limits: HolderLimits, named: str) -> None:
    with pytest.raises(BiscuitError, match=named) as refusal:
        datalog(limits)
    assert not {"sudo", "here"} & set(str(refusal.value).split())
    assert "sudo" not in OPERATIONS


@pytest.mark.parametrize("source", ["allow if true;", "check if (" * 40, "check if a($x", "\x00"])
def test_datalog_that_is_none_is_refused(source: str) -> None:
    with pytest.raises(BiscuitError):
        attenuated(to_text(mint()), ROOT, source, {})


def test_a_sealed_token_takes_no_block_and_no_seal() -> None:
    closed = sealed(to_text(mint()))
    assert lets(checked(from_text(closed)))
    with pytest.raises(BiscuitError, match="sealed"):
        attenuated(closed, ROOT, *datalog(HolderLimits(operations=["read"])))
    with pytest.raises(BiscuitError, match="sealed"):
        sealed(closed)


def test_a_look_tells_forged_tokens_from_ours() -> None:
    token = to_text(_narrowed(HolderLimits(operations=["read"], until=int(NOW.timestamp()))))
    found = look(token, ROOT)
    assert (found.verified, found.workload, found.policies, found.sealed) == (True, "w1", ["app-ro"], False)
    assert (found.root_key_id, root_key_id(token), found.until) == (5, 5, int(NOW.timestamp()))
    assert found.token_id == bytes(range(16)).hex()
    assert [len(part.id) for part in found.blocks] == [32, 32]
    assert found.blocks[1].datalog.startswith('check if operation($o), {"read"}.contains($o);\n')
    unverified = look(token, None)
    assert (unverified.verified, unverified.cost, unverified.blocks[0].id) == (False, 0, "")
    with pytest.raises(BiscuitError, match="signature"):
        look(token, public_key(P256))


def test_a_root_key_is_written_as_datalog_names_it() -> None:
    for key in map(public_key, ROOTS.values()):
        assert root_key(f" {print_key(key)}\n") == key
    for wrong in ("", "ed25519/", "ed25519/zz", f"rsa/{'00' * 32}", f"secp256r1/{'00' * 32}", "00" * 32):
        with pytest.raises(BiscuitError, match="root key"):
            root_key(wrong)


APPROVERS: Final[dict[str, RootKey]] = {
    "ed25519": Ed25519PrivateKey.from_private_bytes(b"\x44" * 32),
    "p256": ec.derive_private_key(int("22" * 32, 16), ec.SECP256R1()),
}


def _pem(key: PrivateKeyTypes) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize("kind", APPROVERS)
def test_a_token_that_needs_an_approval_counts_with_a_fresh_one_of_its_own_only(kind: str) -> None:
    key = APPROVERS[kind]
    wants = f"check if approved($c, $u), time($t), $t < $u trusting {print_key(public_key(key))};"
    token = to_text(narrowed(mint(), wants))
    assert not lets(checked(from_text(token)))
    until = int(NOW.timestamp()) + 300
    approval = given(
        asked(token), 'CHG-7"); evil("', until=until, checks=['check if operation("read")'], key=_pem(key)
    )
    whole = checked(from_text(approved(token, approval)))
    assert [fact.terms[0].value for fact in whole.blocks[2].facts] == ['CHG-7"); evil("']
    assert lets(whole)
    assert not lets(whole, operation="update")
    assert not lets(whole, time=NOW + timedelta(seconds=300))
    stranger = given(asked(token), "CHG-7", until=until, checks=[], key=_pem(Ed25519PrivateKey.generate()))
    assert not lets(checked(from_text(approved(token, stranger))))
    with pytest.raises(BiscuitError, match="not made for this token"):
        approved(to_text(narrowed(mint(), wants)), approval)


def test_an_approval_is_refused_for_what_is_no_key_no_request_and_no_datalog() -> None:
    request, key = asked(to_text(mint())), _pem(APPROVERS["ed25519"])
    rsa = _pem(generate_private_key(65537, 2048))
    for wrong in ("", "-----BEGIN PRIVATE KEY-----", rsa, _pem(ec.generate_private_key(ec.SECP384R1()))):
        with pytest.raises(BiscuitError, match="the key must be"):
            given(request, "c", until=1, checks=[], key=wrong)
    for wrong in ("", "%", "AAAA"):
        with pytest.raises(BiscuitError):
            given(wrong, "c", until=1, checks=[], key=key)
    with pytest.raises(BiscuitError, match="Datalog"):
        given(request, "c", until=1, checks=["allow if true"], key=key)
    with pytest.raises(BiscuitError, match="sealed"):
        asked(sealed(to_text(mint())))

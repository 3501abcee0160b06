# SPDX-License-Identifier: EUPL-1.2
import os

import pytest

from tests.unit.barrier.stream import stream
from tests.unit.seal.keys import NOW, SIGN_ONLY, Holder
from vault.seal.failure import SealRefusal
from vault.seal.init import InitRequest, check, make_plan
from vault.seal.shares.pgp import UnreadableKey

INVALID = "invalid seal configuration: "
HOLDER = Holder("holder").text


# Each text is what OpenBao 2.7.2 answered.
@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (InitRequest(), INVALID + "shares must be at least one"),
        (InitRequest(secret_shares=-1, secret_threshold=1), INVALID + "shares must be at least one"),
        (InitRequest(secret_shares=0, secret_threshold=1), INVALID + "shares must be at least one"),
        (InitRequest(secret_shares=1, secret_threshold=0), INVALID + "threshold must be at least one"),
        (InitRequest(secret_shares=5, secret_threshold=-1), INVALID + "threshold must be at least one"),
        (
            InitRequest(secret_shares=1, secret_threshold=2),
            INVALID + "threshold cannot be larger than shares",
        ),
        (
            InitRequest(secret_shares=5, secret_threshold=1),
            INVALID + "threshold must be greater than one for multiple shares",
        ),
        (
            InitRequest(secret_shares=300, secret_threshold=1),
            INVALID + "threshold must be greater than one for multiple shares",
        ),
        (InitRequest(secret_shares=256, secret_threshold=3), INVALID + "shares must be less than 256"),
        (InitRequest(secret_shares=256, secret_threshold=300), INVALID + "shares must be less than 256"),
        (
            InitRequest(secret_shares=3, secret_threshold=2, pgp_keys=["a"]),
            INVALID + "count mismatch between number of provided PGP keys and number of shares",
        ),
        (
            InitRequest(secret_shares=1, secret_threshold=1, pgp_keys=["!!!"]),
            INVALID + "error decoding given PGP key: illegal base64 data at input byte 0",
        ),
        (
            InitRequest(secret_shares=1, secret_threshold=1, pgp_keys=[""]),
            INVALID + "error parsing given PGP key: EOF",
        ),
        (
            InitRequest(secret_shares=1, secret_threshold=1, pgp_keys=["YWJj"]),
            INVALID + "error parsing given PGP key: openpgp: invalid data: tag byte does not have MSB set",
        ),
        (
            InitRequest(secret_shares=1, secret_threshold=1, recovery_shares=1),
            "parameters recovery_shares not applicable to seal type shamir",
        ),
        (
            InitRequest(recovery_shares=1, recovery_threshold=1),
            "parameters recovery_shares,recovery_threshold not applicable to seal type shamir",
        ),
        (
            InitRequest(secret_shares=1, secret_threshold=1, recovery_pgp_keys=["a"]),
            "parameters recovery_pgp_keys not applicable to seal type shamir",
        ),
    ],
)
def test_impossible_parameters_are_refused_in_openbaos_words(request_: InitRequest, text: str) -> None:
    with pytest.raises(SealRefusal) as caught:
        check(request_, NOW)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    "request_",
    [
        InitRequest(secret_shares=1, secret_threshold=1),
        InitRequest(secret_shares=255, secret_threshold=255),
        InitRequest(secret_shares=1, secret_threshold=1, pgp_keys=[HOLDER]),
    ],
)
def test_possible_parameters_give_one_recipient_per_pgp_key(request_: InitRequest) -> None:
    assert len(check(request_, NOW)) == len(request_.pgp_keys)


def test_an_unreadable_key_for_the_root_token_is_refused_before_anything_exists() -> None:
    with pytest.raises(UnreadableKey) as caught:
        make_plan(
            InitRequest(secret_shares=1, secret_threshold=1, root_token_pgp_key="YWJj"), [], NOW, os.urandom
        )
    assert str(caught.value) == (
        "error parsing given PGP key: openpgp: invalid data: tag byte does not have MSB set"
    )


@pytest.mark.parametrize(
    "request_",
    [
        InitRequest(secret_shares=1, secret_threshold=1, pgp_keys=[SIGN_ONLY]),
        InitRequest(secret_shares=1, secret_threshold=1, pgp_keys=(), root_token_pgp_key=SIGN_ONLY),
    ],
)
def test_a_key_that_cannot_encrypt_is_refused_before_anything_exists(request_: InitRequest) -> None:
    recipients = check(request_, NOW)
    with pytest.raises(SealRefusal, match="no valid encryption keys"):
        make_plan(request_, recipients, NOW, os.urandom)


def test_all_keys_come_from_the_entropy_that_was_given() -> None:
    one, two = (
        make_plan(InitRequest(secret_shares=5, secret_threshold=3), [], NOW, stream("init")) for _ in range(2)
    )
    assert list(one.keys) == list(two.keys)
    assert one.root_key.same(two.root_key)
    assert one.config == two.config
    assert len({one.root_key.reveal(), one.keyring.active.key.reveal()}) == 2

# SPDX-License-Identifier: EUPL-1.2
import pytest

from vault.engines.kv.model import VersionResult
from vault.framework.call import Identity
from vault.framework.errors import Unauthenticated
from vault.framework.identity import IdentityFacts
from vault.framework.reply import Auth, RefusedReply, Reply, WrapInfo
from vault.framework.secret import Secret
from vault.idempotency.kept_answers import KeptAnswer, _owner, _refuses, _reply, _told
from vault.values.ids import NO_TOKEN_KEY, EntityId, LeaseId, TokenAccessor, TokenKey
from vault.values.times import Millis, Seconds

KEPT = KeptAnswer(fingerprint=b"f", expires=Millis(1), existed=True)
VERSION = VersionResult("now", {"a": "1"}, "", False, 7)


def _caller(token: str = "s.a", key: TokenKey = NO_TOKEN_KEY, **more: object) -> Identity:
    return Identity(token=Secret(token), key=key, accessor=TokenAccessor("a"), policies=(), **more)  # type: ignore[arg-type]  # as the field has them


def _workload(uid: str) -> IdentityFacts:
    return IdentityFacts(entity_id=EntityId(uid), entity_name="w")


def test_keys_are_of_the_entity_the_workload_or_the_token() -> None:
    key = TokenKey("hab")
    owners = [
        _owner(_caller(key=key, entity_id=EntityId("e"))),
        _owner(_caller(template_facts=_workload("e"))),
        _owner(_caller(key=key)),
        _owner(_caller()),
        _owner(_caller("s.b")),
    ]
    assert len({*owners}) == len(owners)
    assert owners[0] == _owner(_caller("s.b", entity_id=EntityId("e")))
    assert owners[1] == _owner(_caller("s.b", template_facts=_workload("e")))
    assert owners[2] == _owner(_caller("s.b", key=key))
    assert "s.a" not in str(owners)


@pytest.mark.parametrize(
    ("reply", "declared"),
    [
        (None, None),
        (Reply(VERSION, etag=b'"v7"', warnings=["w"]), Reply[VersionResult]),
        (Reply(VERSION), Reply[VersionResult] | None),
        (Reply(VERSION), VersionResult),
        (Reply[None](warnings=["w"]), Reply[None] | None),
    ],
)
def test_what_was_answered_is_answered_with_its_types(reply: Reply[object] | None, declared: object) -> None:
    kept = _told(KEPT, reply)
    found = _reply(kept, declared)
    assert found == reply
    if found is not None:
        found.warnings.append("more")
    assert _reply(kept, declared) == reply
    assert "v7" not in repr(kept)


@pytest.mark.parametrize(
    "reply",
    [
        Reply[None](auth=Auth(client_token="s.x", accessor=TokenAccessor("a"), policies=[])),
        Reply[None](
            wrap_info=WrapInfo(
                token="s.x", accessor=TokenAccessor("a"), ttl=Seconds(1), creation_time="", creation_path=""
            )
        ),
        Reply[None](lease_id=LeaseId("l")),
        Reply[None](raw=b"s.x"),
    ],
)
def test_no_credential_is_ever_kept(reply: Reply[object]) -> None:
    with pytest.raises(TypeError):
        _told(KEPT, reply)


def test_what_is_refused_is_not_kept() -> None:
    refused: list[Reply[object]] = [
        Reply(status=404),
        Reply(status=400),
        RefusedReply(reason=Unauthenticated()),
    ]
    assert all(map(_refuses, refused))
    assert not any(map(_refuses, (None, Reply[object](), Reply[object](status=204))))

# SPDX-License-Identifier: EUPL-1.2
"""What roles let certificates say: nobody gets more than his role allows, and never a certificate for everybody."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
import pytest

from tests.growth import excess
from tests.ssh_keys import ec_pair, ed25519_pair, public_line, security_key
from vault.engines.ssh.certificates.content import (
    Asker,
    Content,
    check_key,
    check_new_pair,
    content_of,
    key_id_of,
)
from vault.engines.ssh.forms.params import CertificateParams, IssueParams
from vault.engines.ssh.keys.public_key import read_public_key
from vault.engines.ssh.roles.role import CA, Role
from vault.framework.errors import Malformed
from vault.framework.identity import IdentityFacts
from vault.token.lifetime import LifetimeLimits
from vault.values.ids import EntityId
from vault.values.times import Seconds

LIMITS: Final = LifetimeLimits(default=Seconds(3600), longest=Seconds(7200))
FACTS: Final = IdentityFacts(
    entity_id=EntityId("e"), entity_name="bob", metadata={"list": "a,root", "star": "*"}
)
USERS: Final = Role(kind=CA, user_certificates=True, allowed_users="alice,bob")
HOSTS: Final = Role(kind=CA, host_certificates=True, allowed_domains="example.com")
KEY: Final = read_public_key(public_line(ed25519_pair("key")), "")


def content(role: Role, facts: IdentityFacts | None = None, **asked: Any) -> Content:
    return content_of(role, CertificateParams(role="r", **asked), Asker("r", "token", facts), LIMITS)


def refused(role: Role, facts: IdentityFacts | None = None, **asked: Any) -> str:
    with pytest.raises(Malformed) as caught:
        content(role, facts, **asked)
    return caught.value.message


@pytest.mark.parametrize("kind", ["user", "host"])
@pytest.mark.parametrize("allowed", ["", "alice", "*"])
@pytest.mark.parametrize("asked", ["", ",", " , "])
def test_eg_15_no_certificate_is_for_everybody(kind: str, allowed: str, asked: str) -> None:
    role = Role(
        kind=CA,
        user_certificates=True,
        host_certificates=True,
        allowed_users=allowed,
        allowed_domains=allowed,
    )
    assert "no principals specified" in refused(role, cert_type=kind, valid_principals=asked)
    open_to_all = msgspec.structs.replace(role, empty_principals=True)
    assert content(open_to_all, cert_type=kind, valid_principals=asked).principals == []


@pytest.mark.parametrize(
    ("allowed", "facts"),
    [("{{identity.entity.metadata.list}}", ","), ("{{identity.entity.metadata.star}}", "*")],
)
def test_eg_13_no_template_makes_two_names_of_one_or_a_wildcard(allowed: str, facts: str) -> None:
    for field in ("allowed_users", "default_user"):
        role = msgspec.structs.replace(
            USERS,
            **{"allowed_users": "*", field: allowed},
            allowed_users_template=True,
            default_user_template=True,
        )
        asked = "" if field == "default_user" else "root"
        assert f'forbidden value: "{facts}"' in refused(role, FACTS, valid_principals=asked)
    host = msgspec.structs.replace(
        HOSTS, allowed_domains=allowed, allowed_domains_template=True, bare_domains=True
    )
    assert f'forbidden value: "{facts}"' in refused(host, FACTS, cert_type="host", valid_principals="a")


def test_a_name_is_one_of_those_that_are_allowed() -> None:
    assert content(USERS, valid_principals="bob, alice,bob").principals == ["alice", "bob"]
    for name in ("carol", "alice,carol", "*", "Alice", "alic", "alice bob"):
        assert "not a valid value" in refused(USERS, valid_principals=name)
    assert "carol" not in refused(USERS, valid_principals="carol")


@pytest.mark.parametrize(
    ("bare", "sub", "good"),
    [
        (False, False, set()),
        (True, False, {"example.com"}),
        (False, True, {"a.example.com", "a.b.example.com"}),
        (True, True, {"example.com", "a.example.com", "a.b.example.com"}),
    ],
)
def test_a_host_is_in_an_allowed_domain(bare: bool, sub: bool, good: set[str]) -> None:
    role = msgspec.structs.replace(HOSTS, bare_domains=bare, subdomains=sub)
    for name in ("example.com", "a.example.com", "a.b.example.com", "xexample.com", "example.com.org"):
        if name in good:
            assert content(role, cert_type="host", valid_principals=name).principals == [name]
        else:
            assert "not a valid value" in refused(role, cert_type="host", valid_principals=name)


def test_a_domain_may_have_dots_anywhere() -> None:
    role = msgspec.structs.replace(HOSTS, subdomains=True, allowed_domains=".b,c..d,e.,f")
    for name, good in (
        ("a..b", True),
        ("a.b", False),
        ("x.c..d", True),
        ("x.e.", True),
        (".f", True),
        ("f", False),
    ):
        if good:
            assert content(role, cert_type="host", valid_principals=name).principals == [name]
        else:
            assert "not a valid value" in refused(role, cert_type="host", valid_principals=name)


@pytest.mark.parametrize("name", [".", ".x", "a,", "a.b,"])
def test_names_cost_what_they_are_long_whatever_the_domains(name: str) -> None:
    of_many_lengths = ",".join("x" * length for length in range(2, 300))
    short = ",".join(f"{number}" for number in range(4096))

    def work(size: int) -> Callable[[], object]:
        asked = name * (size // len(name))
        roles = [
            msgspec.structs.replace(HOSTS, subdomains=True, allowed_domains=domains)
            for domains in (of_many_lengths, short)
        ]
        return lambda: [refused(role, cert_type="host", valid_principals=asked) for role in roles]

    assert excess(work, 1 << 14, 0.1) == ""


def test_a_role_of_before_there_were_limits_makes_no_work() -> None:
    for field, value in (
        ("allowed_users", "x," * 4096),
        ("allowed_domains", "x" * 65537),
        ("default_extensions", {"x": "y" * 65536}),
        ("allowed_critical_options", "x" * 65537),
    ):
        role = msgspec.structs.replace(USERS, **{field: value})
        assert f"has to be written anew: field '{field}' may have" in refused(role, valid_principals="bob")


def test_what_templates_make_has_a_limit() -> None:
    facts = msgspec.structs.replace(FACTS, entity_name="n" * 4096)
    named = "{{identity.entity.name}},"
    role = msgspec.structs.replace(USERS, allowed_users=named * 15 + "bob", allowed_users_template=True)
    assert content(role, facts, valid_principals="bob").principals == ["bob"]
    role = msgspec.structs.replace(role, allowed_users=named * 16 + "bob")
    assert "more than 65536 characters" in refused(role, facts, valid_principals="bob")
    role = msgspec.structs.replace(
        USERS,
        default_extensions={f"e{number}": named for number in range(16)},
        default_extensions_template=True,
    )
    assert "65536 characters" in refused(role, facts, valid_principals="bob")
    long = msgspec.structs.replace(USERS, key_id_format="{{token_display_name}}" * 17)
    with pytest.raises(Malformed, match="key_id_format"):
        key_id_of(long, "", Asker("r", "n" * 4096, None), KEY)


def test_the_number_of_names_is_what_openssh_reads() -> None:
    role = msgspec.structs.replace(USERS, allowed_users="*")
    assert len(content(role, valid_principals=",".join(map(str, range(256)))).principals) == 256
    assert "256 names" in refused(role, valid_principals=",".join(map(str, range(257))))
    assert "65536 characters" in refused(role, valid_principals="x" * 65537)
    assert "65536 characters" in refused(
        msgspec.structs.replace(role, allowed_extensions="*"),
        valid_principals="a",
        extensions={"x": "y" * 65536},
    )


def test_a_certificate_is_good_no_longer_than_may_be() -> None:
    assert content(USERS, valid_principals="bob").ttl == 3600
    assert content(USERS, valid_principals="bob", ttl=Seconds(7200)).ttl == 7200
    assert "maximum allowed 7200" in refused(USERS, valid_principals="bob", ttl=Seconds(7201))
    short = msgspec.structs.replace(USERS, ttl=Seconds(60), max_ttl=Seconds(90))
    assert content(short, valid_principals="bob").ttl == 60
    assert "maximum allowed 90" in refused(short, valid_principals="bob", ttl=Seconds(91))
    long = msgspec.structs.replace(USERS, ttl=Seconds(9000))
    assert content(long, valid_principals="bob").ttl == 7200


def test_options_are_those_that_the_role_allows() -> None:
    role = msgspec.structs.replace(
        USERS, default_extensions={"permit-pty": ""}, default_critical_options={"force-command": "ls"}
    )
    made = content(role, valid_principals="bob")
    assert (made.extensions, made.critical_options) == ({"permit-pty": ""}, {"force-command": "ls"})
    assert "[x] are not on allowed list" in refused(role, valid_principals="bob", extensions={"x": ""})
    some = msgspec.structs.replace(role, allowed_extensions="x,y", allowed_critical_options="c")
    made = content(some, valid_principals="bob", extensions={"y": 1, "x": True}, critical_options={"c": "d"})
    assert list(made.extensions.items()) == [("x", "true"), ("y", "1")]
    assert made.critical_options == {"c": "d"}
    assert "not on allowed list: [z]" in refused(some, valid_principals="bob", critical_options={"z": ""})


def test_a_default_extension_may_have_a_template_which_needs_an_entity() -> None:
    role = msgspec.structs.replace(
        USERS,
        default_extensions={"login": "{{identity.entity.name}}", "permit-pty": ""},
        default_extensions_template=True,
    )
    assert content(role, FACTS, valid_principals="bob").extensions == {"login": "bob", "permit-pty": ""}
    without = content(role, valid_principals="bob")
    assert without.extensions == {"permit-pty": ""}
    assert len(without.warnings) == 1


def test_the_key_id_says_who_asked_unless_another_may_be_chosen() -> None:
    asker = Asker("r", "ldap-bob", None)
    assert key_id_of(USERS, "", asker, KEY) == f"vault-ldap-bob-{KEY.digest}"
    assert "not allowed" in refused(USERS, valid_principals="bob", key_id="mine")
    free = msgspec.structs.replace(USERS, user_key_ids=True, key_id_format="{{role_name}}/{{x}}")
    assert content(free, valid_principals="bob", key_id="mine").principals == ["bob"]
    assert key_id_of(free, "mine", asker, KEY) == "mine"
    assert key_id_of(free, "", asker, KEY) == "r/{{x}}"


@pytest.mark.parametrize(
    ("sizes", "key", "wrong"),
    [
        ({}, "p384", ""),
        ({"ec": (256,)}, "p256", ""),
        ({"ec": (256,)}, "p384", "invalid size: 384"),
        ({"ec": (256,)}, "ed25519", "type ed25519 is not allowed"),
        ({"ecdsa-sha2-nistp384": (0,)}, "p384", ""),
        ({"ecdsa-sha2-nistp384": (0,)}, "p256", "type ecdsa is not allowed"),
        ({"ssh-ed25519": (1,)}, "ed25519", ""),
        ({"ed25519": (0,)}, "sk", ""),
        ({"bogus": ()}, "sk", "type ed25519 is not allowed"),
    ],
)
def test_a_key_is_of_an_allowed_type_and_size(
    sizes: dict[str, tuple[int, ...]], key: str, wrong: str
) -> None:
    lines = {
        "p256": public_line(ec_pair("key")),
        "p384": public_line(ec_pair("key", 384)),
        "ed25519": public_line(ed25519_pair("key")),
        "sk": security_key("key"),
    }
    role = msgspec.structs.replace(USERS, key_lengths=sizes)
    public = read_public_key(lines[key], "")
    if not wrong:
        check_key(role, public)
        return
    with pytest.raises(Malformed, match=wrong):
        check_key(role, public)


def test_a_pair_that_is_made_is_of_a_kind_and_size_that_the_role_names() -> None:
    role = msgspec.structs.replace(USERS, key_lengths={"ssh-rsa": (2048,)})
    check_new_pair(USERS, IssueParams(role="r", key_type="ed25519"))
    check_new_pair(role, IssueParams(role="r", key_type="rsa", key_bits=2048))
    for kind, bits, word in (("rsa", 4096, "key_bits"), ("ec", 256, "key_type"), ("ed25519", 0, "key_type")):
        with pytest.raises(Malformed, match=word):
            check_new_pair(role, IssueParams(role="r", key_type=kind, key_bits=bits))

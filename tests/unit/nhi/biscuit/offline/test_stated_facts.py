# SPDX-License-Identifier: EUPL-1.2
"""What was stated before is the same fact; what is long, or of many parts, is not kept; and all of it is forgotten."""

from __future__ import annotations

from nhi.biscuit.offline.stated_facts import StatedFacts
from tests.routes.driver import Application
from tests.routes.issuer import DB, READS, Issuer
from tests.unit.nhi.biscuit.tokens import NOW


def test_what_was_stated_before_is_the_same_fact() -> None:
    facts = StatedFacts()
    first = facts.of("resource", "secret/data/a")
    assert str(first) == 'resource("secret/data/a")'
    assert facts.of("resource", "secret/data/a") is first
    assert str(facts.of("operation", "secret/data/a")) == 'operation("secret/data/a")'
    assert str(facts.of("resource", "secret/data/b")) == 'resource("secret/data/b")'
    assert str(facts.of("time", NOW)) == "time(2026-11-25T12:00:00Z)"
    assert len(facts) == 4
    facts.forget()
    assert len(facts) == 0
    assert facts.of("resource", "secret/data/a") is not first


def test_they_take_little_memory() -> None:
    facts = StatedFacts()
    longest, nets = "a" * 513, frozenset({"10.0.0.0/8", "10.0.0.0/9"})
    for name, term in (("resource", longest), ("client_nets", nets)):
        assert facts.of(name, term) is not None
    assert len(facts) == 0
    for number in range(600):
        facts.of("client_ip4", number)
    assert len(facts) == 512


def test_what_is_no_text_is_no_fact() -> None:
    assert StatedFacts().of("resource", "\ud800") is None


def test_a_seal_forgets_what_was_stated_of_requests() -> None:
    with Application() as application:
        issuer = Issuer(application)
        issuer.status(issuer.narrow(issuer.issue(), READS), DB)
        stated = application.vault.credentials.biscuits._stated
        assert len(stated) > 0
        issuer.root("sys/seal", method="PUT")
        assert len(stated) == 0

# SPDX-License-Identifier: EUPL-1.2
"""Archives in their order: each is written where its base was; one is begun and finished in one way, or not at all."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from tests.integration.port_estate import SECRET, Api
from tests.integration.port_site import Site, equal, servers, small, two_namespaces, typed

_SOME = """
path "*" { capabilities = ["read", "list"] }
path "old/s1" { capabilities = ["deny"] }
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with servers(tmp_path_factory.mktemp("site")) as found:
        yield found


def _value(api: Api, path: str) -> object:
    return api("GET", path)["data"]


def test_an_archive_is_not_written_over_what_a_later_one_brought(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    small(source)
    assert typed("export", *site.sealing, tmp_path / "a", to=source).code == 0
    source("POST", "old/s1", {"v": f"{SECRET}newer"})
    source("POST", "kv/data/app/s1", {"data": {"v": f"{SECRET}newer"}})
    source("POST", "old/late", {"v": f"{SECRET}late"})
    since = f"-since={tmp_path / 'a'}"
    assert typed("export", *site.sealing, since, tmp_path / "b", to=source).code == 0
    journal = f"-journal={tmp_path / 'journal'}"
    words = ("import", *site.opening, journal)
    refused = typed(*words, tmp_path / "b", to=destination)
    assert refused.code == 1
    assert "import that first" in refused.err
    assert destination("GET", "sys/mounts")["data"].keys() & {"kv/", "old/"} == set()
    assert typed(*words, tmp_path / "a", to=destination).code == 0
    assert typed(*words, tmp_path / "b", to=destination).code == 0
    equal(source, destination)
    refused = typed(*words, tmp_path / "a", to=destination)
    assert refused.code == 1
    assert "-since" in refused.err
    equal(source, destination)
    destination("POST", "old/s1", {"v": f"{SECRET}theirs"})
    again = typed(*words, tmp_path / "b", to=destination)
    assert again.code == 0
    assert again.report["entries"].keys() <= {"report"}
    assert _value(destination, "old/s1") == {"v": f"{SECRET}theirs"}
    # Without the journal nothing there is known to be ours.
    alone = typed("import", *site.opening, tmp_path / "a", to=destination)
    assert alone.code == 1
    assert _value(destination, "old/s1") == {"v": f"{SECRET}theirs"}
    assert _value(destination, "kv/data/app/s1")
    assert destination("GET", "kv/metadata/app/s1")["data"]["current_version"] == 2
    # Nor is a journal of a move one of imports.
    assert typed("move", f"-journal={tmp_path / 'm'}", to=destination, source=source).code == 1
    mixed = typed("import", *site.opening, f"-journal={tmp_path / 'm'}", tmp_path / "a", to=destination)
    assert "another kind" in mixed.err


def test_an_export_goes_on_as_it_was_begun(site: Site, tmp_path: Path) -> None:
    source, _ = two_namespaces(site)
    small(source)
    folder = tmp_path / "a"
    assert typed("export", *site.sealing, folder, to=source).code == 0
    (folder / "manifest.json").unlink()  # as it is before its end
    other = tmp_path / "other"
    other.write_text(f"{pyrage.x25519.Identity.generate().to_public()}\n")
    sign = site.sealing[1]
    for words, what in (
        (["-plain", sign], "recipients"),
        ([f"-recipients-file={other}", sign], "recipients"),
        ([*site.sealing, "-undelete"], "undelete"),
    ):
        refused = typed("export", *words, folder, to=source)
        assert refused.code == 1
        assert f"another {what}" in refused.err
    assert typed("export", *site.sealing, folder, to=source).code == 0
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert {part["file"][-4:] for part in manifest["parts"]} == {".age"}
    assert typed("verify", "-offline", *site.opening, folder, to=source).code == 0
    since = typed("export", *site.sealing, f"-since={folder}", tmp_path / "b", to=source)
    assert since.code == 0
    (tmp_path / "b" / "manifest.json").unlink()
    refused = typed("export", *site.sealing, tmp_path / "b", to=source)
    assert "another base" in refused.err


def test_an_archive_is_told_what_of_it_was_verified_and_what_was_not(site: Site, tmp_path: Path) -> None:
    source, _ = two_namespaces(site)
    small(source)
    assert typed("export", *site.sealing, tmp_path / "sealed", to=source).code == 0
    assert typed("export", "-plain", "-unsigned", tmp_path / "plain", to=source).code == 0
    identity, signers = site.opening
    inside = {
        "that it opens and holds the entries that the manifest counts",
        "what its export could not read",
    }
    parts, whose = "each part (by its digest in the manifest)", "who made it (by the manifest's signature)"
    for words, folder, code, unseen in (
        ([signers], "sealed", 2, inside),
        (["-unsigned"], "sealed", 2, {whose, *inside}),
        ([identity, signers], "sealed", 0, set()),
        ([identity, "-unsigned"], "sealed", 0, {whose}),
        (["-unsigned"], "plain", 0, {whose}),
    ):
        said = typed("verify", "-offline", *words, tmp_path / folder, to=source)
        assert said.code == code, words
        assert set(said.report["not verified"]) == unseen
        assert set(said.report["verified"]) == {parts, whose, *inside} - unseen
        assert ("-identity" in said.err) == (code == 2)


def test_what_cannot_be_read_is_in_the_exit_code_of_every_command(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    small(source)
    source("POST", "sys/policies/acl/some", {"policy": _SOME})
    answer = source("POST", "auth/token/create", {"policies": ["some"], "no_default_policy": True})
    few = Api(source.address, answer["auth"]["client_token"], source.namespace)
    folder = tmp_path / "a"
    exported = typed("export", *site.sealing, folder, to=few)
    assert exported.code == 1
    assert [row["path"] for row in exported.report["not_moved"]] == ["old/s1"]
    imported = typed("import", *site.opening, folder, to=destination)
    assert imported.code == 1
    words = ("verify", *site.opening, folder)
    for more in ([], ["-offline"]):
        said = typed(*words, *more, to=destination)
        assert said.code == 1
        assert [row["path"] for row in said.report["not_moved"]] == ["old/s1"]
    unopened = typed("verify", "-offline", site.opening[1], folder, to=destination)
    assert unopened.code == 2, "nobody knows what its export could not read"
    assert "was not verified. Give the private key's file with -identity." in unopened.err
    source("DELETE", "old/s1")
    equal(source, destination)
    source("POST", "old/s1", {"v": "one"})
    destination("POST", "old/s1", {"v": "other"})
    for one, other in ((few, destination), (destination, few)):
        said = typed("verify", source=one, to=other)
        assert said.code == 1
        assert [row["path"] for row in said.report["not_moved"]] == ["old/s1"]
    nowhere = Api(source.address, source.token, "none-such")
    for said in (
        typed("move", f"-journal={tmp_path / 'm'}", to=destination, source=nowhere),
        typed("export", *site.sealing, tmp_path / "b", to=nowhere),
        typed("verify", to=nowhere, source=source),
    ):
        assert (said.code, "404" in said.err) == (2, True)


def test_a_delta_is_compared_in_what_it_holds(site: Site, tmp_path: Path) -> None:
    source, _ = two_namespaces(site)
    small(source)
    assert typed("export", *site.sealing, tmp_path / "a", to=source).code == 0
    source("POST", "kv/data/app/s1", {"data": {"v": f"{SECRET}newer"}})
    since = f"-since={tmp_path / 'a'}"
    assert typed("export", *site.sealing, since, tmp_path / "b", to=source).code == 0
    said = typed("verify", *site.opening, tmp_path / "b", to=source)
    assert (said.code, said.report["differences"]) == (0, [])
    source("POST", "kv/data/app/s1", {"data": {"v": f"{SECRET}again"}})
    said = typed("verify", *site.opening, tmp_path / "b", to=source)
    assert [row["path"] for row in said.report["differences"]] == ["kv/app/s1"]


def test_a_key_that_cannot_sign_is_said_before_anything_is_read(site: Site, tmp_path: Path) -> None:
    source, _ = two_namespaces(site)
    words = (site.sealing[0], f"-sign-key={tmp_path / 'none'}")
    refused = typed("export", *words, tmp_path / "a", to=source)
    assert refused.code == 1
    assert "did not sign" in refused.err
    assert not (tmp_path / "a").exists()


def test_a_key_of_transit_with_newer_versions_stays(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    source("POST", "sys/mounts/transit", {"type": "transit"})
    for key in ("newer", "older", "other"):
        source("POST", f"transit/keys/{key}", {"exportable": True, "allow_plaintext_backup": True})
    words = ("move", f"-journal={tmp_path / 'journal'}")
    assert typed(*words, to=destination, source=source).code == 0
    destination("POST", "transit/keys/newer/rotate", {})
    sealed = destination("POST", "transit/encrypt/newer", {"plaintext": "aGVsbG8="})["data"]["ciphertext"]
    for api in (source, destination):
        api("POST", "transit/keys/other/rotate", {})
    source("POST", "transit/keys/older/rotate", {})
    source("POST", "transit/keys/older/config", {"min_decryption_version": 2, "min_encryption_version": 2})
    source("POST", "transit/keys/newer/config", {"deletion_allowed": True})
    source("POST", "transit/keys/older/rotate", {})
    moved = typed(*words, to=destination, source=source)
    left = {row["path"]: row["why"] for row in moved.report["not_moved"]}
    assert left.keys() == {"transit/keys/newer", "transit/keys/other", "transit/keys/older"}
    assert "newer versions" in left["transit/keys/newer"]
    moved = typed(*words, "-replace", to=destination, source=source)
    assert [row["path"] for row in moved.report["not_moved"]] == ["transit/keys/newer"]
    opened = destination("POST", "transit/decrypt/newer", {"ciphertext": sealed})
    assert opened["data"]["plaintext"] == "aGVsbG8="

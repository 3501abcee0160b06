# SPDX-License-Identifier: EUPL-1.2
"""What happens beside a move: writes, deltas, what others have there, what was deleted, keys of transit."""

import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.port_estate import SECRET, Api
from tests.integration.port_site import Site, equal, servers, small, two_namespaces, typed
from vaultctl.port.ground.entry import Name


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with servers(tmp_path_factory.mktemp("site")) as found:
        yield found


def test_a_delta_brings_what_changed_and_removes_what_is_gone(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    small(source)
    typed("export", *site.sealing, tmp_path / "a", to=source)
    journal = f"-journal={tmp_path / 'journal'}"
    assert typed("import", *site.opening, journal, tmp_path / "a", to=destination).code == 0
    equal(source, destination)
    source("POST", "kv/data/app/s1", {"data": {"v": f"{SECRET}new"}})
    source("DELETE", "kv/metadata/app/s2")
    source("DELETE", "kv/data/app/s3")
    source("PUT", "kv/destroy/app/s4", {"versions": [1]})
    source("DELETE", "kv/metadata/app/s5")  # and another of that name
    source("POST", "kv/data/app/s5", {"data": {"v": f"{SECRET}other"}})
    source("POST", "kv/metadata/app/s6", {"max_versions": 3})
    source("POST", "kv/data/app/s12", {"data": {"v": f"{SECRET}12"}})
    source("DELETE", "old/s1")
    source("POST", "old/s2", {"v": f"{SECRET}new"})
    source("POST", "sys/policies/acl/late", {"policy": 'path "kv/*" { capabilities = ["read"] }'})
    typed("export", *site.sealing, f"-since={tmp_path / 'a'}", tmp_path / "b", to=source)
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_bytes())
    assert manifest["counts"]["kv2"] == 6
    assert typed("import", *site.opening, journal, tmp_path / "b", to=destination).code == 0
    equal(source, destination)
    source("POST", "kv/undelete/app/s3", {"versions": [1]})  # of which an empty version went over
    typed("export", *site.sealing, f"-since={tmp_path / 'b'}", tmp_path / "c", to=source)
    assert typed("import", *site.opening, journal, tmp_path / "c", to=destination).code == 0
    equal(source, destination)


def test_what_is_written_during_a_move_moves_too_and_nobody_writes_after_it(
    site: Site, tmp_path: Path
) -> None:
    source, destination = two_namespaces(site)
    small(source)
    acknowledged: dict[str, int] = {}
    ended = threading.Event()

    def write() -> None:
        for number in itertools.count():
            key = f"app/w{number % 9}"
            try:
                answer = source("POST", f"kv/data/{key}", {"data": {"n": number}})
            except AssertionError:
                ended.set()
                return
            acknowledged[key] = answer["data"]["version"]

    writer = threading.Thread(target=write)
    writer.start()
    try:
        journal = f"-journal={tmp_path / 'journal'}"
        moved = typed("move", journal, "-switch", to=destination, source=source)
    finally:
        assert ended.wait(60)
        writer.join()
    assert moved.code == 0, moved.out
    assert acknowledged
    assert moved.report["switch-over"]["seconds"] > 0
    for key, version in acknowledged.items():
        assert destination("GET", f"kv/metadata/{key}")["data"]["current_version"] == version
    with pytest.raises(AssertionError, match="404"):
        source("POST", "kv/data/app/w0", {"data": {}})
    assert typed("back", journal, to=destination, source=source).code == 0
    equal(source, destination)


def test_what_others_have_at_the_destination_stays_unless_it_is_to_be_replaced(
    site: Site, tmp_path: Path
) -> None:
    source, destination = two_namespaces(site)
    small(source)
    source("POST", "sys/policies/acl/theirs", {"policy": 'path "kv/*" { capabilities = ["read"] }'})
    destination("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    destination("POST", "kv/data/app/s1", {"data": {"v": "theirs"}})
    destination("POST", "kv/data/app/alone", {"data": {"v": "theirs"}})
    destination("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
    destination("POST", "old/s1", {"v": "theirs"})
    destination("POST", "sys/policies/acl/theirs", {"policy": 'path "kv/*" { capabilities = ["deny"] }'})
    moved = typed("move", f"-journal={tmp_path / 'one'}", to=destination, source=source)
    assert moved.code == 1
    left = {row["path"] for row in moved.report["not_moved"]}
    assert left == {"kv/app/s1", "old/s1", "sys/policies/acl/theirs"}
    assert destination("GET", "kv/data/app/s1")["data"]["data"] == {"v": "theirs"}
    assert destination("GET", "old/s1")["data"] == {"v": "theirs"}
    found = typed("verify", to=destination, source=source)
    assert (found.code, len(found.report["differences"])) == (1, 4)
    moved = typed("move", "-replace", f"-journal={tmp_path / 'one'}", to=destination, source=source)
    assert moved.code == 0
    destination("DELETE", "kv/metadata/app/alone")
    equal(source, destination)


def test_deleted_versions_move_with_their_values_where_that_is_wanted(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    small(source)
    source("POST", "kv/data/app/s1", {"data": {"v": f"{SECRET}second"}})
    source("POST", "kv/delete/app/s1", {"versions": [1, 2]})
    moved = typed("move", "-undelete", f"-journal={tmp_path / 'journal'}", to=destination, source=source)
    assert moved.code == 0
    equal(source, destination)
    for api in (source, destination):
        states = api("GET", "kv/metadata/app/s1")["data"]["versions"].values()
        assert all(version["deletion_time"] for version in states)
        api("POST", "kv/undelete/app/s1", {"versions": [1, 2]})
    assert destination("GET", "kv/data/app/s1?version=1")["data"]["data"] == {"v": f"{SECRET}1"}
    equal(source, destination)


@pytest.mark.parametrize("command", ["move", "export", "back"])
def test_what_an_ended_run_left_undeleted_is_deleted_again_whatever_is_wanted_now(
    site: Site, tmp_path: Path, command: str
) -> None:
    source, destination = two_namespaces(site)
    small(source)
    source("POST", "kv/delete/app/s1", {"versions": [1]})
    archive = tmp_path / "archive"
    file = archive / "export.journal" if command == "export" else tmp_path / "journal"
    if command == "export":
        typed("export", *site.sealing, archive, to=source)
        (archive / "manifest.json").unlink()
    else:
        typed("move", f"-journal={file}", to=destination, source=source)
    lines = file.read_bytes().splitlines()
    key = bytes.fromhex(json.loads(lines[0])["key"])
    digest = Name("kv2", "", "kv/app/s1").digest(key)
    with file.open("a") as journal:  # as one that is killed between two requests leaves it
        journal.write(json.dumps({"undeleted": digest, "versions": [1]}) + "\n")
    source("POST", "kv/undelete/app/s1", {"versions": [1]})
    if command == "export":
        typed("export", *site.sealing, archive, to=source)
    else:
        typed(command, f"-journal={file}", to=destination, source=source)
    assert source("GET", "kv/metadata/app/s1")["data"]["versions"]["1"]["deletion_time"]
    assert b'"versions":[]' in file.read_bytes()


def test_values_of_deleted_versions_follow_those_that_moved_without(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    small(source)
    source("POST", "kv/data/app/s1", {"data": {"v": f"{SECRET}second"}})
    source("POST", "kv/delete/app/s1", {"versions": [1]})
    words = ("move", f"-journal={tmp_path / 'journal'}")
    assert typed(*words, to=destination, source=source).code == 0
    assert typed(*words, "-undelete", to=destination, source=source).code == 0
    again = typed(*words, to=destination, source=source)
    assert again.report["entries"]["kv2"] == {"unchanged": 12}
    for api in (source, destination):
        api("POST", "kv/undelete/app/s1", {"versions": [1]})
    equal(source, destination)


def test_a_value_that_comes_back_at_the_source_comes_to_the_destination(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    small(source)
    source("POST", "kv/data/app/s1", {"data": {"v": f"{SECRET}second"}})
    source("POST", "kv/delete/app/s1", {"versions": [1]})
    journal = f"-journal={tmp_path / 'journal'}"
    assert typed("move", journal, to=destination, source=source).code == 0
    source("POST", "kv/undelete/app/s1", {"versions": [1]})  # of which the destination has an empty one
    source("POST", "kv/data/app/s1", {"data": {"v": f"{SECRET}third"}})
    source("POST", "kv/data/app/s2", {"data": {"v": f"{SECRET}second"}})
    destination("DELETE", "kv/metadata/app/s2")  # which the journal says is there
    assert typed("move", journal, to=destination, source=source).code == 0
    equal(source, destination)


@pytest.mark.parametrize("levels", [150, 5000])
def test_a_value_that_is_nested_too_deep_is_named_and_all_others_move(
    site: Site, tmp_path: Path, levels: int
) -> None:
    source, destination = two_namespaces(site)
    small(source)
    for path in ("kv/data/app/deep", "old/deep"):
        source("POST", path, ('{"data":{"v":' + "[" * levels + "]" * levels + "}}").encode())
    archive = tmp_path / "archive"
    for said in (
        typed("export", *site.sealing, archive, to=source),
        typed("import", *site.opening, archive, to=destination),
        typed("move", f"-journal={tmp_path / 'journal'}", to=destination, source=source),
    ):
        assert said.code == 1
        why = {row["path"]: row["why"] for row in said.report["not_moved"]}
        assert why == dict.fromkeys(("kv/app/deep", "old/deep"), "its value has more than 100 levels")
    found = typed("verify", to=destination, source=source)
    assert {row["path"] for row in found.report["differences"]} == {"kv/app/deep", "old/deep"}


def test_a_later_pass_writes_what_changed_alone(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    small(source)
    journal = tmp_path / "journal"
    words = ("move", f"-journal={journal}")
    assert typed(*words, to=destination, source=source).code == 0
    source("POST", "kv/data/app/s1", {"data": {"v": f"{SECRET}second"}})
    before = len(journal.read_bytes())
    assert typed(*words, to=destination, source=source).report["entries"]["kv2"] == {
        "unchanged": 11,
        "written": 1,
    }
    assert b"1@20" in journal.read_bytes()[before:]
    assert destination("GET", "kv/metadata/app/s1")["data"]["current_version"] == 2


def test_what_a_token_may_not_read_is_named_and_nothing_of_it_is_removed(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    small(source)
    source("POST", "kv/data/closed/s1", {"data": {"v": SECRET}})
    source("POST", "kv/data/half/s1", {"data": {"v": SECRET}})
    words = ("move", f"-journal={tmp_path / 'journal'}")
    assert typed(*words, to=destination, source=source).code == 0
    rules = ('path "*" { capabilities = ["read", "list"] }',) + tuple(
        f'path "kv/{branch}" {{ capabilities = ["deny"] }}'
        for branch in ("metadata/closed/*", "detailed-metadata/closed/*", "data/half/*")
    )
    source("POST", "sys/policies/acl/some", {"policy": "\n".join(rules)})
    answer = source("POST", "auth/token/create", {"policies": ["some"], "no_default_policy": True})
    few = Api(source.address, answer["auth"]["client_token"], source.namespace)
    source("POST", "kv/data/half/s1", {"data": {"v": f"{SECRET}second"}})
    moved = typed(*words, to=destination, source=few)
    assert moved.code == 1
    named = {row["path"]: row["why"] for row in moved.report["not_moved"]}
    assert named["kv/closed/"].startswith("status 403")
    assert named["kv/half/s1"].startswith("status 403")
    assert destination("GET", "kv/data/closed/s1")["data"]["data"] == {"v": SECRET}


def test_keys_of_transit_move_with_what_they_encrypted_and_those_that_stay_are_named(
    site: Site, tmp_path: Path
) -> None:
    source, destination = two_namespaces(site)
    source("POST", "sys/mounts/transit", {"type": "transit"})
    kinds = ("aes256-gcm96", "chacha20-poly1305", "ed25519", "ecdsa-p256", "rsa-2048", "hmac")
    for kind, more in itertools.product(kinds, (False, True)):
        key = f"{kind}-{more}"
        body = {
            "type": kind,
            "exportable": True,
            "allow_plaintext_backup": more,
            "key_size": 32 * (kind == "hmac"),
        }
        source("POST", f"transit/keys/{key}", body)
        source("POST", f"transit/keys/{key}/rotate", {})
    source(
        "POST", "transit/keys/ed25519-True/config", {"min_decryption_version": 2, "deletion_allowed": True}
    )
    source("POST", "transit/keys/stays", {})
    plain = {"plaintext": "aGVsbG8="}
    sealed = {
        key: source("POST", f"transit/encrypt/{key}", plain)
        for key in ("aes256-gcm96-False", "rsa-2048-True")
    }
    signed = source("POST", "transit/sign/ed25519-False", {"input": "aGVsbG8="})["data"]["signature"]
    mac = source("POST", "transit/hmac/hmac-False", {"input": "aGVsbG8="})["data"]["hmac"]
    journal = f"-journal={tmp_path / 'journal'}"
    moved = typed("move", journal, to=destination, source=source)
    assert [row["path"] for row in moved.report["not_moved"]] == ["transit/keys/stays"]
    assert moved.report["entries"]["transit-key"] == {"left": 1, "written": 12}
    for key, answer in sealed.items():
        opened = destination("POST", f"transit/decrypt/{key}", {"ciphertext": answer["data"]["ciphertext"]})
        assert opened["data"] == plain
    asked = {"input": "aGVsbG8=", "signature": signed}
    assert destination("POST", "transit/verify/ed25519-False", asked)["data"]["valid"]
    asked = {"input": "aGVsbG8=", "hmac": mac}
    assert destination("POST", "transit/verify/hmac-False", asked)["data"]["valid"]
    for key in ("ecdsa-p256-False", "ecdsa-p256-True"):  # rotated meanwhile
        source("POST", f"transit/keys/{key}/rotate", {})
    again = typed("move", journal, to=destination, source=source)
    assert again.report["entries"]["transit-key"] == {"left": 1, "unchanged": 10, "written": 2}
    differences = typed("verify", to=destination, source=source).report["differences"]
    assert [row["path"] for row in differences] == ["transit/keys/stays"]


@pytest.mark.parametrize("to", ["Coffre", "OpenBao"])
def test_a_mount_that_deletes_sooner_gets_nothing_that_stays_at_the_source(
    site: Site, tmp_path: Path, to: str
) -> None:
    source, destination = two_namespaces(site)
    if to == "OpenBao":
        source, destination = destination, source
    small(source)
    source("POST", "kv/metadata/soon", {"delete_version_after": "30s"})
    source("POST", "kv/data/soon", {"data": {"v": SECRET}})
    source("POST", "kv/data/big", b'{"data":{"n":9007199254740993}}')
    destination("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    destination("POST", "kv/config", {"delete_version_after": "60s"})
    words = ["move", f"-journal={tmp_path / 'one'}"]
    moved = typed(*words, to=destination, source=source)
    assert moved.code == 1
    left = {row["path"]: row["why"] for row in moved.report["not_moved"]}
    assert left["kv/app/s0"].startswith("its mount there deletes versions sooner than the source")
    assert destination("LIST", "kv/metadata")["data"]["keys"] == ["soon"]
    destination("POST", "kv/config", {"delete_version_after": "0s"})
    for _ in range(2):
        moved = typed(*words, to=destination, source=source)
        assert moved.code == 0
        assert "2^53" in str(moved.report["not_kept"])
    versions = destination("GET", "kv/metadata/app/s0")["data"]["versions"]
    assert versions["1"]["deletion_time"] == ""
    destination("POST", "kv/metadata/later", {"delete_version_after": "2h"})
    for api in (source, destination):
        api("POST", "kv/data/later", {"data": {"v": SECRET}})
    destination("POST", "kv/metadata/later", {"delete_version_after": "0s"})
    found = typed("verify", to=destination, source=source).report["differences"]
    assert found == [{"kind": "kv2", "path": "kv/later", "what": "differs in ending"}]


def test_what_will_not_be_written_is_not_removed_before(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    small(source)
    source("POST", "kv/metadata/app/s1", {"max_versions": 2})
    for number in range(5):
        source("POST", "kv/data/app/s1", {"data": {"v": f"{SECRET}{number}"}})
    destination("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    for _ in range(7):
        destination("POST", "kv/data/app/s1", {"data": {"v": "theirs"}})
    words = ["move", "-replace", "-fillers=1", f"-journal={tmp_path / 'one'}"]
    moved = typed(*words, to=destination, source=source)
    assert [row["path"] for row in moved.report["not_moved"]] == ["kv/app/s1"]
    assert destination("GET", "kv/data/app/s1")["data"]["data"] == {"v": "theirs"}

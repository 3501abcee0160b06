# SPDX-License-Identifier: EUPL-1.2
"""The token file and external token helpers."""

import os
from pathlib import Path

import pytest

from vaultctl.errors import CommandError
from vaultctl.http.token_helper import current_token, load, store


def test_a_stored_token_is_read_back_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    assert load(environ) == ""
    store(environ, "s.first")
    store(environ, "s.second")
    assert load(environ) == "s.second"
    file = tmp_path / ".vault-token"
    assert file.read_bytes() == b"s.second"
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == [".vault-token"]


def test_storing_replaces_a_file_that_others_could_read(tmp_path: Path) -> None:
    file = tmp_path / ".vault-token"
    file.write_text("old")
    file.chmod(0o644)
    store({"HOME": str(tmp_path)}, "s.new")
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_path_can_be_chosen_and_the_environment_wins(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "BAO_TOKEN_PATH": str(tmp_path / "elsewhere")}
    store(environ, "s.kept")
    assert (tmp_path / "elsewhere").read_text() == "s.kept"
    assert current_token(environ) == "s.kept"
    assert current_token({**environ, "VAULT_TOKEN": "s.env"}) == "s.env"
    assert current_token({**environ, "VAULT_TOKEN": "s.env", "BAO_TOKEN": ""}) == "s.kept"


def test_a_failed_store_names_the_path_and_not_the_token(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "BAO_TOKEN_PATH": str(tmp_path / "missing" / "file")}
    with pytest.raises(CommandError) as caught:
        store(environ, "s.hunter2")
    assert "hunter2" not in str(caught.value)


def test_a_store_that_fails_late_leaves_no_token_behind(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    environ = {"HOME": str(tmp_path), "BAO_TOKEN_PATH": str(folder)}
    with pytest.raises(CommandError, match=r"^cannot write the token file .*folder: Is a directory$"):
        store(environ, "s.hunter2")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_token_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "BAO_TOKEN_PATH": str(tmp_path)}
    with pytest.raises(CommandError, match=r"^cannot read the token file .*: Is a directory$"):
        load(environ)
    (tmp_path / "file").write_bytes(b"\xffhunter2")
    with pytest.raises(CommandError, match=r"^cannot read the token file .*: it is not text$"):
        load({**environ, "BAO_TOKEN_PATH": str(tmp_path / "file")})


def test_of_the_clients_configuration_only_the_helper_counts(tmp_path: Path) -> None:
    (tmp_path / ".vault-token").write_text("s.kept")
    environ = {"HOME": str(tmp_path)}
    for text in ("# a comment\n\nother = 1\n", "token_helper\n"):
        (tmp_path / ".bao").write_text(text)
        assert load(environ) == "s.kept"
    (tmp_path / ".bao").write_bytes(b"\xff")
    assert load(environ) == "s.kept"


def test_an_external_helper_gets_the_token_on_standard_input(tmp_path: Path) -> None:
    helper = tmp_path / "helper"
    helper.write_text('#!/bin/sh\ncase "$1" in store) cat > "$KEPT";; get) cat "$KEPT";; esac\n')
    helper.chmod(0o700)
    (tmp_path / ".bao").write_text(f'token_helper = "{helper}"\n')
    environ = {"HOME": str(tmp_path), "KEPT": str(tmp_path / "kept"), "PATH": os.environ["PATH"]}
    store(environ, "s.helped")
    assert load(environ) == "s.helped"
    assert not (tmp_path / ".vault-token").exists()


def test_a_failing_helper_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".bao").write_text('token_helper = "/bin/false"\n')
    with pytest.raises(CommandError, match="exit code 1"):
        load({"HOME": str(tmp_path)})
    (tmp_path / ".bao").write_text('token_helper = "relative"\n')
    with pytest.raises(CommandError, match="absolute"):
        load({"HOME": str(tmp_path)})


def test_a_shell_that_is_missing_and_a_helper_that_answers_no_text_are_named(tmp_path: Path) -> None:
    helper = tmp_path / "helper"
    helper.write_text("#!/bin/sh\nprintf '\\377hunter2'\n")
    helper.chmod(0o700)
    (tmp_path / ".bao").write_text(f'token_helper = "{helper}"')
    with pytest.raises(
        CommandError, match=r"^cannot run the shell /nonexistent \(SHELL\): No such file"
    ) as caught:
        load({"HOME": str(tmp_path), "SHELL": "/nonexistent"})
    assert caught.value.code == 2
    with pytest.raises(
        CommandError, match=r"^the token helper .*/helper answered what is not text$"
    ) as caught:
        load({"HOME": str(tmp_path), "SHELL": "/bin/sh"})
    assert caught.value.code == 2

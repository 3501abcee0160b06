# SPDX-License-Identifier: EUPL-1.2
"""The token file and external token helpers."""

import os
from pathlib import Path

import pytest

from vaultctl.errors import CommandError
from vaultctl.tokenfile import current_token, load, store


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


@pytest.mark.parametrize(
    "text",
    ["", "\n# only\n", "// only /* this", "/* none\n*/", 'token_helper = ""', "{}", '{"token_helper": null}'],
)
def test_a_clients_configuration_may_name_no_helper(tmp_path: Path, text: str) -> None:
    (tmp_path / ".vault-token").write_text("s.kept")
    (tmp_path / ".bao").write_text(text)
    assert load({"HOME": str(tmp_path)}) == "s.kept"


@pytest.mark.parametrize(
    "text",
    [
        'token_helper = "HERE"',
        '"token_helper"="HERE"// comment',
        '/* one */ /* two */token_helper = "HERE" # comment',
        'token_helper = "/bin/false"\ntoken_helper = "HERE" /* of two the last */',
        ' {"token_helper": "HERE"}',
    ],
)
def test_a_clients_configuration_names_the_helper_in_hcl_or_json(tmp_path: Path, text: str) -> None:
    helper = tmp_path / "helper"
    helper.write_text("#!/bin/sh\necho s.helped\n")
    helper.chmod(0o700)
    (tmp_path / "settings").write_text(text.replace("HERE", str(helper)))
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "BAO_CONFIG_PATH": f"{tmp_path}/settings"}
    assert load(environ) == "s.helped"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"token_helper", "is not valid"),
        (b"token_helper = /bin/true", "is not valid"),
        (b'token_helper = "/bin/true', "is not valid"),
        (b'token_helper = ["/bin/true"]', "is not valid"),
        (b'token_helper "/bin/true" {}', "is not valid"),
        (b"$ANSIBLE_VAULT;1.1;AES256\n3162", "a file of Ansible Vault may be in its place"),
        (b"/* " * 2 + b"*/ " * 2, "is not valid"),
        (b"\xff", "is not valid"),
        (b'{"token_helper": 5}', "is not valid"),
        (b"{", "is not valid"),
        (b'token_helper = "/bin/true"\nother = "hunter2"', "holds a setting that is not token_helper"),
        (b'{"other": "hunter2"}', "holds a setting that is not token_helper"),
    ],
)
def test_a_clients_configuration_that_says_anything_else_is_refused(
    tmp_path: Path, text: bytes, told: str
) -> None:
    """A helper that is passed over in silence would leave the token in a file."""
    (tmp_path / ".bao").write_bytes(text)
    with pytest.raises(CommandError, match=told) as caught:
        store({"HOME": str(tmp_path)}, "s.new")
    assert caught.value.code == 2
    assert "hunter2" not in str(caught.value)
    assert os.listdir(tmp_path) == [".bao"]


def test_a_clients_configuration_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / ".bao").mkdir()
    with pytest.raises(
        CommandError, match=r"^cannot read the client configuration .*/\.bao: Is a directory$"
    ):
        load({"HOME": str(tmp_path)})


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

# SPDX-License-Identifier: EUPL-1.2
"""Secrets as environment variables: every value comes back from a `.env` file and from a shell as it was."""

import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vaultctl.errors import CommandError
from vaultctl.text.json import Number, compact, parse
from vaultctl.text.variables import checked_name, dotenv_line, named, parse_dotenv, shell_line, spelled

_VALUES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=60)


@given(st.lists(_VALUES, min_size=1, max_size=4))
@example(["\\", "'", "\\'", "a\\\\'b", ' "x" #y', "${HOME} $HOME `x`", "two\nlines\r\n", "\ufeff", "", "=#"])
def test_what_a_file_is_written_with_is_read_from_it(values: list[str]) -> None:
    variables = {f"V{number}": value for number, value in enumerate(values)}
    text = "".join(dotenv_line(name, value) + "\n" for name, value in variables.items())
    assert parse_dotenv(text, "here") == variables


@pytest.mark.parametrize("value", ["\\", "'", '$HOME `id` "x" !', "two\nlines", "é #", ""])
def test_a_shell_reads_what_was_written_for_it(value: str) -> None:
    script = shell_line("V", value) + '\nprintf %s "$V"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout.decode() == value


def test_fields_become_names_in_capitals() -> None:
    fields = {"user": "ada", "api-key.2": 7, "Ok": True, "none": None, "list": [1, Number("1.50")]}
    assert named(fields, "db_", "x") == {
        "DB_USER": "ada",
        "DB_API_KEY_2": "7",
        "DB_OK": "true",
        "DB_NONE": "",
        "DB_LIST": "[1,1.50]",
    }


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"1st": ""}, "makes no name of a variable"),
        ({"": ""}, "makes no name of a variable"),
        ({"a-b": "", "a_b": ""}, "would both be A_B"),
        ({"Ld_Preload": ""}, "steers how programs run"),
        ({"path": ""}, "steers how programs run"),
        ({"pythonpath": ""}, "steers how programs run"),
        *(
            ({name: ""}, "steers how programs run")
            for name in (
                "vault_addr",
                "bao-skip-verify",
                "https_proxy",
                "ssl_cert_file",
                "perl5db",
                "pager",
                "_java_options",
                "zdotdir",
                "dotnet_startup_hooks",
                "npm_config_script_shell",
                "lua_init",
                "openssl_conf",
                "perllib",
                "gem_home",
                "bundle_gemfile",
                "gtk_modules",
                "qt_plugin_path",
                "gio_extra_modules",
                "r_libs_user",
                "tcllibpath",
                "goflags",
                "gopath",
                "cargo_home",
                "docker_host",
                "wgetrc",
                "no_proxy",
                "krb5_config",
            )
        ),
        ({"a": "hunter2\0"}, "has a NUL character"),
    ],
)
def test_what_cannot_be_a_variable_is_refused_without_its_value(fields: dict[str, object], why: str) -> None:
    with pytest.raises(CommandError, match=why) as refused:
        named(fields, "", "x")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "1a", "a b", "a=b", "é", "a\n"])
def test_a_name_of_ones_own_is_checked(name: str) -> None:
    with pytest.raises(CommandError, match="is no name of a variable"):
        checked_name(name)
    assert checked_name("_a1") == "_a1"


def test_a_line_that_cannot_be_read_is_named_and_not_shown() -> None:
    for text, line in (("A=1\n\n\nB='hunter2\n", 4), ("A=1\nhunter2\n", 2), ("hunter2=1\nhunter2=2", 2)):
        with pytest.raises(CommandError, match=f"here, line {line}: ") as refused:
            parse_dotenv(text, "here")
        assert "hunter2" not in str(refused.value)


def test_what_only_sounds_like_steering_is_a_secret_like_others() -> None:
    names = ["VAULT_TOKEN", "VAULT_ROLE_ID", "DATABASE_URL", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "USER"]
    assert list(named(dict.fromkeys(names, "x"), "", "y")) == names


@pytest.mark.parametrize(
    "text",
    [
        r'{"a\uD800": ["x\udcff", "\ud83d\ude00", 1.50]}',
        b'{"a\xed\xa0\x80": ["x\xed\xb3\xbf", "\xf0\x9f\x98\x80", 1.50]}',
    ],
)
def test_half_a_letter_is_none_as_for_go_so_that_what_was_read_can_be_written(text: str | bytes) -> None:
    """A field that nobody can encode ended the command with a traceback, or became a byte that was not there."""
    value = parse(text)
    assert value == {"a\ufffd": ["x\ufffd", "\U0001f600", 1.5]}
    assert compact(value).encode().endswith(b"1.50]}")


def test_a_number_is_spelled_as_it_was_stored() -> None:
    assert spelled(Number("1.10"), "x") == "1.10"

# SPDX-License-Identifier: EUPL-1.2
"""The server's command line."""

import pytest

from vault.server.__main__ import run
from vault.server.config.flags import USAGE, Options, parse
from vault.server.failure import StartFailure

SECRET = "hunter2hunter2"


def test_one_dash_or_two_and_both_ways_to_give_a_value() -> None:
    assert parse(["-config=a", "--config", "b", "-log-level", "debug"]) == Options(
        config=("a", "b"), log_level="debug"
    )
    assert parse(["-dev", "-dev-tls=true", "--dev-no-kv=0", "-dev-root-token-id=" + SECRET]) == Options(
        dev=True, dev_tls=True, dev_no_kv=False, dev_root_token_id=SECRET
    )


def test_a_development_flag_alone_means_development_mode() -> None:
    assert parse(["-dev-storage=x.db"]).dev


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["hunter2hunter2"], "the server takes flags only"),
        (["-"], "unknown flag"),
        (["-confg=hunter2hunter2"], "unknown flag; did you mean -config?"),
        (["-zzz=hunter2hunter2"], "unknown flag; see `vaultctl server -help`"),
        (["-confg", "hunter2hunter2"], "unknown flag -confg; did you mean -config?"),
        (["-config"], "flag -config needs a value"),
        (["-dev=hunter2hunter2"], "flag -dev is true or false"),
        (["-recovery"], "flag -recovery: there is no recovery mode"),
        (["-log-rotate-bytes=hunter2hunter2"], "use logrotate and SIGHUP"),
    ],
)
def test_sl_52_what_is_wrong_is_refused_without_its_value(arguments: list[str], expected: str) -> None:
    with pytest.raises(StartFailure) as caught:
        parse(arguments)
    assert expected in str(caught.value)
    assert SECRET not in str(caught.value)


def test_options_do_not_show_the_token() -> None:
    assert SECRET not in repr(parse(["-dev", f"-dev-root-token-id={SECRET}"]))


def test_every_flag_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-help"], {}, None) == 0
    assert capsys.readouterr().out == USAGE
    flags = [name.replace("_", "-") for name in Options.__struct_fields__ if name != "help"]
    assert [flag for flag in flags if f"  -{flag}" not in USAGE] == []

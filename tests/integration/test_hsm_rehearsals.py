# SPDX-License-Identifier: EUPL-1.2
"""A rehearsal of a `vaultctl hsm` command refuses what the command would, in the same words."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.hsm.shell import Shell, new_shell
from tests.hsm.tokens import SoftHsm

_SCRIPT = """title = "t"
place = "p"
{evidence}
[[participant]]
name = "A"
role = "r"
public_key = "a.pem"
[[participant]]
name = "B"
role = "r"
public_key = "b.pem"
[[step]]
by = "A"
text = "t"
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell on a token `a` without a key."""
    softhsm = SoftHsm(tmp_path / "softhsm")
    softhsm.initialise("a")
    return new_shell(softhsm, tmp_path)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["test"], "the token has none that encrypts"),
        (["rotate-kek"], "the token has none that encrypts"),
        (["retire-kek", "v0001"], "the token has no version v0001"),
        (["test", "-token-label=c"], "token with label c: not present"),
        (["generate-kek", "-token-label=c"], "token with label c: not present"),
        (["probe", "-token-label=c"], "token with label c: not present"),
        (["probe", "-token-label=", "-token-serial=1"], "token with serial 1: not present"),
        (["probe", "-lib=/nowhere.so"], "lib /nowhere.so: is no PKCS#11 module"),
        (["list-slots", "-lib=/nowhere.so"], "lib /nowhere.so: is no PKCS#11 module"),
    ],
    ids=str,
)
def test_what_a_device_has_not_is_refused_before_as_well(shell: Shell, words: list[str], told: str) -> None:
    if "-token-label=" in words:
        del shell.environment["BAO_HSM_TOKEN_LABEL"]
        words = [word for word in words if word != "-token-label="]
    for more in ([], ["-dry-run"]):
        for code in (1, 2):
            try:
                said = shell.run(words[0], *more, *words[1:], code=code)
            except AssertionError:
                continue
            assert told in said
            break
        else:
            pytest.fail(f"{words} {more} was not refused")


@pytest.mark.parametrize(
    ("evidence", "target", "told"),
    [
        ('evidence = ["gone.txt"]', "t.json", "gone.txt"),
        ("", "taken.json", "taken.json: cannot be made: File exists"),
        ("", "nowhere/t.json", "nowhere/t.json: cannot be made: No such file or directory"),
    ],
)
def test_what_a_ceremony_lacks_is_refused_before_as_well(
    shell: Shell, evidence: str, target: str, told: str
) -> None:
    (shell.folder / "script.toml").write_text(_SCRIPT.format(evidence=evidence))
    for name in ("a.pem", "b.pem"):
        public = Ed25519PrivateKey.generate().public_key()
        (shell.folder / name).write_bytes(
            public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
    (shell.folder / "taken.json").write_text("kept")
    said = [
        shell.run("ceremony", "run", *more, "script.toml", target, code=1 if "made" in told else 2)
        for more in ([], ["-dry-run"])
    ]
    assert all(told in text for text in said)
    assert (shell.folder / "taken.json").read_text() == "kept"
    assert not (shell.folder / "t.json").exists()

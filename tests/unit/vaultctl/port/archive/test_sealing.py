# SPDX-License-Identifier: EUPL-1.2
"""To whom an archive is encrypted is the same however it is written, and another where a key is."""

from pathlib import Path

import pyrage
import pytest

from vaultctl.errors import CommandError
from vaultctl.port.archive.sealing import Recipients, recipients

_ONE, _OTHER = (str(pyrage.x25519.Identity.generate().to_public()) for _ in range(2))
_SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJQLXpVpwKHWg3rMvF7yPZVRlZ5a6U6rHlPpQ0T1zE1r"


def test_recipients_are_the_same_in_whatever_order_and_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(f"# the operators\n{_OTHER}\n{_ONE}\n")
    assert recipients([_ONE, _OTHER], "").text == recipients([], str(tmp_path / "file")).text
    assert recipients([_ONE], "").text != recipients([_ONE, _OTHER], "").text
    assert recipients([f"{_SSH} ann"], "").text == recipients([f"{_SSH} bob"], "").text
    assert _ONE not in recipients([_ONE], "").text


def test_in_plain_and_encrypted_are_other_ways() -> None:
    assert (Recipients().encryption, Recipients().text) == ("none", "none")
    assert recipients([_ONE], "").encryption == "age"
    assert recipients([_ONE], "").text.startswith("age:")
    with pytest.raises(CommandError, match="no recipient"):
        recipients(["age1none"], "")

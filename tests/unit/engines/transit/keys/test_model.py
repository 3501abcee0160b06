# SPDX-License-Identifier: EUPL-1.2
"""What is stored of a version while servers of the release before are on the same database."""

from collections.abc import Iterator

import msgspec
import pytest

from vault.barrier.stored import UpgradeUnderWay, version_of
from vault.engines.transit.keys.model import VERSION, InDevice, KeyVersion
from vault.values.times import Nanos

SIGNS = KeyVersion(created=Nanos(1), held=b"", mac=b"m", public=b"p", external="c:k")


@pytest.fixture(autouse=True)
def _held() -> Iterator[None]:
    VERSION.write_up_to(2)
    yield
    VERSION.write_up_to(VERSION.version)


def test_what_the_release_before_knows_is_written_as_it_wrote_it() -> None:
    stored = VERSION.encode(SIGNS)
    assert version_of(stored) == 2
    assert VERSION.decode(stored) == SIGNS
    assert "device" not in msgspec.msgpack.decode(stored[2:])


@pytest.mark.parametrize("device", [InDevice(oaep="sha256"), InDevice(bits=256, fingerprint="f")])
def test_a_key_that_encrypts_in_a_device_waits_until_every_server_knows_it(device: InDevice) -> None:
    version = msgspec.structs.replace(SIGNS, device=device)
    with pytest.raises(UpgradeUnderWay, match="knows no key in a device that encrypts"):
        VERSION.encode(version)
    VERSION.write_up_to(3)
    assert VERSION.decode(VERSION.encode(version)) == version

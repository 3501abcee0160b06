# SPDX-License-Identifier: EUPL-1.2
"""The real OpenBao, which verdicts are compared with."""

from collections.abc import Iterator

import pytest

from tests.property.openbao import OpenBao


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    server = OpenBao(tmp_path_factory.mktemp("openbao"))
    try:
        yield server
    finally:
        server.connection.close()
        server.process.terminate()
        server.process.wait(timeout=60)

# SPDX-License-Identifier: EUPL-1.2
"""A vault of a thousand secrets moved here and back while it is written to."""

import json
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.integration.port_estate import build
from tests.integration.port_site import equal, servers, start, typed


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_a_thousand_secrets_move_here_and_back_while_they_are_written(tmp_path: Path) -> None:
    with servers(tmp_path) as site:
        build(site.bao, secrets=1000, policies=60)
        ended, errors = threading.Event(), []

        def write() -> None:
            number = 0
            while not ended.is_set():
                number += 1
                try:
                    site.bao(
                        "POST", f"secret/data/app{number % 7}/live{number % 40}", {"data": {"n": number}}
                    )
                except AssertionError as error:
                    errors.append(str(error))
                    return
                time.sleep(0.02)

        writer = threading.Thread(target=write)
        writer.start()
        journal = f"-journal={tmp_path / 'journal'}"
        try:
            begun = time.monotonic()
            process = start(["move", journal, "-switch"], to=site.coffre, source=site.bao)
            out, err = process.communicate(timeout=600)
            seconds = time.monotonic() - begun
        finally:
            ended.set()
            writer.join()
        assert (process.returncode, err) == (0, "")
        report = json.loads(out)
        assert "404" in errors[0]
        sys.stderr.write(f"{seconds:.1f} s, passes {report['passes']}, {report['switch-over']}\n")
        assert typed("back", journal, to=site.coffre, source=site.bao).code == 0
        equal(site.bao, site.coffre, "-decisions=10000")
        back = typed("move", f"-journal={tmp_path / 'back'}", to=site.other_bao, source=site.coffre)
        assert back.code == 0, back.out
        equal(site.bao, site.other_bao, "-decisions=10000")

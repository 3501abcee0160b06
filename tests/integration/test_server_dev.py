# SPDX-License-Identifier: EUPL-1.2
"""Development mode as a process."""

import os
import stat
from pathlib import Path

from tests.integration.processes import get, refused, running
from tests.ports import free_port


def test_dev_mode_prints_its_keys_and_stores_the_token(tmp_path: Path) -> None:
    port = free_port()
    with running("-dev", f"-dev-listen-address=127.0.0.1:{port}", home=tmp_path) as server:
        server.wait_for("should NOT be used in production installations!")
        assert "Unseal Key: made-key" in server.lines
        assert "Root Token: made-token" in server.lines
        assert f"    $ export BAO_ADDR='http://127.0.0.1:{port}'" in server.lines
        token = tmp_path / ".vault-token"
        assert token.read_text() == "made-token"
        assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_dev_mode_takes_its_token_from_the_environment_and_stores_none_when_asked_not_to(
    tmp_path: Path,
) -> None:
    environment = {"VAULT_DEV_ROOT_TOKEN_ID": "mine", "BAO_DEV_LISTEN_ADDRESS": f"127.0.0.1:{free_port()}"}
    with running("--dev", "-dev-no-store-token", home=tmp_path, environment=environment) as server:
        server.wait_for("should NOT be used in production installations!")
        assert "Root Token: mine" in server.lines
    assert not (tmp_path / ".vault-token").exists()


def test_a_second_dev_start_on_the_same_file_has_the_same_keys(tmp_path: Path) -> None:
    database = tmp_path / "dev.db"
    flags = [
        f"-dev-storage={database}",
        f"-dev-listen-address=127.0.0.1:{free_port()}",
        "-dev-no-store-token",
    ]
    for more in (["-dev-root-token-id=mine"], []):
        with running(*flags, *more, home=tmp_path) as server:
            server.wait_for("whoever copies both files reads every secret.")
            server.wait_for("should NOT be used in production installations!")
            assert "Root Token: mine" in server.lines
            assert server.end() == 0
    kept = Path(f"{database}.dev-keys")
    assert kept.read_text() == '{"unseal_key":"made-key","root_token":"mine"}'
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    kept.chmod(0o644)
    assert "others may read the keys in it" in refused(*flags, home=tmp_path)
    kept.chmod(0o600)
    kept.write_text("hunter2")
    assert "the keys of this database cannot be read" in refused(*flags, home=tmp_path)


def test_dev_tls_makes_certificates_that_clients_can_verify(tmp_path: Path) -> None:
    port = free_port()
    folder = tmp_path / "tls"
    folder.mkdir()
    flags = ["-dev-tls", f"-dev-tls-cert-dir={folder}", f"-dev-listen-address=127.0.0.1:{port}"]
    with running(*flags, home=tmp_path) as server:
        server.wait_for(f"export BAO_CACERT='{folder}/vault-ca.pem'")
        assert get(port, trust=folder / "vault-ca.pem")[0] == 200
    assert [stat.S_IMODE(os.stat(file).st_mode) for file in folder.iterdir()] == [0o600] * 3
    line = refused("-dev-tls", f"-dev-tls-cert-dir={tmp_path}/none", home=tmp_path)
    assert line.startswith(f"-dev-tls-cert-dir {tmp_path}/none/vault-ca.pem: cannot be written")

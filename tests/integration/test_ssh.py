# SPDX-License-Identifier: EUPL-1.2
"""A real sshd takes what an SSH mount signs and hands out, and refuses what is over, another's, or used."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac
import pytest

from tests.integration.coffre import BAO, Place
from tests.integration.processes import ROOT
from tests.integration.sshd import Sshd, running_sshd, ssh
from tests.ssh_certificates import read_certificate

NAME = "server.example.com"
OTP_ROLE = {"key_type": "otp", "default_user": "alice", "allowed_users": "bob", "cidr_list": "127.0.0.0/8"}
_SCRIPT = re.compile(r"```python\n(#!/usr/bin/python3\n.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Site:
    """Our server, an sshd that trusts it, and a user's key."""

    place: Place
    client: hvac.Client
    sshd: Sshd
    key: Path

    def write(self, path: str, **data: Any) -> Any:
        answer = self.client.write_data(path, data=data)
        return answer["data"] if isinstance(answer, dict) else None

    def certificate(self, path: str = "ssh/sign/people", **asked: Any) -> Path:
        """A certificate for the user's key, in a file."""
        public = self.key.with_suffix(".pub").read_text()
        body = {"public_key": public, "valid_principals": "alice", **asked}
        signed = self.write(path, **body)["signed_key"]
        file = self.key.with_name(f"{len(list(self.key.parent.glob('*-cert.pub')))}-cert.pub")
        file.write_text(signed)
        return file

    def log_in(
        self, certificate: Path, user: str = "alice", name: str = NAME, key: Path | None = None
    ) -> bool:
        """Whether a user gets in by a certificate."""
        done = ssh([
            "ssh", *self.sshd.options(name), "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes",
            "-i", str(key or self.key), "-o", f"CertificateFile={certificate}", f"{user}@127.0.0.1", "id -un",
        ])  # fmt: skip
        assert (done.returncode == 0) == (done.stdout.strip() == user), done.stderr
        return done.returncode == 0

    def log_in_once(self, password: str, user: str = "alice") -> bool:
        """Whether a user gets in by a one-time password."""
        options = ["-o", "PreferredAuthentications=keyboard-interactive", "-o", "NumberOfPasswordPrompts=1"]
        done = ssh(["ssh", *self.sshd.options(), *options, f"{user}@127.0.0.1", "id -un"], answer=password)
        assert (done.returncode == 0) == (done.stdout.strip() == user), done.stderr
        return done.returncode == 0

    def password(self, ip: str = "127.0.0.1", user: str = "alice") -> str:
        made: str = self.write("ssh/creds/otp", ip=ip, username=user)["key"]
        return made


def _make_key(file: Path, kind: str = "ed25519") -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", file], check=True)
    return file.with_suffix(".pub").read_text()


def script_of_the_page(verify: str, address: str = "127.0.0.1") -> str:
    """The script that docs/ssh.md has, for a server that is elsewhere."""
    (found,) = _SCRIPT.findall((ROOT / "docs" / "ssh.md").read_text())
    made = (
        str(found).replace("https://vault.example:8200/v1/ssh/verify", verify).replace("192.0.2.10", address)
    )
    assert verify in made
    assert address in made
    return made


@pytest.fixture(scope="module")
def site(places: Callable[[str], Place], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place = places("coffre")
    client = place.client()
    folder = tmp_path_factory.mktemp("sshd")
    host = _make_key(folder / "host")
    for mount in ("ssh", "ssh-hosts", "ssh-other"):
        client.sys.enable_secrets_engine("ssh", path=mount)
        client.write_data(f"{mount}/config/ca", data={"key_type": "ed25519"})
        client.write_data(
            f"{mount}/roles/people",
            data={
                "key_type": "ca", "allow_user_certificates": True, "allowed_users": "alice,bob", "ttl": "10m",
                "default_extensions": {"permit-pty": ""}, "allowed_extensions": "*",
            },
        )  # fmt: skip
    client.write_data(
        "ssh-hosts/roles/servers",
        data={"key_type": "ca", "allow_host_certificates": True, "allowed_domains": "example.com", "allow_subdomains": True, "ttl": "1h"},
    )  # fmt: skip
    client.write_data("ssh/roles/otp", data=OTP_ROLE)
    asked = {"public_key": host, "cert_type": "host", "valid_principals": NAME}
    signed = client.write_data("ssh-hosts/sign/servers", data=asked)
    (folder / "host-cert.pub").write_text(signed["data"]["signed_key"])
    authority = client.read("ssh-hosts/config/ca")["data"]["public_key"]
    (folder / "known_hosts").write_text(f"@cert-authority *.example.com {authority}")
    (folder / "users.pub").write_text(client.read("ssh/config/ca")["data"]["public_key"])
    keys = tmp_path_factory.mktemp("keys")
    _make_key(keys / "id")
    script = script_of_the_page(f"{place.address}/v1/ssh/verify").replace(
        "import urllib.request",
        f"import os\nos.environ['SSL_CERT_FILE'] = '{place.authority}'\nimport urllib.request",
    )
    with running_sshd(folder, script) as sshd:
        yield Site(place, client, sshd, keys / "id")
    client.adapter.close()


def test_a_user_gets_in_by_a_certificate_for_his_name(site: Site) -> None:
    assert site.log_in(site.certificate())
    assert site.log_in(site.certificate(valid_principals="alice,bob"), "bob")


def test_an_expired_certificate_another_name_and_another_authority_are_refused(site: Site) -> None:
    short = site.certificate(ttl="1s")
    time.sleep(2)
    assert not site.log_in(short)
    assert "expired" in site.sshd.log
    assert not site.log_in(site.certificate(), "bob")
    assert "name is not a listed principal" in site.sshd.log.lower()
    assert not site.log_in(site.certificate("ssh-other/sign/people"))
    assert not site.log_in(site.certificate("ssh-hosts/sign/people"))
    assert site.log_in(site.certificate())


@pytest.mark.parametrize("kind", ["ed25519", "ec", "rsa"])
def test_a_pair_that_is_issued_gets_in(site: Site, tmp_path: Path, kind: str) -> None:
    size = {"rsa": 2048}.get(kind, 0)
    issued = site.write("ssh/issue/people", key_type=kind, key_bits=size, valid_principals="alice")
    key, certificate = tmp_path / "key", tmp_path / "key-cert.pub"
    key.write_text(issued["private_key"])
    key.chmod(0o600)
    certificate.write_text(issued["signed_key"])
    assert site.log_in(certificate, key=key)


@pytest.mark.parametrize("algorithm", ["default", "rsa-sha2-256", "rsa-sha2-512"])
def test_an_authority_of_rsa_is_believed(site: Site, algorithm: str) -> None:
    site.write("ssh/issuers/import/rsa", key_type="rsa", key_bits=2048)
    issuer = site.client.read("ssh/issuer/rsa")["data"]
    trusted = site.sshd.folder / "users.pub"
    before = trusted.read_text()
    try:
        trusted.write_text(before + issuer["public_key"])
        role = {"key_type": "ca", "allow_user_certificates": True, "allowed_users": "alice", "ttl": "5m"}
        site.write("ssh/roles/rsa", **role, issuer_ref="rsa", algorithm_signer=algorithm)
        assert site.log_in(site.certificate("ssh/sign/rsa"))
    finally:
        trusted.write_text(before)
        site.client.delete("ssh/issuer/rsa")


def test_a_host_is_believed_by_its_certificate_and_by_that_name_alone(site: Site) -> None:
    assert site.log_in(site.certificate(), name=NAME)
    assert not site.log_in(site.certificate(), name="other.example.com")
    assert not site.log_in(site.certificate(), name="elsewhere.org")


def test_a_one_time_password_gets_in_once(site: Site) -> None:
    password = site.password()
    assert site.log_in_once(password)
    assert not site.log_in_once(password)
    assert not site.log_in_once("00000000-0000-4000-8000-000000000000")


def test_a_one_time_password_of_another_user_or_machine_gets_nobody_in(site: Site) -> None:
    assert not site.log_in_once(site.password(user="bob"), "alice")
    assert not site.log_in_once(site.password(ip="127.0.0.2"))
    assert not site.log_in_once(site.password(ip="127.0.0.10"))
    assert site.log_in_once(site.password(user="bob"), "bob")


CLIENTS = {"vaultctl": (sys.executable, "-m", "vaultctl"), "bao": (BAO,)}


def _client(site: Site, name: str, *words: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    """Run `vaultctl ssh` or `bao ssh`, which runs ssh."""
    environment = {
        **site.place.environment(site.key.parent),
        "PATH": f"{site.key.parent}:{os.environ['PATH']}",
    }
    return ssh([*CLIENTS[name], "ssh", *words], answer=answer, environment=environment)


@pytest.mark.parametrize("client", CLIENTS)
def test_both_command_lines_log_in_by_a_certificate(site: Site, client: str) -> None:
    keys = [f"-private-key-path={site.key}", f"-public-key-path={site.key}.pub"]
    flags = [
        "-mode=ca",
        "-role=people",
        "-host-key-mount-point=ssh-hosts",
        "-host-key-hostnames=*.example.com",
    ]
    behind = ["-F", "none", "-p", str(site.sshd.port), "-o", f"HostKeyAlias={NAME}", "id", "-un"]
    done = _client(site, client, *flags, *keys, "alice@127.0.0.1", *behind)
    assert (done.returncode, done.stdout) == (0, "alice\n"), done.stderr
    behind[5] = "HostKeyAlias=elsewhere.org"
    assert _client(site, client, *flags, *keys, "alice@127.0.0.1", *behind).returncode == 255
    wrong = [*flags, "-valid-principals=bob", *keys, "alice@127.0.0.1", *site.sshd.options(), "true"]
    assert _client(site, client, *wrong, answer="x").returncode == 255


@pytest.mark.parametrize("client", CLIENTS)
def test_both_command_lines_log_in_by_a_one_time_password(site: Site, client: str) -> None:
    """`sshpass` stands for what types the password; this one has ssh ask a program for it."""
    helper = site.key.parent / "sshpass"
    helper.write_text('#!/bin/sh\nshift\nexport ANSWER="$SSHPASS"\nexec "$@"\n')
    helper.chmod(0o755)
    try:
        flags = ["-mode=otp", "-role=otp", "-strict-host-key-checking=yes"]
        known = f"-user-known-hosts-file={site.sshd.folder / 'known_hosts'}"
        behind = [*site.sshd.options(), "-o", "PreferredAuthentications=keyboard-interactive", "id", "-un"]
        if (
            client == "bao"
        ):  # it puts the role's port before what stands behind the machine, and ssh believes the first
            site.write("ssh/roles/otp", **OTP_ROLE, port=site.sshd.port)
        done = _client(site, client, *flags, known, "bob@127.0.0.1", *behind)
        assert (done.returncode, done.stdout) == (0, "bob\n"), done.stderr
    finally:
        helper.unlink()
        site.write("ssh/roles/otp", **OTP_ROLE)


@pytest.mark.parametrize("client", CLIENTS)
def test_both_command_lines_print_a_credential(site: Site, client: str) -> None:
    keys = [f"-private-key-path={site.key}", f"-public-key-path={site.key}.pub"]
    done = _client(
        site, client, "-mode=ca", "-role=people", "-no-exec", "-field=signed_key", *keys, "alice@127.0.0.1"
    )
    assert read_certificate(done.stdout).principals == ["alice"]
    done = _client(site, client, "-mode=otp", "-role=otp", "-no-exec", "-format=json", "bob@localhost")
    said = json.loads(done.stdout)
    assert (said["data"]["ip"], said["data"]["username"]) == ("127.0.0.1", "bob")
    assert said["lease_id"].startswith("ssh/creds/otp/")
    for words in ([], ["alice@127.0.0.1"], ["-role=people", "alice@"]):
        assert _client(site, client, *words).returncode == 1


def test_vaultctl_shows_a_password_that_nobody_types_and_says_what_is_wrong(site: Site) -> None:
    flags = ["-mode=otp", "-role=otp", f"-ssh-executable={Path('/bin/false')}"]
    done = _client(site, "vaultctl", *flags, "bob@127.0.0.1")
    assert done.returncode == 1
    assert "no sshpass here" in done.stderr
    assert site.log_in_once(done.stdout.strip(), "bob")
    for words, said, code in (
        (["-mode=dynamic", "-role=otp", "bob@127.0.0.1"], "-mode", 1),
        (["-mode=otp", "-role=otp", "bob@nowhere.invalid"], "has no address", 1),
        (["-mode=ca", "-role=people", "bob@127.0.0.1"], "no SSH key in the usual places", 1),
        (["-mode=ca", "-role=people", "-private-key-path=/none", "-public-key-path=/none.pub", "a@b"], "cannot be read", 1),
        (["-mode=otp", "-role=otp", "-ssh-executable=/none", "bob@127.0.0.1"], "cannot be started", 2),
        (["-mode=otp", "-role=none", "bob@127.0.0.1"], "one-time password", 2),
    ):  # fmt: skip
        done = _client(site, "vaultctl", *words)
        assert (said in done.stderr, done.returncode) == (True, code), done.stderr


def test_hvac_has_a_key_signed_and_a_password_verified(site: Site) -> None:
    api = site.client.secrets.ssh
    api.create_role(name="hvac", mount_point="ssh", key_type="ca", allow_user_certificates=True, allowed_users="alice", default_user="alice", ttl="5m")  # fmt: skip
    assert api.read_role("hvac", mount_point="ssh")["data"]["ttl"] == 300
    assert "hvac" in api.list_roles(mount_point="ssh")["data"]["keys"]
    public = site.key.with_suffix(".pub").read_text()
    signed = api.sign_ssh_key(name="hvac", public_key=public, valid_principals="alice", mount_point="ssh")
    assert read_certificate(signed["data"]["signed_key"]).principals == ["alice"]
    assert api.read_public_key(mount_point="ssh")["data"]["public_key"].startswith("ssh-ed25519 ")
    made = api.generate_ssh_credentials(name="otp", ip="127.0.0.1", username="bob", mount_point="ssh")
    said = api.verify_ssh_otp(otp=made["data"]["key"], mount_point="ssh")
    assert said["data"] == {"ip": "127.0.0.1", "role_name": "otp", "username": "bob"}
    assert api.list_roles_by_ip(ip="127.0.0.9", mount_point="ssh")["data"]["roles"] == ["otp"]
    api.delete_role("hvac", mount_point="ssh")

# SPDX-License-Identifier: EUPL-1.2
"""The guide to logins: its commands, as they are printed, make logins work, with `vaultctl` and with `bao`.

The addresses of others' services are replaced by those of stand-ins, and files are put where the commands look for them.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID
from joserfc.jwk import RSAKey
from pytest_socket import enable_socket

from tests.conformance import service
from tests.house.tree import ROOT
from tests.integration.coffre import Place, open_server
from tests.integration.openid import CONTINUE, SECRET, SIGN_IN, provider, visit
from tests.integration.processes import PATIENCE
from tests.ports import free_port
from tests.tokens import token
from tests.unit.nhi.auth.cert.test_login import response
from tests.unit.nhi.auth.jwt.test_provider import GITHUB, GITLAB, KEYCLOAK
from tests.unit.outbound.authority import Authority, Leaf

GUIDE = (ROOT / "docs" / "logins.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REALM = "https://keycloak.example.org/realms/acme"
ACTIONS = "https://token.actions.githubusercontent.com"
GITLAB_HOST = "https://gitlab.example.org"
CLUSTER = "https://10.20.0.1:6443"
AUTHORITY = Authority("web authority")
REALM_KEY = rsa.generate_private_key(65537, 2048)
Told = dict[str, Any]


def blocks(language: str, guide: str = GUIDE) -> Mapping[str, Sequence[str]]:
    """A guide's blocks of one language, by the section that they are in."""
    found: dict[str, list[str]] = {}
    for section in guide.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        for kind, block in _BLOCK.findall(text):
            if kind == language:
                found.setdefault(title, []).append(block)
    return found


class Desk:
    """Somebody who follows the guide at a server, with one of the two programs, in a folder with their files."""

    def __init__(self, place: Place, program: str, folder: Path) -> None:
        self._program, self.folder = program, folder
        self.environment = {
            **place.environment(folder),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        self.replaced: dict[str, str] = {}

    def file(self, name: str, text: str) -> None:
        """Put a file where a command looks for it."""
        (self.folder / name).write_text(text)

    def command(self, text: str) -> str:
        """What is typed: the guide's text, with stand-ins and this program."""
        for old, new in self.replaced.items():
            text = text.replace(old, new)
        return text.replace("vaultctl ", f"{self._program} ")

    def does(self, text: str) -> str:
        """Run commands; return what they print."""
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", self.command(text)],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def gets(self, text: str) -> Any:
        """Run one command that answers; return the answer."""
        return json.loads(self.does(f"export BAO_FORMAT=json\n{text}"))

    def logs_in(self, text: str) -> Any:
        """Run a command that logs somebody in; return what is said of the token. None is stored.

        `bao` does as the guide says where it does not know the method.
        """
        if self._program == "bao":
            assert "`bao write auth/PATH/login role=... jwt=@token`" in GUIDE
            for method in ("jwt", "kubernetes"):
                text = text.replace(f"login -method={method} -path=", "login -path=")
                text = text.replace(f"login -method={method} ", f"login -path={method} ")
            text = re.sub(r"vaultctl login -path=(\S+)", r"vaultctl write auth/\1/login", text)
        return self.gets(text.replace("vaultctl login ", "vaultctl login -no-store "))["auth"]

    def signs_in(self, text: str) -> Any:
        """Run a command that logs in with a browser; return what is said of the token."""
        more = f"vaultctl login -no-store -format=json {text.partition('login ')[2].strip()}"
        with subprocess.Popen(
            ["bash", "-c", self.command(f"exec {more} port={free_port()} skip_browser=true")],
            env={**self.environment, "BAO_TOKEN": ""},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            heard = ""
            while not (found := re.search(r"^ +(https?://\S+)$", heard, re.MULTILINE)):
                line = process.stdout.readline()
                assert line, heard
                heard += line
            visit(found[1], SIGN_IN, CONTINUE, folder=self.folder)
            said, _ = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, heard + said
            return json.loads(said[said.index("{") :])["auth"]


@pytest.fixture
def desk(program: str, tmp_path: Path) -> Iterator[Desk]:
    """A desk at a server that is configured as the guide says."""
    enable_socket()
    (tmp_path / "clients.pem").write_text(AUTHORITY.pem)
    (listener,) = blocks("hcl")["TLS certificates"]
    inside = listener.partition("{")[2].rpartition("}")[0]
    inside = inside.replace("/etc/coffre/clients.pem", str(tmp_path / "clients.pem"))
    with open_server("coffre", tmp_path, inside) as place:
        home = tmp_path / "home"
        home.mkdir()
        yield Desk(place, program, home)


@contextmanager
def web_certificate() -> Iterator[Leaf]:
    """Run an OCSP responder; yield a certificate that names it, and that it calls good."""
    answers: list[bytes] = []

    class Responder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(answers[0])))
            self.end_headers()
            self.wfile.write(answers[0])

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Responder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        at = x509.UniformResourceIdentifier(f"http://127.0.0.1:{server.server_address[1]}/")
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, at)
        leaf = AUTHORITY.issue(
            "web",
            names=[x509.DNSName("a.web.example.org")],
            extensions=[x509.AuthorityInformationAccess([access])],
        )
        answers.append(response(AUTHORITY, leaf=leaf, issuer=AUTHORITY))
        try:
            yield leaf
        finally:
            server.shutdown()


def said(issuer: str, claims: Mapping[str, Any], **changes: Any) -> Mapping[str, Any]:
    """The claims of a token that is good now."""
    now = int(time.time())
    return {**claims, "iss": issuer, "iat": now, "nbf": now, "exp": now + 300, **changes}


def keycloak(desk: Desk) -> None:
    """People sign in with a browser, service accounts with a token."""
    people, services = blocks("sh")["Keycloak"]
    setting, login = people.split("vaultctl login")
    jwk = RSAKey.import_key(REALM_KEY).as_dict(private=True)
    settings = {
        "KEY": json.dumps({name: value for name, value in jwk.items() if name != "kid"}),
        "CLAIMS": json.dumps({"openid": ["sub", "groups"], "email": ["email"]}),
    }
    back = "http://localhost:8250/oidc/callback"
    with provider(back, settings=settings, client_id="vault") as issuer:
        desk.replaced[REALM] = issuer
        desk.file("secret", SECRET)
        desk.does(setting)
        auth = desk.signs_in(f"vaultctl login{login}")
        assert "people" in auth["policies"] and auth["lease_duration"] == 8 * 3600
        claims = said(issuer, KEYCLOAK)
        desk.file("token", token(claims, REALM_KEY, "RS256", kid="first"))
        auth = desk.logs_in(services)
        assert "services" in auth["policies"] and auth["lease_duration"] == 15 * 60


def actions(desk: Desk) -> None:
    """A job of the repository's main branch logs in."""
    desk.replaced[ACTIONS] = service.address()
    (setting,) = blocks("sh")["GitHub Actions"]
    desk.does(setting)
    desk.file("token", token(said(service.address(), GITHUB), kid="one"))
    auth = desk.logs_in("vaultctl login -method=jwt -path=github role=deploy jwt=@token")
    assert "deploy" in auth["policies"] and auth["accessor"] == ""


def gitlab(desk: Desk) -> None:
    """A job of a protected branch logs in."""
    desk.replaced[GITLAB_HOST] = service.address()
    (setting,) = blocks("sh")["GitLab CI"]
    desk.does(setting)
    desk.file("token", token(said(service.address(), GITLAB), kid="one"))
    auth = desk.logs_in("vaultctl login -method=jwt -path=gitlab role=deploy jwt=@token")
    assert auth["metadata"] == {"project": "acme/shop", "pipeline": "1212", "role": "deploy"}


def programs(desk: Desk) -> None:
    """A program lets main deploy, and everything else of the organisation build."""
    (text,) = blocks("sh")["Programs"]
    setting, login = re.split(r"^(?=vaultctl write \S+/login)", text, flags=re.MULTILINE)
    desk.does(setting)
    for ref, policy in (("refs/heads/main", "deploy"), ("refs/heads/try", "build")):
        claims = said(service.address(), GITHUB, repository_owner_id="9919", ref=ref)
        desk.file("token", token(claims, kid="one"))
        assert policy in desk.gets(login)["auth"]["policies"]
    desk.file("token", token(said(service.address(), GITHUB), kid="one"))
    with pytest.raises(AssertionError, match="not our organisation"):
        desk.does(login)


def kubernetes(desk: Desk) -> None:
    """A pod's service account logs in."""
    desk.replaced[CLUSTER] = service.address()
    desk.file("ca.crt", AUTHORITY.pem)
    desk.file("reviewer", "reviewer")
    (text,) = blocks("sh")["Kubernetes"]
    setting, _, login = text.rstrip().rpartition("\n")
    desk.does(setting)
    claims = {
        "aud": ["vault"],
        "sub": "system:serviceaccount:shop:web",
        "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "web", "uid": "u-1"}},
    }
    desk.file("token", token(said("https://kubernetes.default.svc", claims)))
    (pod,) = (yaml.safe_load(found) for found in blocks("yaml")["Kubernetes"])
    (mounted,) = pod["containers"][0]["volumeMounts"]
    (asked,) = (source["serviceAccountToken"] for source in pod["volumes"][0]["projected"]["sources"])
    assert asked["audience"] in claims["aud"] and mounted["name"] == pod["volumes"][0]["name"]
    file = f"token_file={mounted['mountPath']}/{asked['path']}"
    assert file in login
    login = login.split("#")[0].replace(file, "jwt=@token")
    assert "web" in desk.logs_in(login)["policies"]


def certificates(desk: Desk) -> None:
    """A machine logs in with its certificate."""
    with web_certificate() as leaf:
        desk.file("authority.pem", AUTHORITY.pem)
        desk.file("web.crt", leaf.pem)
        desk.file("web.key", leaf.key_pem)
        (text,) = blocks("sh")["TLS certificates"]
        setting, _, login = text.rstrip().rpartition("\n")
        desk.does(setting)
        auth = desk.logs_in(login)
        assert "web" in auth["policies"] and auth["metadata"]["cert_name"] == "web"


def approle(desk: Desk) -> None:
    """How a role and a secret id were used is shown where it is asked for."""
    (text,) = blocks("sh")["AppRole: credentials that are not used any more"]
    desk.does("vaultctl auth enable approle\nvaultctl write auth/approle/role/web token_policies=web")
    role_id = desk.gets("vaultctl read auth/approle/role/web/role-id")["data"]["role_id"]
    made = desk.gets("vaultctl write -f auth/approle/role/web/secret-id")["data"]
    desk.does(f"vaultctl write auth/approle/login role_id={role_id} secret_id={made['secret_id']}")
    desk.replaced["ACCESSOR"] = made["secret_id_accessor"]
    for line in text.splitlines():
        told = desk.gets(line)["data"]
        assert told["use_count"] == 1 and told["last_used_time"]


SECTIONS = {
    "Keycloak": keycloak,
    "GitHub Actions": actions,
    "GitLab CI": gitlab,
    "Programs": programs,
    "Kubernetes": kubernetes,
    "TLS certificates": certificates,
    "AppRole: credentials that are not used any more": approle,
}


@pytest.mark.parametrize("program", ["vaultctl", "bao"])
def test_the_guides_commands_do_what_it_says(desk: Desk) -> None:
    for section in SECTIONS.values():
        section(desk)


def test_no_command_of_the_guide_is_left_out() -> None:
    assert set(blocks("sh")) == {*SECTIONS, "Attacks that are tried"}
    (figures,) = blocks("sh")["Attacks that are tried"]
    assert all((ROOT / one).exists() for one in re.findall(r"tests/\S+", figures))


def test_the_guides_settings_are_a_servers(tmp_path: Path) -> None:
    assert set(blocks("hcl")) == {"Which hosts the server asks", "TLS certificates"}
    file = tmp_path / "server.hcl"
    listener = 'listener "tcp" { tls_disable = true }'
    (allowed,) = blocks("hcl")["Which hosts the server asks"]
    file.write_text(f'storage "sqlite" {{ path = "{tmp_path}/v.db" }}\n{listener}\n{allowed}')
    done = subprocess.run(
        [sys.executable, "-m", "vaultctl", "operator", "validate-config", f"-config={file}"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

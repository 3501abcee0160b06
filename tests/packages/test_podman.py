# SPDX-License-Identifier: EUPL-1.2
"""The image under Podman: what docs/install.md prints is typed as it stands, and the server does what is said of it there."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.certificates import Made, certificate, usage
from tests.packages.podman import Podman, podman
from tests.packages.printed import blocks
from vault import __version__

pytestmark = [pytest.mark.timeout(1800), pytest.mark.soak]

_CERTIFICATE = "authority.crt"
_FIRST, _CONFIG, _RUN, _REPLACE = blocks("install.md", "As a container")
_WRITERS = 3


def _identified(common: str, by: Made | None, **more: Any) -> Made:
    """A certificate with the identifiers of keys that Python 3.13 and later want to see (RFC 5280, section 4.2.1)."""
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key((by.key if by else key).public_key())
    return certificate(common, by, key=key, more=[own, issuer], **more)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """A machine with certificates on which the image is built, and the configuration is written, as printed."""
    with podman(tmp_path_factory.mktemp("podman")) as site:
        ours = _identified("authority", None, ca=True, keys=usage(signs=True))
        server = _identified("coffre.example", ours, sans=[x509.DNSName("coffre.example")])
        (site.home / _CERTIFICATE).write_text(ours.pem)
        (site.home / "coffre.example.crt").write_text(server.pem)
        key = server.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (site.home / "coffre.example.key").write_bytes(key)
        for command in _FIRST.commands:
            site.types(command)
        (site.home / "config.hcl").write_text(_CONFIG.text)
        site.types(f"install -m 0644 config.hcl {_CONFIG.file}")
        yield site


@pytest.fixture
def served(site: Podman) -> Iterator[Podman]:
    """The same, with a container run as printed, on an empty volume, that answers."""
    try:
        for command in _RUN.commands[:2]:
            site.types(command)
        yield site
    finally:
        site.types("podman rm --force --time 0 --ignore coffre; podman volume rm --force coffre-data")


def _inspected(site: Podman) -> dict[str, Any]:
    (found,) = json.loads(site.types("podman inspect coffre --type container"))
    container: dict[str, Any] = found
    return container


def _health(site: Podman) -> str:
    """What a client outside is told, over TLS: the status of the health endpoint."""
    with site.client("health", _CERTIFICATE) as client:
        return client.communicate()[0].strip()


def _ended(site: Podman) -> tuple[str, int]:
    state = _inspected(site)["State"]
    return state["Status"], state["ExitCode"]


def _unseals(site: Podman, keys: Sequence[str]) -> None:
    """Type what is printed for each share, until they are enough."""
    for key in keys[:3]:
        said = site.answers(_RUN.commands[3], "Unseal Key", key)
        assert key not in said
    assert re.search(r"^Sealed +false\s*$", said, re.MULTILINE)


@contextmanager
def _written(site: Podman, token: str) -> Iterator[list[str]]:
    """Write secrets during the block; afterwards the list has the names of those that were acknowledged."""
    names: list[str] = []
    writers = [site.client("write", _CERTIFICATE, token, f"load-{number}") for number in range(_WRITERS)]
    for writer in writers:
        assert writer.stdout is not None
        names += [writer.stdout.readline().strip() for _ in range(20)]
    yield names
    for writer in writers:
        names += writer.communicate()[0].split()


def test_what_is_printed_ends_in_a_server_that_keeps_its_secrets(served: Podman) -> None:
    """It is initialised and opened in its container; stopped under writes it loses none, and the next container has all."""
    assert _health(served) == "501"
    said = served.types(_RUN.commands[2])
    keys = re.findall(r"^Unseal Key \d: (\S+)", said, re.MULTILINE)
    (token,) = re.findall(r"^Initial Root Token: (\S+)", said, re.MULTILINE)
    assert _health(served) == "503"
    _unseals(served, keys)
    assert _health(served) == "200"
    typed = "podman exec --env VAULT_TOKEN coffre vaultctl"
    served.types(f"{typed} secrets enable -path=secret -version=2 kv", VAULT_TOKEN=token)
    served.types(f"{typed} kv put secret/billing password=correct-horse", VAULT_TOKEN=token)
    with _written(served, token) as names:
        served.types(_REPLACE.commands[0])
    assert _ended(served) == ("exited", 0)
    log = served.types("podman logs coffre 2>&1")
    assert "secret/data/billing" in log, "no audit record on stdout"
    assert not [secret for secret in ("correct-horse", token, *keys) if secret in log]
    served.types(_REPLACE.commands[1])
    for command in _RUN.commands[:2]:
        served.types(command)
    assert _health(served) == "503"
    _unseals(served, keys)
    kept = served.types(f"{typed} kv get -field=password secret/billing", VAULT_TOKEN=token)
    assert kept.strip() == "correct-horse"
    with served.client("read", _CERTIFICATE, token) as reader:
        found = reader.communicate("\n".join(names))[0].split()
    assert found == names


def test_a_stop_while_a_client_keeps_a_request_open_ends_the_server_in_its_own_time(served: Podman) -> None:
    """Its ten seconds are within what is printed, and are not within what Podman gives by itself."""
    with served.client("hold", _CERTIFICATE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "held\n"
        done = served.tried(_REPLACE.commands[0])
    assert (done.returncode, done.stderr) == (0, "")
    assert _ended(served) == ("exited", 0)
    assert "requests took too long and were cut off: count=1" in served.types("podman logs coffre 2>&1")


def test_it_is_healthy_while_it_answers_and_only_then(served: Podman) -> None:
    """SIGSTOP is as near to a loop that hangs as can be had."""
    check = "podman healthcheck run coffre"
    assert check in _RUN.text
    assert (served.tried(check).returncode, _inspected(served)["State"]["Health"]["Status"]) == (0, "healthy")
    served.types("podman kill --signal STOP coffre")
    told = served.tried(check)
    assert (told.returncode, told.stdout) == (1, "unhealthy\n")
    assert "does not answer" in _inspected(served)["State"]["Health"]["Log"][-1]["Output"]
    served.types("podman kill --signal CONT coffre")
    assert (served.tried(check).returncode, _inspected(served)["State"]["Health"]["Status"]) == (0, "healthy")
    assert served.tried("podman stop coffre").returncode == 0
    assert served.tried(check).returncode != 0


def test_it_says_what_it_is_and_has_no_rights(served: Podman) -> None:
    found = _inspected(served)
    assert found["Config"]["User"] == "10001:10001"
    assert found["Config"]["Healthcheck"]["Test"] == ["CMD", "vaultctl", "server", "-check-health"]
    labels = found["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "coffre"
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.licenses"] == "EUPL-1.2 AND Apache-2.0"
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    status = served.types("podman exec coffre cat /proc/1/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {*fields["Uid"].split(), *fields["Gid"].split()} == {"10001"}
    assert {int(fields[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {0}
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    assert served.types("podman exec coffre stat -c '%u:%g %a' /etc/coffre/tls.key") == "0:10001 640\n"
    assert served.types("podman exec coffre stat -c '%u:%g %a' /data") == "10001:10001 700\n"
    for place in ("/", "/etc/coffre/", "/opt/coffre/"):
        assert "Read-only file system" in served.tried(f"podman exec coffre touch {place}new").stderr


def test_its_bill_of_materials_lists_every_distribution_that_python_finds_there(site: Podman) -> None:
    script = (
        "import importlib.metadata as m, json, sys;"
        " json.dump([[d.name, d.version] for d in m.distributions()], sys.stdout)"
    )
    inside = "podman run --rm --entrypoint"
    installed = json.loads(site.types(f"{inside} /opt/coffre/bin/python coffre -c '{script}'"))
    bill = json.loads(site.types(f"{inside} cat coffre /opt/coffre/bill-of-materials.cdx.json"))
    listed = {
        (part["name"], part["version"]) for part in [*bill["components"], bill["metadata"]["component"]]
    }
    assert listed == {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in installed}
    assert len(listed) > 25

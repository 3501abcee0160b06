# SPDX-License-Identifier: EUPL-1.2
"""The chart: Helm's own library finds nothing to say of it, and what it makes fits the schemas of Kubernetes."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema_rs import Registry, validator_for

from tests.house.tree import ROOT
from tests.integration.processes import certificate
from tests.integration.test_login_guide import blocks
from vault import __version__
from vault.server.__main__ import run
from vault.storage.postgres.url import parse

CHART = ROOT / "deploy" / "helm" / "coffre"
CLIENTS = ROOT / ".venv" / "clients"
_SCHEMAS = next((CLIENTS / "kubernetes_validate" / "kubernetes-json-schema").glob("*"), Path())
_IMAGE: dict[str, Any] = {"image": {"repository": "registry.example/coffre"}}
_POSTGRES = {
    "kind": "postgresql",
    "postgresql": {"connectionUrl": "postgresql://c@db:5432/c", "secretName": "db"},
}
_UNFIT = (
    "postgresql://c:s@db/c",
    "postgresql://c@d:s@db/c",
    "postgresql://c@db/c?password=s",
    "postgresql://c@db/c?host=/run&password=s",
    "postgresql://c@db/c?pass%77ord=s",
    "postgresql://c@db/c?sslpassword=s",
    "postgresql://c@db/c#s",
    "postgresql://db/c",
    "host=db password=s",
    "postgresql://c@db/c\npassword=s",
)
"""With a password in one way or another, or what the server refuses."""
_HSM = {
    "volumes": [{"name": "module", "emptyDir": {}}],
    "volumeMounts": [{"name": "module", "mountPath": "/hsm", "readOnly": True}],
    "initContainers": [{"name": "vendor", "image": "vendor.example/pkcs11:1"}],
    "containers": [{"name": "proxy", "image": "vendor.example/proxy:1"}],
    "env": [{"name": "MODULE_CONFIG", "value": "/hsm/config"}],
}
(_GUIDED,) = (
    yaml.safe_load(text)
    for text in blocks("yaml", (ROOT / "docs" / "kubernetes.md").read_text())["On the server"]
)
"""What the guide to secrets in Kubernetes would have in the values."""
_VALUES: dict[str, dict[str, Any]] = {
    "sqlite": _IMAGE,
    "postgresql": {**_IMAGE, "storage": _POSTGRES, "replicas": 5},
    "hsm": {**_IMAGE, **_HSM},
    "plain": {**_IMAGE, "tls": {"disable": True}},
    "reviewer": {
        **_IMAGE,
        "serviceAccount": {"reviewsTokens": True, "annotations": {"a": "b"}},
        "networkPolicy": {"from": [{"namespaceSelector": {"matchLabels": {"uses": "coffre"}}}]},
        "podDisruptionBudget": {"maxUnavailable": "50%"},
        "service": {"type": "LoadBalancer", "port": 443, "annotations": {"c": "d"}},
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {"disk": "fast"},
        "affinity": {"nodeAffinity": {}},
        "podLabels": {"e": "f"},
        "podAnnotations": {"g": "h"},
        "priorityClassName": "high",
    },
    "guide": {**_IMAGE, **_GUIDED},
}
_HELM = """
import json, sys
import helm_python as helm
values = json.loads(sys.argv[2])
with helm.Chart.load(sys.argv[1]) as chart:
    made = chart.render(values, name="vault", namespace="safe")
print(json.dumps({"lint": helm.lint(sys.argv[1], values, strict=True), "made": made}))
"""


def _helm(values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Have Helm look at the chart, and make what it makes: in a process of its own, for it is Go's."""
    return subprocess.run(
        [sys.executable, "-c", _HELM, CHART, json.dumps(values)],
        env={"PYTHONPATH": str(CLIENTS), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )


@cache
def _answer(name: str) -> dict[str, Any]:
    done = _helm(_VALUES[name])
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _made(name: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What the chart makes, by kind and name."""
    texts = [text for file, text in _answer(name)["made"].items() if file.endswith(".yaml")]
    documents = [each for text in texts for each in yaml.safe_load_all(text) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


def _server(name: str) -> dict[str, Any]:
    (server,) = [each for (kind, _), each in _made(name).items() if kind in {"StatefulSet", "Deployment"}]
    return server


@cache
def _registry() -> Registry:
    shared = json.loads((_SCHEMAS / "_definitions.json").read_text())
    return Registry([("file:///api/_definitions.json", shared)])


def validate(document: dict[str, Any]) -> None:
    """Hold a document against the schema of its kind. Fails with what does not fit."""
    group, _, version = document["apiVersion"].rpartition("/")
    parts = (document["kind"].lower(), group.partition(".")[0], version)
    file = "-".join(part for part in parts if part)
    schema = json.loads((_SCHEMAS / f"{file}.json").read_text())
    validator = validator_for({**schema, "$id": f"file:///api/{file}.json"}, registry=_registry())
    assert [error.message for error in validator.iter_errors(document)] == [], file


@pytest.mark.parametrize("name", _VALUES)
def test_helm_has_nothing_to_say_of_it(name: str) -> None:
    assert _answer(name)["lint"] == {"total_charts_linted": 1, "messages": [], "errors": []}


@pytest.mark.parametrize("name", _VALUES)
def test_what_it_makes_fits_the_schemas_of_kubernetes(name: str) -> None:
    for document in _made(name).values():
        validate(document)


@pytest.mark.parametrize("name", _VALUES)
def test_the_pod_has_no_more_rights_than_the_restricted_profile_of_pods(name: str) -> None:
    pod = _server(name)["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    ours = pod["containers"][0]["securityContext"]
    assert ours == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is (name == "reviewer")


@pytest.mark.parametrize("name", _VALUES)
def test_the_server_takes_the_configuration_that_it_makes(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is mounted there lies elsewhere here."""
    config = _made(name)["ConfigMap", "vault-coffre"]["data"]["config.hcl"]
    certificate(tmp_path, "tls")
    (tmp_path / "password").write_text("p")
    (tmp_path / "password").chmod(0o600)
    (tmp_path / "ca.crt").write_bytes((tmp_path / "tls.crt").read_bytes())
    for there in ("/data", "/etc/coffre-tls", "/etc/coffre-database"):
        config = config.replace(there, str(tmp_path))
    (tmp_path / "config.hcl").write_text(config)
    code = run(["-test-config", f"-config={tmp_path / 'config.hcl'}"], {}, None)
    assert code in {0, 2}, capsys.readouterr().out


def test_the_guide_to_secrets_lets_those_in_who_ask_from_other_namespaces() -> None:
    policy = _made("guide")["NetworkPolicy", "vault-coffre"]["spec"]
    own, others = policy["ingress"][0]["from"]
    assert own == {"podSelector": {}}
    (names,) = others["namespaceSelector"]["matchExpressions"]
    assert "external-secrets" in names["values"]


def test_one_server_keeps_a_volume_and_several_share_a_database() -> None:
    one, several = _server("sqlite"), _server("postgresql")
    assert (one["kind"], one["spec"]["replicas"]) == ("StatefulSet", 1)
    assert one["spec"]["volumeClaimTemplates"][0]["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert (several["kind"], several["spec"]["replicas"]) == ("Deployment", 5)
    assert ("Service", "vault-coffre-internal") in _made("postgresql")


def test_whoever_is_named_may_ask_beside_pods_of_the_same_namespace() -> None:
    others = [{"namespaceSelector": {"matchLabels": {"uses": "coffre"}}}]
    for name, peers in (("sqlite", []), ("reviewer", others)):
        (rule,) = _made(name)["NetworkPolicy", "vault-coffre"]["spec"]["ingress"]
        assert rule["from"] == [{"podSelector": {}}, *peers]


def test_only_an_account_of_its_own_has_others_tokens_reviewed_and_when_it_is_asked_for() -> None:
    asked = [name for name in _VALUES if any(kind == "ClusterRoleBinding" for kind, _ in _made(name))]
    assert asked == ["reviewer"]
    bound = _made("reviewer")["ClusterRoleBinding", "safe-vault-coffre"]
    assert bound["subjects"] == [{"kind": "ServiceAccount", "name": "vault-coffre", "namespace": "safe"}]


@pytest.mark.parametrize("name", _VALUES)
def test_its_notes_are_commands_for_the_server_that_it_makes(name: str) -> None:
    """Certificates are of services' names, which nobody resolves at the other end of a port-forward."""
    (notes,) = [text for file, text in _answer(name)["made"].items() if file.endswith("NOTES.txt")]
    assert f"{_server(name)['kind'].lower()}/vault-coffre 8200" in notes
    if name == "plain":
        assert "VAULT_ADDR=http://127.0.0.1:8200\n" in notes
        assert "CACERT" not in notes
    else:
        assert "get secret coffre-tls -o jsonpath='{.data.ca\\.crt}' | base64 -d > coffre-ca.crt\n" in notes
        assert "VAULT_ADDR=https://127.0.0.1:8200 VAULT_CACERT=coffre-ca.crt" in notes
        assert "export VAULT_TLS_SERVER_NAME=vault-coffre.safe.svc\n" in notes


def test_a_sealed_server_lives_and_is_not_asked() -> None:
    container = _server("sqlite")["spec"]["template"]["spec"]["containers"][0]
    alive = ["vaultctl", "server", "-check-health"]
    assert (
        container["livenessProbe"]["exec"]["command"] == container["startupProbe"]["exec"]["command"] == alive
    )
    assert container["readinessProbe"]["httpGet"] == {
        "path": "/v1/sys/health",
        "port": "api",
        "scheme": "HTTPS",
    }


def test_the_charts_version_is_the_servers() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__


def _database(url: str) -> dict[str, Any]:
    return {"kind": "postgresql", "postgresql": {"connectionUrl": url, "secretName": "db"}}


@pytest.mark.parametrize("url", ["postgres://c@db/c", "postgresql://c@/c?host=/run/postgresql"])
def test_an_address_of_a_database_that_the_server_takes_is_taken(url: str) -> None:
    parse(url)
    assert _helm({**_IMAGE, "storage": _database(url)}).returncode == 0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "image.repository names the image"),
        ({**_IMAGE, "storge": {}}, "storge"),
        ({**_IMAGE, "storage": {"kind": "postgresql"}}, "connectionUrl says where"),
        (
            {**_IMAGE, "serviceAccount": {"create": False, "reviewsTokens": True}},
            "serviceAccount.name names an account",
        ),
        *(({**_IMAGE, "storage": _database(url)}, "connectionUrl") for url in _UNFIT),
    ],
)
def test_values_that_cannot_be_meant_are_refused(values: dict[str, Any], says: str) -> None:
    done = _helm(values)
    assert done.returncode != 0
    assert says in done.stderr

# SPDX-License-Identifier: EUPL-1.2
"""`make conformance`: judges Coffre and the real OpenBao, each new and on loopback, and writes their reports."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from esa_conformance import SPEC
from esa_conformance.cli import main as suite
from esa_conformance.report.page import page
from esa_conformance.report.readme import readme
from esa_conformance.report.verification import read_report
from tests.conformance.wire import send
from tests.conformance_suite.judging import CLAIM, artefacts_of, prepare
from tests.conformance_suite.secured import CERTIFICATE, Secured, SecuredCoffre, SecuredOpenBao

REPORTS = Path(__file__).parents[2] / "api-spec" / "reports" / SPEC
_MANIFEST = """# What `make conformance` has judged, its own folder at `handed-over`. Secrets are in the environment.
spec = "1.0"
claim = {claim}
allow = ["read-only", "mutating", "disruptive"]

[implementation]
organization = "{organization}"
project = "{kind}"
url = "{url}"
version = "{version}"

[target]
address = "https://127.0.0.1:{port}"
ca_file = "handed-over/{certificate}"
expect = {{ cluster_id = "{cluster}" }}

[credentials]
kv = "env:ESA_TOKEN"
admin = "env:ESA_TOKEN"

[hooks]
seal_key = "env:ESA_SEAL_KEY"
openssl = "openssl"

[artefacts]
{artefacts}

[limits]
rps = 500
"""
_STEPS = {
    "coffre": """# a new server with TLS, one unseal key, a `log`, `discovery { environment = "test" }`, and a KV mount `secret` of version 2; in the
# manifest its address, certificate, cluster and key of checkpoints, and at `handed-over` its folder with the log
export ESA_TOKEN=... ESA_SEAL_KEY=...
vaultctl conformance run --manifest manifest.toml --report report.json --html report.html
# or, in a checkout, everything at once:
make conformance""",
    "openbao": """# a new server with TLS, one unseal key, an audit device of type file, and a KV mount `secret` of version 2; in the manifest its
# address, certificate and cluster, and at `handed-over` the folder with the device's file
export ESA_TOKEN=... ESA_SEAL_KEY=...
python esa-conformance.zip run --manifest manifest.toml --report report.json --html report.html
# or, in a checkout of Coffre, everything at once:
make conformance""",
}
_MAKERS = {
    "coffre": ("Coffre", "https://coffre.example"),
    "openbao": ("OpenBao", "https://openbao.org"),
}


def main() -> int:
    """Write both reports and the page with both; the exit code is the worst of the runs."""
    codes, reports = [], []
    for kind in (SecuredCoffre, SecuredOpenBao):
        server: Secured = kind()
        try:
            prepare(server)
            code, folder = _judged(server)
        finally:
            server.stop()
        codes.append(code)
        reports.append(read_report(folder / "report.json"))
    (REPORTS / "comparison.html").write_text(page(reports), encoding="utf-8")
    return max(codes)


def _judged(server: Secured) -> tuple[int, Path]:
    """Judge a server that is prepared: the exit code, and the folder with the report."""
    health: Any = send(server.port, "GET", "/v1/sys/health", {}, None).json()
    version = health.get("coffre_version", health["version"])
    folder = REPORTS / server.kind / version
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    organization, url = _MAKERS[server.kind]
    manifest = _MANIFEST.format(
        claim=list(CLAIM), organization=organization, url=url, kind=server.kind, version=version, port=server.tls_port,
        certificate=CERTIFICATE, cluster=health["cluster_id"], artefacts=artefacts_of(server, "handed-over"),
    ).replace("'", '"')  # fmt: skip
    (folder / "handed-over").symlink_to(server.directory)
    (folder / "manifest.toml").write_text(manifest, encoding="utf-8")
    os.environ.update(ESA_TOKEN=server.root, ESA_SEAL_KEY=server.share)
    report = folder / "report.json"
    code = suite([
        "run", "--manifest", str(folder / "manifest.toml"), "--journal", str(server.directory / "journal"),
        "--report", str(report), "--html", str(folder / "report.html"),
        *(["--sign-key", os.environ["SIGN_KEY"]] if os.environ.get("SIGN_KEY") else []),
    ])  # fmt: skip
    (folder / "handed-over").unlink()
    (folder / "README.md").write_text(readme(read_report(report), _STEPS[server.kind]), encoding="utf-8")
    return code, folder


if __name__ == "__main__":
    sys.exit(main())

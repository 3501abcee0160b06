# SPDX-License-Identifier: EUPL-1.2
"""Why a Biscuit is refused: asked by an operator, and by its holder, who learns nothing of other tokens."""

from typing import Any

from tests.routes.issuer import DB, OTHER, READS, TO_DB, Issuer


def test_an_explanation_says_what_the_checks_of_a_narrowed_token_refuse(issuer: Issuer) -> None:
    narrow = issuer.narrow(issuer.issue(), TO_DB, READS)

    def verdicts(path: str) -> list[dict[str, Any]]:
        body = {"path": path, "token": narrow, "capabilities": "read,update,delete"}
        found: list[dict[str, Any]] = issuer.root("sys/internal/policies/explain", body)["data"]["verdicts"]
        return found

    def said(path: str) -> dict[str, tuple[bool, str]]:
        return {one["capability"]: (one["allowed"], one["missing"]) for one in verdicts(path)}

    checks = "which the credential's own checks refuse"
    assert said(DB) == {
        "read": (True, ""),
        "update": (False, f"update, {checks}"),
        "delete": (False, "delete; the credential's own checks refuse it, too"),
    }
    assert said(OTHER)["read"] == (False, f"read, {checks}")
    assert [one["grant"] for one in verdicts(DB)] == ["", "", ""]  # no rule would help against a check


def test_a_narrowed_token_explains_its_own_refusals_and_nobody_elses(issuer: Issuer) -> None:
    explain = "sys/internal/policies/explain"
    issuer.root(
        "sys/policies/acl/auditor", {"policy": f'path "{explain}" {{ capabilities = ["update", "sudo"] }}'}
    )
    issuer.root("nhi/registrations/r1", {"policies": "app,auditor"})
    token = issuer.issue()
    narrow = issuer.narrow(token, TO_DB, READS)
    asked = {"path": OTHER, "capabilities": "read"}
    (said,) = issuer.application.request("POST", f"/v1/{explain}", asked, token=narrow).json()["data"][
        "verdicts"
    ]
    assert (said["allowed"], said["missing"]) == (False, "read, which the credential's own checks refuse")
    for other in ({"token": token}, {"accessor": "x"}, {"policies": "app"}, {"policies": ""}):
        assert issuer.status(narrow, explain, "POST", {**asked, **other}) == 403, other
    assert issuer.status(token, explain, "POST", {**asked, "policies": "app"}) == 200
    past = issuer.narrow(token, "check if time($t), $t < 2020-01-01T00:00:00Z;")
    assert issuer.status(past, explain, "POST", asked) == 403

# SPDX-License-Identifier: EUPL-1.2
"""sys/capabilities, capabilities-self, capabilities-accessor and resultant-acl."""

from tests.conformance.scenario import Scenario, get, login, policy, post
from tests.conformance.scenarios.acl import rule

W = "{w}"
PATHS = ["cap/a", "cap/b", "cap/c/d", "cap/x/y", "cap/", "cap", "cap/none/deep", "sys/seal", "cap/t"]

MAKE = [
    policy(
        "cap",
        rule("cap/a", "create", "read", "update", "delete", "list", "scan", "patch", "sudo")
        + rule("cap/b", "deny")
        + rule("cap/c/*", "read", "list")
        + rule("cap/+/y", "update")
        + rule("cap/t", "update", more='allowed_parameters = { "a" = [] }\n min_wrapping_ttl = "1m"')
        + rule("sys/capabilities*", "update"),
    ),
    login("w", "cap", "cap-absent"),
]

ASKED = MAKE + [
    post("sys/capabilities", {"token": W, "paths": PATHS}),
    post("sys/capabilities-self", {"paths": PATHS}, token=W),
    post("sys/capabilities-accessor", {"accessor": "{w_acc}", "paths": PATHS}),
    post("sys/capabilities-self", {"paths": ["cap/a"]}, token=W),
    post("sys/capabilities-self", {"path": "cap/a"}, token=W),
    post("sys/capabilities-self", {"path": "cap/a,cap/b"}, token=W),
    post("sys/capabilities-self", {"path": ["cap/a", "cap/b"]}, token=W),
    post("sys/capabilities-self", {"paths": "cap/a"}, token=W),
    post("sys/capabilities-self", {"paths": ["cap/a", "cap/a"]}, token=W),
    post("sys/capabilities-self", {"paths": ["/cap/a", "cap//a"]}, token=W),
    post("sys/capabilities-self", {"paths": ["cap/a"], "path": ["cap/b"]}, token=W),
    post("sys/capabilities-self", {}, token=W),
    post("sys/capabilities-self", {"paths": []}, token=W),
    post("sys/capabilities-self", {"paths": [""]}, token=W),
    post("sys/capabilities-self", {"paths": ["data", "capabilities"]}, token=W),
    post("sys/capabilities-self", {"paths": ["cap/a"]}),
    post("sys/capabilities-self", {"paths": ["cap/a"]}, token=""),
    post("sys/capabilities-self", {"paths": ["cap/a"]}, token="bad"),
    post("sys/capabilities", {"token": "bad", "paths": ["cap/a"]}),
    post("sys/capabilities", {"token": "", "paths": ["cap/a"]}, divergence="DV-07"),
    post("sys/capabilities", {"paths": ["cap/a"]}, divergence="DV-07"),
    post("sys/capabilities", {"token": W}),
    login("b", "cap", type="batch"),
    post("sys/capabilities", {"token": "{b}", "paths": PATHS}),
    post("sys/capabilities-self", {"paths": PATHS}, token="{b}"),
    post("sys/capabilities", {"token": "b.bad", "paths": ["cap/a"]}),
    post("sys/capabilities", {"token": "{root}", "paths": ["cap/a", "x"]}),
    post("sys/capabilities", {"token": W, "paths": ["cap/a"]}, token=W),
    post("sys/capabilities-accessor", {"accessor": "bad", "paths": ["cap/a"]}),
    post("sys/capabilities-accessor", {"paths": ["cap/a"]}),
    post("sys/capabilities-accessor", {"accessor": "{w_acc}"}),
]

RESULTANT = MAKE + [
    get("sys/internal/ui/resultant-acl", token=W),
    get("sys/internal/ui/resultant-acl"),
    policy(
        "cap-ui",
        rule("sys/internal/ui/resultant-acl", "read") + rule("a/*", "read", "deny") + rule("b/+/c", "list"),
    ),
    login("v", "cap-ui", "cap"),
    get("sys/internal/ui/resultant-acl", token="{v}"),
    get("sys/internal/ui/resultant-acl", token=""),
    get("sys/internal/ui/resultant-acl", token="bad"),
]

SCENARIOS = [
    Scenario("capabilities", "asked", ASKED),
    Scenario("capabilities", "resultant-acl", RESULTANT),
]

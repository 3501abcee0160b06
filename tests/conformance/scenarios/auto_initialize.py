# SPDX-License-Identifier: EUPL-1.2
"""A vault that sets itself up, by the requests of its configuration."""

from tests.conformance.scenario import Scenario, get, post, restart
from tests.conformance.scenarios.auto_unseal import OURS, STATIC, ask

FIRST = """
initialize "access" {
  request "userpass" {
    operation = "update"
    path      = "sys/auth/userpass"
    data      = { type = "userpass", description = "people" }
  }
  request "policy" {
    operation = "create"
    path      = "sys/policies/acl/all"
    data {
      policy = "path \\"*\\" { capabilities = [\\"create\\", \\"read\\", \\"update\\", \\"list\\", \\"sudo\\"] }"
    }
  }
  request "ada" {
    operation = "update"
    path      = "auth/userpass/users/ada"
    data      = { password = "opensesame", token_policies = ["all"], token_ttl = 3600 }
  }
}
initialize "content" {
  request "missing" {
    operation     = "update"
    path          = "sys/mounts/none"
    data          = { type = "nope" }
    allow_failure = true
  }
  request "kv" {
    operation = "update"
    path      = "sys/mounts/first"
    data      = { type = "kv" }
  }
  request "hash" {
    operation = "update"
    path      = "sys/tools/hash/sha2-256"
    data      = { input = "aGVsbG8=" }
  }
  request "kept" {
    operation = "update"
    path      = "first/hash"
    data = {
      sum = {
        eval_type       = "string"
        eval_source     = "response"
        initialize_name = "content"
        response_name   = "hash"
        field_selector  = ["data", "sum"]
      }
      also = {
        eval_type   = "string"
        eval_source = "env"
        env_var     = "COFFRE_NOT_SET"
      }
    }
  }
  request "mounts" {
    operation = "list"
    path      = "first"
  }
}
"""

UP = [
    ask("GET", "sys/seal-status", settle_on='"sealed":false', extra=OURS),
    post(
        "auth/userpass/login/ada",
        {"password": "opensesame"},
        token="",
        settle=200,
        save=("ada:auth.client_token",),
    ),
    ask("GET", "sys/init"),
    ask("POST", "sys/init", {"recovery_shares": 1, "recovery_threshold": 1}),
    get("first/hash", token="{ada}"),
    get("sys/mounts/first", token="{ada}", shape=3),
    get("sys/mounts/none", token="{ada}"),
    get("sys/auth/userpass", token="{ada}"),
    get("auth/userpass/users/ada", token="{ada}"),
    get("sys/policies/acl/all", token="{ada}"),
    get("sys/internal/counters/tokens", token="{ada}"),
    get("sys/rotate/recovery/init", token="{ada}"),
]
AGAIN = [
    restart(STATIC + FIRST),
    *UP[:5],
    restart(STATIC + FIRST.replace("first", "second")),
    *UP[:5],
]

SCENARIOS = [
    Scenario("initialize", "once", [*UP, *AGAIN], fresh=True, lasting=True, seal=STATIC + FIRST),
]

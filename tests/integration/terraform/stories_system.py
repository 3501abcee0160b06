# SPDX-License-Identifier: EUPL-1.2
"""Lives of policies, namespaces, quotas, audit devices and settings of the server."""

from collections.abc import Sequence
from pathlib import Path

from tests.integration.terraform.calls import Client
from tests.integration.terraform.stories import Known, Story, patched, wrote
from tests.integration.terraform.stories_secrets import mounted
from tests.integration.terraform.system import (
    AUDIT_HEADER,
    CORS,
    PASSWORD_POLICY,
    QUOTA_CONFIG,
    RATE_LIMIT,
    Audit,
    Namespace,
    Policy,
)

_POLICY = 'path "secret/*" {\n  capabilities = ["read", "list"]\n}\n'
_RULES = """length = 20
rule "charset" {
  charset = "abcdefghijklmnopqrstuvwxyz"
  min-chars = 1
}
"""


def _folder(client: Client) -> Known:
    """The folder of the server's files: where its audit log is."""
    found = client.read("sys/audit")
    assert found is not None
    return {"folder": str(Path(found["data"]["file/"]["options"]["file_path"]).parent)}


STORIES: Sequence[Story] = (
    Story(
        resource=Policy(),
        first={"name": "tf-policy", "policy": _POLICY},
        second={"name": "tf-policy", "policy": _POLICY + "# more\n"},
        drift=wrote(
            "sys/policies/acl/tf-policy", {"policy": 'path "theirs" {\n  capabilities = ["deny"]\n}\n'}
        ),
        drifted=("policy",),
        empties=("policy",),
    ),
    Story(
        resource=Policy(),
        note="JSON, with a slash and capitals",
        first={"name": "tf/policy-json", "policy": '{"path":{"secret/*":{"capabilities":["read"]}}}'},
        second={"name": "tf/policy-json", "policy": '{"path":{"secret/*":{"capabilities":["list"]}}}'},
        empties=("policy",),
    ),
    Story(
        resource=Namespace(),
        first={"path": "tf-space"},
        second={"path": "tf-space", "custom_metadata": {"team": "a"}},
        drift=patched("sys/namespaces/tf-space", {"custom_metadata": {"b": "c"}}),
        drifted=(),
    ),
    Story(
        resource=Namespace(),
        note="with metadata",
        first={"path": "tf-space-two", "custom_metadata": {"team": "a"}},
        second={"path": "tf-space-two", "custom_metadata": {"team": "b"}},
        drift=patched("sys/namespaces/tf-space-two", {"custom_metadata": {"team": "theirs"}}),
        drifted=("custom_metadata",),
    ),
    Story(
        resource=RATE_LIMIT,
        first={"name": "tf-rate", "rate": 1000.5, "path": "", "interval": 2, "block_interval": 0},
        second={"name": "tf-rate", "rate": 2000, "path": "", "interval": 60, "block_interval": 5},
        drift=wrote("sys/quotas/rate-limit/tf-rate", {"rate": 3000}),
        drifted=("rate", "interval", "inheritable"),
    ),
    Story(
        resource=RATE_LIMIT,
        note="of a mount",
        needs=mounted("tf-quota-kv", version="1"),
        first={"name": "tf-rate-mount", "rate": 1000, "path": "tf-quota-kv/"},
        second={
            "name": "tf-rate-mount",
            "rate": 1000,
            "path": "tf-quota-kv/",
            "inheritable": False,
            "interval": 30,
        },
    ),
    Story(
        resource=QUOTA_CONFIG,
        first={
            "rate_limit_exempt_paths": ["sys/health", "sys/seal-status"],
            "enable_rate_limit_audit_logging": True,
        },
        second={
            "rate_limit_exempt_paths": ["sys/health"],
            "enable_rate_limit_response_headers": True,
            "enable_rate_limit_audit_logging": False,
        },
        lasts=True,
        empties=("rate_limit_exempt_paths", "enable_rate_limit_audit_logging"),
    ),
    Story(
        resource=Audit(),
        needs=_folder,
        first=lambda known: {
            "path": "tf-audit",
            "type": "file",
            "description": "theirs",
            "options": {"file_path": f"{known['folder']}/tf-audit.log"},
        },
    ),
    Story(
        resource=AUDIT_HEADER,
        first={"name": "X-Tf-Header", "hmac": True},
        second={"name": "X-Tf-Header", "hmac": False},
        imports=False,
    ),
    Story(
        resource=PASSWORD_POLICY,
        first={"name": "tf-words", "policy": _RULES},
        second={"name": "tf-words", "policy": _RULES.replace("20", "24")},
        drift=wrote("sys/policies/password/tf-words", {"policy": _RULES.replace("20", "30")}),
        drifted=("policy",),
    ),
    Story(
        resource=CORS,
        first={"allowed_origins": ["https://one.example"]},
        second={
            "allowed_origins": ["https://one.example", "https://two.example"],
            "allowed_headers": ["X-Own"],
        },
        drift=wrote("sys/config/cors", {"allowed_origins": ["*"]}),
        drifted=("allowed_origins",),
        lasts=True,
        empties=("allowed_origins",),
    ),
)

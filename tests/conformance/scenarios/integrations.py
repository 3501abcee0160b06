# SPDX-License-Identifier: EUPL-1.2
"""What the software around a vault asks when it starts, and then again and again: one scenario for each of them.

The calls are those of the clients' own code, in their verbs and with their headers: Go's client writes with PUT,
lists with ``GET ?list=true`` and marks every request; hvac and the others write with POST.
"""

from collections.abc import Sequence

from tests.conformance.scenario import MERGE, ROOT, Scenario, Step, get, login, policy, post, put, step

GO = {"X-Vault-Request": "true"}
"""What Go's client sends with every request."""
JAVA = {"X-Vault-Request": "true", "Content-Type": "application/json"}
AUTH = tuple(f"auth.{name}" for name in ("lease_duration", "renewable", "policies", "token_type", "orphan"))
SELF = tuple(
    f"data.{name}"
    for name in ("type", "renewable", "policies", "path", "orphan", "num_uses", "display_name", "period")
)
SELF_SHAPE = 2
DATES = ("data.current_version", "data.custom_metadata", "data.delete_version_after", "data.cas_required")


def ready(name: str, rules: str) -> list[Step]:
    """Lets `name` in through AppRole, at a mount of its own, with a KV v2 of its own and these rules."""
    return [
        post(f"sys/mounts/{name}-kv", {"type": "kv", "options": {"version": "2"}}),
        post(f"{name}-kv/data/app", {"data": {"user": "ada", "password": "x"}}, settle=200, pick=("errors",)),
        policy(name, rules),
        post(f"sys/auth/{name}", {"type": "approle"}),
        post(
            f"auth/{name}/role/r",
            {"role_id": f"{name}-id", "token_policies": [name], "token_ttl": "20m", "token_max_ttl": "1h"},
        ),
        post(f"auth/{name}/role/r/custom-secret-id", {"secret_id": f"{name}-secret"}),
    ]


def enter(name: str, *, verb: str = "PUT", headers: dict[str, str] = GO) -> Step:
    """Logs in as `name` does, and keeps the token as `t`."""
    body = {"role_id": f"{name}-id", "secret_id": f"{name}-secret"}
    return step(
        verb,
        f"auth/{name}/login",
        body,
        token="",
        headers=headers,
        pick=AUTH,
        save=("t:auth.client_token", "acc:auth.accessor"),
    )


def own(steps: Sequence[Step], headers: dict[str, str] = GO) -> list[Step]:
    """The steps with the integration's own token and headers, where they have none."""
    return [
        Step(
            **{
                **{name: getattr(one, name) for name in one.__dataclass_fields__},
                "token": "{t}" if one.token == ROOT else one.token,
                "headers": {**headers, **one.headers},
            }
        )
        for one in steps
    ]


def lookup_self(**options: object) -> Step:
    """What a client asks of its token."""
    return get("auth/token/lookup-self", **{"pick": SELF, **options})


def rules(name: str, more: str = "") -> str:
    """Everything below the integration's own KV, and what `more` says."""
    every = '["create", "read", "update", "patch", "delete", "list"]'
    return f'path "{name}-kv/*" {{ capabilities = {every} }}\n{more}'


ESO = "eso"
EXTERNAL_SECRETS = [
    *ready(ESO, rules(ESO)),
    enter(ESO),
    *own(
        [
            lookup_self(),
            lookup_self(pick=(), shape=SELF_SHAPE),
            get("eso-kv/data/app", shape=3),
            get("eso-kv/data/app?version=1", shape=3),
            get("eso-kv/data/app?version=7"),
            get("eso-kv/data/none"),
            get("eso-kv/metadata/app", pick=DATES),
            get("eso-kv/metadata/?list=true"),
            get("eso-kv/metadata?list=true"),
            get("eso-kv/metadata/none"),
            put("eso-kv/metadata/pushed", {"custom_metadata": {"managed-by": "external-secrets"}}),
            put("eso-kv/data/pushed", {"data": {"a": "b"}, "options": {"cas": 0}}, shape=3),
            put("eso-kv/data/pushed", {"data": {"a": "c"}, "options": {"cas": 0}}),
            put("eso-kv/data/pushed", {"data": {"a": "c"}, "options": {"cas": 1}}, shape=3),
            get("eso-kv/metadata/pushed", pick=DATES),
            step("DELETE", "eso-kv/data/pushed"),
            get("eso-kv/data/pushed", shape=3),
            step("DELETE", "eso-kv/metadata/pushed"),
            put("auth/token/revoke-self"),
            lookup_self(pick=()),
        ]
    ),
]

ESO2 = "eso2"
EXTERNAL_SECRETS_OPENBAO = [
    *ready(ESO2, rules(ESO2, 'path "sys/mounts/eso2-kv" { capabilities = ["read"] }')),
    post("sys/auth/eso2-users", {"type": "userpass"}),
    post("auth/eso2-users/users/ada", {"password": "pw", "token_policies": ["eso2"]}),
    put("auth/eso2-users/login/ada", {"password": "pw"}, token="", headers=GO, pick=AUTH),
    put("auth/eso2-users/login/ada", {"password": "no"}, token="", headers=GO),
    enter(ESO2),
    *own(
        [
            get("sys/mounts/eso2-kv", pick=("data.type", "data.options", "type", "options.version")),
            get("sys/mounts/eso2-none"),
            get("eso2-kv/data/app", shape=3),
            get("eso2-kv/metadata?list=true"),
            get("eso2-kv/metadata/app", pick=DATES),
        ]
    ),
]

KV = "kvcli"
COMMAND_LINE = [
    *ready(KV, rules(KV)),
    enter(KV),
    *own(
        [
            get("sys/internal/ui/mounts/kvcli-kv/app", pick=("data.path", "data.type", "data.options")),
            get("sys/internal/ui/mounts/nowhere/app"),
            get("sys/internal/ui/mounts/kvcli-kv"),
            get("kvcli-kv/data/app", shape=3),
            put("kvcli-kv/data/app", {"data": {"a": "1"}, "options": {}}, shape=3),
            step("PATCH", "kvcli-kv/data/app", {"data": {"b": "2"}, "options": {}}, headers=MERGE, shape=3),
            get("kvcli-kv/subkeys/app", shape=3),
            put("kvcli-kv/delete/app", {"versions": ["2"]}),
            put("kvcli-kv/undelete/app", {"versions": ["2"]}),
            put("kvcli-kv/destroy/app", {"versions": ["1"]}),
            get("kvcli-kv/metadata/app", pick=DATES),
            step("DELETE", "kvcli-kv/metadata/app"),
        ]
    ),
]

AGENT = "agent"
AGENT_AND_PROXY = [
    *ready(AGENT, rules(AGENT, 'path "auth/agent/role/r/secret-id" { capabilities = ["update"] }')),
    put(
        "auth/agent/role/r/secret-id",
        headers={**GO, "X-Vault-Wrap-TTL": "60s"},
        pick=("wrap_info.creation_path", "wrap_info.ttl"),
        save=("w:wrap_info.token",),
    ),
    put(
        "sys/wrapping/lookup",
        {"token": "{w}"},
        token="",
        headers=GO,
        pick=("data.creation_path", "data.creation_ttl"),
    ),
    put("sys/wrapping/unwrap", token="{w}", headers=GO, save=("sid:data.secret_id",), shape=2),
    put("sys/wrapping/unwrap", token="{w}", headers=GO),
    put(
        "auth/agent/login",
        {"role_id": "agent-id", "secret_id": "{sid}"},
        token="",
        headers=GO,
        pick=AUTH,
        save=("t:auth.client_token",),
    ),
    *own(
        [
            get("auth/token/lookup-self", pick=SELF),
            put("auth/token/renew-self", {}, pick=AUTH),
            put("auth/token/renew-self", {"increment": 1200}, pick=AUTH),
            get("sys/internal/ui/mounts/agent-kv/app", pick=("data.path", "data.options")),
            get("agent-kv/data/app", shape=3),
            get("agent-kv/data/none"),
            put("sys/leases/renew", {"lease_id": "agent-kv/none", "increment": 0}),
        ]
    ),
]

CSI = "csi"
CSI_PROVIDER = [
    *ready(CSI, rules(CSI)),
    enter(CSI, verb="POST"),
    *own([get("csi-kv/data/app", shape=3), get("csi-kv/data/app?version=1", shape=3)]),
    put("auth/token/revoke", {"token": "{t}"}),
    *own([get("csi-kv/data/app")]),
    enter(CSI, verb="POST"),
    *own([get("csi-kv/data/app", shape=3), get("elsewhere/data/app")]),
]

VSO = "vso"
SECRETS_OPERATOR = [
    *ready(VSO, rules(VSO)),
    post("sys/mounts/vso-one", {"type": "kv"}),
    enter(VSO),
    *own(
        [
            lookup_self(),
            get("vso-kv/data/app", shape=3),
            get("vso-one/app"),
            put("auth/token/renew-self", {}, pick=AUTH),
            put("sys/leases/renew", {"lease_id": "vso-kv/x"}),
            put("sys/leases/revoke", {"lease_id": "vso-kv/x"}),
            get("sys/events/subscribe/kv*"),
            put("auth/token/revoke-self"),
            lookup_self(pick=()),
        ]
    ),
]

CHILD = {
    "display_name": "terraform",
    "ttl": "1200s",
    "explicit_max_ttl": "1200s",
    "renewable": False,
    "num_uses": 0,
    "no_parent": False,
    "policies": None,
}
TERRAFORM = [
    policy("tf", 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'),
    login("tf", "tf"),
    get("auth/token/lookup-self", token="{tf}", headers=GO, pick=SELF),
    put("auth/token/create", CHILD, token="{tf}", headers=GO, pick=AUTH, save=("t:auth.client_token",)),
    get("sys/seal-status", token="", headers=GO, pick=("type", "initialized", "sealed", "version")),
    *own(
        [
            get("sys/mounts/tf-kv"),
            get("sys/mounts/tf-kv/tune"),
            post("sys/mounts/tf-kv", {"type": "kv", "options": {"version": "2"}, "config": {}}),
            get("sys/mounts/tf-kv", pick=("data.type", "data.options", "data.path")),
            get(
                "sys/mounts/tf-kv/tune", pick=("data.default_lease_ttl", "data.max_lease_ttl", "data.options")
            ),
            post("sys/mounts/tf-kv/tune", {"default_lease_ttl": "3600s", "max_lease_ttl": "7200s"}),
            get("sys/mounts/tf-kv/tune", pick=("data.default_lease_ttl", "data.max_lease_ttl")),
            put("tf-kv/data/app", {"data": {"a": "b"}}, shape=3, settle=200),
            get("tf-kv/data/app", shape=3),
            get("tf-kv/metadata/app", pick=DATES),
            put("tf-kv/metadata/app", {"max_versions": 3, "custom_metadata": {"by": "tf"}}),
            get("sys/policies/acl/tf-made"),
            put("sys/policies/acl/tf-made", {"policy": 'path "a" { capabilities = ["read"] }'}),
            get("sys/policies/acl/tf-made", pick=("data.name", "data.policy")),
            get("sys/auth", pick=("data.token/.type",)),
            get("sys/auth/tf-users"),
            post("sys/auth/tf-users", {"type": "userpass", "description": "people"}),
            get("sys/auth/tf-users", pick=("data.type", "data.description")),
            post("sys/auth/tf-users/tune", {"token_type": "default-service"}),
            get("sys/auth/tf-users/tune", pick=("data.token_type",)),
            post("auth/tf-users/users/ada", {"password": "pw"}),
            step("PUT", "sys/namespaces/tf-team", {}, pick=("data.path", "data.custom_metadata")),
            get("sys/namespaces/tf-team", pick=("data.path",)),
            get("sys/namespaces/tf-none"),
            step("DELETE", "sys/namespaces/tf-team", pick=("data",)),
            post("sys/remount", {"from": "tf-kv", "to": "tf-moved"}, save=("m:data.migration_id",), shape=2),
            get("sys/remount/status/{m}", settle_on="success", pick=("data.migration_info",)),
            step("DELETE", "sys/mounts/tf-moved"),
            step("DELETE", "sys/auth/tf-users"),
            step("DELETE", "sys/policies/acl/tf-made"),
            put("auth/token/revoke-self"),
        ]
    ),
]

ANSIBLE = "ansible"
HASHI_VAULT = [
    *ready(ANSIBLE, rules(ANSIBLE)),
    enter(ANSIBLE, verb="POST", headers={}),
    *own(
        [
            lookup_self(),
            get("ansible-kv/data/app", shape=3),
            get("ansible-kv/metadata/?list=True"),
            get("ansible-kv/metadata?list=true"),
            post("ansible-kv/data/made", {"data": {"a": 1}, "options": {"cas": 0}}, shape=3),
            post("ansible-kv/delete/made", {"versions": [1]}),
            step("DELETE", "ansible-kv/data/made"),
            post("auth/token/create", {"policies": ["ansible"], "ttl": "5m"}),
            post("auth/token/create-orphan", {"ttl": "5m"}),
            post("auth/token/revoke-self"),
            lookup_self(pick=()),
        ],
        {},
    ),
    get("auth/token/lookup-self", token="bad"),
]

SPRING = "spring"
SPRING_CLOUD = [
    *ready(SPRING, rules(SPRING)),
    enter(SPRING, verb="POST", headers=JAVA),
    *own(
        [
            lookup_self(),
            get("sys/internal/ui/mounts/spring-kv/app", pick=("data.path", "data.type", "data.options")),
            get("sys/health", pick=("initialized", "sealed", "standby")),
            get("spring-kv/data/app", shape=3),
            get("spring-kv/data/app/prod"),
            post("auth/token/renew-self", pick=AUTH),
            put("sys/leases/renew", {"lease_id": "x", "increment": 60}),
            put("sys/renew", {"lease_id": "x", "increment": 60}),
            put("sys/leases/revoke", {"lease_id": "x"}),
            post("auth/token/revoke-self"),
        ],
        JAVA,
    ),
    put("cubbyhole/response", {"response": "x"}, headers=JAVA),
    get("cubbyhole/response", headers=JAVA),
]

CERT = "certman"
CERT_MANAGER = [
    *ready(CERT, rules(CERT)),
    get("sys/health", token="", headers=GO, pick=("initialized", "sealed", "standby")),
    get("sys/health", token="", headers={**GO, "X-Vault-Namespace": "certman-none"}),
    enter(CERT, verb="POST"),
    *own([lookup_self(), post("certman-pki/sign/web", {"common_name": "a.example", "csr": "x"})]),
]

ACTION = "action"
VAULT_ACTION = [
    *ready(ACTION, rules(ACTION)),
    post("sys/auth/action-users", {"type": "userpass"}),
    post("auth/action-users/users/ci", {"password": "pw", "token_policies": ["action"]}),
    post("auth/action-users/login/ci", {"password": "pw"}, token="", pick=AUTH),
    post("auth/action-jwt/login", {"role": "ci", "jwt": "a.b.c"}, token=""),
    enter(ACTION, verb="POST", headers={}),
    *own([get("action-kv/data/app", shape=3), get("action-kv/data/none"), get("elsewhere/data/x")], {}),
]

JENKINS = "jenkins"
JENKINS_PLUGIN = [
    *ready(JENKINS, rules(JENKINS)),
    enter(JENKINS, verb="POST", headers=JAVA),
    *own(
        [
            lookup_self(),
            get("jenkins-kv/data/app", shape=3),
            get("jenkins-kv/data/none"),
            get("elsewhere/data/app"),
            post("auth/token/renew-self", {"increment": "1h"}, pick=AUTH[1:]),  # as much as is left by then
            put("sys/leases/revoke", {"lease_id": "none"}),
            post("auth/token/revoke-self", {}),
            get("jenkins-kv/data/app"),
        ],
        JAVA,
    ),
    post("auth/jenkins/login", {"role_id": "jenkins-id", "secret_id": "none"}, token="", headers=JAVA),
]

GITLAB = "gitlab"
GITLAB_CI = [
    *ready(GITLAB, rules(GITLAB)),
    post("auth/gitlab-jwt/login", {"role": "ci", "jwt": "a.b.c"}, token=""),
    post("sys/namespaces/gitlab-team", {}, pick=("data.path",)),
    post("sys/mounts/kv", {"type": "kv-v2"}, headers={"X-Vault-Namespace": "gitlab-team"}),
    post(
        "kv/data/app",
        {"data": {"a": "b"}},
        headers={"X-Vault-Namespace": "gitlab-team/"},
        settle=200,
        pick=("errors",),
    ),
    get("kv/data/app", headers={"X-Vault-Namespace": "gitlab-team"}, shape=3),
    get("kv/data/app", headers={"X-Vault-Namespace": "gitlab-none"}),
    enter(GITLAB, verb="POST", headers={}),
    *own(
        [get("gitlab-kv/data/app", shape=3), get("kv/data/app", headers={"X-Vault-Namespace": "gitlab-team"})]
    ),
    step("DELETE", "sys/namespaces/gitlab-team", pick=("data",)),
]

CHART = [
    get(
        "sys/seal-status", token="", headers=GO, pick=("type", "initialized", "sealed", "t", "n", "progress")
    ),
    get("sys/leader", token="", headers=GO, pick=("ha_enabled", "is_self")),
    get("sys/health?standbyok=true", token="", pick=("initialized", "sealed", "standby")),
    get("sys/health?standbyok=true&sealedcode=204&uninitcode=204", token="", pick=("initialized", "sealed")),
    get("sys/health?activecode=299", token="", pick=("initialized", "sealed")),
    get("sys/health?perfstandbyok=true", token="", pick=("initialized", "sealed")),
    step("HEAD", "sys/health?standbyok=true", token=""),
    get("sys/metrics?format=prometheus", token=""),
    get("sys/init", token="", headers=GO),
]

UI = "ui"
USER_INTERFACE = [
    *ready(UI, rules(UI)),
    get("sys/internal/ui/mounts", token="", pick=("errors",)),
    enter(UI, verb="POST", headers={}),
    *own(
        [
            get("sys/internal/ui/mounts", pick=("data.secret.ui-kv/.type", "data.secret.ui-kv/.options")),
            get("sys/internal/ui/resultant-acl", shape=3),
            post("sys/capabilities-self", {"paths": ["ui-kv/data/app", "sys/mounts"]}, pick=("data",)),
            get("sys/health", pick=("initialized", "sealed")),
            get("sys/internal/ui/namespaces", pick=("data",)),
        ],
        {},
    ),
]

SPIRE = "spire"
SPIRE_SERVER = [
    *ready(SPIRE, rules(SPIRE)),
    enter(SPIRE),
    *own(
        [
            lookup_self(),
            put("auth/token/renew-self", {"increment": 0}, pick=AUTH),
            put("spire-pki/root/sign-intermediate", {"csr": "x"}),
            put("spire-transit/keys/k", {"type": "ecdsa-p256"}),
            get("spire-transit/keys?list=true"),
        ]
    ),
]

SOPS = "sops"
FLUX_AND_SOPS = [
    *ready(SOPS, rules(SOPS)),
    enter(SOPS),
    *own(
        [
            put("sops-transit/encrypt/k", {"plaintext": "eA=="}),
            put("sops-transit/decrypt/k", {"ciphertext": "vault:v1:x"}),
            get("sops-kv/data/app", shape=3),
        ]
    ),
]

SCENARIOS = [
    Scenario("integrations", "external-secrets", EXTERNAL_SECRETS),
    Scenario("integrations", "external-secrets-openbao", EXTERNAL_SECRETS_OPENBAO),
    Scenario("integrations", "command-line-kv", COMMAND_LINE),
    Scenario("integrations", "agent-and-proxy", AGENT_AND_PROXY),
    Scenario("integrations", "csi-provider", CSI_PROVIDER),
    Scenario("integrations", "secrets-operator", SECRETS_OPERATOR),
    Scenario("integrations", "terraform-provider", TERRAFORM),
    Scenario("integrations", "ansible-hashi-vault", HASHI_VAULT),
    Scenario("integrations", "spring-cloud-vault", SPRING_CLOUD),
    Scenario("integrations", "cert-manager", CERT_MANAGER),
    Scenario("integrations", "github-vault-action", VAULT_ACTION),
    Scenario("integrations", "jenkins-plugin", JENKINS_PLUGIN),
    Scenario("integrations", "gitlab-ci", GITLAB_CI),
    Scenario("integrations", "helm-chart-and-prometheus", CHART),
    Scenario("integrations", "user-interface", USER_INTERFACE),
    Scenario("integrations", "spire", SPIRE_SERVER),
    Scenario("integrations", "flux-and-sops", FLUX_AND_SOPS),
]

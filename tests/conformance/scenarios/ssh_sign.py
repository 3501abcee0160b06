# SPDX-License-Identifier: EUPL-1.2
"""ssh: certificates for keys of clients and for pairs that are made, by all rules that a role can have."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.conformance.scenario import Scenario, Step, delete, get, policy, post
from tests.ssh_keys import ec_pair, ed25519_pair, odd, public_line, rsa_line, security_key, security_key_ec

_ED = public_line(ed25519_pair("client"), "me@here")
_CORE = _ED.split()[1]
_KEYS = {
    "ed25519": _ED,
    "p256": public_line(ec_pair("client", 256)),
    "p384": public_line(ec_pair("client", 384)),
    "p521": public_line(ec_pair("client", 521)),
    "rsa2048": rsa_line(odd(2048)),
    "rsa3072": rsa_line(odd(3072)),
    "sk": security_key("client"),
    "sk-ec": security_key_ec("client"),
}
_USERS: Mapping[str, Any] = {"key_type": "ca", "allow_user_certificates": True, "ttl": "5m"}
_HOSTS: Mapping[str, Any] = {"key_type": "ca", "allow_host_certificates": True, "ttl": "5m"}


def _role(mount: str, base: Mapping[str, Any], **fields: Any) -> Step:
    return post(f"{mount}/roles/r", {**base, **fields})


def _sign(mount: str, principals: str | None = "a", **fields: Any) -> Step:
    options = {name: fields.pop(name) for name in ("token", "divergence", "shape") if name in fields}
    asked = {} if principals is None else {"valid_principals": principals}
    return post(f"{mount}/sign/r", {"public_key": _ED, **asked, **fields}, **options)


def _host(mount: str, name: str, **options: Any) -> Step:
    return _sign(mount, name, cert_type="host", **options)


def _begin(mount: str, **ca: Any) -> list[Step]:
    return [
        post(f"sys/mounts/{mount}", {"type": "ssh"}),
        post(f"{mount}/config/ca", {"key_type": "ed25519", **ca}),
    ]


KEYS = [
    post("sys/mounts/ss", {"type": "ssh"}),
    post("ss/sign/none", {}),
    _role("ss", _USERS, allowed_users="*"),
    _sign("ss"),
    post("ss/config/ca", {"key_type": "ed25519"}),
    post("ss/sign/r", {}),
    post("ss/sign/r", {"public_key": ""}),
    *(
        post("ss/sign/r", {"public_key": text, "valid_principals": "a"})
        for text in (
            "x", "ssh-ed25519", "ssh-ed25519 AAAA", " ", "\n", f"  {_ED}", f"\n\n{_ED}", f"# c\n{_ED}",
            f"no-pty {_ED}", _ED + _ED, _CORE, f"ssh-rsa {_CORE}", f"{_CORE} x", f"ssh-ed25519\t{_CORE}",
            _CORE[:-4], _CORE + "AAAA", _ED.replace("\n", "\r\n"),
        )
    ),
    post("ss/sign/r", {"public_key": "AAAAA2Zvbw==", "valid_principals": "a"}, divergence="DV-02"),
    *(post("ss/sign/r", {"public_key": key, "valid_principals": "a"}) for key in _KEYS.values()),
    delete("sys/mounts/ss"),
]  # fmt: skip


def _lengths(sizes: Mapping[str, Any], keys: Sequence[str]) -> list[Step]:
    return [
        _role("sl", _USERS, allowed_users="*", allowed_user_key_lengths=sizes),
        *(post("sl/sign/r", {"public_key": _KEYS[key], "valid_principals": "a"}) for key in keys),
    ]


LENGTHS = [
    *_begin("sl"),
    *_lengths({"rsa": 2048}, ("rsa2048", "rsa3072", "p256", "ed25519", "sk", "sk-ec")),
    *_lengths({"ssh-rsa": [2048, 3072]}, ("rsa2048", "rsa3072")),
    *_lengths({"rsa": 0}, ("rsa2048",)),
    *_lengths({"ec": 256}, ("p256", "p384", "sk-ec")),
    *_lengths({"ecdsa": [256, 384]}, ("p256", "p384", "p521")),
    *_lengths({"ecdsa-sha2-nistp256": 0}, ("p256", "p384")),
    *_lengths({"ecdsa-sha2-nistp521": [1]}, ("p521", "p256")),
    *_lengths({"ec": 384, "ecdsa-sha2-nistp256": 0}, ("p256",)),
    *_lengths({"ed25519": 0}, ("ed25519", "sk", "rsa2048")),
    *_lengths({"ssh-ed25519": 1}, ("ed25519",)),
    *_lengths({"bogus": 1}, ("ed25519",)),
    *_lengths({"rsa": []}, ("ed25519", "rsa2048")),
    delete("sys/mounts/sl"),
]
USERS = [
    *_begin("su"),
    _role("su", _USERS, allowed_users="a,b"),
    _sign("su", None),
    _sign("su", "b,a"),
    _sign("su", "a, b"),
    _sign("su", "a,a,b"),
    _sign("su", "a,c", divergence="DV-02"),
    _sign("su", "*", divergence="DV-02"),
    _sign("su", ","),
    post("su/sign/r", {"public_key": _ED, "valid_principals": ["a"]}),
    _sign("su", cert_type="host"),
    _sign("su", cert_type="x"),
    _sign("su", cert_type=""),
    _sign("su", key_id="my"),
    _sign("su", key_id=""),
    _role("su", _USERS, allowed_users="*", allow_user_key_ids=True),
    _sign("su", "anyone,*"),
    _sign("su", None, divergence="DV-06"),
    _sign("su", key_id="my"),
    _role("su", _USERS, allowed_users="a,*"),
    _sign("su", "q", divergence="DV-02"),
    _sign("su", "*"),
    _role("su", _USERS, allowed_users="a b, c,,"),
    _sign("su", "a b"),
    _sign("su", ",c,"),
    _role("su", _USERS, allowed_users="a,b", default_user="du"),
    _sign("su", None, divergence="DV-02"),
    _role("su", _USERS, allowed_users="a,du,dv", default_user="du,dv"),
    _sign("su", None),
    _sign("su", "du"),
    _role("su", _USERS, default_user="du"),
    _sign("su", None),
    _role("su", _USERS),
    _sign("su", None),
    _sign("su", "a"),
    _role("su", _USERS, allow_empty_principals=True),
    _sign("su", None),
    _sign("su", "a"),
    _role("su", _USERS, allow_empty_principals=True, allowed_users="a"),
    _sign("su", ""),
    *(
        step
        for form in (
            "x-{{token_display_name}}-{{role_name}}-{{public_key_hash}}-{{zz}}",
            "{{ role_name }}",
            "y",
        )
        for step in (_role("su", _USERS, allowed_users="a", key_id_format=form), _sign("su"))
    ),
    post("su/roles/o", {"key_type": "otp", "default_user": "u"}),
    post("su/sign/o", {"public_key": _ED, "valid_principals": "a"}),
    post("su/sign/o", {}),
    post("su/issue/o", {}),
    delete("sys/mounts/su"),
]
HOSTS = [
    *_begin("sh"),
    _role("sh", _HOSTS, allowed_domains="example.com,Foo.org"),
    _host("sh", "example.com", divergence="DV-02"),
    _host("sh", "a.example.com", divergence="DV-02"),
    _host("sh", ""),
    _sign("sh", "a.example.com"),
    _role("sh", _HOSTS, allowed_domains="example.com,Foo.org", allow_bare_domains=True),
    _host("sh", "example.com"),
    _host("sh", "a.example.com", divergence="DV-02"),
    _host("sh", "foo.org", divergence="DV-02"),
    _host("sh", "Foo.org"),
    _role("sh", _HOSTS, allowed_domains="example.com,Foo.org", allow_subdomains=True),
    _host("sh", "example.com", divergence="DV-02"),
    _host("sh", "A.b.example.com,*.example.com,.example.com"),
    _host("sh", "xexample.com", divergence="DV-02"),
    _host("sh", "a.foo.org", divergence="DV-02"),
    _role("sh", _HOSTS, allowed_domains="*"),
    _host("sh", "example.com,*"),
    _host("sh", "", divergence="DV-06"),
    _role("sh", _HOSTS, allow_user_certificates=True, default_user="qq"),
    _host("sh", "example.com"),
    _host("sh", ""),
    _role("sh", _HOSTS, allowed_domains="b", allow_bare_domains=True, allowed_users="a",
          default_extensions={"e": ""}, default_critical_options={"c": ""}),
    _host("sh", "b"),
    _host("sh", "a", divergence="DV-02"),
    delete("sys/mounts/sh"),
]  # fmt: skip
OPTIONS = [
    *_begin("sx"),
    _role("sx", _USERS, allowed_users="a"),
    _sign("sx", extensions={"permit-pty": ""}),
    _sign("sx", critical_options={"force-command": "ls", "source-address": "1.2.3.4"}),
    _sign("sx", extensions={}, critical_options={}),
    _sign("sx", extensions=None),
    _sign("sx", extensions="x=y"),
    _role(
        "sx",
        _USERS,
        allowed_users="a",
        allowed_extensions="permit-pty,x",
        allowed_critical_options="force-command",
        default_extensions={"permit-pty": "", "zz": "1"},
        default_critical_options={"source-address": "1.1.1.1"},
    ),
    _sign("sx"),
    _sign("sx", extensions={"x": "y"}),
    _sign("sx", extensions={"permit-pty": 1, "x": True}),
    _sign("sx", extensions={"q": "y"}),
    _sign("sx", critical_options={"q": "y"}),
    _sign("sx", critical_options={"force-command": "y"}),
    _role("sx", _USERS, allowed_users="a", allowed_extensions="*", allowed_critical_options="*"),
    _sign("sx", extensions={"z": "1", "a": ""}),
    _sign("sx", critical_options={"q": "y"}),
    _role("sx", _USERS, allowed_users="a", allowed_extensions=" a , b"),
    _sign("sx", extensions={"b": None}),
    delete("sys/mounts/sx"),
]
TIMES = [
    *_begin("st"),
    post("st/roles/r", {"key_type": "ca", "allow_user_certificates": True, "allowed_users": "a"}),
    _sign("st"),
    _sign("st", ttl="1h"),
    _sign("st", ttl=0),
    _sign("st", ttl="10000h"),
    _sign("st", ttl=-1, divergence="DV-02"),
    _role("st", _USERS, allowed_users="a", ttl="30m", max_ttl="1h"),
    _sign("st"),
    _sign("st", ttl="1h"),
    _sign("st", ttl="3601s"),
    _role("st", _USERS, allowed_users="a", ttl="10000h"),
    _sign("st"),
    _role("st", _USERS, allowed_users="a", ttl=0, max_ttl="10000h"),
    _sign("st"),
    _sign("st", ttl="5000h"),
    _role("st", _USERS, allowed_users="a", ttl=0, max_ttl="1h", not_before_duration="2m"),
    _sign("st"),
    post("sys/mounts/st/tune", {"default_lease_ttl": "1h", "max_lease_ttl": "2h"}),
    _role("st", _USERS, allowed_users="a", ttl=0),
    _sign("st"),
    _sign("st", ttl="3h"),
    _role("st", _USERS, allowed_users="a", ttl="3h"),
    _sign("st"),
    _role("st", _USERS, allowed_users="a", ttl=0, max_ttl="3h"),
    _sign("st"),
    _sign("st", ttl="3h"),
    delete("sys/mounts/st"),
]
_WRONG: dict[str, Any] = {
    "public_key": _ED,
    "cert_type": "host",
    "valid_principals": "zz",
    "ttl": "1h",
    "extensions": {"z": "1"},
    "critical_options": {"q": ""},
    "key_id": "q",
}


def _mended() -> list[Step]:
    """One request with everything wrong, whose faults are mended one by one."""
    body, steps = dict(_WRONG), []
    for field, value in (
        ("key_id", ""), ("cert_type", "user"), ("valid_principals", "a"), ("ttl", "1m"),
        ("critical_options", {}), ("extensions", {}),
    ):  # fmt: skip
        words = "DV-02" if field == "valid_principals" else ""
        steps.append(post("sc/sign/r", dict(body), divergence=words))
        body[field] = value
    return [*steps, post("sc/sign/r", body)]


CHECKS = [
    *_begin("sc"),
    _role("sc", _USERS, allowed_users="a", allowed_user_key_lengths={"rsa": 1}),
    post("sc/sign/r", _WRONG),
    _role(
        "sc", _USERS, allowed_users="a", ttl=0, max_ttl="5m", allowed_critical_options="x", issuer_ref="nope"
    ),
    *_mended(),
    delete("sys/mounts/sc"),
]
for _step in CHECKS:
    if _step.path == "sc/sign/r" and isinstance(_step.body, dict) and _step.body["cert_type"] == "host":
        object.__setattr__(_step, "divergence", "")
ALGORITHMS = [
    *_begin("sg", key_type="ssh-rsa", key_bits=2048),
    post("sg/issuers/import/e", {"key_type": "ed25519"}),
    post("sg/issuers/import/p", {"key_type": "ec", "key_bits": 384}),
    post("sg/issuers/import/q", {"key_type": "ec", "key_bits": 521}),
    post("sg/issuers/import/n", {"key_type": "ec"}),
    *(
        step
        for issuer, algorithm in (
            *(("default", name) for name in ("", "default", "ssh-rsa", "rsa-sha2-256", "rsa-sha2-512")),
            ("e", ""), ("p", "default"), ("q", ""), ("n", ""), ("nope", ""),
        )
        for step in (
            _role("sg", _USERS, allowed_users="*", algorithm_signer=algorithm, issuer_ref=issuer),
            *(post("sg/sign/r", {"public_key": _KEYS[key], "valid_principals": "a"})
              for key in ("ed25519", "sk", "p256", "rsa2048")),
        )
    ),
    _role("sg", _USERS, allowed_users="*", algorithm_signer="ssh-rsa", issuer_ref="e"),
    _sign("sg", divergence="DV-07"),
    delete("sys/mounts/sg"),
]  # fmt: skip


def _issue(**fields: Any) -> Step:
    options = {name: fields.pop(name) for name in ("divergence",) if name in fields}
    return post("si/issue/r", {"valid_principals": "a", **fields}, **options)


ISSUE = [
    *_begin("si"),
    post("si/issue/none", {}),
    _role("si", _USERS, allowed_users="a", allowed_extensions="x"),
    _issue(key_type="ed25519"),
    _issue(key_type="ed25519", key_bits=4, extensions={"x": ""}, ttl="10m"),
    _issue(key_type="ec"),
    _issue(key_type="ec", key_bits=384),
    _issue(key_type="ec", key_bits=521),
    _issue(key_type="ec", key_bits=3, divergence="DV-02"),
    _issue(key_type="ecdsa-sha2-nistp256"),
    _issue(key_type="rsa", key_bits=2048),
    _issue(key_type="ssh-rsa", key_bits=2048),
    _issue(key_type="rsa", key_bits=1024, divergence="DV-02"),
    _issue(key_type="bogus", divergence="DV-02"),
    _issue(key_type="", divergence="DV-02"),
    _issue(key_type="ed25519", public_key="zz"),
    _issue(key_type="ed25519", cert_type="bad"),
    _issue(key_type="ed25519", valid_principals=""),
    _issue(key_type="ed25519", key_id="mine"),
    *(
        step
        for sizes, asked in (
            ({"rsa": 2048}, (("ed25519", 0), ("rsa", 2048), ("rsa", 3072), ("ssh-rsa", 2048))),
            ({"ssh-rsa": [2048, 4096]}, (("rsa", 2048), ("rsa", 0))),
            ({"ed25519": 0}, (("ed25519", 0), ("ed25519", 256), ("ssh-ed25519", 0))),
            ({"ssh-ed25519": 256}, (("ed25519", 256), ("ed25519", 0))),
            ({"ec": 256}, (("ec", 256), ("ec", 0))),
            ({"ecdsa-sha2-nistp256": 0}, (("ecdsa", 256), ("ecdsa-sha2-nistp256", 0))),
        )
        for step in (
            _role("si", _USERS, allowed_users="a", allowed_user_key_lengths=sizes),
            *(_issue(key_type=kind, key_bits=bits) for kind, bits in asked),
        )
    ),
    delete("sys/mounts/si"),
]
_WHO = "{{identity.entity.name}}"
TEMPLATES = [
    *_begin("sy"),
    policy("sy", 'path "sy/*" { capabilities = ["update"] }'),
    post("sys/auth/sy", {"type": "userpass"}),
    get("sys/auth", pick=("data.sy/.type",), save=("sy_mount:data.sy/.accessor",)),
    post("auth/sy/users/bob", {"password": "bob", "token_policies": "sy"}),
    post(
        "identity/entity",
        {"name": "sy-bob", "metadata": {"team": "red", "list": "a,b", "star": "*", "empty": "", "blank": " root"}},
        save=("sy_id:data.id",),
    ),
    post("identity/entity-alias", {"name": "bob", "canonical_id": "{sy_id}", "mount_accessor": "{sy_mount}"}),
    post("identity/group", {"name": "sy-grp", "member_entity_ids": ["{sy_id}"], "metadata": {"k": "gv"}}),
    post("auth/sy/login/bob", {"password": "bob"}, token="", save=("sy_bob:auth.client_token",)),
    *(
        step
        for allowed, asked in (
            (_WHO, ("sy-bob", "")),
            ("{{ identity.entity.name }}", ("sy-bob",)),
            (f"pre-{_WHO}-x", ("pre-sy-bob-x",)),
            (f"a b ,{_WHO} ,c", ("sy-bob", "a b", "c")),
            ("{{identity.entity.metadata.team}}", ("red",)),
            ("{{identity.entity.metadata.list}}", ("a",)),
            ("{{identity.entity.metadata.star}}", ("a",)),
            ("a,{{identity.entity.metadata.none}}", ("a",)),
            ("{{identity.entity.metadata.empty}}", ("a", "")),
            ("{{identity.entity.aliases.{sy_mount}.name}}", ("bob",)),
            ("{{identity.entity.aliases.none.name}}", ("a",)),
            ("{{identity.groups.names.sy-grp.metadata.k}}", ("gv",)),
            ("{{identity.groups.names.none.metadata.k}}", ("a",)),
            ("{{identity.groups.ids.none.name}}", ("a",)),
            ("{{identity.entity}}", ("a",)),
            ("{{foo}}", ("a",)),
            ("{{bad", ("{{bad",)),
            ("x}}", ("x}}",)),
            (f"{_WHO}x}}}}", ("a",)),
            (f"{_WHO}{{{{", ("a",)),
        )
        for step in (
            _role("sy", _USERS, allowed_users=allowed, allowed_users_template=True),
            *(_sign("sy", name, token="{sy_bob}") for name in asked),
        )
    ),
    _role("sy", _USERS, allowed_users="{{identity.entity.metadata.blank}}", allowed_users_template=True),
    _sign("sy", "root", token="{sy_bob}", divergence="DV-06"),
    _role("sy", _USERS, allowed_users=_WHO),
    _sign("sy", _WHO, token="{sy_bob}"),
    _role("sy", _USERS, allowed_users=f"bob,{_WHO}", allowed_users_template=True),
    _sign("sy", f"bob,{_WHO}"),
    _role("sy", _USERS, allowed_users="{{identity.entity.metadata.list}}", allowed_users_template=True,
          allow_commas_in_identity_templates=True),
    _sign("sy", "a,b", token="{sy_bob}"),
    _role("sy", _USERS, allowed_users="{{identity.entity.metadata.star}}", allowed_users_template=True,
          allow_wildcards_in_identity_templates=True),
    _sign("sy", "*", token="{sy_bob}"),
    _role("sy", _USERS, allowed_users="sy-bob,x", default_user=_WHO, default_user_template=True),
    _sign("sy", None, token="{sy_bob}"),
    _role("sy", _USERS, allowed_users="*", default_user=f"x,{_WHO}", default_user_template=True),
    _sign("sy", None, token="{sy_bob}"),
    _sign("sy", None),
    _role("sy", _USERS, allowed_users="*", default_user="{{identity.entity.metadata.list}}",
          default_user_template=True),
    _sign("sy", None, token="{sy_bob}", divergence="DV-07"),
    _role("sy", _HOSTS, allowed_domains="{{identity.entity.metadata.team}}.example",
          allowed_domains_template=True, allow_subdomains=True, allow_bare_domains=True),
    _host("sy", "red.example,h.red.example", token="{sy_bob}"),
    _role("sy", _HOSTS, allowed_domains="{{identity.entity.metadata.list}}", allowed_domains_template=True),
    _host("sy", "a", token="{sy_bob}"),
    *(
        step
        for value in (_WHO, "{{identity.entity.metadata.list}}-{{identity.entity.metadata.star}}", "{{bad",
                      "{{identity.entity.metadata.none}}")
        for step in (
            _role("sy", _USERS, allowed_users="a", default_extensions={"login@x.y": value, "permit-pty": ""},
                  default_extensions_template=True),
            _sign("sy", token="{sy_bob}"),
            _sign("sy"),
        )
    ),
    _role("sy", _USERS, allowed_users="a", default_extensions={_WHO: _WHO}, default_critical_options={"x": _WHO},
          key_id_format="{{token_display_name}}|{{role_name}}"),
    _sign("sy", token="{sy_bob}"),
    delete("sys/auth/sy"),
    delete("sys/mounts/sy"),
]  # fmt: skip
SCENARIOS = [
    Scenario("ssh_sign", name, steps)
    for name, steps in (
        ("keys", KEYS),
        ("lengths", LENGTHS),
        ("users", USERS),
        ("hosts", HOSTS),
        ("options", OPTIONS),
        ("times", TIMES),
        ("checks", CHECKS),
        ("algorithms", ALGORITHMS),
        ("issue", ISSUE),
        ("templates", TEMPLATES),
    )
]

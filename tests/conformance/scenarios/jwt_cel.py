# SPDX-License-Identifier: EUPL-1.2
"""jwt: roles whose programs decide, and what comes of them."""

from collections.abc import Sequence

from tests.conformance.scenario import Scenario, Step, delete, get, lst, patch, post, put, scan, step
from tests.conformance.scenarios.approle import AUTH, TOKEN
from tests.conformance.scenarios.jwt import NOW, STATIC, claims, mount
from tests.tokens import OTHER, token

R = "auth/cel-roles/cel/role"
FALSE = {"cel_program": {"expression": "false"}}
SAID = {"groups": ["x", "y"], "n": 3, "f": 1.5, "o": {"k": "v"}, "b": True, "none": []}


def program(expression: object, *variables: tuple[str, str]) -> dict[str, object]:
    """A program with these steps."""
    listed = [{"name": name, "expression": text} for name, text in variables]
    return {"expression": expression, "variables": listed} if listed else {"expression": expression}


def write(expression: object, *variables: tuple[str, str], **options: object) -> Step:
    """Writes the role `a` of the mount with roles."""
    return post(f"{R}/a", {"cel_program": program(expression, *variables)}, **options)


def asked(at: str, given: str, **options: object) -> Step:
    """Logs in by the role `a`, and captures the token as `t`."""
    options = {"token": "", "pick": AUTH, "save": ("t:auth.client_token",), **options}
    return post(f"auth/{at}/cel/login", {"role": "a", "jwt": given}, **options)


def judged(
    expression: str, *variables: tuple[str, str], divergence: str = "", **said: object
) -> Sequence[Step]:
    """Has the program judge a token."""
    body = {"cel_program": program(expression, *variables), "bound_audiences": "a"}
    given = token(claims(**{**SAID, **said}))
    return [post("auth/cel/cel/role/a", body), asked("cel", given, divergence=divergence)]


def seen(expression: str, divergence: str = "", **said: object) -> Sequence[Step]:
    """Has the program judge a token, and looks at the one that it gives."""
    look = get("auth/token/lookup-self", token="{t}", pick=TOKEN)
    return [*judged(expression, divergence=divergence, **said), look]


ROLES = [
    mount("cel-roles"),
    lst(R),
    get(R),
    get(f"{R}/none"),
    delete(f"{R}/none"),
    post("auth/cel-roles/cel/login", {"role": "x", "jwt": "y"}, token=""),
    post(f"{R}/a", {}),
    post(f"{R}/a", {"cel_program": {}}),
    post(f"{R}/a", {"cel_program": "x"}),
    post(f"{R}/a", {"cel_program": None}),
    post(f"{R}/a", {"cel_program": '{"expression":"true"}'}),
    write(""),
    write(1),
    write("1"),
    get(f"{R}/a"),
    write("pb.Auth{display_name:'x'}"),
    get(f"{R}/a"),
    *(
        write(one, divergence="DV-07")
        for one in (
            "1+",
            "foo",
            "pb.Auth{nope:'x'}",
            "pb.Auth{display_name:1}",
            "pb.Auth{policies:[1]}",
            "pb.Alias{}",
            "namespace",
            "len('a')",
            "1 < 2.0",
            "1 ? 2 : 3",
            "foo ? 1 : 'a'",
            "cel.bind(x,1,x+1)",
            "[1].all(i,v,v>0)",
            "'a' + 1",
            "pb.Auth{token_type:1}",
        )
    ),
    write("v", ("v", "true")),
    get(f"{R}/a"),
    write("v2", ("v2", "v"), ("v", "true")),
    write("v", ("v", "true"), ("v", "false")),
    write("true", ("", "true")),
    write("true", ("a.b", "true")),
    write("true", ("1v", "true")),
    *(
        write("v", (name, given), divergence="DV-07")
        for name, given in (("v", "1+"), ("v", ""), ("1v", "true"))
    ),
    *(write("true", (name, "true"), divergence="DV-07") for name in ("claims", "now")),
    *(
        post(f"{R}/a", {"cel_program": {"expression": "true", "variables": given}})
        for given in ([{"expression": "true"}], None, [])
    ),
    *(
        post(f"{R}/a", {"cel_program": {"expression": "true", "variables": given}})
        for given in ("x", ["x"], {"name": "a"})
    ),
    post(f"{R}/a", {"cel_program": {"expression": "true", "extra": 1}}),
    get(f"{R}/a"),
    post(
        f"{R}/a",
        {
            **FALSE,
            "message": "m",
            "bound_audiences": "x,y",
            "expiration_leeway": "5s",
            "not_before_leeway": -1,
            "clock_skew_leeway": 0,
        },
    ),
    get(f"{R}/a"),
    post(f"{R}/a", FALSE),
    get(f"{R}/a"),
    post(f"{R}/a", {"message": "n"}),
    post(f"{R}/a", {**FALSE, "expiration_leeway": "x"}, divergence="DV-02"),
    post(f"{R}/a", {**FALSE, "expiration_leeway": -5}),
    post(f"{R}/a", {**FALSE, "bound_audiences": [1]}),
    post(f"{R}/a", {**FALSE, "name": "b", "zzz": 1}),
    *(post(f"{R}/{name}", FALSE) for name in ("b", "B", "c.d", "-x", "x-", "b/c")),
    lst(R),
    get(f"{R}?list=true"),
    lst(f"{R}?limit=1"),
    lst(f"{R}?after=a"),
    scan(R),
    patch(f"{R}/a", {"message": "patched"}),
    patch(f"{R}/a", {"message": None}),
    patch(f"{R}/a", {"cel_program": {"expression": "true"}}),
    patch(f"{R}/a", {"cel_program": {"expression": "1+"}}, divergence="DV-07"),
    patch(f"{R}/a", {"cel_program": {}}),
    patch(f"{R}/a", {"cel_program": {"variables": [{"name": "q", "expression": "true"}]}}),
    get(f"{R}/a"),
    patch(f"{R}/none", {"message": "x"}),
    patch(f"{R}/a", {"bound_audiences": "z", "expiration_leeway": 7}),
    patch(f"{R}/a", {}),
    patch(f"{R}/a", {"bound_audiences": None}),
    get(f"{R}/a"),
    delete(f"{R}/a"),
    get(f"{R}/a"),
    put(f"{R}/p", FALSE),
    step("HEAD", f"{R}/p"),
    post(R, FALSE),
    delete(R),
    get("auth/cel-roles/cel/login"),
    lst("auth/cel-roles/cel/login"),
    get("auth/cel-roles/cel"),
    lst("auth/cel-roles/cel"),
    lst("auth/cel-roles/role"),
    *(
        write(one, divergence="DV-71")
        for one in ("[2,1].sort()", "sets.contains([1],[1])", "regex.replace('a','a','b')", "lists.range(3)")
    ),
    delete("sys/auth/cel-roles"),
]

NAMED = "alias:logical.Alias{name:claims.sub}"
LEASE = "lease_options:pb.LeaseOptions"
RESULTS = [
    mount("cel"),
    post("auth/cel/config", STATIC),
    *(
        one
        for result in (
            "true",
            "false",
            "1",
            "1u",
            "1.5",
            "null",
            "b'x'",
            "[]",
            "[pb.Auth{}]",
            "now",
            "duration('1h')",
            "'why'",
            "''",
            "claims",
            "logical.Alias{name:'x'}",
            "pb.LeaseOptions{}",
            "claims.?none2",
            "type(1)",
            "type(null)",
            "type([])",
            "type(now)",
            "type(pb.Auth{})",
            "type(type(1))",
            "{'nope':1}",
            "{1:1}",
            "true ? 1 : 'a'",
            "'%s is %d'.format([claims.sub, 3])",
        )
        for one in judged(result)
    ),
    *(
        one
        for failing in (
            "claims.missing",
            "claims.missing == 'x'",
            "1/0 == 1",
            "!claims.sub",
            "claims.n + 1",
            "claims.none[5]",
            "int('x')",
            "uint(-1)",
            "9223372036854775807 + 1",
            "claims.n ? 2 : 3",
            "pb.Auth{policies:claims.n}",
            "pb.Auth{policies:[claims.n]}",
            "pb.Auth{display_name:claims.n}",
            "pb.Auth{metadata:{'a':claims.n}}",
            "now.getHours('bad/zone')",
        )
        for one in judged(failing, divergence="DV-02")
    ),
    *(
        one
        for said in (
            "claims.sub.upperAscii()",
            "['a','b'].join('-')",
            "'abc'.replace('a','b')",
            "'abc'.substring(1)",
            "' a '.trim()",
            "strings.quote('a')",
            "'ab'.reverse()",
            "base64.encode(b'a')",
            "claims.?sub.orValue('x')",
            "claims.?no.orValue('x')",
            "string(claims.n)",
            "string(1.0)",
            "string(duration('90m'))",
            "claims['sub']",
            "claims.o.k",
            "has(claims.missing) ? true : 'nope ' + claims.sub",
            "type(claims.n) == double ? 'double' : 'other'",
            "type(now) == google.protobuf.Timestamp ? 'ts' : 'x'",
            "now > timestamp('2020-01-01T00:00:00Z') ? 'ok' : 'no'",
            "claims.exp > int(now) ? 'ok' : 'no'",
            "claims.groups.exists(g, g=='x') ? 'in':'out'",
            "claims.groups.map(g,'p-'+g).join(',')",
            "claims.groups.filter(g,g=='x').join(',')",
            "claims.groups.exists_one(g,g=='x') ? 'one':'more'",
            "claims.n == 3 && claims.n == 3u && claims.n == 3.0 ? 'same' : 'other'",
            "'x' in claims.groups && math.greatest(1,2) == 2 ? 'ok' : 'no'",
            "claims.sub.matches('^a.*e$') ? 'ok':'no'",
            "pb.Auth{display_name:'n'}.display_name",
            "r'\\d'",
            "claims.b ? 'yes' : false",
        )
        for one in judged(said)
    ),
    *(
        one
        for program_ in (
            ("v", ("v", "'v is '+claims.sub")),
            ("w", ("v", "'1'"), ("w", "v+'2'")),
            ("v", ("v", "'1'"), ("v", "'2'")),
            ("'ok'", ("", "'x'")),
            ("a.b", ("a.b", "'x'")),
            ("v ? 'y' : 'n'", ("v", "true")),
            ("v.x", ("v", "{'x':'q'}")),
            ("r.display_name", ("r", "pb.Auth{display_name:'z'}")),
            ("r", ("r", "pb.Auth{policies:['z']}")),
            ("v ? pb.Auth{policies:p} : false", ("v", "true"), ("p", "claims.groups.map(g,'p-'+g)")),
            (
                "z",
                ("m", "{'a':[1,2u,b'x',null,now,duration('1s'),true,1.5]}"),
                (
                    "z",
                    "type(m.a[1]) == uint && type(m.a[2]) == bytes && type(m.a[0])==int && type(m.a[4]) == type(now) && m.a[5]==duration('1s') ? 'kept' : 'lost'",
                ),
            ),
            ("pb.Auth{token_type:t}", ("t", "2u")),
        )
        for one in judged(*program_)
    ),
    *(
        one
        for program_ in (
            ("'ok'", ("v", "claims.missing")),
            ("v", ("v", "nope")),
            ("w", ("w", "v+'2'"), ("v", "'1'")),
        )
        for one in judged(*program_, divergence="DV-02")
    ),
    delete("sys/auth/cel"),
]

TOKENS = [
    mount("cel"),
    post("auth/cel/config", STATIC),
    *(
        one
        for given in (
            "pb.Auth{}",
            f"pb.Auth{{{NAMED}}}",
            f"pb.Auth{{display_name:'dn',{NAMED},policies:['p2','P1','p1','']}}",
            "pb.Auth{policies:['p1'],token_policies:['t1'],identity_policies:['i1']}",
            "pb.Auth{metadata:{'a':'b','role':'evil'}}",
            "pb.Auth{alias:logical.Alias{name:'u1',metadata:{'m':'1'},custom_metadata:{'c':'1'},local:true,namespace_id:'zz',mount_type:'x',mount_accessor:'bogus'}}",
            f"pb.Auth{{{LEASE}{{issue_time:now,renewable:true}}}}",
            f"pb.Auth{{{LEASE}{{issue_time:now,renewable:true,TTL:60000000000}}}}",
            f"pb.Auth{{{LEASE}{{issue_time:now,renewable:true,TTL:6000000000000000}}}}",
            f"pb.Auth{{{LEASE}{{issue_time:now,renewable:true,TTL:-60000000000}}}}",
            f"pb.Auth{{{LEASE}{{issue_time:now,renewable:true,TTL:90000000000,MaxTTL:60000000000}}}}",
            f"pb.Auth{{{LEASE}{{issue_time:timestamp(1),renewable:true,TTL:60000000000}}}}",
            f"pb.Auth{{{LEASE}{{issue_time:now,TTL:60000000000}},period:120000000000}}",
            f"pb.Auth{{{LEASE}{{issue_time:now,renewable:true,TTL:60000000000}},token_type:2u}}",
            "pb.Auth{period:60000000000}",
            "pb.Auth{num_uses:3}",
            "pb.Auth{explicit_max_ttl:60000000000}",
            "pb.Auth{explicit_max_ttl:-60}",
            *(f"pb.Auth{{token_type:{kind}u}}" for kind in range(6)),
            "pb.Auth{token_type:2u,explicit_max_ttl:60000000000}",
            "pb.Auth{no_default_policy:true}",
            "pb.Auth{no_default_policy:true,policies:['x']}",
            "pb.Auth{bound_cidrs:['10.0.0.0/8']}",
            "pb.Auth{bound_cidrs:['127.0.0.1']}",
            "pb.Auth{client_token:'s.abc',accessor:'x',internal_data:'{}'}",
            "claims.b ? pb.Auth{metadata:claims.o} : 'no'",
            "pb.Auth{display_name:' a b/c ',metadata:{'':'x'}}",
        )
        for one in seen(given)
    ),
    *judged("pb.Auth{policies:['root']}"),
    *judged("pb.Auth{policies:['Root ']}"),
    *judged("pb.Auth{policies:['response-wrapping']}"),
    *judged("pb.Auth{alias:logical.Alias{name:''}}", divergence="DV-07"),
    *judged("pb.Auth{alias:logical.Alias{}}", divergence="DV-07"),
    *judged(f"pb.Auth{{{NAMED},group_aliases:[logical.Alias{{name:''}}]}}", divergence="DV-07"),
    *judged("pb.Auth{bound_cidrs:['zz']}", divergence="DV-02"),
    *judged(f"pb.Auth{{{LEASE}{{TTL:60}}}}"),
    *(
        one
        for given in (
            "pb.Auth{entity_id:'e1'}",
            "pb.Auth{num_uses:-3}",
            "pb.Auth{period:60}",
            f"pb.Auth{{{LEASE}{{issue_time:now,TTL:60}}}}",
            "pb.Auth{token_type:2u,num_uses:2}",
            "pb.Auth{token_type:2u,period:60000000000}",
        )
        for one in judged(given, divergence="DV-06")
    ),
    *(one for given in ("{}", "{'policies':['p']}") for one in judged(given, divergence="DV-71")),
    delete("sys/auth/cel"),
]

A = {"bound_audiences": "a"}
SAYS = {"cel_program": {"expression": "'good'"}}
LOGINS = [
    mount("cel"),
    post("auth/cel/config", STATIC),
    post("auth/cel/cel/role/a", {**SAYS, **A}),
    *(
        asked("cel", token(claims(**said)))
        for said in (
            {"aud": "b"},
            {"aud": None},
            {"aud": ["b", "a"]},
            {"exp": 1},
            {"exp": None},
            {"exp": None, "iat": None, "nbf": None},
            {"iss": "x"},
            {"sub": None},
        )
    ),
    post("auth/cel/cel/role/a", SAYS),
    asked("cel", token(claims())),
    asked("cel", token(claims(aud=None))),
    post("auth/cel/cel/role/a", {**SAYS, **A, "expiration_leeway": -1, "clock_skew_leeway": -1}),
    asked("cel", token(claims(exp=None))),
    asked("cel", token(claims(exp=NOW - 1))),
    asked("cel", token(claims(), OTHER)),
    *(
        post("auth/cel/cel/login", body, token="", divergence="DV-02" if body.get("role") == "none" else "")
        for body in (
            {"role": "a"},
            {"jwt": "x"},
            {},
            {"role": "a", "jwt": "x"},
            {"role": "none", "jwt": "x"},
            {"role": "none"},
            {"role": "A", "jwt": token(claims())},
        )
    ),
    post("auth/cel/cel/role/Up", {**SAYS, **A}),
    post("auth/cel/cel/login", {"role": "Up", "jwt": token(claims())}, token="", divergence="DV-02"),
    post("auth/cel/config", {**STATIC, "default_role": "a"}),
    post("auth/cel/cel/login", {"jwt": token(claims())}, token=""),
    post("auth/cel/login", {"role": "a", "jwt": token(claims())}, token="", divergence="DV-02"),
    delete("sys/auth/cel"),
]

RENEW = post("auth/token/renew-self", {}, token="{t}", pick=AUTH)
LONGER = post("auth/token/renew-self", {"increment": 100}, token="{t}", pick=AUTH)
RENEWALS = [
    mount("cel", "oidc"),
    post("auth/cel/config", STATIC),
    post("auth/cel/cel/role/a", FALSE),
    lst("auth/cel/cel/role"),
    patch("auth/cel/cel/role/a", {"message": "m"}),
    get("auth/cel/cel/role/a"),
    *judged(f"pb.Auth{{{LEASE}{{issue_time:now,renewable:true,TTL:60000000000}},policies:['p']}}"),
    RENEW,
    LONGER,
    RENEW,
    *judged(f"pb.Auth{{{LEASE}{{issue_time:now,renewable:true}},period:60000000000}}"),
    RENEW,
    LONGER,
    post("auth/cel/cel/role/a", FALSE),
    RENEW,
    post("auth/cel/role/a", {"role_type": "jwt", "user_claim": "sub", **A}),
    delete("auth/cel/cel/role/a"),
    RENEW,
    *judged("pb.Auth{}"),
    RENEW,
    get("sys/auth/cel", save=("accessor:data.accessor",)),
    post(
        "identity/group", {"name": "cel-g", "type": "external", "policies": ["gp"]}, save=("group:data.id",)
    ),
    post(
        "identity/group-alias",
        {"name": "g1", "mount_accessor": "{accessor}", "canonical_id": "{group}"},
        shape=1,
    ),
    *(
        one
        for groups in ("group_aliases:[logical.Alias{name:'g1'}]", "group_aliases:[]", "")
        for one in seen(f"pb.Auth{{{NAMED},{groups}}}")
    ),
    *judged("pb.Auth{group_aliases:[logical.Alias{name:'g1'}]}"),
    delete("identity/group/name/cel-g"),
    delete("sys/auth/cel"),
]

SCENARIOS = [
    Scenario("jwt", "cel-roles", ROLES),
    Scenario("jwt", "cel-results", RESULTS),
    Scenario("jwt", "cel-tokens", TOKENS),
    Scenario("jwt", "cel-logins", LOGINS),
    Scenario("jwt", "cel-renewals", RENEWALS),
]

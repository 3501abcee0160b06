# SPDX-License-Identifier: EUPL-1.2
"""totp: keys from elsewhere and keys made here, codes and what is no code."""

from tests.conformance.scenario import Scenario, delete, get, lst, patch, post

K = "totp-keys/keys/"
SECRET = "JBSWY3DPEHPK3PXP"
MADE = {"generate": True, "issuer": "i", "account_name": "a"}
URL = f"otpauth://totp/Iss:acc?secret={SECRET}"
KEYS: list[tuple[dict[str, object], str]] = [
    ({}, ""),
    ({"key": SECRET}, ""),
    ({"key": SECRET, "account_name": "a", "issuer": "i"}, ""),
    ({"key": SECRET.lower()}, ""),
    ({"key": "zz!"}, "DV-02"),
    ({"key": "JBSW Y3DP"}, "DV-02"),
    ({"key": SECRET + "A"}, "DV-02"),
    ({"key": SECRET + "===="}, "DV-02"),
    ({"url": f"{URL}&issuer=Iss&algorithm=SHA256&digits=8&period=60"}, ""),
    ({"url": f"otpauth://totp/acc?secret={SECRET}"}, ""),
    ({"url": f"otpauth://hotp/acc?secret={SECRET}"}, ""),
    ({"url": "zz"}, ""),
    ({"url": "otpauth://totp/x"}, ""),
    ({"url": URL, "key": "x"}, ""),
    ({"url": f"{URL}&digits=7"}, ""),
    ({"url": f"{URL}&digits=x"}, ""),
    ({"url": f"{URL}&period=x"}, ""),
    ({"url": f"{URL}&algorithm=x"}, ""),
    ({"url": f"otpauth://totp/Iss%20x:acc%40y?secret={SECRET}&issuer=Other"}, ""),
    ({"generate": True}, ""),
    ({"generate": True, "account_name": "a"}, ""),
    ({"generate": True, "issuer": "i"}, ""),
    ({**MADE, "exported": False}, ""),
    ({**MADE, "key": "x"}, ""),
    ({**MADE, "url": "x"}, ""),
    ({**MADE, "key_size": 0}, ""),
    ({**MADE, "key_size": -1}, ""),
    ({**MADE, "qr_size": -1}, ""),
    ({**MADE, "skew": 2}, ""),
    ({**MADE, "account_name": "a" * 3000}, "DV-07"),
    ({"key": SECRET, "digits": 7}, ""),
    ({"key": SECRET, "digits": 8}, ""),
    ({"key": SECRET, "digits": "x"}, ""),
    ({"key": SECRET, "algorithm": "MD5"}, ""),
    ({"key": SECRET, "algorithm": "sha1"}, ""),
    ({"key": SECRET, "period": 0}, ""),
    ({"key": SECRET, "period": -5}, "DV-02"),
    ({"key": SECRET, "period": "1m"}, ""),
    ({"key": SECRET, "skew": 2}, ""),
    ({"key": SECRET, "skew": -1}, ""),
    ({"key": SECRET, "unknown": 1}, ""),
]
KEY = [
    post("sys/mounts/totp-keys", {"type": "totp"}),
    lst(K[:-1]),
    get(K + "w"),
    *(
        one
        for body, known in KEYS
        for one in (delete(K + "w"), post(K + "w", body, divergence=known), get(K + "w"))
    ),
    post(K + "x", {**MADE, "qr_size": 0}, shape=3),
    post(K + "x", {**MADE, "digits": 8, "algorithm": "SHA512", "period": "1m"}, shape=3),
    get(K + "x"),
    post(K + "long", {"key": "A" * 4096}),
    post(K + "long", {"key": "A" * 4104}, divergence="DV-98"),
    post(K + "A.b", {"key": SECRET}),
    post(K + "a%20b", {"key": SECRET}),
    post(K + "b-", {"key": SECRET}),
    post(K + "a/b", {"key": SECRET}),
    lst(K[:-1]),
    lst(K[:-1] + "?limit=1"),
    lst(K[:-1] + "?after=A.b"),
    delete(K + "none"),
    patch(K + "x", {}),
    get("totp-keys/nope"),
]

C = "totp-codes/code/"
CODES = [
    post("sys/mounts/totp-codes", {"type": "totp"}),
    get(C + "c"),
    post(C + "c", {"code": "123456"}),
    post(C + "c", {}),
    post("totp-codes/keys/c", {"key": SECRET, "period": 86_400}),
    get(C + "c", shape=2, save=("code:data.code",)),
    get(C + "c", pick=("data.period", "data.code", "data.expire_time")),
    post(C + "c", {"code": "{code}"}),
    post(C + "c", {"code": "{code}"}),
    post(C + "c", {"code": " {code}"}),
    post(C + "c", {"code": "12"}),
    post(C + "c", {"code": ""}),
    post(C + "c", {"code": "abcdef"}),
    post(C + "c", {}),
    post("totp-codes/keys/c", {"key": SECRET, "period": 86_400, "digits": 8, "algorithm": "SHA512"}),
    get(C + "c", pick=("data.period", "data.code")),
    post(C + "c", {"code": "123456"}),
    post("totp-codes/keys/c", {"key": SECRET, "period": 86_400, "algorithm": "SHA256", "skew": 0}),
    get(C + "c", pick=("data.period", "data.code"), save=("code:data.code",)),
    post(C + "c", {"code": "{code}"}),
    get(C + "none"),
    post(C + "none", {"code": "123456"}),
    delete(C + "c"),
    lst(C + "c"),
]

LABELS = (
    ("Rig", "me@x"),
    ("R i/g:?%", "a b/c:d&e?f=g+h%i#j"),
    ("\u00dc", "\u00e9"),
    ("i.-_~", "a'()!*~-_.,;$@"),
    ('a"<>', "`{}|\\^[]"),
    ("\u65e5\u672c", "\x7f\x01"),
    ("'()!*,;$@", "x"),
)
SIZES = (0, 100, 200, 201, 333, 1000, 2000)
U = "totp-urls/"
URLS = [
    post("sys/mounts/totp-urls", {"type": "totp"}),
    *(
        post(f"{U}keys/k", {"generate": True, "issuer": issuer, "account_name": account})
        for issuer, account in LABELS
    ),
    *(post(f"{U}keys/k", {**MADE, "qr_size": size}) for size in SIZES),
    post(f"{U}keys/k", {**MADE, "qr_size": 1}, divergence="DV-07"),
    post(f"{U}keys/k", {**MADE, "qr_size": 20}, divergence="DV-07"),
    *(post(f"{U}keys/k", {**MADE, "key_size": size}) for size in (1, 5, 19, 20, 32, 33)),
    post(f"{U}keys/k", {**MADE, "algorithm": "SHA512", "digits": 8, "period": "1h", "skew": 0}),
    get(f"{U}keys/k"),
    *(
        post(f"{U}keys/k", {"generate": True, "issuer": issuer, "account_name": "x"}, divergence="DV-40")
        for issuer in ("A&B", "a=b", "a+b")
    ),
    post(f"{U}keys/copy", {"url": f"otpauth://totp/Rig:me@x?algorithm=SHA1&issuer=Rig&secret={SECRET}"}),
    get(f"{U}keys/copy"),
    post("identity/entity", {"name": "totp-urls"}),
    get("identity/entity/name/totp-urls", save=("e:data.id",), pick=("data.id",)),
    *(
        one
        for issuer, size in [*((issuer, 200) for issuer, _ in LABELS), *(("Rig", size) for size in SIZES)]
        for one in (
            post("identity/mfa/method/totp", {"issuer": issuer, "qr_size": size}, save=("m:data.method_id",)),
            post("identity/mfa/method/totp/admin-generate", {"method_id": "{m}", "entity_id": "{e}"}),
            delete("identity/mfa/method/totp/{m}"),
        )
    ),
    post("identity/mfa/method/totp", {"issuer": "Rig", "qr_size": 1}, save=("m:data.method_id",)),
    post(
        "identity/mfa/method/totp/admin-generate",
        {"method_id": "{m}", "entity_id": "{e}"},
        divergence="DV-07",
    ),
    delete("identity/mfa/method/totp/{m}"),
    delete("identity/entity/id/{e}"),
    delete("sys/mounts/totp-urls"),
]

SCENARIOS = [
    Scenario("totp", "totp-keys", KEY),
    Scenario("totp", "totp-codes", CODES),
    Scenario("totp", "totp-urls", URLS),
]

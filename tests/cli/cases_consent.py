# SPDX-License-Identifier: EUPL-1.2
"""Command lines for keys and root tokens by consent, and the answers that they meet.

What both programs print in whole sentences is left to each, so those lines are asked for as JSON.
"""

from typing import Any, Final

from tests.cli.canned import Case

_ROOT: Final = "/v1/sys/rotate/root"
_RECOVERY: Final = "/v1/sys/rotate/recovery"
_ATTEMPT: Final = "/v1/sys/generate-root-token/attempt"
_UPDATE: Final = "/v1/sys/generate-root-token/update"
_BEGUN: Final[dict[str, Any]] = {
    "nonce": "n-1",
    "started": True,
    "t": 2,
    "n": 3,
    "progress": 1,
    "required": 2,
    "pgp_fingerprints": None,
    "backup": False,
    "verification_required": False,
}
_IDLE: Final = {**_BEGUN, "nonce": "", "started": False, "t": 0, "n": 0, "progress": 0}
_CHECKED: Final = {
    **_BEGUN,
    "verification_required": True,
    "verification_nonce": "v-1",
    "pgp_fingerprints": ["ff", "ee"],
    "backup": True,
}
_NEW: Final[dict[str, Any]] = {
    "complete": True,
    "nonce": "n-1",
    "keys": ["aa", "bb"],
    "keys_base64": ["qg==", "uw=="],
    "pgp_fingerprints": None,
    "backup": False,
    "verification_required": False,
}
_BACK: Final = {"nonce": "v-1", "started": True, "t": 2, "n": 3, "progress": 1}
_TRY: Final[dict[str, Any]] = {
    "started": True,
    "complete": False,
    "progress": 1,
    "required": 2,
    "nonce": "n-1",
    "otp": "",
    "otp_length": 26,
    "pgp_fingerprint": "",
    "encoded_token": "",
}
_PAD: Final = "abcdefghijklmnopqrstuvwxyz"
_FORMS: Final = ("", " -format=json", " -format=yaml")


def _good(data: object) -> tuple[int, object]:
    return 200, {"data": data}


_ROTATE = [
    *(
        Case(f"operator rotate-keys{form} -status", {f"GET {_ROOT}/init": _good(state)})
        for form in _FORMS
        for state in (_BEGUN, _IDLE, _CHECKED)
    ),
    *(
        Case(f"operator rotate-keys{form} -status -verify", {f"GET {_ROOT}/verify": _good(_BACK)})
        for form in _FORMS
    ),
    Case("operator rotate-keys -target=recovery -status", {f"GET {_RECOVERY}/init": _good(_BEGUN)}),
    Case("operator rotate-keys -target=attic -status"),
    Case("operator rotate-keys -status", {f"GET {_ROOT}/init": (500, {"errors": ["internal error"]})}),
    *(
        Case(f"operator rotate-keys{form} -init{more}", {f"POST {_ROOT}/init": _good(_BEGUN)})
        for form in ("", " -format=json")
        for more in (
            "",
            " -n=1 -t=1",
            " -key-shares=1 -key-threshold=1 -verify -backup -pgp-keys=binary.pgp",
        )
    ),
    Case(
        "operator rotate-keys -init",
        {f"POST {_ROOT}/init": (400, {"errors": ["rotation already in progress"]})},
    ),
    Case("operator rotate-keys -cancel", {f"DELETE {_ROOT}/init": (204, None)}),
    Case("operator rotate-keys -cancel", {f"DELETE {_ROOT}/init": (403, {"errors": ["permission denied"]})}),
    Case("operator rotate-keys -backup-delete", {f"DELETE {_ROOT}/backup": (204, None)}),
    *(
        Case(
            f"operator rotate-keys{form} -backup-retrieve",
            {
                f"GET {_ROOT}/backup": _good(
                    {"nonce": "x", "keys": {"ff": ["aa"]}, "keys_base64": {"ff": ["qg=="]}}
                )
            },
        )
        for form in _FORMS
    ),
    *(
        Case(
            f"operator rotate-keys{form} -nonce=n-1 share",
            {f"GET {_ROOT}/init": _good(_BEGUN), f"PUT {_ROOT}/update": _good(_BEGUN)},
        )
        for form in _FORMS
    ),
    Case(
        "operator rotate-keys -format=json -nonce=n-1 share",
        {f"GET {_ROOT}/init": _good(_BEGUN), f"PUT {_ROOT}/update": _good(_NEW)},
    ),
    Case(
        "operator rotate-keys -format=json -nonce=n-1 -",
        {
            f"GET {_ROOT}/init": _good(_BEGUN),
            f"PUT {_ROOT}/update": _good({**_NEW, "pgp_fingerprints": ["ff", "ee"]}),
        },
        text="share\n",
    ),
    Case(
        "operator rotate-keys -nonce=n-2 share",
        {f"GET {_ROOT}/init": _good(_BEGUN), f"PUT {_ROOT}/update": (400, {"errors": ["incorrect nonce"]})},
    ),
    Case("operator rotate-keys -nonce=n-1 share", {f"GET {_ROOT}/init": _good(_IDLE)}),
    Case(
        "operator rotate-keys -verify -nonce=v-1 share",
        {f"GET {_ROOT}/verify": _good(_BACK), f"PUT {_ROOT}/verify": _good(_BACK)},
    ),
]

_GENERATE = [
    *(
        Case(f"operator generate-root{form} -status", {f"GET {_ATTEMPT}": _good(state)})
        for form in _FORMS
        for state in (
            _TRY,
            {**_TRY, "started": False, "nonce": "", "progress": 0},
            {**_TRY, "pgp_fingerprint": "ff"},
        )
    ),
    *(
        Case(f"operator generate-root{form} -init{more}", {f"PUT {_ATTEMPT}": _good({**_TRY, "otp": _PAD})})
        for form in ("", " -format=json")
        for more in ("", f" -otp={_PAD}", " -pgp-key=binary.pgp")
    ),
    Case("operator generate-root -init", {f"PUT {_ATTEMPT}": (400, {"errors": ["already in progress"]})}),
    Case("operator generate-root -cancel", {f"DELETE {_ATTEMPT}": (204, None)}),
    Case("operator generate-root -cancel", {f"DELETE {_ATTEMPT}": (403, {"errors": ["permission denied"]})}),
    *(
        Case(
            f"operator generate-root{form} -nonce=n-1 {share}",
            {f"GET {_ATTEMPT}": _good(_TRY), f"PUT {_UPDATE}": _good(state)},
            text="share\n",
        )
        for form in _FORMS
        for share in ("share", "-")
        for state in (_TRY, {**_TRY, "complete": True, "progress": 2, "encoded_token": "AAAA"})
    ),
    Case("operator generate-root share", {f"GET {_ATTEMPT}": _good(_TRY)}),
    Case("operator generate-root -nonce=n-1 share", {f"GET {_ATTEMPT}": _good({**_TRY, "started": False})}),
    Case("operator generate-root -decode=AAAA"),
]

CASES = [*_ROTATE, *_GENERATE]

# SPDX-License-Identifier: EUPL-1.2
"""Command lines about namespaces with keys of their own, and the answers that they meet."""

from typing import Any, Final

from tests.cli.canned import Case

_NS: Final = "/v1/sys/namespaces/a"
_PLAIN: Final[dict[str, Any]] = {
    "custom_metadata": {},
    "id": "f3EF3C",
    "locked": False,
    "path": "a/",
    "tainted": False,
    "uuid": "3de5924b-bbf5-84af-aee9-21f28ac65a13",
}
_KEYS: Final = dict(sorted({**_PLAIN, "key_shares": ["18966bbb", "35f15958"], "key_threshold": 2}.items()))
_SEALED: Final[dict[str, Any]] = {
    "initialized": True,
    "n": 2,
    "nonce": "934f556f-5f07-4452-4584-452d4a18bb8c",
    "progress": 1,
    "sealed": True,
    "t": 2,
    "type": "shamir",
}
_OPEN: Final = {**_SEALED, "sealed": False, "nonce": "", "progress": 0}
_NOT: Final = (400, {"errors": ["namespace is not sealable"]})
_SHUT: Final = (503, {"errors": ["namespace is sealed"]})
_GOING: Final = (200, {"data": {"status": "in-progress"}})
_NOBODY: Final = (200, {"data": None, "warnings": ["requested namespace does not exist"]})


def _data(data: object) -> tuple[int, object]:
    return 200, {"data": data}


CASES = [
    *(
        Case(f"namespace create {flags} a", {f"POST {_NS}": _data(_KEYS)})
        for flags in (
            "-key-shares=2 -key-threshold=2",
            "-n=2 -t=2",
            "-n=2 -t=2 -format=json",
            "-n=2 -t=2 -format=yaml",
            "-n=2 -t=2 -field=id",
            "-n=2",
            "-t=2",
        )
    ),
    Case("namespace create -n=0 -t=0 a", {f"POST {_NS}": _data(_PLAIN)}),
    Case("namespace create -seal=/does/not/exist.hcl a"),
    Case("namespace create -n=1 -t=2 a", {f"POST {_NS}": (400, {"errors": ["invalid seal config: no"]})}),
    *(
        Case(line, {f"GET {_NS}/seal-status": answer})
        for answer in (_data(_SEALED), _data(_OPEN), _data({**_SEALED, "nonce": "", "progress": 0}), _NOT)
        for line in (
            "namespace seal-status a",
            "namespace seal-status -format=json a/",
            "namespace seal-status -field=t a",
        )
    ),
    Case("namespace seal-status -field=nothing a", {f"GET {_NS}/seal-status": _data(_OPEN)}),
    Case("namespace seal-status"),
    *(
        Case(line, {f"PUT {_NS}/unseal": answer})
        for answer in (_data(_SEALED), _data(_OPEN), _NOT)
        for line in (
            "namespace unseal a abcd",
            "namespace unseal -format=json a abcd",
            "namespace unseal -reset a",
        )
    ),
    Case("namespace unseal"),
    Case("namespace unseal a b c"),
    Case("namespace seal a", {f"PUT {_NS}/seal": (204, None)}),
    Case("namespace seal a", {f"PUT {_NS}/seal": _NOT}),
    Case("namespace seal"),
    Case("namespace delete a", {f"DELETE {_NS}": _SHUT}),
    Case("namespace delete-sealed a", {f"DELETE {_NS}/delete-sealed": _GOING}),
    Case("namespace delete-sealed a", {f"DELETE {_NS}/delete-sealed": _NOBODY}),
    Case("namespace delete-sealed a", {f"DELETE {_NS}/delete-sealed": _SHUT}),
    Case(
        "namespace delete-sealed -force a",
        {f"DELETE {_NS}/delete-sealed": _SHUT, f"DELETE {_NS}/delete-sealed?force=true": _GOING},
    ),
]

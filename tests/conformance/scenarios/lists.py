# SPDX-License-Identifier: EUPL-1.2
"""LIST, SCAN, pagination, PATCH and help."""

import re
from pathlib import Path

from tests.conformance.scenario import Scenario, get, lst, patch, post, scan, step

OPERATIONS = Path(__file__).parents[3] / "api-spec" / "openbao-operations.txt"
"""What OpenBao's own document names."""
NOT_HERE = (
    "sys/config/reload/", "sys/config/ui/", "sys/control-group/", "sys/generate-root", "sys/pprof", "sys/raw",
    "sys/workflows/",
)  # fmt: skip
"""Begins paths that are unsupported here, or where the listener does not offer them; `coverage.md` says why."""
OTHERWISE = (
    "sys/wrapping/lookup", "sys/wrapping/rewrap", "sys/wrapping/unwrap",
    "auth/token/lookup-self", "auth/token/renew-self", "auth/token/revoke-self",
)  # fmt: skip
"""Where OpenBao takes every token for one that wraps something, or puts the token into the help."""
_PLACE = re.compile(r"\{[a-z_]+\}")

TREE = ["a", "b", "c", "dir/x", "dir/y", "dir/sub/z", "Zed", "a b"]

FILL_V1 = [post("sys/mounts/lst1", {"type": "kv"})] + [
    post(f"lst1/{name.replace(' ', '%20')}", {"x": "1"}) for name in TREE
]
FILL_V2 = [post("sys/mounts/lst2", {"type": "kv-v2"})] + [
    post(f"lst2/data/{name.replace(' ', '%20')}", {"data": {"x": "1"}}) for name in TREE
]

PAGING = [
    lst("lst2/metadata"),
    lst("lst2/metadata/"),
    lst("lst2/metadata?limit=2"),
    lst("lst2/metadata?limit=2&after=a"),
    lst("lst2/metadata?after=c"),
    lst("lst2/metadata?after=zzz"),
    lst("lst2/metadata?limit=0"),
    lst("lst2/metadata?limit=-1"),
    lst("lst2/metadata?limit=abc"),
    lst("lst2/metadata?limit=max"),
    lst("lst2/metadata?limit=1000"),
    lst("lst2/metadata?after=dir/&limit=1"),
    lst("lst2/metadata?foo=bar"),
    lst("lst2/metadata/dir"),
    lst("lst2/metadata/dir/"),
    lst("lst2/metadata/dir?after=sub/"),
    lst("lst2/metadata/absent"),
    lst("lst2/metadata/a"),
    get("lst2/metadata?list=true&limit=2"),
    step("LIST", "lst2/metadata", {"limit": 1}),
    lst("lst2/detailed-metadata"),
    lst("lst2/detailed-metadata?limit=2&after=b"),
    lst("lst2/detailed-metadata/dir"),
    lst("lst2/detailed-metadata/absent"),
    scan("lst2/metadata"),
    scan("lst2/metadata?limit=2"),
    scan("lst2/metadata?after=b"),
    scan("lst2/metadata?limit=abc"),
    scan("lst2/metadata/dir"),
    scan("lst2/metadata/absent"),
    scan("lst2/detailed-metadata"),
    scan("lst2/detailed-metadata/dir/"),
    lst("lst2/data"),
    scan("lst2/data"),
    lst("lst2/subkeys"),
    lst("lst2/config"),
    lst("lst2"),
    scan("lst2"),
]

VERSION_ONE = [
    lst("lst1"),
    lst("lst1/dir"),
    lst("lst1/dir/"),
    lst("lst1?limit=2"),
    lst("lst1?after=b&limit=1"),
    lst("lst1?limit=abc"),
    scan("lst1"),
    scan("lst1?limit=2"),
    scan("lst1/dir"),
    scan("lst1/absent"),
    lst("lst1/absent"),
    get("lst1/dir?list=true"),
]

OTHER_LISTS = [
    lst("sys/policies/acl?limit=1", pick=("warnings",)),
    lst("sys/policies/acl?limit=abc", pick=("warnings",)),
    lst("auth/token/accessors?limit=1", pick=("warnings",)),
    lst("auth/token/roles"),
    scan("sys/policies/acl"),
    scan("auth/token/accessors"),
    lst("sys/leases/lookup/nothing"),
]

PATCHES = [
    step("PATCH", "lst2/data/a", {"data": {"y": "2"}}),
    step(
        "PATCH",
        "lst2/data/a",
        {"data": {"y": "2"}},
        headers={"Content-Type": "application/json"},
        divergence="DV-02",
    ),
    step("PATCH", "lst2/data/a", {"data": {"y": "2"}}, headers={"Content-Type": ";;"}),
    step(
        "PATCH",
        "lst2/data/a",
        {"data": {"y": "2"}},
        headers={"Content-Type": "text/plain; charset=x"},
        divergence="DV-02",
    ),
    patch("lst2/data/a", {"data": {"y": "2"}}, headers={"Content-Type": "application/merge-patch+json;v=1"}),
    patch("lst2/data/a", b"bad", divergence="DV-02"),
    patch("lst2/data/a", b"[1]"),
    patch("lst2/data/a", b""),
    patch("lst2/data/a", {}),
    patch("lst2/data/dir/", {"data": {"y": "2"}}),
    patch("lst2/data/absent", {"data": {"y": "2"}}),
    patch("lst1/a", {"x": "2"}),
    get("lst2/data/a"),
]

HELPED = sorted(
    {
        _PLACE.sub("x", path)
        for _, path in (line.split(maxsplit=1) for line in OPERATIONS.read_text().splitlines())
        if path.startswith(("sys/", "identity/", "auth/token/", "cubbyhole/"))
        and not path.startswith(NOT_HERE)
    }
)
"""A path of each shape that OpenBao has on the mounts that are always there, and we have too."""

HELP = [
    *(get(f"{path}?help=1", shape=1, divergence="DV-10" if path in OTHERWISE else "") for path in HELPED),
    get("sys/internal/ui/mounts?help=1", token="", divergence="DV-10"),
    get("sys/mounts?help=1", shape=1),
    get("sys/policies/acl/x?help=true", shape=1),
    get("sys/nothing-here?help=1", shape=1),
    get("lst2/data/a?help=1", shape=1),
    get("lst1/a?help=1", shape=1),
    get("auth/token/create?help=1", shape=1),
    get("cubbyhole/a?help=1", shape=1),
    get("sys?help=1", shape=1),
    get("nope/x?help=1", shape=1),
    get("lst2?help=1", shape=1),
    get("sys/mounts?help=1", token="", shape=1),
    get("sys/mounts?help=0", pick=("lease_id",)),
    get("sys/mounts?help=foo", pick=("lease_id",)),
    post("auth/token/create", {"policies": ["default"], "ttl": "1h"}, save=("weak:auth.client_token",)),
    get("sys/mounts?help=1", token="{weak}", shape=1),
    get("sys/mounts?help=1", token="garbage", shape=1),
]

OURS = [
    scan("lst2/metadata?depth=1", divergence="DV-38"),
    scan("lst2/metadata?depth=0&limit=2", divergence="DV-38"),
    scan("lst2/metadata?depth=abc", divergence="DV-38"),
    lst("lst2/metadata", headers={"X-Vault-List-Filter": "other"}, divergence="DV-38"),
    lst("lst2/metadata", headers={"X-Vault-List-Filter": "readable"}),
]

SCENARIOS = [
    Scenario("lists", "version-one", FILL_V1 + VERSION_ONE),
    Scenario("lists", "paging", FILL_V2 + PAGING),
    Scenario("lists", "ours", FILL_V2 + OURS),
    Scenario("lists", "others", OTHER_LISTS),
    Scenario("lists", "patches", FILL_V1 + FILL_V2 + PATCHES),
    Scenario("lists", "help", FILL_V1 + FILL_V2 + HELP),
]

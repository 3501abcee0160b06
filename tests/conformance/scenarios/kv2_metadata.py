# SPDX-License-Identifier: EUPL-1.2
"""KV version 2: configuration, metadata, custom metadata, trimming, expiring versions."""

from tests.conformance.scenario import Scenario, delete, get, lst, patch, post, put, scan

MOUNT = [post("sys/mounts/kv-c", {"type": "kv-v2"}), get("kv-c/config", settle=200)]
META = "kv-c/metadata/m"

CONFIG = [
    post("sys/mounts/kv-d", {"type": "kv-v2"}),
    get("kv-d/config", settle=200),
    post("kv-d/config", {"max_versions": 3, "cas_required": True, "delete_version_after": "3h"}),
    get("kv-d/config"),
    post("kv-d/config", {"max_versions": "2"}),
    get("kv-d/config"),
    post("kv-d/config", {"delete_version_after": "90"}),
    get("kv-d/config"),
    post("kv-d/config", {"delete_version_after": "1d"}),
    get("kv-d/config"),
    post("kv-d/config", {"delete_version_after": "-1s"}),
    get("kv-d/config"),
    post("kv-d/config", {"delete_version_after": "bad"}, divergence="DV-02"),
    post("kv-d/config", {"max_versions": "x"}),
    post("kv-d/config", {"max_versions": -1}),
    get("kv-d/config"),
    post("kv-d/config", {"cas_required": "maybe"}),
    post("kv-d/config", {"metadata_cas_required": True}),
    get("kv-d/config"),
    post("kv-d/config", {"unknown": 1}),
    post("kv-d/config", {}),
    post("kv-d/config", b""),
    put("kv-d/config", {"cas_required": False, "metadata_cas_required": False, "max_versions": 0}),
    get("kv-d/config"),
    patch("kv-d/config", {"max_versions": 1}),
]

METADATA = MOUNT + [
    get(META),
    post(META, {}),
    get(META),
    get("kv-c/data/m"),
    post("kv-c/data/m", {"data": {"x": "1"}}),
    get(META),
    put(
        META,
        {
            "max_versions": 2,
            "cas_required": True,
            "delete_version_after": "1h",
            "custom_metadata": {"a": "b", "n": 5},
        },
    ),
    get(META),
    post("kv-c/data/m", {"data": {"x": "2"}, "options": {"cas": 1}}),
    get("kv-c/data/m"),
    post(META, {"custom_metadata": {"c": "d"}}),
    get(META),
    post(META, {"custom_metadata": {}}),
    get(META),
    post(META, {"custom_metadata": {"k" * 129: "v"}}, divergence="DV-02"),
    post(META, {"custom_metadata": {"n": "v" * 600}}),
    post(META, {"custom_metadata": {"n": ""}}),
    post(META, {"custom_metadata": {"": "v"}}),
    post(META, {"custom_metadata": {"n": {"o": 1}}}),
    post(META, {"custom_metadata": {"n": [1]}}),
    post(META, {"custom_metadata": {"n": None}}),
    post(META, {"custom_metadata": {"n": True, "f": 1.5}}),
    get(META),
    post(META, {"custom_metadata": "text"}),
    post(META, {"custom_metadata": ["a=b"]}),
    post(META, {"custom_metadata": {f"k{n}": "v" for n in range(65)}}),
    post(META, {"custom_metadata": {"n": "line\nbreak"}}),
    post(META, {"max_versions": "x"}),
    post(META, {"max_versions": -1}),
    post(META, {"delete_version_after": "bad"}, divergence="DV-02"),
    post(META, {"delete_version_after": "-1s"}, divergence="DV-02"),
    post(META, {"cas_required": "maybe"}),
    post(META, {"unknown": 1}),
    post("kv-c/metadata/dir/", {}),
    get(META + "?version=1"),
    delete(META),
    delete(META),
    get(META),
    get("kv-c/data/m"),
]

PATCHED = MOUNT + [
    patch("kv-c/metadata/absent", {"max_versions": 1}),
    post("kv-c/metadata/p", {"custom_metadata": {"a": "1", "b": "2"}, "max_versions": 5}),
    patch("kv-c/metadata/p", {"custom_metadata": {"a": None, "c": "3"}}),
    get("kv-c/metadata/p"),
    patch("kv-c/metadata/p", {"max_versions": None, "cas_required": True}),
    get("kv-c/metadata/p"),
    patch("kv-c/metadata/p", {"custom_metadata": None}),
    get("kv-c/metadata/p"),
    patch("kv-c/metadata/p", {"custom_metadata": {"n": "v" * 600}}),
    patch("kv-c/metadata/p", {"custom_metadata": {"n": 5}}, divergence="DV-07"),
    patch("kv-c/metadata/p", {"delete_version_after": "2h"}),
    patch("kv-c/metadata/p", {"delete_version_after": "bad"}, divergence="DV-02"),
    patch("kv-c/metadata/p", {}),
    patch("kv-c/metadata/p", {"unknown": 1}),
    get("kv-c/metadata/p"),
    patch(
        "kv-c/metadata/p",
        {"max_versions": 1},
        headers={"Content-Type": "application/json"},
        divergence="DV-02",
    ),
]

META_CAS = MOUNT + [
    post("kv-c/metadata/c", {"metadata_cas_required": True}),
    get("kv-c/metadata/c"),
    post("kv-c/metadata/c", {"max_versions": 1}),
    post("kv-c/metadata/c", {"max_versions": 1, "metadata_cas": 9}),
    post("kv-c/metadata/c", {"max_versions": 1, "metadata_cas": 1}),
    post("kv-c/metadata/c", {"max_versions": 1, "metadata_cas": "x"}),
    get("kv-c/metadata/c"),
    patch("kv-c/metadata/c", {"max_versions": 3}),
    patch("kv-c/metadata/c", {"max_versions": 3, "metadata_cas": 2}),
    get("kv-c/metadata/c"),
    post("kv-c/metadata/c2", {"metadata_cas": 0}),
    post("kv-c/metadata/c2", {"metadata_cas": 0}),
    delete("kv-c/metadata/c"),
]

TRIMMING = (
    MOUNT
    + [post("kv-c/data/t", {"data": {"n": n}}) for n in range(12)]
    + [
        get("kv-c/metadata/t"),
        get("kv-c/data/t?version=1"),
        get("kv-c/data/t?version=3"),
        post("kv-c/metadata/t", {"max_versions": 4}),
        get("kv-c/metadata/t"),
        get("kv-c/data/t?version=5"),
        post("kv-c/data/t", {"data": {"n": 99}}),
        get("kv-c/metadata/t"),
        get("kv-c/data/t?version=5"),
        post("kv-c/destroy/t", {"versions": [5]}),
        post("kv-c/delete/t", {"versions": [12]}),
        get("kv-c/metadata/t"),
        lst("kv-c/detailed-metadata"),
        scan("kv-c/detailed-metadata"),
    ]
)

EXPIRING = MOUNT + [
    post("kv-c/metadata/e", {"delete_version_after": "1h"}),
    post("kv-c/data/e", {"data": {"x": "1"}}),
    get("kv-c/data/e"),
    get("kv-c/metadata/e"),
    delete("kv-c/data/e"),
    get("kv-c/data/e"),
    post("kv-c/undelete/e", {"versions": [1]}),
    get("kv-c/data/e"),
    get("kv-c/metadata/e"),
    post("kv-c/metadata/gone", {"delete_version_after": "1s"}),
    post("kv-c/data/gone", {"data": {"x": "1"}}),
    get("kv-c/data/gone", settle=404),
    patch("kv-c/data/gone", {"data": {"y": "1"}}),
]

SCENARIOS = [
    Scenario("kv2", "config", CONFIG),
    Scenario("kv2", "metadata", METADATA),
    Scenario("kv2", "metadata-patches", PATCHED),
    Scenario("kv2", "metadata-check-and-set", META_CAS),
    Scenario("kv2", "trimming", TRIMMING),
    Scenario("kv2", "expiring", EXPIRING),
]

# SPDX-License-Identifier: EUPL-1.2
"""Entities, their aliases, groups and theirs: each in a namespace of its own, so that lists are whole."""

from collections.abc import Mapping, Sequence

from tests.conformance.scenario import Scenario, Step, delete, get, lst, patch, post, put

KEYS = ("data.keys",)
GROUPS = ("data.group_ids", "data.direct_group_ids", "data.inherited_group_ids")


def home(name: str, *auths: str) -> list[Step]:
    """Makes a namespace with userpass mounts, whose accessors are captured by their names."""
    steps = [post(f"sys/namespaces/{name}", {})]
    for auth in auths:
        steps += [
            post(f"{name}/sys/auth/{auth}", {"type": "userpass"}),
            get(f"{name}/sys/auth/{auth}", save=(f"{auth}:data.accessor",), pick=("data.type",)),
        ]
    return steps


def entity(at: str, name: str, save: str = "", **fields: object) -> Step:
    """Makes an entity, and captures its id under its name."""
    return post(f"{at}/identity/entity", {"name": name, **fields}, save=(f"{save or name}:data.id",))


def group(at: str, name: str, **fields: object) -> Step:
    """Makes a group, and captures its id under its name."""
    return post(f"{at}/identity/group", {"name": name, **fields}, save=(f"{name.lower()}:data.id",))


def alias(at: str, name: str, accessor: str, owner: str = "", **fields: object) -> Step:
    """Makes an alias, and captures its id under its name."""
    body = {"name": name, "mount_accessor": f"{{{accessor}}}", **fields}
    if owner:
        body["canonical_id"] = f"{{{owner}}}"
    return post(f"{at}/identity/entity-alias", body, save=(f"{name}:data.id",))


E = "ide/identity/"
ENTITIES = [
    *home("ide"),
    lst(E + "entity/id"),
    lst(E + "entity/name"),
    post(E + "entity", {}, save=("made:data.id",)),
    get(E + "entity/id/{made}"),
    entity("ide", "Anna", save="anna", metadata={"team": "A"}, policies="x,Y,x"),
    post(E + "entity", {"name": "anna"}),
    get(E + "entity/name/ANNA"),
    put(E + "entity", {"name": "Anna", "policies": "z"}),
    get(E + "entity/name/anna"),
    get(E + "entity/name/none"),
    get(E + "entity/id/none"),
    post(E + "entity/id/none", {"name": "q"}),
    post(E + "entity", {"id": "none"}),
    post(E + "entity/name/byname", {"metadata": "a=b,c=d"}),
    post(E + "entity/name/byname", {"metadata": "a=b", "disabled": True}),
    get(E + "entity/name/byname"),
    post(E + "entity/name/a%2Fb", {}),
    post(E + "entity", {"name": "bad", "policies": ["root"]}),
    post(E + "entity", {"name": "bad", "policies": ["ROOT "]}),
    post(E + "entity", {"name": "bad", "policies": ["default", ""]}),
    get(E + "entity/name/bad"),
    post(E + "entity", {"id": "{anna}", "name": "bad"}),
    post(E + "entity", {"id": "{anna}", "name": "Renamed", "policies": []}),
    get(E + "entity/id/{anna}"),
    get(E + "entity/name/anna"),
    post(E + "entity/id/{anna}", {"name": "Again", "id": "other"}),
    get(E + "entity/name/again"),
    post(E + "entity", {"name": "x", "metadata": 5}),
    post(E + "entity", {"name": "x", "metadata": {"a": 5, "b": None, "c": True}}),
    get(E + "entity/name/x"),
    post(E + "entity", {"name": "x", "metadata": {}}),
    get(E + "entity/name/x"),
    post(E + "entity", {"name": "x", "unknown": 1, "disabled": "zz"}),
    post(E + "entity", {"name": "x", "unknown": 1}),
    post(E + "entity", {"name": "a/b"}),
    post(E + "entity", {"name": "  sp  "}),
    post(E + "entity", {"name": "m", "metadata": {"k": ""}}),
    post(E + "entity", {"name": "m2", "metadata": {"k" * 200: "v"}}, divergence="DV-07"),
    post(E + "entity", {"name": "m2", "metadata": {"k": "v" * 600}}, divergence="DV-07"),
    post(E + "entity", {"name": "m2", "metadata": {f"k{i}": "v" for i in range(65)}}, divergence="DV-07"),
    post(E + "entity", {"name": "m2", "metadata": {"": "v"}}, divergence="DV-07"),
    get(E + "entity/name/m2"),
    get(E + "entity"),
    lst(E + "entity"),
    patch(E + "entity/id/{anna}", {"name": "p"}),
    delete(E + "entity/name/none"),
    delete(E + "entity/id/none"),
    lst(E + "entity/id", unordered=KEYS),
    lst(E + "entity/name", unordered=KEYS),
    lst(E + "entity/id?limit=1&after=a", unordered=KEYS),
    delete(E + "entity/name/x"),
    get(E + "entity/name/x"),
    delete(E + "entity/id/{anna}"),
    get(E + "entity/id/{anna}"),
    post(E + "entity/batch-delete", {}),
    post(E + "entity/batch-delete", {"entity_ids": ["none"]}),
    post(E + "entity/batch-delete", {"entity_ids": ["{made}", "none"]}),
    get(E + "entity/id/{made}"),
    get(E + "entity/batch-delete"),
    get(E + "nothing"),
    get(E),
    get("identity/entity/name/byname", token="bad"),
    get("identity/entity/name/byname", token=""),
]

A = "ida/identity/"
ALIASES = [
    *home("ida", "ua", "ub"),
    lst(A + "entity-alias/id"),
    post(A + "entity-alias", {}),
    post(A + "entity-alias", {"name": "al"}),
    post(A + "entity-alias", {"mount_accessor": "{ua}"}),
    post(A + "entity-alias", {"name": "al", "mount_accessor": "bad"}),
    post(
        A + "entity-alias",
        {"name": "al", "mount_accessor": "{ua}"},
        save=("al:data.id", "al_e:data.canonical_id"),
    ),
    get(A + "entity-alias/id/{al}"),
    get(A + "alias/id/{al}"),
    get(A + "persona/id/{al}"),
    get(A + "entity/id/{al_e}"),
    post(A + "entity-alias", {"name": "al", "mount_accessor": "{ua}"}),
    entity("ida", "own"),
    post(A + "entity-alias", {"name": "al", "mount_accessor": "{ua}", "canonical_id": "{own}"}),
    get(A + "entity/id/{al_e}"),
    get(A + "entity/id/{own}"),
    post(A + "entity-alias", {"name": "al2", "mount_accessor": "{ua}", "canonical_id": "{own}"}),
    post(A + "entity-alias", {"name": "al2", "mount_accessor": "{ua}", "canonical_id": "none"}),
    post(A + "entity-alias", {"name": "AL", "mount_accessor": "{ua}"}),
    get(A + "entity-alias/id/{al}"),
    post(A + "entity-alias/id/{al}", {"name": "al3"}),
    post(A + "entity-alias/id/{al}", {"name": "al3", "mount_accessor": "{ua}"}),
    post(A + "entity-alias/id/{al}", {"custom_metadata": {"a": "b"}}),
    get(A + "entity-alias/id/{al}"),
    post(A + "entity-alias/id/none", {"name": "al3"}),
    post(A + "entity-alias", {"id": "none", "name": "al4", "mount_accessor": "{ua}"}),
    get(A + "entity-alias/id/none"),
    delete(A + "entity-alias/id/none"),
    get(A + "entity-alias"),
    post(
        A + "alias",
        {"name": "old", "mount_accessor": "{ub}", "custom_metadata": {"a": 1}},
        save=("old:data.id",),
    ),
    get(A + "alias/id/{old}"),
    post(A + "alias", {"name": "older", "mount_accessor": "{ub}"}, save=("older:data.id",)),
    lst(A + "entity-alias/id", unordered=KEYS),
    lst(A + "alias/id", unordered=KEYS),
    lst(A + "persona/id", unordered=KEYS),
    post(A + "persona/id/{older}", {"name": "older", "mount_accessor": "{ub}"}, divergence="DV-40"),
    post(A + "persona/id/none", {"name": "x", "mount_accessor": "{ub}"}, divergence="DV-40"),
    post(A + "alias/id/{old}", {"name": "old2", "mount_accessor": "{ub}"}),
    get(A + "entity-alias/id/{old}"),
    post(A + "entity-alias/id/{old}", {"custom_metadata": {"a": "b"}}),
    post(A + "alias/id/{old}", {"name": "old3", "mount_accessor": "{ub}"}),
    get(A + "entity-alias/id/{old}"),
    post(A + "entity-alias", {"name": "old3", "mount_accessor": "{ub}"}),
    get(A + "entity-alias/id/{old}"),
    post(A + "alias", {"id": "{old}", "name": "old2", "mount_accessor": "{ub}"}),
    get(A + "entity-alias/id/{old}"),
    delete(A + "alias/id/none"),
    lst(A + "entity/id", pick=KEYS, unordered=KEYS),
    post(
        A + "entity-alias",
        {"name": "c", "mount_accessor": "{ua}", "custom_metadata": {"k" * 200: "v"}},
        divergence="DV-07",
    ),
    post(
        A + "entity-alias",
        {"name": "c", "mount_accessor": "{ua}", "custom_metadata": {"k": "v" * 600}},
        divergence="DV-07",
    ),
    post(
        A + "entity-alias",
        {"name": "c", "mount_accessor": "{ua}", "custom_metadata": {"": "v"}},
        divergence="DV-07",
    ),
    delete(A + "persona/id/{older}"),
    post(A + "alias", {"name": "last", "mount_accessor": "{ub}"}, save=("last:data.id",)),
    delete(A + "alias/id/{last}"),
    get(A + "alias/id/{last}"),
    delete(A + "entity-alias/id/{al}"),
    get(A + "entity-alias/id/{al}"),
    get(A + "entity/id/{own}", pick=("data.name", "data.aliases")),
    post(A + "persona", {"name": "oldest", "mount_accessor": "{ub}"}, divergence="DV-40"),
    post("ida/sys/auth/ub/tune", {"description": "x"}),
    delete("ida/sys/auth/ub"),
    get(A + "alias/id/{old}"),
]

G = "idg/identity/"
OUTER = ("data.parent_group_ids", "data.member_group_ids", "errors")
MANY = {f"k{i}": "v" for i in range(65)}
EMPTY: Mapping[str, object] = {"policies": [], "metadata": {}}
GROUPS_STEPS = [
    *home("idg", "ga"),
    entity("idg", "g1", policies="e1p"),
    entity("idg", "g2", policies="e2p"),
    lst(G + "group/id"),
    lst(G + "group/name"),
    post(G + "group", {}),
    get(G + "group"),
    group("idg", "G", member_entity_ids=["{g1}"], policies="gp", metadata={"a": "b"}),
    get(G + "group/id/{g}"),
    post(G + "group", {"name": "G", "policies": "gp2"}),
    post(G + "group", {"name": "g", "policies": "gp2"}),
    get(G + "group/name/G"),
    get(G + "group/name/none"),
    get(G + "group/id/none"),
    post(G + "group/id/none", {"name": "zz"}),
    post(G + "group/name/byn", {"type": "external"}, save=("ext:data.id",)),
    post(G + "group/name/byn", {"type": "internal"}),
    post(G + "group/name/byn", {"type": "external"}),
    get(G + "group/name/byn"),
    post(G + "group/name/byn", {"member_entity_ids": ["{g1}"]}),
    post(G + "group", {"name": "ext0", "type": "external", "member_group_ids": ["{g}"]}),
    post(G + "group", {"name": "bt", "type": "bogus"}, divergence="DV-02"),
    post(G + "group", {"name": "bp", "policies": "root"}),
    post(G + "group", {"name": "bp", "policies": " Root"}),
    post(G + "group", {"name": "bm", "member_entity_ids": ["none"]}, divergence="DV-07"),
    post(G + "group", {"name": "bm", "member_group_ids": ["none"]}, divergence="DV-07"),
    get(G + "group/name/bm"),
    group("idg", "P", member_group_ids=["{g}"], policies="pp"),
    get(G + "group/id/{p}"),
    get(G + "group/id/{g}"),
    get(G + "entity/id/{g1}"),
    post(G + "group", {"id": "{g}", "member_group_ids": ["{p}"]}),
    post(G + "group", {"id": "{g}", "member_group_ids": ["{g}"]}, divergence="DV-07"),
    post(G + "group/id/{g}", {"member_entity_ids": ["{g1}", "{g2}", "{g2}"]}),
    get(G + "group/id/{g}", unordered=("data.member_entity_ids",)),
    post(G + "group/id/{g}", {"name": "P"}),
    post(G + "group/id/{g}", {"name": "G2"}),
    get(G + "group/name/G2", unordered=("data.member_entity_ids",)),
    get(G + "group/name/G"),
    lst(G + "group/id", unordered=KEYS),
    lst(G + "group/name", unordered=KEYS),
    lst(G + "group"),
    post(G + "group", {"name": "x/y"}),
    post(G + "group/id/{g}", {"metadata": {"k" * 200: "v"}}, divergence="DV-07"),
    post(G + "group/id/{g}", {"metadata": MANY}, divergence="DV-07"),
    post(G + "group/id/{g}", {"member_entity_ids": []}),
    get(G + "group/id/{g}"),
    post(G + "group/id/{g}", {"policies": []}),
    get(G + "group/id/{g}"),
    get(G + "entity/id/{g1}", pick=GROUPS),
    delete(G + "group/name/none"),
    delete(G + "group/id/none"),
    post(G + "group/id/{g}", {"member_entity_ids": "{g2},{g1}"}),
    delete(G + "entity/id/{g2}"),
    get(G + "group/id/{g}", pick=("data.member_entity_ids", "errors")),
    post(G + "group/id/{g}", {"member_entity_ids": ["{g1}"]}),
    get(G + "entity/id/{g1}", pick=GROUPS),
    delete(G + "group/id/{p}"),
    get(G + "group/id/{g}", divergence="DV-40"),
    delete(G + "group/name/g2"),
    get(G + "entity/id/{g1}", pick=GROUPS),
    group("idg", "E", member_entity_ids=""),
    get(G + "group/name/E"),
    group("idg", "F", member_group_ids=["{e}"]),
    get(G + "group/name/E", pick=("data.member_entity_ids", "errors")),
    post(G + "group/name/F", {"member_group_ids": ""}),
    get(G + "group/name/E", pick=OUTER),
    get(G + "group/name/F", pick=OUTER),
    post(G + "group/name/E", {"policies": "p"}),
    get(G + "group/name/E", pick=OUTER),
    post(G + "group/name/E", {"member_entity_ids": ["{g1}"]}),
    post(G + "group/name/E", {"policies": "q"}),
    delete(G + "entity/id/{g1}"),
    get(G + "group/name/E"),
    group("idg", "W", **EMPTY),
    get(G + "group/name/W"),
    post(G + "group/name/W", {"metadata": {}}),
    get(G + "group/name/W"),
    post(G + "group/name/W", {"policies": ""}),
    get(G + "group/name/W"),
    post(G + "group/name/W", EMPTY),
    post(G + "group/name/F", {"member_group_ids": ["{w}"]}),
    get(G + "group/name/W"),
]

GROUP_ALIASES = [
    *home("idx", "xa"),
    group("idx", "int"),
    group("idx", "ext", type="external", policies="ep"),
    lst("idx/identity/group-alias/id"),
    post("idx/identity/group-alias", {}),
    post("idx/identity/group-alias", {"name": "ga"}),
    post("idx/identity/group-alias", {"name": "ga", "mount_accessor": "bad"}),
    post("idx/identity/group-alias", {"name": "ga", "mount_accessor": "{xa}", "canonical_id": "none"}),
    post("idx/identity/group-alias", {"name": "ga", "mount_accessor": "{xa}", "canonical_id": "{int}"}),
    post(
        "idx/identity/group-alias",
        {"name": "ga", "mount_accessor": "{xa}", "canonical_id": "{ext}"},
        save=("ga:data.id",),
    ),
    get(
        "idx/identity/group-alias/id/{ga}",
        pick=(
            "data.name",
            "data.canonical_id",
            "data.id",
            "data.mount_path",
            "data.mount_type",
            "data.local",
            "data.metadata",
            "data.custom_metadata",
            "data.merged_from_canonical_ids",
        ),
    ),
    get(
        "idx/identity/group/id/{ext}",
        pick=(
            "data.alias.name",
            "data.alias.id",
            "data.alias.mount_path",
            "data.alias.canonical_id",
            "data.alias.metadata",
            "data.name",
            "data.modify_index",
            "data.type",
        ),
    ),
    post("idx/identity/group-alias", {"name": "ga", "mount_accessor": "{xa}", "canonical_id": "{ext}"}),
    post("idx/identity/group-alias", {"name": "GA", "mount_accessor": "{xa}"}),
    post(
        "idx/identity/group-alias",
        {"name": "gb", "mount_accessor": "{xa}", "canonical_id": "{ext}"},
        save=("gb:data.id",),
    ),
    get("idx/identity/group-alias/id/{ga}"),
    post(
        "idx/identity/group-alias",
        {"name": "made", "mount_accessor": "{xa}"},
        save=("made:data.id", "made_g:data.canonical_id"),
    ),
    get(
        "idx/identity/group/id/{made_g}", pick=("data.alias.name", "data.name", "data.type", "data.policies")
    ),
    lst("idx/identity/group-alias/id", unordered=KEYS),
    post(
        "idx/identity/group-alias/id/none", {"name": "gc", "mount_accessor": "{xa}", "canonical_id": "{ext}"}
    ),
    get("idx/identity/group-alias/id/none"),
    delete("idx/identity/group-alias/id/none"),
    group("idx", "ext2", type="external", **EMPTY),
    post("idx/identity/group-alias", {"name": "gb", "mount_accessor": "{xa}", "canonical_id": "{ext2}"}),
    post("idx/identity/group-alias", {"name": "ge", "mount_accessor": "{xa}", "canonical_id": "{ext2}"}),
    get("idx/identity/group/id/{ext2}", pick=("data.policies", "data.metadata", "data.modify_index")),
    post(
        "idx/identity/group-alias/id/{gb}", {"name": "gc", "mount_accessor": "{xa}", "canonical_id": "{ext}"}
    ),
    get("idx/identity/group-alias/id/{gb}", pick=("data.name", "data.canonical_id", "data.id")),
    get("idx/identity/group-alias"),
    delete("idx/identity/group-alias/id/{gb}"),
    get("idx/identity/group/id/{ext}", pick=("data.alias", "data.name")),
]

L = "idl/identity/lookup/"
LOOKUPS = [
    *home("idl", "la"),
    entity("idl", "g1"),
    alias("idl", "lk", "la", "g1"),
    group("idl", "P", member_entity_ids=["{g1}"]),
    group("idl", "X", type="external"),
    post(
        "idl/identity/group-alias",
        {"name": "gx", "mount_accessor": "{la}", "canonical_id": "{x}"},
        save=("gx:data.id",),
    ),
    post(L + "entity", {}),
    post(L + "entity", {"name": "g1"}),
    post(L + "entity", {"name": "G1"}),
    post(L + "entity", {"name": "none"}),
    post(L + "entity", {"id": "{g1}"}),
    post(L + "entity", {"id": "none"}),
    post(L + "entity", {"id": "{g1}", "name": "g1"}),
    post(L + "entity", {"alias_id": "x"}),
    post(L + "entity", {"alias_id": "{lk}"}),
    post(L + "entity", {"alias_name": "x"}),
    post(L + "entity", {"alias_name": "x", "alias_mount_accessor": "{la}"}),
    post(L + "entity", {"alias_name": "lk", "alias_mount_accessor": "{la}"}),
    post(L + "entity", {"alias_name": "LK", "alias_mount_accessor": "{la}"}),
    post(L + "entity", {"alias_name": "lk", "alias_mount_accessor": "bad"}),
    post(L + "entity", {"alias_mount_accessor": "{la}"}),
    post(L + "group", {}),
    post(L + "group", {"name": "P"}),
    post(L + "group", {"name": "none"}),
    post(L + "group", {"id": "{p}"}),
    post(L + "group", {"id": "{p}", "name": "P"}),
    post(L + "group", {"alias_id": "{gx}"}, pick=("data.name", "data.id")),
    post(L + "group", {"alias_name": "gx", "alias_mount_accessor": "{la}"}, pick=("data.name", "data.id")),
    post(L + "group", {"alias_name": "gb"}),
    get(L + "entity"),
    get(L + "bogus"),
    post(L + "bogus", {}),
]

M = "idm/identity/"
MERGES = [
    *home("idm", "ma", "mb"),
    entity("idm", "to", policies="pa", metadata={"x": "1"}),
    entity("idm", "from1", policies="pb", metadata={"y": "2"}),
    entity("idm", "from2"),
    alias("idm", "f1a", "ma", "from1"),
    group("idm", "grp", member_entity_ids=["{from1}"]),
    post(M + "entity/merge", {}),
    post(M + "entity/merge", {"to_entity_id": "{to}"}),
    post(M + "entity/merge", {"to_entity_id": "none", "from_entity_ids": ["{from1}"]}),
    post(M + "entity/merge", {"to_entity_id": "{to}", "from_entity_ids": ["none"]}),
    post(M + "entity/merge", {"to_entity_id": "{to}", "from_entity_ids": ["{to}"]}),
    post(M + "entity/merge", {"to_entity_id": "{to}", "from_entity_ids": ["{from1}", "{from2}"]}),
    get(M + "entity/id/{from1}"),
    get(M + "entity/id/{to}", unordered=("data.merged_entity_ids",)),
    get(M + "group/id/{grp}", pick=("data.member_entity_ids",)),
    entity("idm", "from3"),
    alias("idm", "f3a", "ma", "from3"),
    post(M + "entity/merge", {"to_entity_id": "{to}", "from_entity_ids": ["{from3}"]}, divergence="DV-61"),
    post(
        M + "entity/merge",
        {"to_entity_id": "{to}", "from_entity_ids": ["{from3}"], "conflicting_alias_ids_to_keep": ["x"]},
    ),
    get(M + "entity/id/{from3}"),
    get(M + "entity/merge"),
]


SCENARIOS: Sequence[Scenario] = [
    Scenario("identity", "entities", ENTITIES),
    Scenario("identity", "aliases", ALIASES),
    Scenario("identity", "groups", GROUPS_STEPS),
    Scenario("identity", "group-aliases", GROUP_ALIASES),
    Scenario("identity", "lookups", LOOKUPS),
    Scenario("identity", "merges", MERGES),
]

# SPDX-License-Identifier: EUPL-1.2
"""What there is to read of each engine and auth method, and what of it no API tells."""

from __future__ import annotations

from collections.abc import Mapping

from vaultctl.port.settings.plain import Collection

_TOKENS = (
    "bound_cidrs",
    "max_ttl",
    "num_uses",
    "period",
    "policies",
    "ttl",
)
"""Members that older servers tell twice; the others begin with `token_`."""

ROLE_ID = "approle-id"

IN_NAMESPACE = (
    Collection("password-policy", "sys/policies/password/"),
    Collection("token-role", "auth/token/roles/", drop=("name", "explicit_max_ttl", "period", "bound_cidrs")),
)
IN_ROOT = (
    Collection("quota", "sys/quotas/rate-limit/", drop=("name", "type")),
    Collection("quota-config", "sys/quotas/config", drop=("absolute_rate_limit_exempt_paths",)),
    Collection("cors", "sys/config/cors"),
)
"""Written last: a quota limits those who move, too."""


def of_auth_method(kind: str, path: str) -> tuple[Collection, ...]:
    """What an auth method at `auth/PATH` has. Empty for one that is not known."""
    base = f"auth/{path}"
    known: dict[str, tuple[Collection, ...]] = {
        "approle": (Collection("approle", f"{base}role/", drop=_TOKENS),),
        "userpass": (
            Collection(
                "userpass",
                f"{base}users/",
                drop=_TOKENS,
                unreadable={
                    "": "no server tells a password: the user has one that nobody knows, and needs another"
                },
            ),
        ),
        "kubernetes": (
            Collection(
                "auth-config",
                f"{base}config",
                drop=("token_reviewer_jwt_set",),
                unreadable={"token_reviewer_jwt_set": "no server tells token_reviewer_jwt: write it again"},
            ),
            Collection("auth-role", f"{base}role/", drop=_TOKENS),
        ),
        "cert": (
            Collection("auth-config", f"{base}config", drop_zero=("ocsp_cache_size",)),
            Collection("auth-role", f"{base}certs/", drop=_TOKENS),
            Collection(
                "auth-crl",
                f"{base}crls/",
                unreadable={"": "a server tells serial numbers and no list: load it again"},
            ),
        ),
    }
    known["jwt"] = known["oidc"] = (
        Collection(
            "jwt-config",
            f"{base}config",
            drop=("status",),
            unreadable={"oidc_client_id": "no server tells oidc_client_secret: write it again"},
        ),
        Collection("auth-role", f"{base}role/", drop=_TOKENS),
    )
    return known.get(kind, ())


def of_engine(kind: str, path: str) -> tuple[Collection, ...]:
    """What an engine at a path has beside what it keeps for others. Empty for one that is not known."""
    if kind == "ssh":
        return (Collection("ssh-role", f"{path}roles/"),)
    if kind == "transit":
        return (Collection("transit-config", f"{path}config/keys"),)
    return ()


LISTED = (
    "password-policy",
    "token-role",
    "quota",
    "approle",
    "userpass",
    "auth-role",
    "auth-crl",
    "ssh-role",
)
"""Kinds of which there are several, so that one may be gone."""
SWITCHES = {"cors": "enabled"}
"""Members that no write makes false: what is off is deleted."""
KNOWN_ENGINES = ("kv", "generic", "ssh", "transit")
"""Engines whose contents move, as far as there is a way."""

LEFT = (
    ("identity/oidc/key/", ("default",), "its private keys are told by no server"),
    ("identity/oidc/role/", (), "it signs by a key that does not move"),
    ("identity/oidc/client/", (), "its id and secret are given by the server"),
    ("identity/oidc/provider/", ("default",), "it serves clients that do not move"),
    ("identity/oidc/scope/", (), "it belongs to the provider, which does not move"),
    ("identity/oidc/assignment/", ("allow_all",), "it names ids, which are others at the destination"),
    ("identity/mfa/method/", (), "its secrets are told by no server"),
    (
        "identity/mfa/login-enforcement/",
        (),
        "it names ids, which are others at the destination: until it is made there, no second factor is asked for",
    ),
)
"""What is listed and named in the report, and does not move: where, what of it every server has, and why."""
EVERYWHERE = (
    ("auth/token", "tokens and leases do not move: clients log in anew"),
    ("cubbyhole/", "a cubbyhole ends with its token"),
    ("sys/audit", "audit devices and logs belong to the server that wrote them"),
)
_PLACES: Mapping[str, tuple[str, ...]] = {
    "password-policy": ("sys/policies/password/*",),
    "token-role": ("auth/token/roles/*",),
    "quota": ("sys/quotas/rate-limit/*",),
    "quota-config": ("sys/quotas/config",),
    "cors": ("sys/config/cors",),
    "approle": ("auth/**/role/*",),
    ROLE_ID: ("auth/**/role/*/role-id",),
    "userpass": ("auth/**/users/*",),
    "jwt-config": ("auth/**/config",),
    "auth-config": ("auth/**/config",),
    "auth-role": ("auth/**/role/*", "auth/**/certs/*"),
    "auth-crl": ("auth/**/crls/*",),
    "ssh-role": ("**/roles/*",),
    "transit-config": ("**/config/keys",),
    "kv-config": ("**/config",),
}
"""Where each kind of plain settings may be written. `*` is one part of a path, `**` the mount, which may have several."""
_NO_MOUNT = ("sys", "auth", "identity", "cubbyhole")


def may_write(kind: str, path: str) -> bool:
    """Whether entries of a kind are written at a path: an archive is data, and no list of requests."""
    return any(_fits(place, path.split("/")) for place in _PLACES.get(kind, ()))


def _fits(place: str, parts: list[str]) -> bool:
    begin, mount, end = place.partition("**")
    head, tail = begin.split("/")[:-1], (end if mount else place).strip("/").split("/")
    within = parts[len(head) : len(parts) - len(tail)]
    if any(part in ("", ".", "..") for part in parts) or bool(mount) != bool(within):
        return False
    if mount and (within[0] == "token" if head else within[0] in _NO_MOUNT):
        return False
    around = [*parts[: len(head)], *parts[len(parts) - len(tail) :]]
    return len(around) == len(head) + len(tail) and all(
        wanted in ("*", part) for wanted, part in zip([*head, *tail], around, strict=True)
    )

# SPDX-License-Identifier: EUPL-1.2
"""Declarations: login, tokens, identities, leases, unwrapping."""

from __future__ import annotations

from vaultctl.flags import Flag
from vaultctl.tree.command import Command

_ACCESSOR = Flag("accessor", "bool", "The argument is a token accessor, not a token.")
_INCREMENT = Flag("increment", "duration", "How much longer it should live; the server may give less.")

COMMANDS = (
    Command(
        "login",
        "login.login:login",
        "[options] [TOKEN | key=value...]",
        (0, None, "0-1"),
        "Log in and keep the token",
        output="field",
        details="Without arguments the token or password is asked for and not shown. "
        "A single - reads it from standard input.",
        flags=(
            Flag(
                "method",
                "text",
                "How; with a token when left out.",
                words=("token", "userpass", "approle", "jwt", "kubernetes", "cert", "nhi", "oidc"),
            ),
            Flag("path", "text", "Mount path of the auth method; default: the method's name."),
            Flag("no-print", "bool", "Do not show the token."),
            Flag("no-store", "bool", "Do not keep the token in the token helper."),
            Flag("token-only", "bool", "Print the token alone and do not keep it."),
        ),
    ),
    Command(
        "token create",
        "token:create",
        "[options]",
        (0, 0, "0"),
        "Create a token",
        output="field",
        flags=(
            Flag("id", "text", "Value of the token; needs root."),
            Flag("display-name", "text", "Name that audit records show."),
            Flag("ttl", "duration", "How long it lives at first."),
            Flag("explicit-max-ttl", "duration", "How long it can live with all renewals."),
            Flag("period", "duration", "Each renewal extends it by this, without a maximum."),
            Flag("renewable", "bool", "Whether it can be renewed; default true."),
            Flag("orphan", "bool", "No parent: it outlives the token that creates it."),
            Flag("no-default-policy", "bool", "Without the policy default."),
            Flag("use-limit", "int", "How often it can be used; 0: any number."),
            Flag("type", "text", "service (default) or batch.", words=("service", "batch")),
            Flag("metadata", "pairs", "key=value for audit records; may be repeated."),
            Flag("policy", "texts", "Name of a policy; may be repeated."),
            Flag("role", "text", "Create it through this token role."),
            Flag("entity-alias", "text", "Entity alias to bind it to; needs -role."),
        ),
    ),
    Command(
        "token lookup",
        "token:lookup",
        "[options] [TOKEN | ACCESSOR]",
        (0, 1, "0-1"),
        "Show a token",
        output="field",
        flags=(_ACCESSOR,),
    ),
    Command(
        "token renew",
        "token:renew",
        "[options] [TOKEN]",
        (0, 1, "1"),
        "Renew a token",
        output="field",
        flags=(_ACCESSOR, _INCREMENT, Flag("i", "duration", "Short for -increment.")),
    ),
    Command(
        "token revoke",
        "token:revoke",
        "[options] [TOKEN | ACCESSOR]",
        (0, 1, "1"),
        "Revoke a token and its children",
        flags=(
            _ACCESSOR,
            Flag("self", "bool", "Revoke the token in use."),
            Flag(
                "mode",
                "text",
                "orphan: keep its children; path: all tokens made through a path.",
                words=("orphan", "path"),
            ),
        ),
    ),
    Command(
        "token capabilities",
        "token:capabilities",
        "[options] [TOKEN] PATH",
        (1, 2, "1-2"),
        "What a token may do on a path",
        output="format",
        flags=(Flag("accessor", "bool", "The first argument is a token accessor."),),
    ),
    Command(
        "print token",
        "login.login:print_token",
        "",
        (0, None, "0"),
        "Print the token in use",
        output="format",
    ),
    Command(
        "unwrap",
        "token:unwrap",
        "[options] [TOKEN]",
        (0, 1, "0-1"),
        "Open a wrapped response",
        output="field",
    ),
    Command(
        "identity explain",
        "identity:explain",
        "[options] ENTITY",
        (1, 1, "1"),
        "Show where each policy of an entity comes from",
        output="format",
        details="ENTITY is an id or a name. Group policies count while the entity is in the group.",
    ),
    Command("lease lookup", "lease:lookup", "[options] ID", (0, 1, "1"), "Show a lease", output="format"),
    Command(
        "lease renew",
        "lease:renew",
        "[options] ID",
        (0, 1, "1-2"),
        "Renew a lease",
        output="format",
        flags=(_INCREMENT,),
    ),
    Command(
        "lease revoke",
        "lease:revoke",
        "[options] ID",
        (1, 1, "1"),
        "Revoke a lease, or all below a prefix",
        flags=(
            Flag("prefix", "bool", "The argument is a prefix."),
            Flag("force", "bool", "Forget the leases even if revoking fails; needs -prefix."),
            Flag("f", "bool", "Short for -force."),
            Flag("sync", "bool", "Wait until it is done."),
        ),
    ),
)

# SPDX-License-Identifier: EUPL-1.2
"""Declarations: identities of workloads, and what holders do with their tokens offline."""

from __future__ import annotations

from vaultctl.flags import Flag
from vaultctl.tree.command import Command

_NONE = (0, 0, "0")
_ONE = (1, 1, "1")
_MOUNT = Flag("mount", "text", "Where the engine nhi is mounted; default nhi.")
_TOKEN = Flag(
    "token-file",
    "text",
    "File with the Biscuit, or - for standard input; the token in use if not given. A token is never an argument.",
)
_ROOT = Flag(
    "root-key",
    "text",
    "Public key of the issuer, as ed25519/HEX or secp256r1/HEX; asked of the server if not given.",
)
_OFFLINE = "Needs the extra nhi; no server is asked where -root-key is given."
_CHECK = Flag("check", "texts", "A check in Datalog, or @FILE; may be repeated.")

_WORKLOADS = (
    Command(
        "nhi workload list",
        "nhi.workloads:list_workloads",
        "[options]",
        _NONE,
        "List workloads",
        output="format",
        flags=(_MOUNT,),
    ),
    Command(
        "nhi workload read",
        "nhi.workloads:read_workload",
        "[options] NAME",
        _ONE,
        "Show a workload",
        output="field",
        flags=(_MOUNT,),
    ),
    Command(
        "nhi workload write",
        "nhi.workloads:write_workload",
        "[options] NAME",
        _ONE,
        "Make a workload, or change and enable it",
        flags=(
            Flag("owner", "text", "Who answers for it: a team, or an address."),
            Flag("ttl", "text", "How long it may have tokens, from now: 90d, 12h."),
            Flag("description", "text", "What it is."),
            _MOUNT,
        ),
    ),
    Command(
        "nhi workload delete",
        "nhi.workloads:delete_workload",
        "[options] NAME",
        _ONE,
        "Remove a workload; its tokens end at once",
        flags=(_MOUNT,),
    ),
    Command(
        "nhi register",
        "nhi.workloads:register",
        "[options] NAME [K=V...]",
        (1, None, "1"),
        "Make a registration, or change what is given: what a workload gets, and how",
        output="field",
        details="What is not given stays as it is. Further key=value arguments are settings of the registration, as the "
        "login method's own; those of another method go when the method changes. An empty value (cidrs=) takes one away; "
        "bound_claims go by null in JSON on standard input (-).",
        flags=(
            Flag("workload", "text", "Name of the workload; default: that of a new registration."),
            Flag("policy", "texts", "Policy that its tokens name; may be repeated."),
            Flag("audience", "texts", "Whom its tokens are for; may be repeated; default vault."),
            Flag("ttl", "text", "Lifetime of a token: 1h."),
            Flag("max-ttl", "text", "Lifetime with all renewals: 8h."),
            Flag("max-depth", "int", "Blocks that a token may have, the first one included."),
            Flag("secret", "bool", "Make a client secret too, in place of any other; it is shown once."),
            _MOUNT,
        ),
    ),
    Command(
        "nhi issue",
        "nhi.workloads:issue",
        "[options] REGISTRATION [K=V...]",
        (1, None, "1"),
        "Make a token for a registration",
        output="field",
        details="Further key=value arguments are what the token is bound to: x5t, jkt.",
        flags=(Flag("ttl", "text", "Wished lifetime: 10m."), _MOUNT),
    ),
    Command(
        "nhi report",
        "nhi.lineage:report",
        "[options]",
        _NONE,
        "Show how tokens come about: who still logs in by secret comes first",
        output="format",
        flags=(_MOUNT,),
    ),
)
_LINEAGE = (
    Command(
        "nhi failures",
        "nhi.lineage:failures",
        "[options]",
        _NONE,
        "Show which logins failed of late, and why",
        output="format",
        details="A login that fails gets no reason. Names that no registration has are counted together.",
        flags=(Flag("registration", "text", "Of this registration only."), _MOUNT),
    ),
    Command(
        "nhi credentials",
        "nhi.lineage:credentials",
        "[options]",
        _NONE,
        "Find credentials, the newest first: presented, or alive and never presented",
        output="format",
        details="When one was last seen is true to the hour. Of one that was never presented -since and -until are about "
        "when it was issued.",
        flags=(
            Flag("workload", "text", "Of this workload."),
            Flag("source", "text", "Presented from this address."),
            Flag(
                "since",
                "text",
                "First presented so long ago at most (24h), or at or after this time (RFC 3339).",
            ),
            Flag("until", "text", "First presented longer ago (1h), or before this time (RFC 3339)."),
            Flag("anomaly", "text", "With this anomaly; any for any at all."),
            Flag("never-presented", "bool", "Only those that live and were never presented."),
            Flag("limit", "int", "At most so many; default 100."),
            Flag("after", "text", "Where the listing before ended: its next."),
            _MOUNT,
        ),
    ),
    Command(
        "nhi tree",
        "nhi.lineage:tree",
        "[options] TOKEN_ID",
        _ONE,
        "Show what was made from a credential, hop by hop",
        output="format",
        formats=("dot", "svg"),
        flags=(_MOUNT,),
    ),
    Command(
        "nhi revoke",
        "nhi.lineage:revoke",
        "[options]",
        _NONE,
        "Revoke a block, a workload's tokens or a key's, with all that was made from them",
        output="format",
        details="What would end is shown first, and whether it shall is asked on the terminal.",
        flags=(
            Flag("id", "text", "Id of a block, as nhi tree shows it."),
            Flag("workload", "text", "Name of a workload: all its tokens, and it gets no others."),
            Flag("kid", "int", "Number of an issuer key: all its tokens; the key is destroyed."),
            Flag(
                "block", "int", "Number of the block of -token-file, 0 for the first; default: the last one."
            ),
            Flag("token-file", "text", "File with a Biscuit whose block it is, or - for standard input."),
            Flag("reason", "text", "Why; kept with the revocation."),
            Flag("dry-run", "bool", "Show what would end, and change nothing."),
            Flag("yes", "bool", "Do not ask."),
            _MOUNT,
        ),
    ),
)
_HOLDERS = (
    Command(
        "nhi attenuate",
        "nhi.offline:attenuate",
        "[options]",
        _NONE,
        "Narrow a token, offline",
        details="Prints a token that can do less: what the flags name, and no longer. It can never do more. "
        + _OFFLINE,
        flags=(
            Flag("op", "list", "Operation that stays: create, read, update, delete, list, patch or scan."),
            Flag("path", "texts", "Path that stays, as secret/data/app/*; may be repeated."),
            Flag("ttl", "duration", "How long it is good from now on; never longer than it was."),
            Flag("cidr", "texts", "Network that it is good from; may be repeated."),
            Flag("body-file", "text", "File with the only request body that it is good for."),
            _CHECK,
            Flag("seal", "bool", "Seal it too: no block can be added then."),
            _TOKEN,
            _ROOT,
            _MOUNT,
        ),
    ),
    Command(
        "nhi approve",
        "nhi.approval:approve",
        "[options]",
        _NONE,
        "Ask for, give or take somebody else's approval",
        details="The holder prints a request with -ask; the approver answers it with -request, and -key-file or "
        "-approver; the holder adds the answer with -block, which prints the approved token. All but -approver is done "
        "offline, and needs the extra nhi.",
        flags=(
            Flag("ask", "bool", "Print what an approver needs to know of the token."),
            Flag("request", "text", "File with a request, or -: print the approval of it."),
            Flag("key-file", "text", "File with the approver's private key, Ed25519 or P-256, as PEM."),
            Flag("approver", "text", "Name of an approver whose key the server has."),
            Flag("change", "text", "What is approved: its number, say."),
            Flag("ttl", "duration", "How long the approval is fresh; default 5m."),
            _CHECK,
            Flag("block", "text", "File with an approval: print the token with it."),
            _TOKEN,
            _MOUNT,
        ),
    ),
    Command(
        "nhi seal",
        "nhi.offline:seal",
        "[options]",
        _NONE,
        "Close a token, offline: no block can be added then",
        details="Needs the extra nhi.",
        flags=(_TOKEN,),
        remote=False,
    ),
    Command(
        "nhi inspect",
        "nhi.offline:inspect",
        "[options]",
        _NONE,
        "Show what a token says",
        output="format",
        details="Its signatures are verified unless -unverified is given. " + _OFFLINE,
        flags=(
            Flag("unverified", "bool", "Verify nothing, and ask no server: it may be forged."),
            _TOKEN,
            _ROOT,
            _MOUNT,
        ),
    ),
)
COMMANDS = (*_WORKLOADS, *_LINEAGE, *_HOLDERS)

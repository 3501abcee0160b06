# SPDX-License-Identifier: EUPL-1.2
"""Declarations: audit devices, and the log."""

from __future__ import annotations

from vaultctl.flags import Flag
from vaultctl.tree.command import Command

_NONE = (0, 0, "0")
_ONE = (1, 1, "1")

_FILTERS = (
    Flag("event", "list", "What happened: esa.kv.read, or esa.kv.* for all that begin so; may be repeated."),
    Flag(
        "resource",
        "list",
        "What it was about: secret/app, or secret/* for all that begin so; may be repeated.",
    ),
    Flag("resource-type", "list", "What kind of thing that is: kv.secret; may be repeated."),
    Flag("outcome", "list", "How it ended: success, denied or failed; may be repeated."),
    Flag(
        "phase",
        "list",
        "attempt, outcome or notice; any for all. Without it attempts are left out, of which each has an outcome.",
    ),
    Flag("actor", "list", "Who: the id of an entity, or accessor: and that of a token; may be repeated."),
    Flag("credential", "list", "Accessor of a token, or id of a block of a Biscuit; may be repeated."),
    Flag("policy", "list", "Policy that allowed it, or whose rule refused it; may be repeated."),
    Flag("rule", "list", "Path of the rule that decided; may be repeated."),
    Flag("client-address", "list", "Address that the request came from; may be repeated."),
    Flag("request-id", "list", "Id of a request; may be repeated."),
    Flag("trace-id", "list", "Trace id that the caller has sent; may be repeated."),
)
_NAMES = Flag("names", "bool", "Show the names of entities, as far as you may read identity/entity/id/.")
_KEY = Flag("key", "texts", "Verifier key of the server, or a file with some; may be repeated.")
_TRUST = (
    _KEY,
    Flag("witness", "texts", "Verifier key of a witness, or a file with some; may be repeated."),
    Flag("quorum", "int", "How many of the witnesses must have cosigned a checkpoint."),
)
_PLACE = "LOG:SEQ is as `vaultctl audit query` shows it; a Log-Receipt header is taken too."
_OFFLINE = "Needs the extra audit."

_LOG = (
    Command(
        "audit query",
        "audit.query:query",
        "[options]",
        _NONE,
        "Search the log: who did what, and by which rule, or why not",
        output="format",
        formats=("ndjson",),
        details="Values of one flag mean any of them, several flags all of them. Records of the last 24 hours unless -since "
        "or -until is given; a day alone begins at midnight UTC.",
        flags=(
            *_FILTERS,
            Flag("since", "text", "From so long ago (24h), or from this time on (2026-12-01, or RFC 3339)."),
            Flag("until", "text", "Until so long ago, or before this time."),
            Flag("limit", "int", "At most so many; default 100."),
            Flag("all", "bool", "All of them, however many pages these are."),
            Flag("reverse", "bool", "The oldest first."),
            Flag("cursor", "text", "Where the page before ended; the other flags as they were."),
            _NAMES,
        ),
    ),
    Command(
        "audit tail",
        "audit.tail:tail",
        "[options]",
        _NONE,
        "Show the last records, and each new one, of all logs",
        output="format",
        formats=("ndjson",),
        streams=True,
        details="Ends with Ctrl-C. What is missing by number, or is not the record that the next one names, is told on "
        "standard error, and makes the exit code 2. The table leaves out what this command itself leaves in the log.",
        flags=(*_FILTERS, Flag("n", "int", "So many of the last records first; default 10."), _NAMES),
    ),
    Command(
        "audit show",
        "audit.show:show",
        "[options] LOG:SEQ",
        _ONE,
        "Explain one record, and tell whether it can be proven",
        output="format",
        details=_PLACE,
        flags=(_NAMES,),
    ),
    Command(
        "audit prove",
        "audit.evidence.proof:prove",
        "-o=FILE [options] LOG:SEQ",
        _ONE,
        "Write a record and the proof that the log has it to a file",
        output="format",
        details=f"Waits for a checkpoint that covers it. FILE is a C2SP tlog-proof with the record as its extra data; "
        f"FILE.key has the key. `vaultctl audit verify -proof` verifies it offline. {_PLACE} {_OFFLINE}",
        flags=(
            Flag("o", "text", "File to write."),
            Flag("force", "bool", "Replace files that are there."),
            Flag("timeout", "duration", "How long to wait for a checkpoint; default 30s."),
            Flag("key", "texts", "Verifier key of the server; asked of the server if not given."),
            *_TRUST[1:],
        ),
    ),
    Command(
        "audit verify",
        "audit.evidence.verify:verify",
        "[options] FOLDER | FILE...",
        (0, None, "a folder or files"),
        "Verify a copied log, or one record with its proof, without a server",
        output="format",
        remote=False,
        details="Takes a log folder, the folder of one log, or segments. Only what a checkpoint covers that was kept "
        "elsewhere is safe from whoever has the files and the key. Exit code 0: no fault. 2: faults, which are named. "
        f"1: it could not be verified. {_OFFLINE}",
        flags=(
            *_TRUST,
            Flag("checkpoint", "texts", "File with a checkpoint that was kept elsewhere; may be repeated."),
            Flag("proof", "text", "File that `vaultctl audit prove` wrote, to be verified alone."),
        ),
    ),
    Command(
        "audit checkpoints",
        "audit.evidence.checkpoints:checkpoints",
        "[options] [LOG...]",
        (0, None, "any number"),
        "Print the newest checkpoint of each log, to be kept elsewhere",
        details="One JSON document a line. Appended to a file on another machine, they let `vaultctl audit verify "
        "-checkpoint` find out what was rewritten since.",
    ),
    Command(
        "audit export",
        "audit.export:export",
        "[options]",
        _NONE,
        "Print records, as they are or in the forms of other systems",
        output="format",
        formats=("native", "otlp", "ocsf", "ecs"),
        streams=True,
        details="Records of each log in order, up to those that there are now; one JSON document a line. What is missing is "
        "told, and makes the exit code 2. So is, with -state, a log that has other records than were exported, as after a power cut: "
        "what follows the last one that a checkpoint covered is exported again. The forms of others, and -folder, need the extra audit.",
        flags=(
            Flag("after", "list", "LOG:SEQ that an earlier export ended with; may be repeated."),
            Flag("state", "text", "File that says where the last export ended: read first, and written."),
            Flag("log", "list", "Of this log only; may be repeated."),
            Flag("folder", "text", "Take a copied log folder, and ask no server."),
        ),
    ),
    Command(
        "audit hash",
        "audit.hashes:hash_value",
        "[options] [-]",
        (0, 1, "0 or 1"),
        "Print what stands for a value in the log",
        output="format",
        details="The value is asked for and not shown; - reads it from standard input. It is never an argument.",
    ),
    Command(
        "audit segments",
        "audit.segments:segments",
        "[options] [LOG...]",
        (0, None, "any number"),
        "List the files of the log, or copy them",
        output="format",
        details="A copy goes on where the one before ended. `vaultctl audit verify` takes it.",
        flags=(Flag("download", "text", "Folder to copy them to."),),
    ),
    Command(
        "audit devices",
        "audit.upkeep.status:devices",
        "[options]",
        _NONE,
        "Show where the log is forwarded to, and how far",
        output="format",
        details="Exit code 2 where a device does not take records in time.",
    ),
    Command(
        "audit status",
        "audit.upkeep.status:status",
        "[options]",
        _NONE,
        "Show how far the log is written, signed, witnessed and indexed, and its key",
        output="format",
        details="Exit code 2 where a log is damaged, the reader does not go on, or a key in an HSM does not sign.",
    ),
)
_RIGHTS = "Needs sudo, in the root namespace."
_RETENTION = (
    Command(
        "audit purge",
        "audit.upkeep.retention:purge",
        "-before=TIME [options]",
        _NONE,
        "Purge the oldest segments of the log",
        output="format",
        details="Closed segments go whose records all are older, on the server that answers; hash tiles stay, so that the rest is "
        f"proven as before. Exit code 2 where a hold kept records. {_RIGHTS}",
        flags=(
            Flag(
                "before", "text", "Records before this time (2026-12-01, or RFC 3339), or so long ago (180d)."
            ),
        ),
    ),
    Command(
        "audit holds list",
        "audit.upkeep.retention:list_holds",
        "[options]",
        _NONE,
        "List the holds",
        output="format",
        details=_RIGHTS,
    ),
    Command(
        "audit holds place",
        "audit.upkeep.retention:place",
        "[options] NAME",
        _ONE,
        "Keep records whatever their age, or change what a hold is on",
        details=f"All records, unless -from or -to is given. It counts for every purge that is not under way. {_RIGHTS}",
        flags=(
            Flag("from", "text", "Records from this time on (2026-12-01, or RFC 3339), or from so long ago."),
            Flag("to", "text", "Records before this time."),
            Flag("reason", "text", "Why; whoever may read holds reads it."),
        ),
    ),
    Command(
        "audit holds lift",
        "audit.upkeep.retention:lift",
        "[options] NAME",
        _ONE,
        "End a hold: what it kept is purged by its age again",
        details=_RIGHTS,
    ),
)
_DEVICES = (
    Command(
        "audit enable",
        "audit.devices:enable",
        "[options] TYPE [KEY=VALUE...]",
        (1, None, "at least 1"),
        "Create an audit device",
        details="Servers take audit devices from their configuration unless unsafe_allow_api_audit_creation is set.",
        flags=(
            Flag("path", "text", "Name of the device; default: the type."),
            Flag("description", "text", "What the device is for."),
            Flag("local", "bool", "Not replicated."),
        ),
    ),
    Command("audit disable", "audit.devices:disable", "[options] PATH", _ONE, "Remove an audit device"),
    Command(
        "audit list",
        "audit.devices:list_devices",
        "[options]",
        _NONE,
        "List audit devices",
        output="format",
        flags=(Flag("detailed", "bool", "Show every setting."),),
    ),
    Command(
        "audit witness",
        "audit.witness:run",
        "[options]",
        _NONE,
        "Run a witness: it sees that logs only grow, and signs that",
        remote=False,
        details="It needs no server. Its word rests on its state: keep it, and never go back to a copy of it.",
        flags=(
            Flag("key", "text", "File with the witness's key; made where it is not there."),
            Flag("name", "text", "Name of a new key, such as witness.example.eu/w1."),
            Flag("state", "text", "Folder of what the witness has seen; made with a new key."),
            Flag("log", "texts", "Verifier key of a log, or of a server for all its logs; may be repeated."),
            Flag("listen", "text", "HOST:PORT to listen on; 127.0.0.1:8380 unless set."),
            Flag("tls-cert-file", "text", "PEM file with the certificate to serve HTTPS with."),
            Flag("tls-key-file", "text", "PEM file with the private key of that certificate."),
        ),
    ),
)
COMMANDS = (*_DEVICES, *_LOG, *_RETENTION)

# SPDX-License-Identifier: EUPL-1.2
"""Declarations: moving between vaults."""

from __future__ import annotations

from vaultctl.flags import Flag
from vaultctl.tree.command import Command

_SOURCE = (
    Flag("from", "text", "Address of the server that is moved from."),
    Flag("from-token-file", "text", "File with a token for it; else BAO_FROM_TOKEN."),
    Flag("from-namespace", "text", "Namespace there that paths are relative to."),
    Flag("from-ca-cert", "text", "PEM file with the CA that signed its certificate."),
)
_PACE = (
    Flag("parallel", "int", "Requests at once; default 4."),
    Flag("progress", "bool", "Say on stderr how far it is."),
)
_WRITING = (
    Flag("journal", "text", "File that says what is done already."),
    Flag("replace", "bool", "Overwrite what is at the destination and is other."),
    Flag(
        "fillers",
        "int",
        "Empty versions that are written at most to keep the numbers of one secret's others; default 1000.",
    ),
)
_ARCHIVE = (
    Flag("identity", "text", "File with the private key that the archive is encrypted to."),
    Flag("signers", "text", "File of allowed signers (ssh-keygen(1)); one of them must have signed it."),
    Flag("unsigned", "bool", "Take an archive whoever made it."),
)
_UNDELETE = Flag(
    "undelete", "bool", "Read deleted versions too: each is undeleted at the source for the time of a read."
)

COMMANDS = (
    Command(
        "port export",
        "port.archives:export",
        "[options] FOLDER",
        (1, 1, "1"),
        "Read a server into an archive",
        output="format",
        details="The archive is a folder: a signed manifest, and parts that are encrypted (age). Ended at any point, the same "
        "command goes on. No secret reaches the disk in plain, unless -plain is given. Exit code 1: something cannot move; the "
        "report says what and why.",
        flags=(
            Flag("recipient", "texts", "Encrypt to this key: age1…, or a public SSH key; may be repeated."),
            Flag("recipients-file", "text", "File with recipients, one on each line."),
            Flag("plain", "bool", "Do not encrypt."),
            Flag("sign-key", "text", "SSH key that signs the manifest; a public one means the agent's."),
            Flag("unsigned", "bool", "Do not sign."),
            Flag("since", "text", "Folder of an earlier archive: export what changed since then."),
            _UNDELETE,
            *_PACE,
        ),
    ),
    Command(
        "port import",
        "port.archives:import_",
        "[options] FOLDER",
        (1, 1, "1"),
        "Write an archive to a server",
        output="format",
        details="Ended at any point, the same command goes on. Exit code 1: something did not move; the report says what and "
        "why.",
        flags=(*_ARCHIVE, *_WRITING, *_PACE),
    ),
    Command(
        "port move",
        "port.moves:move",
        "-from=ADDRESS -journal=FILE [options]",
        (0, 0, "0"),
        "Copy one server to another while it is used",
        output="format",
        details="What changes meanwhile is copied again. With -switch, mounts of secrets are then moved aside at the source, "
        "so that nobody finds them there, and the last changes are copied. Ended at any point, the same command goes on. After the "
        "switch-over no other move is made, but with -replace once `port back` opened the source again.",
        flags=(
            *_SOURCE,
            *_WRITING,
            Flag("switch", "bool", "End with the switch-over: set the source's secrets aside."),
            _UNDELETE,
            *_PACE,
        ),
    ),
    Command(
        "port back",
        "port.moves:take_back",
        "-from=ADDRESS -journal=FILE [options]",
        (0, 0, "0"),
        "Put what a switch-over set aside back in its place",
        output="format",
        details="The source alone is asked: the destination may be gone.",
        flags=(*_SOURCE, Flag("journal", "text", "The journal of the move.")),
    ),
    Command(
        "port verify",
        "port.moves:verify",
        "[options] [FOLDER]",
        (0, 1, "0-1"),
        "Compare two servers, or an archive with one",
        output="format",
        details="Compared are all versions, states, metadata and settings, by digests with a key that exists for this "
        "comparison. Exit code 0: equal. 1: different, or not all of it could be read. 2, with -offline: nothing is wrong, but the "
        "archive is encrypted, and without -identity what is in it was not verified.",
        flags=(
            *_SOURCE,
            *_ARCHIVE,
            Flag(
                "journal",
                "text",
                "The journal of the move: where the source's secrets are since the switch-over.",
            ),
            Flag(
                "offline",
                "bool",
                "Compare the archive with its manifest alone, which needs no server. With -identity, what is in it too.",
            ),
            Flag(
                "decisions",
                "int",
                "Also ask both servers what their policies decide on so many (policy, path, verb).",
            ),
            Flag("seed", "int", "Which ones are asked; default 0."),
            *_PACE,
        ),
    ),
)

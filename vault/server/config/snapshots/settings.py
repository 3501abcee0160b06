# SPDX-License-Identifier: EUPL-1.2
"""What can be set of backups that the server makes by itself. It holds names of files with secrets, and no secret."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from vault.server.config import values as setting
from vault.server.config.values import Setting

DIRECTORY: Final = "directory"
S3: Final = "s3"
KINDS: Final = (DIRECTORY, S3)


class SnapshotSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Backups that are made on a schedule; see operations.md."""

    kind: str
    name: str
    """Begins the name of each backup: letters, digits and hyphens."""
    interval: Annotated[
        float,
        Setting(setting.duration, "So long after the begin of one the next one begins; 1 s at least.", "24h"),
    ] = 86_400
    path: Annotated[
        str,
        Setting(
            setting.filled,
            "Directory, which is there and belongs to the server's user; required. With `s3`, where a backup is made before "
            "it is sent: it needs room for two.",
        ),
    ] = ""
    recipients: Annotated[
        tuple[str, ...],
        Setting(
            setting.words,
            "Whom each backup is encrypted to: keys of age (`age1…`, `age1tagpq1…`), or public SSH keys.",
            "none: as the storage has it, values sealed and paths readable",
        ),
    ] = ()
    recipients_file: Annotated[
        str, Setting(setting.filled, "File with more of them, one on each line; read for each backup.")
    ] = ""
    keep: Annotated[
        int,
        Setting(
            setting.limit,
            "So many stay; older ones are removed once a new one is made. The newest always stays.",
        ),
    ] = 30
    max_age: Annotated[
        float,
        Setting(
            setting.duration,
            "What is older is removed too, once a new one is made, while three stay; 0 for any age.",
            "0",
        ),
    ] = 0
    bucket: Annotated[str, Setting(setting.filled, "Of `s3`: the bucket, which is there; required.")] = ""
    prefix: Annotated[
        str, Setting(setting.filled, "Of `s3`: begins the keys of objects, as `vault/prod/`.", "none")
    ] = ""
    endpoint: Annotated[
        str,
        Setting(
            setting.filled,
            "Of `s3`: `https://HOST[:PORT]`; required. Plain HTTP is for loopback alone.",
        ),
    ] = ""
    region: Annotated[str, Setting(setting.filled, "Of `s3`: the region that requests are signed for.")] = (
        "us-east-1"
    )
    path_style: Annotated[
        bool,
        Setting(
            setting.boolean,
            "Of `s3`: ask for `ENDPOINT/BUCKET` rather than `BUCKET.ENDPOINT`, as most but AWS have it.",
        ),
    ] = True
    credentials_file: Annotated[
        str,
        Setting(
            setting.filled,
            "Of `s3`: a file as AWS' tools have it, with `aws_access_key_id` and `aws_secret_access_key` below `[default]`; "
            "read for each backup.",
            "`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` in the environment",
        ),
    ] = ""
    tls_ca_file: Annotated[
        str,
        Setting(
            setting.filled,
            "Of `s3`: PEM file: the authorities that the server's certificate is checked against.",
            "public ones",
        ),
    ] = ""

    @property
    def encrypts(self) -> bool:
        """Whether backups are encrypted as a whole."""
        return bool(self.recipients or self.recipients_file)

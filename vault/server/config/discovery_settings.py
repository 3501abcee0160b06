# SPDX-License-Identifier: EUPL-1.2
"""The stanza `discovery { … }`: what the server says of itself to anybody who asks."""

from __future__ import annotations

from typing import Annotated

import msgspec

from vault.server.config import values as read
from vault.server.config.values import Setting


class DiscoverySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is served at `/.well-known/european-secrets-api` and, with a contact, at `/.well-known/security.txt`."""

    environment: Annotated[
        str,
        Setting(
            read.word,
            "What the server is for, as `production` or `test`. Conformance tests do not write to what is for production.",
        ),
    ] = "production"
    hide_version: Annotated[bool, Setting(read.boolean, "Do not tell which release this is.")] = False
    support_until: Annotated[
        str,
        Setting(
            read.date, "Day until which this release gets security updates, as `2031-12-31`.", "not told"
        ),
    ] = ""
    advisories: Annotated[
        str,
        Setting(
            read.https_url, "URL of your feed of security advisories (CSAF provider metadata).", "not told"
        ),
    ] = ""
    security_contact: Annotated[
        tuple[str, ...],
        Setting(
            read.contacts,
            "Where weaknesses are reported (RFC 9116): `mailto:`, `tel:` or `https:` URIs, the best one first.",
            "none: there is no `security.txt`",
        ),
    ] = ()
    security_expires: Annotated[
        str,
        Setting(
            read.date,
            "Day until which what `security.txt` says is right, less than a year ahead; it is not served after it. Required "
            "with a contact.",
        ),
    ] = ""
    security_policy: Annotated[
        str, Setting(read.https_url, "URL of your policy for reports of weaknesses.", "not told")
    ] = ""
    security_languages: Annotated[
        tuple[str, ...], Setting(read.words, "Languages of the contact, as `fr, en`.", "not told")
    ] = ()

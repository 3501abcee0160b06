# SPDX-License-Identifier: EUPL-1.2
"""What stops the server before or while it starts."""

from __future__ import annotations


class StartFailure(Exception):
    """The server cannot start or reload. Its text is one line: which setting, which file, what to do.

    It never holds a setting's value, except names of files and addresses.
    """

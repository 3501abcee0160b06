# SPDX-License-Identifier: EUPL-1.2
"""Takes out of what a command prints all that differs from one run to the next."""

import re


def normalised(text: str) -> str:
    """The text with identifiers, times, tokens and accessors replaced by their kind."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| \+0000 UTC)", "<time>", text)
    text = re.sub(r"\b[sb]\.[A-Za-z0-9_-]{24,}", "<token>", text)
    text = re.sub(r"\b[A-Za-z0-9]{24}\b", "<accessor>", text)
    text = re.sub(r"(Encryption Count +|\"encryptions\": )\d+", r"\1<number>", text)
    text = text.replace("$(vaultctl print token)", "$(bao print token)")
    if text.startswith("curl "):  # bao prints the headers in a random order
        pattern = r' -H "(?:[^"\\]|\\.)*"'
        text = re.sub(pattern, "", text) + "".join(sorted(re.findall(pattern, text)))
    return re.sub(r"(?m)^Coffre  .*\n|^ +\"coffre_version\": .*\n|^coffre_version: .*\n", "", text)

# SPDX-License-Identifier: EUPL-1.2
"""The bill of materials of what is installed from a folder of wheels, as CycloneDX 1.6 (ECMA-424): `materials.py FOLDER`.

Each is named with its version, the SHA-256 of its wheel, which is one of those in the lock files, and the licence that it says
it has: as an SPDX expression where its metadata has one (PEP 639), else in its own words.
"""

from __future__ import annotations

import email
import hashlib
import json
import re
import sys
import zipfile
from email.message import Message
from pathlib import Path

_KNOWN = {
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
}
"""What licences are called in classifiers, and by SPDX."""
_TEXTS = {"apache license version 2.0": "Apache-2.0", "permission is hereby granted, free of charge": "MIT"}
"""What only the text of a licence says, in small letters and with single spaces."""
_SPDX = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")
_LONGEST = 60
"""Characters of a licence's name; what is longer is its text."""


def bill(folder: Path) -> dict[str, object]:
    """Return the bill of all wheels of a folder, ours as what it is about. Raises ValueError where one has no licence."""
    parts = [_part(wheel) for wheel in sorted(folder.glob("*.whl"))]
    (ours,) = [part for part in parts if part["name"] == "coffre"]
    rest = [part for part in parts if part is not ours]
    needs = [str(part["bom-ref"]) for part in rest]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**ours, "type": "application"}},
        "components": rest,
        "dependencies": [{"ref": ours["bom-ref"], "dependsOn": needs}, *({"ref": ref} for ref in needs)],
    }


def _part(wheel: Path) -> dict[str, object]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [
            each
            for each in archive.namelist()
            if each.count("/") == 1 and each.endswith(".dist-info/METADATA")
        ]
        said = email.message_from_bytes(archive.read(name))
        texts = [
            archive.read(each) for each in archive.namelist() if "/licenses/" in each or "LICENSE" in each
        ]
        text = b"\n".join(texts).decode(errors="replace")
    called = re.sub(r"[-_.]+", "-", said["Name"]).lower()
    reference = f"pkg:pypi/{called}@{said['Version']}"
    return {
        "type": "library",
        "bom-ref": reference,
        "name": called,
        "version": said["Version"],
        "purl": reference,
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}],
        "licenses": [_licence(said, called, text)],
    }


def _licence(said: Message, called: str, text: str) -> dict[str, object]:
    """Return what a package says of its licence. Raises ValueError where it says nothing."""
    if said["License-Expression"]:
        return {"expression": said["License-Expression"]}
    classified = [
        each.rpartition(" :: ")[2]
        for each in said.get_all("Classifier") or []
        if each.startswith("License :: OSI")
    ]
    known = [_KNOWN[each] for each in classified if each in _KNOWN]
    told = (said["License"] or "").strip()
    if _SPDX.fullmatch(told) and "-" in told:
        return {"expression": told}
    if known:
        return {"expression": " OR ".join(sorted(set(known)))}
    if classified or 0 < len(told) <= _LONGEST:
        return {"license": {"name": " / ".join(classified) or told}}
    for begin, licence in _TEXTS.items():
        if begin in " ".join(text.lower().split()):
            return {"expression": licence}
    raise ValueError(f"{called} says nothing of its licence")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(bill(Path(sys.argv[1])), indent=1, sort_keys=True) + "\n")

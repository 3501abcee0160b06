# SPDX-License-Identifier: Apache-2.0
"""`python -m esa_conformance.packing FILE` writes the suite as one zip that Python runs: the same bytes each time."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from esa_conformance.errors import EXIT_HOLDS, EXIT_USAGE
from esa_conformance.report.document import suite_files

_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can tell: when the files were made is nobody's business."""
_START: Final = b"import sys\n\nfrom esa_conformance.cli import main\n\nsys.exit(main(sys.argv[1:]))\n"


def pack(target: Path) -> None:
    """Write the zip."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "__main__.py", _START)
        for name, file in suite_files():
            _add(archive, f"esa_conformance/{name}", file.read_bytes())


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)


def main(argv: Sequence[str]) -> int:
    """Write the zip that the command line names."""
    if len(argv) != 1:
        sys.stderr.write("usage: python -m esa_conformance.packing FILE\n")
        return EXIT_USAGE
    pack(Path(argv[0]))
    return EXIT_HOLDS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

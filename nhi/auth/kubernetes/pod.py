# SPDX-License-Identifier: EUPL-1.2
"""What Kubernetes gives a pod: the API server's CA and a token of the pod's own, which is renewed in place."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_FOLDER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LARGEST: Final = 1 << 20


class Pod:
    """Reads both anew each time: the kubelet exchanges them."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        self._folder = folder

    @property
    def ca_file(self) -> str:
        """Where the CA would be."""
        return str(self._folder / "ca.crt")

    def authorities(self) -> str:
        """Return the CA certificates (PEM); empty outside of a pod."""
        return self._read("ca.crt")

    def token(self) -> str:
        """Return the pod's token; empty outside of a pod."""
        return self._read("token").strip()

    def _read(self, name: str) -> str:
        try:
            with (self._folder / name).open(encoding="ascii") as file:
                return file.read(_LARGEST)
        except (OSError, UnicodeDecodeError):
            return ""

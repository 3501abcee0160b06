# SPDX-License-Identifier: EUPL-1.2
"""Replaces what cannot be equal on two servers by typed, numbered placeholders.

The same value gets the same placeholder within a scenario (``<token#1>``), so that the equality of ids
across answers is compared too; the pattern that recognises a value also checks its format.
"""

import base64
import re
import struct
import time
from collections.abc import Mapping
from functools import partial

from tests.ssh_certificates import described

_B62 = "[A-Za-z0-9]"
_DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
_ZONE = r"(?:Z|[+-]\d\d:\d\d)"

_TENANT = rf"(?:\.{_B62}{{6}})?"
_ANYWHERE = (
    ("token", re.compile(rf"\bs\.{_B62}{{24}}{_TENANT}\b")),
    ("batch-token", re.compile(rf"\bb\.[A-Za-z0-9_-]{{60,}}{_TENANT}")),
    ("jwt", re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")),
    ("uuid", re.compile(rf"\b[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}{_TENANT}\b")),
    ("root-of", re.compile(rf"\b{_B62}{{6}}(?=_root\b)")),
    ("named", re.compile(rf"\b(?:entity|group)_[0-9a-f]{{8}}\.(?:root|{_B62}{{6}})\b")),
    ("hmac", re.compile(r"\bhmac-sha256:[0-9a-f]{64}\b")),
    ("state", re.compile(rf"\bst_(?:gAAAAA[0-9A-Za-z_-]{{200,}}|{_B62}{{20}}\b)")),
    ("nonce", re.compile(rf"\bn_{_B62}{{20}}\b")),
    ("challenge", re.compile(r"(?<=code_challenge=)[A-Za-z0-9_-]{43}")),
    ("seed", re.compile(r"(?<=&secret=)(?:[A-Z2-7]{8})*(?:[A-Z2-7]{2,7})?")),
    ("lease", re.compile(rf"(?<=/creds/\w/){_B62}{{24}}{_TENANT}\b")),
    ("lease-hash", re.compile(r"\bh[0-9a-f]{64}\b")),
)
_CIPHERTEXT = re.compile(r"\bvault:v(\d+):([A-Za-z0-9+/_-]+=*)")
_LINE_BREAK = "\n"
_KEY_TEXT = re.compile(r"[A-Za-z0-9+/]{22,}={0,2}")
_DER_SIGNATURE = re.compile(r"ME[IMQUY].{81,93}")
_MOUNT_ACCESSOR = re.compile(r"\b((?:auth_)?[a-z][a-z0-9-]*)_([0-9a-f]{8})\b")
_CLUSTER = re.compile(r"\bvault-cluster-[0-9a-f]{8}\b")
_FRACTION_TIME = re.compile(rf"\b{_DATE}\.(\d{{1,9}})({_ZONE})")
_SECOND_TIME = re.compile(rf"\b{_DATE}({_ZONE})")
_ROUNDED = {"install_time": re.compile(rf"{_DATE}(?:\.\d{{1,9}})?({_ZONE})")}
"""Times that ours counts in milliseconds: once in 1,000 one ends with its second, and then has no fraction."""
_IN_MILLIS = frozenset({"creation_time", "time"})
"""Members with times that ours counts in milliseconds: one without a fraction has one of 0, and none is counted."""
_END = re.compile(rf"({_ZONE})$")
_WHOLE = (("accessor", re.compile(rf"{_B62}{{24}}{_TENANT}")),)
_NAMESPACE_ID = re.compile(rf"{_B62}{{6}}")
_SHARE = {
    "keys": re.compile(r"[0-9a-f]{64}(?:[0-9a-f]{2})?"),
    "recovery_keys": re.compile(r"[0-9a-f]{64}(?:[0-9a-f]{2})?"),
    "recovery_keys_base64": re.compile(r"[A-Za-z0-9+/]{43}[A-Za-z0-9+/=]"),
    "keys_base64": re.compile(r"[A-Za-z0-9+/]{43}[A-Za-z0-9+/=]"),
}
_UNIX_KEYS = frozenset({"creation_time", "server_time_utc", "last_renewal_time"})
_COUNT_KEYS = frozenset({"encryptions"})
_RANDOM_KEYS = frozenset({"random_bytes", "otp", "encoded_token", "encoded_root_token"})
_BY_CONFIGURATION = frozenset({"storage_type"})
_PGP_MINIMUM = 200
_SERIAL = re.compile(r"[1-9a-f][0-9a-f]{7,15}")
_PNG = "iVBORw0KGgo"
"""How a picture begins in base64."""


_VERSION = re.compile(r"\d+\.\d+\.\d+|<str>")  # its type, where shapes are compared


def _our_own(key: str, value: object) -> bool:
    """Whether it is what our server says of itself beside all that OpenBao says (divergences.md)."""
    return key == "coffre_version" and isinstance(value, str) and bool(_VERSION.fullmatch(value))


class Normaliser:
    """Placeholders of one scenario on one server; `fractions` counts the digits of the times it saw."""

    def __init__(self, address: str, *directories: str) -> None:
        self._places = ((address, "<address>"), *((each, "<directory>") for each in directories))
        self._names: dict[str, dict[str, str]] = {}
        self.fractions: list[int] = []

    def copy(self) -> "Normaliser":
        """A normaliser that knows what this one knows, and learns on its own."""
        other = Normaliser(*(place for place, _ in self._places))
        other._names = {kind: dict(known) for kind, known in self._names.items()}
        return other

    def value(self, value: object, key: str = "") -> object:
        """`value` with placeholders; `key` is the name under which it was found."""
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, list):
            return [self.value(item, key) for item in value]
        if isinstance(value, str):
            return self._string(value, key)
        if isinstance(value, int) and not isinstance(value, bool):
            return self._number(value, key)
        return value

    def text(self, text: str) -> str:
        """`text` with every recognisable value inside it replaced."""
        for place, placeholder in self._places:
            text = text.replace(place, placeholder)
        text = _CIPHERTEXT.sub(self._ciphertext, text)
        for kind, pattern in _ANYWHERE:
            text = pattern.sub(partial(self._found, kind), text)
        text = _CLUSTER.sub("<cluster-name>", text)
        text = _MOUNT_ACCESSOR.sub(lambda found: self._name(f"{found[1]}-accessor", found[0]), text)
        text = _FRACTION_TIME.sub(self._time, text)
        return _SECOND_TIME.sub(lambda found: f"<time:s{found[1]}>", text)

    def _mapping(self, value: Mapping[str, object]) -> dict[str, object]:
        return {
            self._string(key, ""): self.value(item, key)
            for key, item in value.items()
            if not _our_own(key, item)
        }

    def _string(self, value: str, key: str) -> str:
        if key.isdecimal() and (form := _exported(value)):
            return form
        if key in _BY_CONFIGURATION:
            return f"<{key}>"
        if key in _RANDOM_KEYS and value:
            return f"<{key}:{_alphabet(value)}:{len(value)}>"
        if key in _SHARE and _SHARE[key].fullmatch(value):
            return self._name(f"share in {key}, length {len(value)}", value)
        if key in {*_SHARE, "root_token"} and len(value) > _PGP_MINIMUM:
            return f"<pgp:{_alphabet(value)}>"
        if key in {"id", "namespace_id"} and _NAMESPACE_ID.fullmatch(value):
            return self._name("namespace-id", value)
        if key in {"public_key", "publickey"} and value:
            return self._name(f"public key of {len(value)} characters", value)
        if key == "signed_key" and value:
            return described(value)
        if key == "private_key" and value.startswith("-----BEGIN "):
            return _exported(value)
        if key == "serial_number" and _SERIAL.fullmatch(value):
            return "<serial number>"
        if key == "barcode" and value.startswith(_PNG):
            return f"<picture:{_dimensions(value)}>"
        if key in _ROUNDED and (rounded := _ROUNDED[key].fullmatch(value)):
            return self._name(f"time:rounded{rounded[1]}", value)
        if key in _IN_MILLIS and _SECOND_TIME.fullmatch(value):
            value = _END.sub(r".0\1", value)
        for kind, pattern in _WHOLE:
            if pattern.fullmatch(value) and _looks_random(value):
                return self._name(kind, value)
        seen = len(self.fractions)
        text = self.text(value)
        if key in _IN_MILLIS:
            del self.fractions[seen:]
        return text

    def _number(self, value: int, key: str) -> object:
        if (key in _UNIX_KEYS or key.isdecimal()) and abs(value - time.time()) < 3600:
            return "<unix time>"
        return "<count>" if key in _COUNT_KEYS else value

    def _ciphertext(self, found: re.Match[str]) -> str:
        if _DER_SIGNATURE.fullmatch(found[2]):  # whose numbers have as many bytes as they need
            return self._name(f"signature of version {found[1]}", found[0])
        return self._name(f"ciphertext of version {found[1]}, {len(found[2])} characters", found[0])

    def _time(self, found: re.Match[str]) -> str:
        self.fractions.append(len(found[1]))
        return self._name(f"time:fraction{found[2]}", found[0])

    def _found(self, kind: str, found: re.Match[str]) -> str:
        return self._name(kind, found[0])

    def _name(self, kind: str, value: str) -> str:
        """Return the placeholder; what says which namespace it is of shows that beside its own number."""
        if kind in {"token", "accessor", "batch-token", "uuid", "named"} and re.search(
            rf"\.{_B62}{{6}}$", value
        ):
            value, _, tenant = value.rpartition(".")
            return f"{self._name(kind, value)}.{self._name('namespace-id', tenant)}"
        known = self._names.setdefault(kind, {})
        return known.setdefault(value, f"<{kind}#{len(known) + 1}>")


def _exported(value: str) -> str:
    """What form a key has that left a server: its lines in PEM, or how many bytes it has; the DER of RSA varies."""
    if value.startswith("-----BEGIN "):
        first, *_, last = value.rstrip("\n").split("\n")
        return f"<{first} {last}{' (ended)' * value.endswith(_LINE_BREAK)}>"
    size = len(value)
    return (
        f"<key of {size if size < 200 else '200 and more'} characters>" if _KEY_TEXT.fullmatch(value) else ""
    )


def _looks_random(value: str) -> bool:
    """False for words: a random text of these lengths mixes cases, or is hex."""
    return not (value.isalpha() and (value.islower() or value.isupper()))


def _dimensions(value: str) -> str:
    """The kind and sides of a picture: PNG in base64."""
    data = base64.b64decode(value, validate=True)
    width, height = struct.unpack(">II", data[16:24])
    return f"{data[1:4].decode()} {width}x{height}"


def _alphabet(value: str) -> str:
    """The narrowest alphabet that holds `value`: a format check for random texts."""
    if re.fullmatch(r"[0-9a-f]+", value):
        return "hex"
    return "base64" if re.fullmatch(r"[A-Za-z0-9+/]+=*", value) else "other"

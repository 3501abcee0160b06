# SPDX-License-Identifier: EUPL-1.2
"""What the routes take by which keys come and go."""

from __future__ import annotations

from typing import Annotated

from vault.engines.transit.moving.envelope import USUAL_HASH
from vault.framework.fields import Doc, Span
from vault.framework.route import Params
from vault.values.times import Seconds


class MaterialParams(Params, frozen=True, kw_only=True):
    """The key itself: wrapped, or of a pair the public half alone."""

    name: Annotated[str, Doc("Name of the key.")]
    ciphertext: Annotated[
        str | None,
        Doc("The key, wrapped for the wrapping key, in base64: bare, or of a pair in PKCS #8."),
    ] = None
    hash_function: Annotated[
        str, Doc("The hash of OAEP: SHA1, SHA224, SHA256, SHA384 or SHA512.", clear=True)
    ] = USUAL_HASH
    public_key: Annotated[str, Doc("The public half of a pair in PEM, where `ciphertext` is not given.")] = ""


class ImportParams(MaterialParams, frozen=True):
    """A new key that comes from elsewhere."""

    type: Annotated[str, Doc("Kind of the key, as aes256-gcm96, ed25519 or rsa-2048.", clear=True)] = (
        "aes256-gcm96"
    )
    allow_rotation: Annotated[bool, Doc("Whether the server may make newer versions of it.", clear=True)] = (
        False
    )
    derived: Annotated[
        bool, Doc("Whether each request brings a context that the key is derived for.", clear=True)
    ] = False
    convergent_encryption: Annotated[bool, Doc("Not to be had for imported keys.", clear=True)] = False
    exportable: Annotated[bool, Doc("Whether the key may leave the server.", clear=True)] = False
    allow_plaintext_backup: Annotated[bool, Doc("Whether it may be backed up in the clear.", clear=True)] = (
        False
    )
    auto_rotate_period: Annotated[
        Span, Doc("How often it is rotated by itself; 0 for never, else an hour at least.", clear=True)
    ] = Seconds(0)


class VersionParams(MaterialParams, frozen=True):
    """A newer version of an imported key, or the private half of one that has none."""

    version: Annotated[
        int | None, Doc("The version whose private half this is; not given for a newer version.", clear=True)
    ] = None


class ByokParams(Params, frozen=True):
    """Which key leaves, and which it is wrapped for."""

    destination: Annotated[str, Doc("Name of the RSA key that it is wrapped for.")]
    source: Annotated[str, Doc("Name of the key that leaves.")]
    hash: Annotated[str, Doc("The hash of OAEP: SHA1, SHA224, SHA256, SHA384 or SHA512.")] = USUAL_HASH


class ByokVersionParams(ByokParams, frozen=True, kw_only=True):
    """As `ByokParams`, of one version."""

    version: Annotated[str, Doc("A version, with or without `v` before it, or `latest`.", clear=True)]


class RestoreParams(Params, frozen=True):
    """A key that was backed up."""

    backup: Annotated[str, Doc("The backup, as `backup` gave it here or in OpenBao.")] = ""
    force: Annotated[bool, Doc("Whether it takes the place of a key with its name.", clear=True)] = False


class RestoreNamedParams(RestoreParams, frozen=True, kw_only=True):
    """As `RestoreParams`, under a name of its own."""

    name: Annotated[str, Doc("Name of the key.")]

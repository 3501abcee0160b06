# SPDX-License-Identifier: EUPL-1.2
"""What the routes of transit take."""

from __future__ import annotations

from typing import Annotated, Final

from vault.framework.fields import Anything, Doc, Span
from vault.framework.route import Params
from vault.values.times import Seconds

USUAL_HASH: Final = "sha2-256"


class KeyName(Params, frozen=True, kw_only=True):
    """Names a key."""

    name: Annotated[str, Doc("Name of the key.")]


class ShowParams(KeyName, frozen=True):
    """Which key, and for a derived pair of which context."""

    context: Annotated[str, Doc("Of a derived key: the context whose public key is shown, in base64.")] = ""
    usage: Annotated[bool, Doc("Whether it is shown how often each version was used.", clear=True)] = False


class PageParams(Params, frozen=True):
    """Which part of a list."""

    after: Annotated[str, Doc("Begin after this name.")] = ""
    limit: Annotated[int, Doc("How many names to show at most; 0 or less for all.", clear=True)] = 0


class CreateParams(KeyName, frozen=True):
    """A new key."""

    type: Annotated[str, Doc("Kind of the key, as aes256-gcm96, ed25519 or rsa-2048.", clear=True)] = (
        "aes256-gcm96"
    )
    derived: Annotated[
        bool, Doc("Whether each request brings a context that a key is derived for.", clear=True)
    ] = False
    convergent_encryption: Annotated[
        bool, Doc("Whether equal plaintexts of a context give equal ciphertexts.", clear=True)
    ] = False
    exportable: Annotated[bool, Doc("Whether the key may leave the server.", clear=True)] = False
    allow_plaintext_backup: Annotated[bool, Doc("Whether it may be backed up in the clear.", clear=True)] = (
        False
    )
    key_size: Annotated[int, Doc("Bytes of a key of kind hmac, 32 to 512.", clear=True)] = 0
    auto_rotate_period: Annotated[
        Span, Doc("How often it is rotated by itself; 0 for never, else an hour at least.", clear=True)
    ] = Seconds(0)
    external_key_ref: Annotated[
        str, Doc("Of an external-key: which key of `sys/external-keys` it is, as `config:key`.", clear=True)
    ] = ""


class RotateParams(KeyName, frozen=True):
    """Which key gets a version more."""

    external_key_ref: Annotated[
        str, Doc("Of an external-key: which key of `sys/external-keys` the version is.", clear=True)
    ] = ""


class ConfigParams(KeyName, frozen=True):
    """What changes about a key; what is not given stays."""

    min_decryption_version: Annotated[
        int | None, Doc("The oldest version that decrypts and verifies.", clear=True)
    ] = None
    min_encryption_version: Annotated[
        int | None,
        Doc(
            "The oldest version that encrypts and signs where one is asked for; 0 for any that decrypts.",
            clear=True,
        ),
    ] = None
    deletion_allowed: Annotated[bool | None, Doc("Whether the key may be removed.", clear=True)] = None
    exportable: Annotated[bool | None, Doc("True lets the key leave the server, for good.", clear=True)] = (
        None
    )
    allow_plaintext_backup: Annotated[
        bool | None, Doc("True lets it be backed up in the clear, for good.", clear=True)
    ] = None
    auto_rotate_period: Annotated[
        Span | None, Doc("How often it is rotated by itself; 0 for never, else an hour at least.", clear=True)
    ] = None


class TrimParams(KeyName, frozen=True):
    """Which versions go."""

    min_available_version: Annotated[
        int | None, Doc("The oldest version that is kept; those before it are removed for good.", clear=True)
    ] = None


class EncryptParams(KeyName, frozen=True):
    """What to encrypt: one plaintext, or several in `batch_input`."""

    plaintext: Annotated[str | None, Doc("The plaintext, in base64.")] = None
    context: Annotated[str, Doc("Of a derived key: the context, in base64.")] = ""
    associated_data: Annotated[str, Doc("What is authenticated with the ciphertext, in base64.")] = ""
    key_version: Annotated[int, Doc("Which version encrypts; 0 for the newest.", clear=True)] = 0
    type: Annotated[str, Doc("Kind of the key that is made where there is none.", clear=True)] = (
        "aes256-gcm96"
    )
    convergent_encryption: Annotated[
        bool, Doc("Whether a key that is made here is for convergent encryption.", clear=True)
    ] = False
    batch_input: Annotated[
        Anything | None,
        Doc("Plaintexts, each with its own `context`, `associated_data`, `key_version`, `reference`."),
    ] = None
    partial_failure_response_code: Annotated[
        int, Doc("Status of an answer in which some of a batch failed.", clear=True)
    ] = 0


class DecryptParams(KeyName, frozen=True):
    """What to decrypt: one ciphertext, or several in `batch_input`."""

    ciphertext: Annotated[str, Doc("The ciphertext, as encrypt gave it.")] = ""
    context: Annotated[str, Doc("Of a derived key: the context, in base64.")] = ""
    associated_data: Annotated[str, Doc("What was authenticated with the ciphertext, in base64.")] = ""
    batch_input: Annotated[
        Anything | None, Doc("Ciphertexts, each with its own `context`, `associated_data`, `reference`.")
    ] = None
    partial_failure_response_code: Annotated[
        int, Doc("Status of an answer in which some of a batch failed.", clear=True)
    ] = 0


class RewrapParams(KeyName, frozen=True):
    """What to encrypt anew with a newer version, without anybody seeing the plaintext."""

    ciphertext: Annotated[str, Doc("The ciphertext, as encrypt gave it.")] = ""
    context: Annotated[str, Doc("Of a derived key: the context, in base64.")] = ""
    associated_data: Annotated[str, Doc("What was authenticated with the ciphertext, in base64.")] = ""
    key_version: Annotated[int, Doc("Which version encrypts; 0 for the newest.", clear=True)] = 0
    batch_input: Annotated[
        Anything | None,
        Doc("Ciphertexts, each with its own `context`, `associated_data`, `key_version`, `reference`."),
    ] = None


class DataKeyParams(KeyName, frozen=True):
    """A new key for data, and what encrypts it."""

    plaintext: Annotated[str, Doc("`plaintext` to get the key in the clear too, `wrapped` not to.")]
    bits: Annotated[int, Doc("128, 256 or 512.", clear=True)] = 256
    context: Annotated[str, Doc("Of a derived key: the context, in base64.")] = ""
    associated_data: Annotated[str, Doc("What is authenticated with the ciphertext, in base64.")] = ""
    key_version: Annotated[int, Doc("Which version encrypts; 0 for the newest.", clear=True)] = 0


class MethodParams(KeyName, frozen=True):
    """How is signed and verified."""

    hash_algorithm: Annotated[str, Doc("The hash, as sha2-256; `none` for none.", clear=True)] = ""
    algorithm: Annotated[str, Doc("The hash, where `hash_algorithm` is not given.", clear=True)] = USUAL_HASH
    context: Annotated[str, Doc("Of a derived key: the context, in base64.")] = ""
    prehashed: Annotated[bool, Doc("Whether the input is hashed already.", clear=True)] = False
    signature_algorithm: Annotated[str, Doc("Of RSA: `pss` or `pkcs1v15`.", clear=True)] = ""
    marshaling_algorithm: Annotated[str, Doc("Form of the signature: `asn1` or `jws`.", clear=True)] = "asn1"
    salt_length: Annotated[str, Doc("Of PSS: `auto`, `hash` or a number of bytes.", clear=True)] = "auto"


class SignParams(MethodParams, frozen=True):
    """What to sign, and how: one input, or several in `batch_input`."""

    input: Annotated[str | None, Doc("What to sign, in base64.")] = None
    key_version: Annotated[int, Doc("Which version signs; 0 for the newest.", clear=True)] = 0
    batch_input: Annotated[Anything | None, Doc("Inputs, each with its own `context` and `reference`.")] = (
        None
    )


class SignPathParams(SignParams, frozen=True, kw_only=True):
    """As `SignParams`, with the hash in the path."""

    urlalgorithm: Annotated[str, Doc("The hash; it wins over the one in the body.")]


class VerifyParams(MethodParams, frozen=True):
    """What to verify, and how: a signature, a MAC, or several of one of them in `batch_input`."""

    input: Annotated[str | None, Doc("What was signed, in base64.")] = None
    signature: Annotated[str, Doc("The signature, as sign gave it.")] = ""
    hmac: Annotated[str, Doc("The MAC, as hmac gave it.")] = ""
    batch_input: Annotated[
        Anything | None,
        Doc("Inputs, each with `signature` or `hmac`, and its own `context` and `reference`."),
    ] = None


class VerifyPathParams(VerifyParams, frozen=True, kw_only=True):
    """As `VerifyParams`, with the hash in the path."""

    urlalgorithm: Annotated[str, Doc("The hash; it wins over the one in the body.")]


class HmacParams(KeyName, frozen=True):
    """What to make a MAC of: one input, or several in `batch_input`."""

    input: Annotated[str | None, Doc("What to make a MAC of, in base64.")] = None
    algorithm: Annotated[str, Doc("The hash, as sha2-256.", clear=True)] = USUAL_HASH
    key_version: Annotated[int, Doc("Which version makes it; 0 for the newest.", clear=True)] = 0
    batch_input: Annotated[Anything | None, Doc("Inputs, each with its own `reference`.")] = None


class HmacPathParams(HmacParams, frozen=True, kw_only=True):
    """As `HmacParams`, with the hash in the path."""

    urlalgorithm: Annotated[str, Doc("The hash; it wins over the one in the body.")]


class ExportParams(KeyName, frozen=True):
    """What leaves the server, and in which form."""

    type: Annotated[
        str,
        Doc("`encryption-key`, `signing-key`, `hmac-key`, `public-key` or `certificate-chain`.", clear=True),
    ]
    format: Annotated[
        str, Doc("`raw`, `der` or `pem`; not given for the form that each kind has.", clear=True)
    ] = ""


class ExportVersionParams(ExportParams, frozen=True, kw_only=True):
    """As `ExportParams`, of one version."""

    version: Annotated[str, Doc("A version, with or without `v` before it, or `latest`.", clear=True)]


class KeysConfigParams(Params, frozen=True):
    """What holds for all keys of a mount."""

    disable_upsert: Annotated[
        bool, Doc("Whether encrypt refuses an unknown key instead of making one.", clear=True)
    ] = False


class CacheParams(Params, frozen=True):
    """How much of a mount is kept in memory."""

    size: Annotated[
        int,
        Doc("Keys that are kept in memory; 0 for as many as the server keeps, else 10 at least.", clear=True),
    ] = 0

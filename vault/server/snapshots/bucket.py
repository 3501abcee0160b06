# SPDX-License-Identifier: EUPL-1.2
"""Backups in object storage that is asked as S3 is (https://docs.aws.amazon.com/AmazonS3/latest/API/), by AWS' own library.

An object appears once all of it was sent, each part with its SHA-256 in what is signed; then it is read back and compared, and
only then its SHA-256 is put beside it (`NAME.sha256`). One without that takes no other one's place, and goes with those that are
as old: whoever lost the sums alone, or a list that does not show them, is to lose no backup. What was sent of one that was cut off
is removed by whoever makes the next. A backup lies in a directory until it is sent.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, cast

from botocore.config import Config
from botocore.credentials import EnvProvider, SharedCredentialProvider
from botocore.exceptions import BotoCoreError, ClientError, ConfigParseError, PartialCredentialsError
from botocore.session import Session

from vault.outbound.url import parse
from vault.server.config.snapshots.settings import SnapshotSettings
from vault.server.config.stanzas import is_loopback
from vault.server.snapshots.directory import Directory, Make, clear
from vault.server.snapshots.names import Item, begun_at, mark_in
from vault.storage.protocol import StorageFailure

PART: Final = 16 << 20
"""Bytes of a part, of which there are as many in memory; more where a backup would have too many parts."""
_SUM: Final = ".sha256"
"""Ends the key of an object with the sum of a backup that was verified, as `sha256sum -c` reads it."""
_MOST_PARTS: Final = 9_000
_MOST: Final = 100_000
"""Objects that are listed."""
_MOST_PAGES: Final = 1_000
"""Answers of which a list is made: a server may say for ever that there is more."""
_CHUNK: Final = 1 << 20
_CONNECT_SECONDS: Final = 10
_READ_SECONDS: Final = 60
_TRIES: Final = 3


class _Client(Protocol):
    """What is asked of the library, on its names."""

    def put_object(self, **given: object) -> Mapping[str, Any]: ...

    def get_object(self, **given: object) -> Mapping[str, Any]: ...

    def delete_object(self, **given: object) -> Mapping[str, Any]: ...

    def list_objects_v2(self, **given: object) -> Mapping[str, Any]: ...

    def create_multipart_upload(self, **given: object) -> Mapping[str, Any]: ...

    def upload_part(self, **given: object) -> Mapping[str, Any]: ...

    def complete_multipart_upload(self, **given: object) -> Mapping[str, Any]: ...

    def abort_multipart_upload(self, **given: object) -> Mapping[str, Any]: ...

    def list_multipart_uploads(self, **given: object) -> Mapping[str, Any]: ...


class Bucket:
    """See `Destination`."""

    def __init__(self, settings: SnapshotSettings, mark: str = "") -> None:
        """`mark` is that of the cluster. Raises `StorageFailure` where there are no credentials."""
        self._mark = mark
        self._settings = settings
        self._schedule, self._staging = settings.name, Path(settings.path)
        # No backup of a directory has such a name: what is kept there may be all that there is.
        self._staged = f"{settings.name}.sending"
        with _told(settings):
            self._client = _client(settings)

    def items(self) -> Sequence[Item]:
        """See `Destination.items`. What an earlier release made has no mark, and no sum beside it."""
        sizes, sums = self._seen()
        return [
            Item(
                name,
                sizes.get(name, 0),
                name in sizes and (name in sums or mark_in(self._schedule, name) is None),
            )
            for name in sizes.keys() | sums
        ]

    def _seen(self) -> tuple[Mapping[str, int], AbstractSet[str]]:
        """Return the size of each backup that is there, and which names have a sum, whether the backup is there or not."""
        sizes, sums = dict[str, int](), set[str]()
        with _told(self._settings):
            for found in self._listed():
                name = str(found["Key"]).removeprefix(self._settings.prefix)
                if begun_at(self._schedule, name):
                    sizes[name] = int(found["Size"])
                elif begun_at(self._schedule, name.removesuffix(_SUM)):
                    sums.add(name.removesuffix(_SUM))
        return sizes, sums

    def _listed(self) -> Iterator[Mapping[str, Any]]:
        asked: dict[str, object] = {"Prefix": f"{self._settings.prefix}{self._schedule}-"}
        seen = 0
        for _ in range(_MOST_PAGES):
            page = self._client.list_objects_v2(Bucket=self._settings.bucket, **asked)
            found = page.get("Contents", [])
            yield from found
            seen += len(found)
            if not page.get("IsTruncated") or seen >= _MOST:
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def clear(self) -> int:
        """See `Destination.clear`: in the directory, where whole ones were not sent either, and of what was sent in part."""
        left = clear(self._staged, self._staging, self._mark)
        near = Directory(self._staged, self._staging)
        for item in near.items():
            if mark_in(self._staged, item.name) in (None, self._mark):
                near.remove(item.name)
                left += 1
        with _told(self._settings):
            for key, upload in list(self._cut_off()):
                self._client.abort_multipart_upload(Bucket=self._settings.bucket, Key=key, UploadId=upload)
                left += 1
        return left

    def _cut_off(self) -> Iterator[tuple[str, str]]:
        """Yield the key and the id of each upload that was begun and is not complete."""
        prefix = self._settings.prefix
        asked: dict[str, object] = {"Prefix": f"{prefix}{self._schedule}-"}
        for _ in range(_MOST // 1000):
            page = self._client.list_multipart_uploads(Bucket=self._settings.bucket, **asked)
            for found in page.get("Uploads", []):
                name = str(found["Key"]).removeprefix(prefix)
                if begun_at(self._schedule, name) and mark_in(self._schedule, name) in (None, self._mark):
                    yield str(found["Key"]), str(found["UploadId"])
            if not page.get("IsTruncated"):
                return
            asked |= {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def put(self, name: str, make: Make) -> int:
        """See `Destination.put`. What does not read back as it was sent is removed."""
        file = self._staging / (self._staged + name.removeprefix(self._schedule))
        key = self._settings.prefix + name
        try:
            make(file)
            with file.open("rb") as content, _told(self._settings):
                size = os.fstat(content.fileno()).st_size
                digest = self._send(content, size, key)
                try:
                    self.read_back(key, digest)
                    text = f"{digest.hex()}  {name}\n".encode()
                    self._client.put_object(Bucket=self._settings.bucket, Key=key + _SUM, Body=text)
                except BaseException:
                    with suppress(StorageFailure):
                        self.remove(name)
                    raise
            return size
        finally:
            file.unlink(missing_ok=True)

    def _send(self, content: BinaryIO, size: int, key: str) -> bytes:
        """Send a backup; return the SHA-256 of what was read."""
        digest = hashlib.sha256()
        part = max(PART, -(-size // _MOST_PARTS))
        if size <= part:
            body = content.read(part)
            digest.update(body)
            self._client.put_object(Bucket=self._settings.bucket, Key=key, Body=body)
            return digest.digest()
        where = {"Bucket": self._settings.bucket, "Key": key}
        where["UploadId"] = str(self._client.create_multipart_upload(**where)["UploadId"])
        try:
            sent: list[Mapping[str, object]] = []
            while body := content.read(part):
                digest.update(body)
                answer = self._client.upload_part(**where, PartNumber=len(sent) + 1, Body=body)
                sent.append({"ETag": answer["ETag"], "PartNumber": len(sent) + 1})
            self._client.complete_multipart_upload(**where, MultipartUpload={"Parts": sent})
        except BaseException:
            with suppress(BotoCoreError, ClientError):
                self._client.abort_multipart_upload(**where)
            raise
        return digest.digest()

    def read_back(self, key: str, wanted: bytes) -> None:
        """Read an object, and compare its SHA-256. Raises `StorageFailure`."""
        digest = hashlib.sha256()
        body = self._client.get_object(Bucket=self._settings.bucket, Key=key)["Body"]
        for chunk in body.iter_chunks(_CHUNK):
            digest.update(chunk)
        if digest.digest() != wanted:
            raise StorageFailure(
                f"snapshot {self._schedule}: {self._settings.endpoint} does not hold what was sent; nothing was kept"
            )

    def remove(self, name: str) -> None:
        """See `Destination.remove`."""
        with _told(self._settings):
            for end in (_SUM, ""):  # never a backup that counts, and is being removed
                key = self._settings.prefix + name + end
                self._client.delete_object(Bucket=self._settings.bucket, Key=key)


def _client(settings: SnapshotSettings) -> _Client:
    session = Session()
    session.set_config_variable("config_file", os.devnull)  # nothing but what is configured here
    keys = (
        SharedCredentialProvider(settings.credentials_file, profile_name="default").load()
        if settings.credentials_file
        else EnvProvider().load()
    )
    if keys is None:
        where = settings.credentials_file or "the environment"
        raise StorageFailure(
            f"snapshot {settings.name}: no access key is in {where}; set aws_access_key_id and aws_secret_access_key"
        )
    session.set_credentials(keys.access_key, keys.secret_key, keys.token)
    made = session.create_client(
        "s3",
        region_name=settings.region,
        endpoint_url=settings.endpoint,
        verify=settings.tls_ca_file or True,
        config=Config(
            proxies={} if is_loopback(parse(settings.endpoint).host) else None,
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": _TRIES},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={
                "addressing_style": "path" if settings.path_style else "virtual",
                "payload_signing_enabled": True,
            },
        ),
    )
    return cast("_Client", made)


@contextmanager
def _told(settings: SnapshotSettings) -> Iterator[None]:
    """Raise `StorageFailure` for what the library raises, without its words: they may hold what belongs to credentials."""
    where = f"snapshot {settings.name}: {settings.endpoint}"
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an error")
        raise StorageFailure(f"{where} answers {code} to {error.operation_name}") from None
    except (ConfigParseError, PartialCredentialsError):
        raise StorageFailure(
            f"snapshot {settings.name}: credentials_file cannot be read; check its form"
        ) from None
    except BotoCoreError as error:
        raise StorageFailure(f"{where} does not answer as it should: {type(error).__name__}") from None

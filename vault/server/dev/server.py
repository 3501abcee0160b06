# SPDX-License-Identifier: EUPL-1.2
"""Development mode: unsealed at once, on loopback only, with a root token that it prints. Never for production."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from vault import __version__
from vault.engines.system.release import VERSION
from vault.framework.clock import Clock
from vault.seal.failure import SealFailure, SealRefusal
from vault.server.application import Application, DevResult
from vault.server.config import files as configuration
from vault.server.config import seal_stanzas
from vault.server.config.discovery_settings import DiscoverySettings
from vault.server.config.files import setting_from_environment
from vault.server.config.flags import Options
from vault.server.config.reader import Findings
from vault.server.config.settings import Config, Listener, LogSettings, StorageSettings
from vault.server.config.stanzas import host_and_port, is_loopback
from vault.server.failure import StartFailure

_DEFAULT_ADDRESS: Final = "127.0.0.1:8200"
_LOOPBACK_ONLY: Final = (
    "must be a loopback address such as 127.0.0.1:8200: a development server must not be reached from other machines;"
    " use -config with TLS, without -dev, for that"
)


class Development:
    """One development server: its configuration, its first steps and what it tells its user.

    With `BAO_SEAL_TYPE=pkcs11` and the variables `BAO_HSM_…` a token seals it; else it has one unseal key. `-config`
    adds to it: further listeners, audit devices and settings, and a storage or a seal in the place of its own.
    """

    def __init__(self, options: Options, environment: Mapping[str, str], *, clock: Clock) -> None:
        """Check the flags. Raises `StartFailure`."""
        self._options = options
        self._environment = environment
        self._clock = clock
        self._address = (
            options.dev_listen_address
            or setting_from_environment("DEV_LISTEN_ADDRESS", environment)
            or _DEFAULT_ADDRESS
        )
        split = host_and_port(self._address)
        if split is None or not is_loopback(split[0]):
            raise StartFailure(f"-dev-listen-address {_LOOPBACK_ONLY}")
        kept = options.dev_keys or (options.dev_storage and f"{options.dev_storage}.dev-keys")
        self._keys_file = Path(kept) if kept else None
        self._kept = _read_keys(self._keys_file) if self._keys_file is not None else None
        findings = Findings()
        self._seals = seal_stanzas.seals((), environment, findings)
        findings.raise_first()
        self._tls: tuple[Path, Path, Path] | None = None
        self._storage: StorageSettings | None = None
        self._unseal_key = ""
        self._root_token = ""

    def config(self) -> Config:
        """Return the configuration; the first call makes the certificates of `-dev-tls`."""
        options = self._options
        if options.dev_tls and self._tls is None:
            from vault.server.dev import tls

            folder = options.dev_tls_cert_dir or tempfile.mkdtemp(prefix="coffre-dev-tls-")
            self._tls = tls.make(Path(folder), self._clock)
        cert, key = (str(self._tls[1]), str(self._tls[2])) if self._tls else ("", "")
        stored = options.dev_storage
        own = Config(
            listeners=(
                Listener(
                    kind="tcp",
                    address=self._address,
                    tls_disable=not options.dev_tls,
                    tls_cert_file=cert,
                    tls_key_file=key,
                ),
            ),
            storage=StorageSettings(kind="sqlite" if stored else "inmem", path=stored),
            log=LogSettings(path=f"{stored.removesuffix('.db')}-log", root_reads=True)
            if stored
            else LogSettings(),
            discovery=DiscoverySettings(environment="development"),
            seals=self._seals,
            api_addr=self._url(self._address),
            disable_mlock=True,
            ui=True,
            outbound_allow=("127.0.0.0/8", "::1/128"),
        )
        both = configuration.load(options.config, self._environment, own) if options.config else own
        self._check(both)
        self._seals, self._storage = both.seals, both.storage
        return both

    def _check(self, config: Config) -> None:
        """Refuse what development mode never does, also where a file asks for it. Raises `StartFailure`."""
        for listener in config.listeners:
            split = host_and_port(listener.address)
            if listener.kind == "tcp" and (split is None or not is_loopback(split[0])):
                raise StartFailure(f"-config, listener {listener.address}: {_LOOPBACK_ONLY}")
        if self._options.dev_storage and config.storage.path != self._options.dev_storage:
            raise StartFailure("-dev-storage, and a storage in -config: leave one of them out")

    async def prepare(self, application: Application) -> None:
        """Initialise and unseal, with the key kept beside the database if there is one. Raises `StartFailure`."""
        given = self._options.dev_root_token_id or setting_from_environment(
            "DEV_ROOT_TOKEN_ID", self._environment
        )
        kept = self._kept
        try:
            made = await application.bootstrap_dev(
                root_token_id=given or (kept.root_token if kept is not None else None),
                mount_kv=not self._options.dev_no_kv,
                unseal_key=kept.unseal_key if kept is not None else None,
            )
        except (SealFailure, SealRefusal) as failure:
            raise StartFailure(f"the vault cannot be opened: {failure}") from failure
        self._unseal_key, self._root_token = made.unseal_key, made.root_token
        if self._keys_file is not None and made != kept:
            _write_private(self._keys_file, msgspec.json.encode(made).decode())
        token_file = self._token_file()
        if token_file is not None:
            _write_private(token_file, made.root_token)

    def announce(self, addresses: list[str]) -> None:
        """Print the keys, what to set, and examples to paste."""
        from vault.server.dev import text

        sys.stdout.write(
            text.banner(
                url=self._url(addresses[0]),
                unseal_key=self._unseal_key,
                by_token=bool(self._seals),
                root_token=self._root_token,
                authority=str(self._tls[0]) if self._tls else "",
                database=self._database(),
                keys="" if self._keys_file is None else str(self._keys_file),
                stored=self._token_file() is not None,
                program=_program(self._environment.get("PATH", "")),
                version=f"Coffre {__version__}, with the API of OpenBao {VERSION}",
            )
        )
        sys.stdout.flush()

    def _database(self) -> str:
        """Where the secrets are kept; nothing where they are in memory."""
        stored = self._storage
        return "" if stored is None or not stored.lasts else stored.path or stored.connection_url

    def _token_file(self) -> Path | None:
        """Where vaultctl and bao look for the token; None when it is not to be stored."""
        if self._options.dev_no_store_token:
            return None
        named = setting_from_environment("TOKEN_PATH", self._environment)
        home = self._environment.get("HOME")
        return Path(named) if named else Path(home) / ".vault-token" if home else None

    def _url(self, address: str) -> str:
        return f"{'https' if self._options.dev_tls else 'http'}://{address}"


def _program(path: str) -> str:
    """Return how another shell starts vaultctl: by its name where that is on the path, else as this process was."""
    if shutil.which("vaultctl", path=path):
        return "vaultctl"
    started = Path(sys.argv[0]).absolute()
    return str(started) if started.name == "vaultctl" else f"{sys.executable} -m vaultctl"


def _read_keys(file: Path) -> DevResult | None:
    """Read what an earlier start kept. Raises `StartFailure`."""
    try:
        with file.open("rb") as opened:
            if stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & 0o077:
                raise StartFailure(f"{file}: others may read the keys in it; run `chmod 600` on it")
            return msgspec.json.decode(opened.read(4096), type=DevResult)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError):
        raise StartFailure(f"{file}: the keys of this database cannot be read; restore the file") from None


def _write_private(file: Path, text: str) -> None:
    """Write `text` to `file` for its owner alone, whole or not at all. Raises `StartFailure`."""
    try:
        opened, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(opened, "w") as new:
                new.write(text)
                new.flush()
                os.fsync(new.fileno())
            os.replace(name, file)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise StartFailure(f"{file}: cannot be written: {error.strerror}; check the directory") from error

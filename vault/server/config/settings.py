# SPDX-License-Identifier: EUPL-1.2
"""Everything that can be configured: one frozen struct for each stanza, one field for each key.

A field carries its reader, its documentation and its default; the configuration reader and
`docs/configuration.md` are derived from them. Durations are seconds, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from vault.audit import target
from vault.log.forward.settings import DeviceSettings
from vault.server.config import values as read
from vault.server.config.discovery_settings import DiscoverySettings
from vault.server.config.initialize import FirstRequest
from vault.server.config.seal_settings import HsmPolicy, SealSettings
from vault.server.config.snapshots.settings import SnapshotSettings
from vault.server.config.telemetry.collector import Collector
from vault.server.config.values import Setting

LOG_LEVELS = ("trace", "debug", "info", "warn", "error")
"""From the most to the least."""


class ListenerTelemetry(msgspec.Struct, frozen=True, kw_only=True):
    """Metrics on this listener."""

    unauthenticated_metrics_access: Annotated[
        bool, Setting(read.boolean, "Serve `sys/metrics` without a token.")
    ] = False
    metrics_only: Annotated[
        bool, Setting(read.boolean, "Serve nothing but `sys/metrics`; everything else answers 404.")
    ] = False
    disallow_metrics: Annotated[bool, Setting(read.boolean, "Do not serve `sys/metrics` here at all.")] = (
        False
    )


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """One address that the server answers on."""

    kind: str
    address: Annotated[
        str,
        Setting(
            read.filled,
            "`HOST:PORT` (an IPv6 address in brackets), or for `unix` the socket's absolute path.",
            "127.0.0.1:8200",
        ),
    ] = "127.0.0.1:8200"
    tls_disable: Annotated[
        bool,
        Setting(read.boolean, "Serve plain HTTP. Only for loopback, or behind a proxy on the same machine."),
    ] = False
    tls_cert_file: Annotated[
        str,
        Setting(
            read.filled, "PEM file: the server's certificate, then its intermediates. Read anew on SIGHUP."
        ),
    ] = ""
    tls_key_file: Annotated[
        str,
        Setting(read.filled, "PEM file: the certificate's private key, not encrypted. Read anew on SIGHUP."),
    ] = ""
    tls_min_version: Annotated[str, Setting(read.one_of("tls12", "tls13"), "Oldest TLS version.")] = "tls12"
    tls_max_version: Annotated[str, Setting(read.one_of("tls12", "tls13"), "Newest TLS version.")] = "tls13"
    tls_cipher_suites: Annotated[
        tuple[str, ...],
        Setting(
            read.words,
            "TLS 1.2 suites by their IANA names; only ECDHE with AES-GCM or ChaCha20 is accepted.",
            "every ECDHE suite with AES-GCM or ChaCha20",
        ),
    ] = ()
    tls_client_ca_file: Annotated[
        str, Setting(read.filled, "PEM file: the authorities that client certificates are checked against.")
    ] = ""
    tls_require_and_verify_client_cert: Annotated[
        bool, Setting(read.boolean, "Refuse clients without a certificate of `tls_client_ca_file`.")
    ] = False
    tls_disable_client_certs: Annotated[bool, Setting(read.boolean, "Ask no client for a certificate.")] = (
        False
    )
    max_request_size: Annotated[int, Setting(read.limit, "Largest request body, in bytes.", "33554432")] = (
        33_554_432
    )
    max_unauthenticated_request_size: Annotated[
        int,
        Setting(
            read.limit,
            "Largest request body, in bytes, of a client that shows no token, or none that is good: at logins, "
            "`sys/init`, `sys/unseal`, `sys/wrapping/unwrap` and wherever else no token is needed.",
            "1048576",
        ),
    ] = 1_048_576
    max_request_duration: Annotated[
        float, Setting(read.duration, "Longest time a request may take.", "`default_max_request_duration`")
    ] = 0
    max_request_json_strings: Annotated[
        int, Setting(read.limit, "Most strings in a JSON body, keys included.")
    ] = 1000
    max_request_json_memory: Annotated[
        int, Setting(read.limit, "Most memory that a JSON body may take once parsed, in bytes.")
    ] = 34_078_720
    http_idle_timeout: Annotated[
        float, Setting(read.duration, "How long an idle connection is kept.", "5m")
    ] = 300
    http_read_header_timeout: Annotated[
        float, Setting(read.duration, "How long a client may take to send a request's head.", "10s")
    ] = 10
    http_read_timeout: Annotated[
        float,
        Setting(
            read.duration,
            "How long a client may take to send a whole request, and how long it may take nothing of an answer.",
            "30s",
        ),
    ] = 30
    custom_response_headers: Mapping[str, Mapping[str, str]] = msgspec.field(default_factory=dict)
    telemetry: ListenerTelemetry = ListenerTelemetry()
    socket_mode: Annotated[int, Setting(read.mode, "Permissions of the `unix` socket.", '"0600"')] = 0o600
    socket_user: Annotated[
        str, Setting(read.filled, "Owner of the `unix` socket, by name or number.", "this process's user")
    ] = ""
    socket_group: Annotated[
        str, Setting(read.filled, "Group of the `unix` socket, by name or number.", "this process's group")
    ] = ""
    x_forwarded_for_authorized_addrs: Annotated[
        tuple[str, ...],
        Setting(
            read.blocks,
            "Proxies whose `X-Forwarded-For` is believed: addresses or blocks. Only they must be able to send it.",
        ),
    ] = ()
    x_forwarded_for_hop_skips: Annotated[
        int, Setting(read.whole, "How many entries to skip from the end: the proxies before the nearest one.")
    ] = 0
    x_forwarded_for_reject_not_present: Annotated[
        bool, Setting(read.boolean, "Refuse a request without `X-Forwarded-For`.")
    ] = False
    x_forwarded_for_reject_not_authorized: Annotated[
        bool, Setting(read.boolean, "Refuse a request with `X-Forwarded-For` from anywhere else.")
    ] = False
    x_forwarded_for_client_cert_header: Annotated[
        str,
        Setting(
            read.filled,
            "Header in which these proxies hand on a client's certificate, whose key they have seen proven; nobody "
            "else is believed. The certificates of the proxies themselves are then nobody's.",
            "none",
        ),
    ] = ""
    x_forwarded_for_client_cert_decoders: Annotated[
        tuple[str, ...],
        Setting(
            read.words,
            "How the header is read, one after the other: `URL`, `PEM`, `RFC9440`. What is left is DER in base64.",
        ),
    ] = ()
    disable_unauthed_rekey_endpoints: Annotated[
        bool,
        Setting(
            read.boolean,
            "Do not let anybody begin to make new shares by `sys/rekey`; `sys/rotate` does that.",
        ),
    ] = True
    disable_unauthed_generate_root_endpoints: Annotated[
        bool,
        Setting(
            read.boolean,
            "Do not let anybody begin to make a root token; `sys/generate-root-token` does that.",
        ),
    ] = True


class StorageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the encrypted data is kept."""

    kind: str
    path: Annotated[
        str, Setting(read.filled, "The database file of `sqlite`; made with mode 0600 if it is not there.")
    ] = ""
    connection_url: Annotated[
        str,
        Setting(
            read.filled,
            "Where `postgresql` is: `postgresql://USER@HOST:PORT/DATABASE`, or with `?host=DIRECTORY` of a Unix socket. "
            "One address that always leads to the primary, without a password.",
        ),
    ] = ""
    password_file: Annotated[
        str, Setting(read.filled, "File with the user's password, read anew for each connection.")
    ] = ""
    tls_disable: Annotated[
        bool,
        Setting(
            read.boolean,
            "Ask `postgresql` without TLS. Only for loopback; a Unix socket needs no TLS anyway.",
        ),
    ] = False
    tls_ca_file: Annotated[
        str,
        Setting(
            read.filled,
            "PEM file: the authorities that the database's certificate, which has to name its host, is checked against.",
            "the system's",
        ),
    ] = ""
    tls_cert_file: Annotated[
        str, Setting(read.filled, "PEM file: the certificate that is shown to the database.")
    ] = ""
    tls_key_file: Annotated[
        str, Setting(read.filled, "PEM file: that certificate's private key, not encrypted.")
    ] = ""

    @property
    def lasts(self) -> bool:
        """Whether what is kept outlives the server."""
        return self.kind != "inmem"

    @property
    def is_file(self) -> bool:
        """Whether it is a file, which one process at a time writes."""
        return self.kind == "sqlite"

    @property
    def is_shared(self) -> bool:
        """Whether several nodes may be on it."""
        return self.kind == "postgresql"


class AuditDevice(msgspec.Struct, frozen=True, kw_only=True):
    """One declared audit device; `path` ends in a slash, `options` are the strings that `sys/audit` lists."""

    kind: str
    path: str
    description: Annotated[str, Setting(read.text, "Shown by `audit list`.")] = ""
    local: Annotated[bool, Setting(read.boolean, "Shown by `audit list`; nothing is replicated here.")] = (
        False
    )
    options: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def file(self) -> str:
        """The path of the file that it writes, or nothing where it writes to none."""
        place = target.target(self.options)
        return place if target.is_file(place) else ""


class WitnessStanza(msgspec.Struct, frozen=True, kw_only=True):
    """One witness of the log; see audit-witness.md."""

    name: str
    url: Annotated[
        str,
        Setting(
            read.filled, "Its submission prefix: `add-checkpoint` is asked below it, by HTTPS. Required."
        ),
    ] = ""
    key: Annotated[str, Setting(read.filled, "Its verifier key, `NAME+ID+BASE64`. Required.")] = ""
    tls_ca_file: Annotated[
        str,
        Setting(
            read.filled,
            "PEM file: the authorities that its certificate is checked against.",
            "the system's",
        ),
    ] = ""


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The log of what was done, which nobody can rewrite unseen; see audit.md. Without a path none is kept."""

    path: Annotated[
        str,
        Setting(
            read.filled,
            "Folder of the log, mode 0700, on a local disk; it is made. Each server needs one of its own. A request whose "
            "record cannot be written there is refused.",
            "none: no log is kept",
        ),
    ] = ""
    origin: Annotated[
        str,
        Setting(
            read.origin,
            "Names this server's logs in signed checkpoints: a domain and a path of yours, as `vault.example.eu/log`.",
        ),
    ] = "coffre.invalid/log"
    segment_size: Annotated[
        int, Setting(read.limit, "A segment of the log ends at this size, in bytes.", "67108864")
    ] = 64 << 20
    segment_age: Annotated[float, Setting(read.duration, "A segment ends after this time.", "24h")] = 86_400
    retention_min: Annotated[
        float, Setting(read.duration, "Records are kept so long at least: no purge takes younger ones.", "0")
    ] = 0
    retention_max: Annotated[
        float,
        Setting(
            read.duration,
            "Closed segments whose records all are older are purged within a day, but for those that a hold keeps; 0 keeps "
            "everything.",
            "0",
        ),
    ] = 0
    root_reads: Annotated[
        bool,
        Setting(
            read.boolean,
            "Let the root policy read the log through `sys/log`. Otherwise only a policy with a rule that names `sys/log/` "
            "does.",
        ),
    ] = False
    signing_key: Annotated[
        str,
        Setting(
            read.filled,
            "External key `CONFIG:KEY` of the root namespace, on P-256, that signs checkpoints beside the log's own key. It "
            "has to be granted to the mount `sys` ([external-keys.md](external-keys.md)).",
            "none",
        ),
    ] = ""
    quorum: Annotated[
        int,
        Setting(
            read.limit, "How many witnesses have to cosign a checkpoint for `sys/log/status` to show it."
        ),
    ] = 1
    witness_interval: Annotated[
        float, Setting(read.duration, "Witnesses are asked so often, if there is a new checkpoint.", "30s")
    ] = 30
    witnesses: tuple[WitnessStanza, ...] = ()
    devices: tuple[DeviceSettings, ...] = ()
    """Whom the log is sent to."""


class UserLockout(msgspec.Struct, frozen=True, kw_only=True):
    """When repeated wrong passwords lock a user out; `kind` is `all` or an auth method."""

    kind: str
    lockout_threshold: Annotated[
        int, Setting(read.limit, "Wrong passwords until the user is locked out.")
    ] = 5
    lockout_duration: Annotated[float, Setting(read.duration, "How long the lock lasts.", "15m")] = 900
    lockout_counter_reset: Annotated[
        float, Setting(read.duration, "After how long without a try the count starts anew.", "15m")
    ] = 900
    disable_lockout: Annotated[bool, Setting(read.boolean, "Never lock a user out.")] = False


class Telemetry(msgspec.Struct, frozen=True, kw_only=True):
    """Metrics of the whole server."""

    prometheus_retention_time: Annotated[
        float, Setting(read.duration, "0 switches `format=prometheus` off; no other value matters.", "24h")
    ] = 86_400
    disable_hostname: Annotated[bool, Setting(read.boolean, "Metrics never carry the host's name here.")] = (
        True
    )
    metrics_prefix: Annotated[
        str, Setting(read.filled, "First part of the name of every metric that is OpenBao's.")
    ] = "vault"
    usage_gauge_period: Annotated[
        float,
        Setting(
            read.duration,
            "Tokens, leases, entities and secrets are counted so often, for metrics; 0 for never. All of them are looked at.",
            "10m",
        ),
    ] = 600
    maximum_gauge_cardinality: Annotated[
        int, Setting(read.limit, "How many series a metric of those may have: those with the highest counts.")
    ] = 500
    otlp: Collector = Collector()


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration, checked and merged."""

    listeners: tuple[Listener, ...]
    storage: StorageSettings
    files: tuple[str, ...] = ()
    """Where it was read from."""
    audit: tuple[AuditDevice, ...] = ()
    log: LogSettings = LogSettings()
    snapshots: tuple[SnapshotSettings, ...] = ()
    discovery: DiscoverySettings = DiscoverySettings()
    user_lockout: tuple[UserLockout, ...] = ()
    telemetry: Telemetry = Telemetry()
    warnings: tuple[str, ...] = ()
    seals: tuple[SealSettings, ...] = ()
    hsm: HsmPolicy = HsmPolicy()
    initialize: tuple[FirstRequest, ...] = ()
    api_addr: Annotated[
        str,
        Setting(
            read.filled, "URL of this server for its clients (`BAO_API_ADDR`).", "made of the first listener"
        ),
    ] = ""
    cluster_addr: Annotated[
        str,
        Setting(
            read.filled,
            "Shown by `sys/ha-status` and `sys/leader` (`BAO_CLUSTER_ADDR`). Nothing listens there: servers that share a "
            "storage need no address for each other.",
            "none",
        ),
    ] = ""
    cluster_name: Annotated[
        str, Setting(read.filled, "Shown by `sys/health` and as a label.", "made at init")
    ] = ""
    default_lease_ttl: Annotated[
        float, Setting(read.duration, "Lifetime of tokens and leases that ask for none.", "768h")
    ] = 2_764_800
    max_lease_ttl: Annotated[
        float, Setting(read.duration, "Longest lifetime of tokens and leases.", "768h")
    ] = 2_764_800
    default_max_request_duration: Annotated[
        float, Setting(read.duration, "Longest time a request may take.", "90s")
    ] = 90
    workers: Annotated[
        int,
        Setting(
            read.limit,
            "How many processes serve the listeners together, under a supervisor that holds no keys. Each may use one core "
            "([scale.md](scale.md)). Not with `inmem`, and not in development mode.",
        ),
    ] = 1
    log_level: Annotated[
        str,
        Setting(read.one_of(*LOG_LEVELS), f"{', '.join(LOG_LEVELS)} (`BAO_LOG_LEVEL`). Read anew on SIGHUP."),
    ] = "info"
    log_format: Annotated[
        str, Setting(read.one_of("standard", "json"), "`standard` or `json` (`BAO_LOG_FORMAT`).")
    ] = "standard"
    log_file: Annotated[
        str, Setting(read.filled, "Log to this file, mode 0600, opened anew on SIGHUP.", "standard error")
    ] = ""
    pid_file: Annotated[str, Setting(read.filled, "Write the process id to this file.", "none")] = ""
    disable_mlock: Annotated[
        bool, Setting(read.boolean, "Do not lock memory against swapping. Locking is tried, not required.")
    ] = False
    outbound_allow: Annotated[
        tuple[str, ...],
        Setting(
            read.blocks,
            "Addresses and CIDR blocks that the server may ask although they are not public: key sets, identity "
            "providers, Kubernetes, revocation lists. Loopback, link-local, private and metadata addresses are "
            "refused otherwise.",
            "none",
        ),
    ] = ()
    raw_storage_endpoint: Annotated[
        bool, Setting(read.boolean, "`sys/raw` does not exist here; true is refused.")
    ] = False
    introspection_endpoint: Annotated[
        bool, Setting(read.boolean, "`sys/internal/inspect` does not exist here; true is refused.")
    ] = False
    unsafe_allow_api_audit_creation: Annotated[
        bool, Setting(read.boolean, "Let `sys/audit` create devices, not only this file.")
    ] = False
    allow_audit_log_prefixing: Annotated[bool, Setting(read.boolean, "Let audit devices set `prefix`.")] = (
        False
    )
    ui: Annotated[
        bool,
        Setting(
            read.boolean,
            "Serve the page for security teams at `/ui/`: identities of workloads ([nhi.md](nhi.md)).",
        ),
    ] = False

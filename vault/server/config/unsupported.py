# SPDX-License-Identifier: EUPL-1.2
"""OpenBao's settings that this server does not have, and what happens to a file that uses them.

Ignoring them is safe for `IGNORED`: a warning says why. `REFUSED` ones would leave the server less
secure than the file says, or without something it asks for: it does not start.
"""

from __future__ import annotations

from typing import Final

_CLUSTER: Final = "nodes need no address for each other"
_TUNING: Final = "there is nothing to tune here"
_FORWARDED: Final = "use x_forwarded_for_authorized_addrs instead; remove it"
_ACME: Final = (
    "certificates are read from tls_cert_file and tls_key_file; run an ACME client beside the server"
)
_PUSH: Final = "metrics are not pushed; let Prometheus read sys/metrics"
_PLUGINS: Final = "engines are built in, nothing is loaded from files"
_ROTATE: Final = "use logrotate and SIGHUP"

IGNORED: Final[dict[str, dict[str, str]]] = {
    "": {
        "cache_size": _TUNING,
        "disable_cache": "caches follow the storage and cannot be stale",
        "disable_clustering": _CLUSTER,
        "disable_performance_standby": _CLUSTER,
        "disable_standby_reads": _CLUSTER,
        "enable_response_header_raft_node_id": _CLUSTER,
        "enable_response_header_hostname": "no answer carries the host's name",
        "disable_sealwrap": "only the few values that need it are wrapped, and always",
        "disable_indexing": _TUNING,
        "disable_sentinel_trace": "there is no Sentinel",
        "disable_printable_check": "paths follow one rule for everybody",
        "detect_deadlocks": _TUNING,
        "imprecise_lease_role_tracking": "there are no lease count quotas yet",
        "log_rotate_bytes": _ROTATE,
        "log_rotate_duration": _ROTATE,
        "log_rotate_max_files": _ROTATE,
        "log_requests_level": "requests are in the audit log",
        "plugin_directory": _PLUGINS,
        "plugin_file_uid": _PLUGINS,
        "plugin_file_permissions": _PLUGINS,
        "plugin_auto_download": _PLUGINS,
        "plugin_auto_register": _PLUGINS,
        "plugin_download_behavior": _PLUGINS,
        "plugin_download_max_size": _PLUGINS,
        "service_registration": "the server registers itself nowhere",
        "experiments": "there are no experiments",
    },
    'storage "postgresql"': {
        "ha_enabled": "every node is active",
        "ha_table": "every node is active",
        "table": "the tables are in a schema named coffre",
        "max_parallel": "a node has four connections, and reads share them",
        "max_idle_connections": "a node has four connections, and reads share them",
        "max_connect_retries": "a connection is tried again all the time",
        "skip_create_table": "tables are made by `vaultctl operator db init`, never by a start",
        "upsert_function": _TUNING,
    },
    "listener": {
        "cluster_address": _CLUSTER,
        "http_write_timeout": "max_request_duration bounds an answer",
        "proxy_api": "there is no proxy mode",
        "agent_api": "there is no agent mode",
        "profiling": "there is no profiling endpoint",
        "inflight_requests_logging": "sys/in-flight-req always asks for a token",
        "tls_prefer_server_cipher_suites": "every accepted suite is strong",
    },
    "telemetry": {
        "enable_hostname_label": "metrics never carry the host's name",
        "num_lease_metrics_buckets": _TUNING,
        "lease_metrics_epsilon": _TUNING,
        "add_lease_metrics_namespace_labels": _TUNING,
        "rollback_metrics_include_mount_point": _TUNING,
        "filter_default": "every metric is served; filter where they are collected",
        "prefix_filter": "every metric is served; filter where they are collected",
        **dict.fromkeys(
            (
                "statsite_address", "statsd_address", "dogstatsd_addr", "dogstatsd_tags", "circonus_api_token",
                "circonus_api_app", "circonus_api_url", "circonus_submission_interval", "circonus_check_id",
                "circonus_check_tags", "circonus_broker_id", "stackdriver_project_id", "stackdriver_location",
                "stackdriver_namespace", "stackdriver_debug_logs",
            ),
            _PUSH,
        ),
    },
    "seal": {
        "disable_software_encryption": "a token wraps keys only; values are always encrypted in software",
        "health_check_enabled": "slots are always checked",
        "health_check_interval": "set canary_interval in `hsm`",
        "health_check_timeout": "set timeout",
    },
}  # fmt: skip
"""Stanza ("" is the top level) -> key -> why nothing is missing."""

UNBUILT: Final[dict[str, dict[str, tuple[bool, str]]]] = {
    "": {
        "raw_storage_endpoint": (True, "`sys/raw` does not exist here; remove it"),
        "introspection_endpoint": (True, "`sys/internal/inspect` does not exist here; remove it"),
    },
}
"""Stanza ("" is the top level) -> key -> the value that asks for what does not exist, and what to do instead."""

REFUSED: Final[dict[str, dict[str, str]]] = {
    "": {
        "ha_storage": "remove it: the storage itself is what nodes share",
        "plugin": "declared plugins are not supported; remove it",
        "entropy": "extra entropy is not supported yet; remove it",
        "unsafe_cross_namespace_identity": "identities never cross namespaces; remove it",
    },
    "listener": {
        "cors_enabled": "configure it with `vaultctl write sys/config/cors`; remove it here",
        "cors_allowed_origins": "configure it with `vaultctl write sys/config/cors`; remove it here",
        "cors_allowed_headers": "configure it with `vaultctl write sys/config/cors`; remove it here",
        "proxy_protocol_behavior": _FORWARDED,
        "proxy_protocol_authorized_addrs": _FORWARDED,
        "require_request_header": "it protects agents, not servers; remove it",
        "role": "metrics-only listeners have `telemetry { metrics_only = true }`",
        "tls_acme_cache_path": _ACME,
        "tls_acme_ca_directory": _ACME,
        "tls_acme_ca_root": _ACME,
        "tls_acme_eab_key_id": _ACME,
        "tls_acme_eab_mac_key": _ACME,
        "tls_acme_key_type": _ACME,
        "tls_acme_email": _ACME,
        "tls_acme_domains": _ACME,
        "tls_acme_disable_http_challenge": _ACME,
        "tls_acme_disable_alpn_challenge": _ACME,
    },
    "request": {
        "headers": "requests of the configuration have no headers; name a namespace in the path",
        "namespace": "begin path with the namespace",
        "when": "requests are never left out; remove it",
    },
    "audit": {
        "path": 'name the device in its label: audit "file" "NAME" { … }',
        "type": 'name the type in its label: audit "file" "NAME" { … }',
    },
}
"""Stanza ("" is the top level) -> key -> what to do instead."""

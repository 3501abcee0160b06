# SPDX-License-Identifier: EUPL-1.2
"""What every metric means: the text that Prometheus is given beside it, and the table of docs/metrics.md.

Names without `coffre.` are OpenBao's, which dashboards know; they are given a meaning only where ours is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

OWN: Final = "coffre."
"""How the names begin that are ours. They follow Prometheus' rules: base units, `_total` for what only grows."""
PROCESS: Final = "process."
"""How the names begin that Prometheus' own libraries use."""

Kind = Literal["counter", "gauge", "histogram", "summary"]


class MetricFacts(msgspec.Struct, frozen=True):
    """What one metric is: its kind, what it says, and the names of its labels."""

    kind: Kind
    says: str
    labels: tuple[str, ...] = ()


_TIMED: Final = "milliseconds"


def _took(says: str, *labels: str) -> MetricFacts:
    return MetricFacts("summary", f"{says}, in {_TIMED}", labels)


def _grows(says: str, *labels: str) -> MetricFacts:
    return MetricFacts("counter", says, labels)


def _is(says: str, *labels: str) -> MetricFacts:
    return MetricFacts("gauge", says, labels)


def _lasts(says: str, *labels: str) -> MetricFacts:
    return MetricFacts("histogram", f"{says}, in seconds", labels)


MEANINGS: Final[Mapping[str, MetricFacts]] = {
    "audit.log_request": _took("Writing the record of a request"),
    "audit.log_request_failure": _grows("Records of requests that no device took"),
    "audit.log_response": _took("Writing the record of an answer"),
    "audit.log_response_failure": _grows("Records of answers that no device took"),
    "barrier.estimated_encryptions": _is("How often the active key has encrypted; 0 while sealed"),
    "core.active": _is("Whether this server is unsealed", "cluster"),
    "core.handle_login_request": _took("Answering a login"),
    "core.handle_request": _took("Answering any other request"),
    "core.in_flight_requests": _is("Requests that are being answered now"),
    "core.mount_table.num_entries": _is("Mounts of all namespaces, counted now and then", "cluster", "local", "type"),
    "core.post_unseal": _took("Loading what an open vault needs"),
    "core.pre_seal": _took("Sealing: ending what an open vault does, and forgetting its keys"),
    "core.unsealed": _is("Whether this server is unsealed", "cluster"),
    "expire.fetch_lease_times": _took("Reading a lease"),
    "expire.job_manager.total_jobs": _is("Leases that are being revoked as their time is over, or wait for that in memory"),
    "expire.lease_expiration": _grows("Leases that were revoked as their time was over"),
    "expire.num_irrevocable_leases": _is("Leases that could not be revoked, counted now and then"),
    "expire.num_leases": _is("Leases, those that tokens are shown as included, counted now and then"),
    "expire.register": _took("Storing a new lease"),
    "expire.revoke": _took("Removing a lease, once what it stood for is taken back"),
    "expire.revoke_by_token": _took("Ending the leases of a token that is gone"),
    "identity.entity.alias.count": _is("Aliases of entities, counted now and then", "auth_method", "cluster", "mount_point", "namespace"),
    "identity.entity.count": _is("Entities, counted now and then", "cluster", "namespace"),
    "metrics.collection": _took("Counting everything that is counted now and then"),
    "policy.delete_policy": _took("Deleting a policy"),
    "policy.get_policy": _took("Reading a policy that was not in memory"),
    "policy.set_policy": _took("Storing a policy"),
    "quota.rate_limit.violation": _grows("Requests that a rate limit refused", "cluster", "name"),
    "runtime.alloc_bytes": _is("Resident memory"),
    "runtime.gc_pause_ns": MetricFacts("summary", "Pauses by the garbage collector, in nanoseconds"),
    "runtime.heap_objects": _is("Blocks of memory that the interpreter has given out"),
    "runtime.num_goroutines": _is("Tasks of the event loop"),
    "runtime.sys_bytes": _is("Resident memory"),
    "runtime.total_gc_pause_ns": _is("All pauses by the garbage collector since the start, in nanoseconds"),
    "runtime.total_gc_runs": _is("Runs of the garbage collector since the start"),
    "seal.unreachable.time": _is("For how many seconds no key slot has worked"),
    "secret.kv.count": _is("Secrets of a mount of KV, counted now and then", "cluster", "mount_point", "namespace"),
    "token.count": _is("Service tokens, counted now and then", "cluster", "namespace"),
    "token.count.by_auth": _is("Those by the kind of mount that they came from", "auth_method", "cluster", "namespace"),
    "token.count.by_policy": _is("Those by each policy of theirs", "cluster", "namespace", "policy"),
    "token.count.by_ttl": _is("Those by the lifetime that they were made with", "cluster", "creation_ttl", "namespace"),
    "token.create": _took("Storing a new token"),
    "token.create_root": _grows("Service tokens of the root policy that were made"),
    "token.creation": _grows(
        "Service tokens that were made", "auth_method", "cluster", "creation_ttl", "mount_point", "namespace", "token_type"
    ),
    "token.lookup": _took("Finding a token that was not in memory"),
    "token.revoke-tree": _took("Revoking a token and what hangs on it"),
    "coffre.audit.blocked": _is("Whether no audit device took the last record: requests are refused until one does"),
    "coffre.audit.failing_devices": _is("Audit devices that did not take their last record"),
    "coffre.barrier.key_term": _is("Number of the active key; 0 while sealed"),
    "coffre.build_info": _is("1; the release, and that of OpenBao whose API it speaks", "version", "api"),
    "coffre.certificate.expiry_timestamp_seconds": _is("When the certificate of a listener expires", "listener"),
    "coffre.disk.free_bytes": _is("Room for the server on the disk that something is on", "what"),
    "coffre.disk.size_bytes": _is("Size of that disk", "what"),
    "coffre.hsm.agent_starts_total": _grows("How often the agent process of a slot was started", "slot"),
    "coffre.hsm.answer_seconds_total": _grows("Time until a token had answered, waiting included", "slot", "op"),
    "coffre.hsm.answers_total": _grows("Operations that a token has answered", "slot", "op"),
    "coffre.hsm.entropy_fallbacks_total": _grows("How often random bytes came from the system alone, for no token gave any"),
    "coffre.hsm.errors_total": _grows("Operations of a token that failed", "slot", "kind", "ckr"),
    "coffre.hsm.operations_total": _grows("Operations that a token was asked for", "slot"),
    "coffre.leases.parked_total": _grows("Leases that could not be revoked, and wait for an operator"),
    "coffre.leases.revocation_failures_total": _grows("Tries to revoke a lease that failed"),
    "coffre.leases.revoked_total": _grows("Leases that were revoked or have expired"),
    "coffre.log.device_failing": _is("Whether a device of the log takes no records, or takes them too late", "device"),
    "coffre.log.device_lag_records": _is("Records that a device of the log has not taken", "device"),
    "coffre.log.device_lag_seconds": _is("Age of the oldest of them", "device"),
    "coffre.log.records_total": _grows("Records of the log of this process since it began"),
    "coffre.log.unsigned_records": _is("Records that no checkpoint covers yet; it grows while sealed"),
    "coffre.loop.delay_seconds": _lasts("How late the event loop came to its work, measured ten times a second"),
    "coffre.loop.stalls_total": _grows("How often that was more than 250 ms, in which nobody was answered"),
    "coffre.request.duration_seconds": _lasts("Answering a request, logins included"),
    "coffre.request.refusals_total": _grows("Requests that were refused in the pipeline, by status of the answer", "status"),
    "coffre.seal.key_references": _is("Wrapped values that a version of a slot's key holds", "slot", "version"),
    "coffre.seal.slot_behind_versions": _is("Versions of the root key that a slot has missed", "slot"),
    "coffre.seal.slot_stored": _is("Whether a configured slot opens the vault", "slot"),
    "coffre.seal.slot_up": _is("Whether a slot worked when it was asked last", "slot"),
    "coffre.server.refused_total": _grows("Requests that were refused before the pipeline, by what was wrong", "reason"),
    "coffre.server_log.dropped_events_total": _grows("Lines of the server's log that could not be written"),
    "coffre.snapshot.consecutive_failures": _is("Backups of a schedule that failed since the last good one", "schedule"),
    "coffre.snapshot.failures_total": _grows("Backups of a schedule that failed, of this process", "schedule"),
    "coffre.snapshot.last_duration_seconds": _is("How long the last good backup of a schedule took", "schedule"),
    "coffre.snapshot.last_size_bytes": _is("Its size", "schedule"),
    "coffre.snapshot.last_success_timestamp_seconds": _is("When it was finished; 0 before the first", "schedule"),
    "coffre.storage.nodes": _is("Servers that live on one PostgreSQL, as this one heard last"),
    "coffre.storage.probe_duration_seconds": _lasts("The question that is put to the storage every few seconds"),
    "coffre.storage.reachable": _is("Whether the storage answered when it was asked last"),
    "coffre.storage.size_bytes": _is("Size of the database: of its files with the write-ahead log, or as PostgreSQL says"),
    "coffre.storage.writable": _is("Whether a PostgreSQL that answers took what this server wrote last"),
    "coffre.telemetry.dropped_total": _grows("What the collector was to have and was not given, by kind", "signal"),
    "coffre.telemetry.failures_total": _grows("Tries to hand something to the collector that failed", "signal"),
    "coffre.telemetry.rejected_total": _grows(
        "Spans, data points or lines that the collector answered it will not have", "signal"
    ),
    "coffre.telemetry.sent_total": _grows("What the collector took, by kind", "signal"),
    "process.cpu_seconds_total": _grows("Processor time of the process"),
    "process.max_fds": _is("Files that it may have open"),
    "process.open_fds": _is("Files that it has open"),
    "process.resident_memory_bytes": _is("Resident memory"),
    "process.start_time_seconds": _is("When it began to count"),
    "process.virtual_memory_bytes": _is("Virtual memory"),
}  # fmt: skip
"""By name."""
ROUTE: Final = _took("Answering requests of an operation below a mount, whose name stands in the metric's")
"""The metrics whose names begin with `route.`: operation and path of the mount follow."""


def meaning(name: str) -> str:
    """Return what a metric says, in one sentence without a line break."""
    found = ROUTE if name.startswith("route.") else MEANINGS.get(name)
    return found.says if found is not None else name


_INNER: Final = "a part of the work that has no counterpart here"
_NO_CACHE: Final = "no cache stands before the storage; what is kept of reads is said in repeated-reads.md"
_ROUTED: Final = "its route is timed as every other"
_SLOTS: Final = "each slot has its own, in `coffre_hsm_answers_total` and `coffre_hsm_answer_seconds_total`"
_NO_ROLLBACK: Final = "nothing is rolled back later: what fails is undone by its transaction"
_BESIDE: Final = "timing each would cost every read"
_NO_LEASE: Final = "a token that logs in has no lease beside it; `vault_token_create` is the whole"
_NOT_COUNTED: Final = "the interpreter does not count it"
ABSENT: Final[Mapping[str, str]] = {
    "barrier.delete": _BESIDE,
    "barrier.get": _BESIDE,
    "barrier.list": _BESIDE,
    "barrier.list_page": _BESIDE,
    "barrier.put": _BESIDE,
    "cache.hit": _NO_CACHE,
    "cache.miss": _NO_CACHE,
    "cache.write": _NO_CACHE,
    "core.check_token": _BESIDE,
    "core.fetch_acl_and_token": _BESIDE,
    "core.locked_users": "a name is locked in its mount, and nobody counts them",
    "core.mount_table.size": "each mount is an entry of its own",
    "core.step_down": _INNER,
    "core.unseal": _ROUTED,
    "expire.fetch_lease_times_by_token": _NO_LEASE,
    "expire.job_manager.queue_length": "mounts take turns, and have no queue that is counted; `vault_expire_job_manager_total_jobs` has all",
    "expire.lease_expiration.time_in_queue": "a lease waits as a timer in the storage",
    "expire.leases.by_expiration": "each lease has a timer in the storage; none is held in memory to be counted",
    "expire.register_auth": _NO_LEASE,
    "expire.renew_token": _NO_LEASE,
    "expire.revoke_common": _INNER,
    "expire.revoke_prefix": _ROUTED,
    "identity.create_or_fetch_entity": _INNER,
    "identity.entity_creation": "the count of entities says it",
    "identity.refresh_external_groups": _INNER,
    "identity.upsert_entity": _INNER,
    "identity.upsert_entity_txn": _INNER,
    "identity.upsert_group_txn": _INNER,
    "metrics.collection.interval": "it is `usage_gauge_period`",
    "namespace.get_namespace_by_accessor": "namespaces are in memory",
    "namespace.list_namespaces": "namespaces are in memory",
    "namespace.modify_namespace": _INNER,
    "pki.issue": "there is no such engine yet",
    "pki.issue.failure": "there is no such engine yet",
    "policy.list_policies": _ROUTED,
    "rollback.attempt.MOUNT": _NO_ROLLBACK,
    "rollback.inflight": _NO_ROLLBACK,
    "rollback.queued": _NO_ROLLBACK,
    "rollback.waiting": _NO_ROLLBACK,
    "rollback.job_manager.queue_length": _NO_ROLLBACK,
    "rollback.job_manager.total_jobs": _NO_ROLLBACK,
    "runtime.free_count": _NOT_COUNTED,
    "runtime.malloc_count": _NOT_COUNTED,
    "seal.decrypt": _SLOTS,
    "seal.decrypt.time": _SLOTS,
    "seal.encrypt": _SLOTS,
    "seal.encrypt.time": _SLOTS,
    "seal.shamir.decrypt": _SLOTS,
    "seal.shamir.decrypt.time": _SLOTS,
    "seal.shamir.encrypt": _SLOTS,
    "seal.shamir.encrypt.time": _SLOTS,
    "storage.packer.put_bucket": "entities lie in entries of their own",
    "storage.packer.put_item": "entities lie in entries of their own",
    "token.createAccessor": "it is a part of `vault_token_create`",
    "token.store": "it is a part of what renews",
}
"""Metrics of OpenBao that are not here, and why."""

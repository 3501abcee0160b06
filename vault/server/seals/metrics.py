# SPDX-License-Identifier: EUPL-1.2
"""What the metrics tell of key slots. Names and labels come from the configuration and from a fixed set of errors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from hsm.client.counters import Counters
from hsm.client.pkcs11_slot import Pkcs11Slot
from hsm.key_slot import KeySlot
from vault.framework.telemetry.metrics import Metrics
from vault.seal.records.record import SealConfig


class SlotMetrics:
    """Shows gauges for each slot; `update` is called after each look at the slots."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._up: Mapping[str, bool] = {}
        self._behind: Mapping[str, int] = {}
        self._references: dict[tuple[str, str], int] = {}

    def update(
        self,
        up: Mapping[str, bool],
        config: SealConfig | None,
        references: Mapping[str, Mapping[str, int]] | None,
        slots: list[KeySlot],
    ) -> None:
        """Follow what was found: which slots are up, how far each is behind, and what its key versions hold.

        Without `references`, which are not known while sealed, they stay as they were.
        """
        gauge = self._metrics.gauge
        self._up = up
        for name in up:
            gauge("coffre.seal.slot_up", partial(self._is_up, name), slot=name)
            gauge("coffre.seal.slot_stored", partial(self._is_stored, name), slot=name)
        stored = config.slots if config is not None else ()
        self._behind = {
            name: config.root_version - config.entry(name).root_version
            for name in stored
            if config is not None
        }
        for name in self._behind:
            gauge("coffre.seal.slot_behind_versions", partial(self._lag, name), slot=name)
        if references is not None:
            self._count(references)
        for slot in slots:
            if isinstance(slot, Pkcs11Slot):
                self._device(slot.name, slot.counters)

    def _count(self, references: Mapping[str, Mapping[str, int]]) -> None:
        found = {
            (name, version): count for name, held in references.items() for version, count in held.items()
        }
        for name, version in self._references.keys() - found.keys():
            self._metrics.forget("coffre.seal.key_references", slot=name, version=version)
        self._references = found
        for name, version in found:
            self._metrics.gauge(
                "coffre.seal.key_references", partial(self._held, name, version), slot=name, version=version
            )

    def _device(self, name: str, counters: Counters) -> None:
        gauge = self._metrics.gauge
        gauge("coffre.hsm.agent_starts_total", lambda: float(counters.starts), slot=name)
        gauge("coffre.hsm.operations_total", lambda: float(counters.operations), slot=name)
        for kind, code in counters.errors:
            read = partial(_errors, counters, kind, code)
            gauge("coffre.hsm.errors_total", read, slot=name, kind=kind, ckr=code)
        for operation in counters.latency:
            gauge(
                "coffre.hsm.answer_seconds_total",
                partial(_seconds, counters, operation),
                slot=name,
                op=operation,
            )
            gauge("coffre.hsm.answers_total", partial(_answers, counters, operation), slot=name, op=operation)

    def _is_up(self, name: str) -> float:
        return float(self._up.get(name, False))

    def _is_stored(self, name: str) -> float:
        return float(name in self._behind)

    def _lag(self, name: str) -> float:
        return float(self._behind.get(name, 0))

    def _held(self, name: str, version: str) -> float:
        return float(self._references.get((name, version), 0))


def _errors(counters: Counters, kind: str, code: str) -> float:
    return float(counters.errors.get((kind, code), 0))


def _seconds(counters: Counters, operation: str) -> float:
    return counters.latency[operation].seconds


def _answers(counters: Counters, operation: str) -> float:
    return float(sum(counters.latency[operation].buckets))

# SPDX-License-Identifier: EUPL-1.2
"""What receivers do in a bad hour, each played against each kind of device, required and not.

`python -m tests.log.devices.plays` plays all with the deadline that devices have unless it is set, and prints the table
of docs/audit-devices.md.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.log.devices.receivers import HttpReceiver, wait_until
from tests.log.devices.site import (
    KINDS,
    SETTLES,
    Receiver,
    Site,
    check,
    device,
    received,
    receiver_of,
    running,
)
from vault.log.forward.gate import Gate
from vault.log.forward.kinds.stream_sender import SETTLES as USUAL_SETTLES
from vault.log.forward.report import read_report
from vault.log.forward.settings import DeviceSettings, Kind, Policy

TROUBLES = ("blocked", "slow", "full", "vanished")
FAILED = {"retrying", "stuck"}
POLICIES: tuple[Policy, ...] = ("required", "best_effort")


@dataclass
class Outcome:
    """How one play went, for the two devices of it. Times are seconds."""

    states: dict[str, set[str]] = field(default_factory=dict)
    """By policy the states that were seen while the receiver was in trouble."""
    errors: dict[str, str] = field(default_factory=dict)
    told: dict[str, float] = field(default_factory=dict)
    """By policy when the event came that the device fails."""
    refused: dict[str, float] = field(default_factory=dict)
    """By policy when requests began to be refused; nothing where they were not."""
    recovered: dict[str, float] = field(default_factory=dict)
    """By policy how long after its receiver was well the device had everything."""
    open_again: float = 0.0
    """How long after that requests were no longer refused."""
    again: dict[str, int] = field(default_factory=dict)
    """By policy how many records came more than once."""
    refusal: str = ""


class Play:
    """A required device and one that is not, of one kind, whose receivers get into the same trouble."""

    def __init__(self, folder: Path, kind: Kind, trouble: str, deadline: float, settles: float) -> None:
        self.kind, self.trouble, self.deadline = kind, trouble, deadline
        self.receivers: dict[str, Receiver] = {policy: receiver_of(kind) for policy in POLICIES}
        devices = [self._device(policy) for policy in POLICIES]
        self.site = Site(folder, devices, settles=settles)
        now = self.site.clock.monotonic()
        self.gates = {each.policy: Gate([each], now) for each in devices}
        self.outcome = Outcome()
        self.began = 0.0

    def _device(self, policy: Policy) -> DeviceSettings:
        return device(self.kind, self.receivers[policy], name=policy, policy=policy, deadline=self.deadline)

    def run(self) -> Outcome:
        """Play it."""
        with running(self.site):
            self.site.write(200)
            self.site.wait_for_all(*POLICIES)
            self._look(self._nothing)
            self._break()
            self.began = time.monotonic()
            self._until(lambda: len(self.outcome.told) == 2 and bool(self.outcome.refused) and self._failed())
            self.site.write(1000)
            self._mend()
            self._recover()
        for policy, receiver in self.receivers.items():
            self.outcome.again[policy] = check(received(self.kind, receiver), self.site.records)
            receiver.vanish()
        return self.outcome

    def _failed(self) -> bool:
        """Whether an attempt of each has failed: one that began late on a busy machine is only behind before."""
        return all(self.outcome.states.get(policy, set()) & FAILED for policy in POLICIES)

    def _break(self) -> None:
        for receiver in self.receivers.values():
            if self.trouble == "vanished":
                receiver.vanish()
                continue
            receiver.mode = self.trouble
            if isinstance(receiver, HttpReceiver):
                receiver.delay = 1.5 * self.deadline

    def _mend(self) -> None:
        for receiver in self.receivers.values():
            receiver.mode = "takes"
            if self.trouble == "vanished":
                receiver.listen()

    def _until(self, condition: Callable[[], bool]) -> None:
        """Go on with the load until the condition holds."""

        def then() -> bool:
            self.site.write(20)
            self._look(self._note)
            return condition()

        wait_until(then, lambda: (self.outcome, self.site.forwarders.status()), 20 * self.deadline)

    def _look(self, note: Callable[[str, bool, bool], None]) -> None:
        """Do what the server does twice a second."""
        report = read_report(self.site.folder)
        for policy, gate in self.gates.items():
            mine = [
                each for each in gate.look(report, self.site.clock.monotonic()) if each.device.name == policy
            ]
            note(policy, any(each.event.endswith("failed") for each in mine), bool(gate.refusal))
            if gate.refusal:
                self.outcome.refusal = gate.refusal
        for each in report.devices if report is not None else ():
            if self.began:
                self.outcome.states.setdefault(each.name, set()).add(each.state)
                self.outcome.errors[each.name] = each.error

    def _note(self, policy: str, failed: bool, refused: bool) -> None:
        since = time.monotonic() - self.began
        if failed:
            self.outcome.told.setdefault(policy, since)
        if refused:
            self.outcome.refused.setdefault(policy, since)

    @staticmethod
    def _nothing(policy: str, failed: bool, refused: bool) -> None:
        assert not failed
        assert not refused, policy

    def _recover(self) -> None:
        began = time.monotonic()
        self.began = 0.0
        while len(self.outcome.recovered) < 2 or self.gates["required"].refusal:
            assert time.monotonic() - began < 60, self.site.forwarders.status()
            self._look(lambda *_: None)
            if not self.gates["required"].refusal and not self.outcome.open_again:
                self.outcome.open_again = time.monotonic() - began
            for each in self.site.forwarders.status():
                if (
                    each.name not in self.outcome.recovered
                    and each.state == "healthy"
                    and not each.lag_records
                ):
                    self.outcome.recovered[each.name] = time.monotonic() - began
            time.sleep(0.02)


def play(kind: Kind, trouble: str, *, deadline: float, settles: float = SETTLES) -> Outcome:
    """Play one trouble against two devices of a kind."""
    with tempfile.TemporaryDirectory() as folder:
        return Play(Path(folder) / "log", kind, trouble, deadline, settles).run()


def rows(kind: Kind, trouble: str, outcome: Outcome) -> list[str]:
    """The two rows of one play in the table."""
    made = []
    for policy in POLICIES:
        refused = outcome.refused.get(policy)
        answer = f"503 after {refused:.1f} s" if refused is not None else "as always"
        again = f"; open {outcome.open_again:.1f} s" if refused is not None else ""
        state = ", ".join(sorted(outcome.states[policy] - {"healthy"}))
        made.append(
            f"| {trouble} | {kind} | {policy} | {state} | {outcome.told[policy]:.1f} s | {answer} |"
            f" {outcome.recovered[policy]:.1f} s{again} | {outcome.again[policy]} |"
        )
    return made


if __name__ == "__main__":
    for trouble in TROUBLES:
        for kind in KINDS:
            outcome = play(kind, trouble, deadline=5.0, settles=USUAL_SETTLES)
            sys.stdout.write("\n".join([*rows(kind, trouble, outcome), ""]))

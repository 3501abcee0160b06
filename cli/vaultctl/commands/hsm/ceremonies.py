# SPDX-License-Identifier: EUPL-1.2
"""hsm ceremony run, sign and verify."""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path

from vaultctl.commands.hsm.ceremony_steps import CeremonyStopped, answer, dry_run, perform
from vaultctl.commands.hsm.device import DeviceErrors, TokenFlags
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError, UsageError
from vaultctl.invocation import Invocation
from vaultctl.prompt import ask_hidden

_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR)
"""What file systems and kernels without nameless files say."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hsm.ceremony.transcript import Evidence, Receipt, Script, SignedTranscript, Step


def run(invocation: Invocation) -> int:
    """Go through a script step by step and write what happened."""
    script_path, target = (Path(argument) for argument in invocation.args)
    with DeviceErrors():
        from hsm.ceremony import transcript as ceremony

        script = ceremony.read_script(script_path)
        device = TokenFlags(invocation)
        _introduce(invocation, script)
        if invocation.truth("dry-run"):
            _evidence(script, script_path, device)
            _check_free(target)
            _dry_run(invocation, device, script)
            return EXIT_OK
        started = _now()
        evidence = _evidence(script, script_path, device)
        opened = _reserve(target)
        steps, receipts, whole = _go_through(invocation, device, script)
        transcript = ceremony.Transcript(
            title=script.title,
            place=script.place,
            program=_program(),
            started=started,
            finished=_now(),
            complete=whole,
            participants=script.participant,
            evidence=evidence,
            steps=steps,
            receipts=receipts,
        )
        signed = ceremony.freeze(transcript)
        with os.fdopen(opened, "wb") as file:
            file.write(ceremony.dump(signed))
    invocation.say(f"\nTranscript: {target}\nSHA-256 of what is signed: {ceremony.digest(signed)}")
    invocation.say(f"Each participant now signs: vaultctl hsm ceremony sign -name=NAME -key=FILE {target}")
    return EXIT_OK if whole else EXIT_REMOTE


def sign(invocation: Invocation) -> int:
    """Sign a transcript as one of its participants."""
    path = Path(invocation.args[0])
    name, key = invocation.text("name"), invocation.text("key")
    if not name or not key:
        raise UsageError("-name and -key: say who signs, and with the private key in which file")
    with DeviceErrors():
        from hsm.ceremony import transcript as ceremony

        signed = ceremony.load(path)
        invocation.say(f"SHA-256 of what is signed: {ceremony.digest(signed)}")
        try:
            private = Path(key).read_bytes()
        except OSError as error:
            raise CommandError(f"{key}: cannot be read: {error.strerror}") from None
        password = None
        if b"ENCRYPTED" in private:
            password = ask_hidden(invocation, f"Password of {key}").encode()
        signed = ceremony.sign(signed, name, private, password)
        if invocation.truth("dry-run"):
            if reason := _unwritable(path.parent):
                raise CommandError(f"{path}: cannot be written: {reason}")
            return invocation.succeed(f"Would add the signature of {name} to {path}.")
        _replace(path, ceremony.dump(signed))
    return invocation.succeed(f"Success! {name} has signed {path}.")


def verify(invocation: Invocation) -> int:
    """Show a transcript and say whether all its participants have signed it."""
    with DeviceErrors():
        from hsm.ceremony import transcript as ceremony
        from hsm.ceremony import verification

        signed = ceremony.load(Path(invocation.args[0]))
        found = verification.problems(signed)
        script = invocation.text("script")
        if script:
            found += verification.deviations(signed.read(), ceremony.read_script(Path(script)))
        document = _document(signed, found)
    if invocation.tabular:
        _print(invocation, signed, found)
    else:
        invocation.print_value(document)
    return EXIT_REMOTE if found else EXIT_OK


def _introduce(invocation: Invocation, script: Script) -> None:
    invocation.say(f"{script.title}\n{script.place}\n")
    for person in script.participant:
        invocation.say(f"  {person.name}, {person.role}")
    invocation.say("\nAnswer `yes` when a step is done, `stop` to end here; anything else is noted down.\n")


def _dry_run(invocation: Invocation, device: TokenFlags, script: Script) -> None:
    try:
        dry_run(invocation, device, script.step)
    except CommandError as error:  # in earnest it would end the ceremony, whatever it is
        raise CommandError(str(error), EXIT_REMOTE) from None
    for number, task in enumerate(script.step, 1):
        invocation.say(f"{number}. {task.by}: {task.text or task.action}")
    for custody in script.receipt:
        invocation.say(f"   {custody.custodian} takes {custody.what}")
    invocation.say("Nothing was done and nothing is written.")


def _go_through(
    invocation: Invocation, device: TokenFlags, script: Script
) -> tuple[list[Step], list[Receipt], bool]:
    """What was done, what was handed out, and whether it came to its end."""
    from hsm.ceremony.transcript import Receipt

    steps: list[Step] = []
    receipts: list[Receipt] = []
    try:
        for number, task in enumerate(script.step, 1):
            invocation.say(f"{number}. {task.by}: {task.text or task.action}")
            perform(invocation, device, task, steps, _now)
        for custody in script.receipt:
            question = f"   {custody.custodian} takes {custody.what}. Number of the envelope: "
            receipts.append(Receipt(_now(), custody.custodian, custody.what, answer(invocation, question)))
    except (CeremonyStopped, KeyboardInterrupt):
        return steps, receipts, False
    return steps, receipts, True


def _evidence(script: Script, path: Path, device: TokenFlags) -> list[Evidence]:
    """Digests of what the ceremony relies on: this program, the module, and the files that the script names."""
    import hsm
    import vaultctl
    from hsm.ceremony import transcript as ceremony

    programs = [Path(str(module.__file__)).parent for module in (hsm, vaultctl)]
    named = [path.parent / name for name in script.evidence]
    return [
        *(ceremony.tree_digest(folder, ".py") for folder in programs),
        *ceremony.digests([path, Path(device.lib), Path(sys.executable).resolve(), *named]),
    ]


def _document(signed: SignedTranscript, found: list[str]) -> dict[str, object]:
    from hsm.ceremony import transcript as ceremony
    from vaultctl.text.json import as_map, parse

    return {
        "sha256": ceremony.digest(signed),
        "transcript": as_map(parse(bytes(signed.transcript))),
        "signed_by": [signature.name for signature in signed.signatures],
        "problems": found,
    }


def _print(invocation: Invocation, signed: SignedTranscript, found: list[str]) -> None:
    from hsm.ceremony import transcript as ceremony
    from hsm.ceremony.verification import fingerprint, plain, shown
    from vaultctl.text.output import columns

    transcript = shown(signed.read())
    invocation.say(f"{transcript.title}\n{transcript.place}, {transcript.started} to {transcript.finished}")
    invocation.say(f"Program: {transcript.program}\nSHA-256: {ceremony.digest(signed)}\n")
    rows = [
        [step.at, step.by, step.text or step.action, ", ".join(f"{k}: {v}" for k, v in step.found.items())]
        for step in transcript.steps
    ]
    rows += [
        [note.at, note.custodian, note.what, f"envelope: {note.envelope}"] for note in transcript.receipts
    ]
    invocation.say(columns([["When", "Who", "What", "Found"], *rows]))
    invocation.say("\nSHA-256 of each participant's public key:")
    for person in signed.read().participants:
        invocation.say(f"{fingerprint(person) or 'unreadable'}  {plain(f'{person.name}, {person.role}')}")
    invocation.say("")
    for evidence in transcript.evidence:
        invocation.say(f"{evidence.sha256}  {evidence.path}")
    invocation.say("")
    if not transcript.complete:
        invocation.say("WARNING: the ceremony was stopped before its end")
    for problem in found:
        invocation.say(f"PROBLEM: {plain(problem)}")
    if not invocation.text("script"):
        invocation.say(
            "These keys are the transcript's own word; -script=FILE compares them with the script's"
        )
    if not found:
        names = ", ".join(plain(signature.name) for signature in signed.signatures)
        invocation.say(f"All participants have signed: {names}")


def _program() -> str:
    from vaultctl import __version__

    return f"coffre {__version__}"


def _reserve(target: Path) -> int:
    """Open the transcript's file before anything is done; what is there already is not touched."""
    try:
        return os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise CommandError(f"{target}: cannot be made: {error.strerror}") from None


def _check_free(target: Path) -> None:
    """Refuse a file that could not be made, as `_reserve` does; it is not made."""
    reason = os.strerror(errno.EEXIST) if os.path.lexists(target) else _unwritable(target.parent)
    if reason:
        raise CommandError(f"{target}: cannot be made: {reason}")


def _unwritable(folder: Path) -> str:
    """Why no file can be made in a folder, found out with one that has no name; empty where one can."""
    try:
        os.close(os.open(folder, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600))
    except OSError as error:
        return "" if error.errno in _NO_TMPFILE else str(error.strerror)
    return ""


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_bytes(content)
        os.replace(new, path)
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror}") from None


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

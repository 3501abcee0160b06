# SPDX-License-Identifier: EUPL-1.2
"""Ways to tamper with a log, for whoever has its files and its key."""

from collections.abc import Callable, Sequence

from tests.log.written import ORIGIN, WrittenLog
from tests.unit.log.format.signing import ed25519
from vault.log.format.canonical import decode_record, encode_record
from vault.log.format.checkpoint import Checkpoint, sign_checkpoint
from vault.log.format.segment import CHECKPOINTS, Segment
from vault.log.format.tree import EMPTY_ROOT, encode_hash, leaf_hash

Attack = Callable[[WrittenLog], None]
"""What is done to the files of a log."""


def edit(line: bytes, **members: object) -> bytes:
    """A record with other members, in canonical form."""
    return encode_record({**decode_record(line), **members})


def chain_anew(log: WrittenLog) -> None:
    """Give every record the number and the hashes that it needs where it stands."""
    last, tenants = EMPTY_ROOT, dict[object, tuple[int, bytes]]()
    for seq, line in enumerate(log.lines):
        said = decode_record(line)
        number, before = tenants.get(said["tenant"], (0, EMPTY_ROOT))
        links = {
            "prev_hash": encode_hash(last), "seq": seq, "tenant_prev_hash": encode_hash(before), "tenant_seq": number,
        }  # fmt: skip
        log.lines[seq] = encode_record({**said, **links})
        last = leaf_hash(log.lines[seq])
        tenants[said["tenant"]] = (number + 1, last)


def sign_anew(log: WrittenLog) -> None:
    """Sign the log as it is now, at the sizes that it has and was signed at."""
    sizes = [size for size in log.notes if size <= len(log.lines)]
    log.notes.clear()
    log.sign(*sizes)


def edit_record(seq: int, *, signed: bool = False, chained_anew: bool = False) -> Attack:
    """Change a record, and chain and sign the log anew after that where asked to."""

    def attack(log: WrittenLog) -> None:
        log.lines[seq] = edit(log.lines[seq], event_name="esa.kv.list")
        if chained_anew:
            chain_anew(log)
        if signed:
            sign_anew(log)
        log.write()

    return attack


def reorder(order: Sequence[int]) -> Attack:
    """Leave these records in this order."""

    def attack(log: WrittenLog) -> None:
        log.lines = [log.lines[seq] for seq in order]
        log.write()

    return attack


def spell(seq: int, old: bytes, new: bytes) -> Attack:
    """Write a record otherwise."""

    def attack(log: WrittenLog) -> None:
        assert old in log.lines[seq]
        log.lines[seq] = log.lines[seq].replace(old, new)
        log.write()

    return attack


def cut(count: int, *, torn: bytes = b"", forget: bool = True) -> Attack:
    """Leave so many records, and half of one more; `forget` the checkpoints of what is gone."""

    def attack(log: WrittenLog) -> None:
        log.lines = log.lines[:count]
        notes = dict(log.notes)
        log.notes = {size: note for size, note in notes.items() if size <= count}
        log.write(tail=torn)
        if not forget:
            path = Segment(log.folder, 0).path(CHECKPOINTS)
            log.notes = notes
            path.write_bytes(b"".join(b'{"note":%b}\n' % _json(note) for note in notes.values()))

    return attack


def show_notes(*chosen: Callable[[WrittenLog], bytes]) -> Attack:
    """Show other checkpoints than there were."""

    def attack(log: WrittenLog) -> None:
        log.write()
        notes = [choose(log) for choose in chosen]
        Segment(log.folder, 0).path(CHECKPOINTS).write_bytes(
            b"".join(b'{"note":%b}\n' % _json(note) for note in notes)
        )

    return attack


def _json(note: bytes) -> bytes:
    return encode_record({"note": note.decode()})[8:-1]


def set_time_back(log: WrittenLog) -> None:
    """Let a record be of an earlier time than the one before it."""
    log.lines[3] = edit(log.lines[3], observed_timestamp=decode_record(log.lines[1])["observed_timestamp"])
    chain_anew(log)
    sign_anew(log)
    log.write()


def change_tenant(log: WrittenLog) -> None:
    """Let another tenant have a record."""
    before = log.lines[5]
    log.lines[5] = edit(before, tenant="ns9")
    log.write()


def drop_anew(log: WrittenLog) -> None:
    """Leave a record out, and hide it."""
    del log.lines[3]
    chain_anew(log)
    sign_anew(log)
    log.write()


def sign_by_another_key(log: WrittenLog) -> None:
    """Sign the log by a key that nobody knows."""
    log.lines[6] = edit(log.lines[6], event_name="esa.kv.list")
    log.signers = [ed25519(log.origin, 9)]
    log.notes.clear()
    log.sign(4, 7)
    log.write()


def remove_checkpoints(log: WrittenLog) -> None:
    """Leave no checkpoint."""
    log.notes.clear()
    log.write()


def remove_log(log: WrittenLog) -> None:
    """Leave nothing."""
    log.folder.mkdir(parents=True)
    log.folder.rmdir()


def note_of_another_log(log: WrittenLog) -> bytes:
    """A checkpoint that is signed by the same key for another of its logs."""
    other = Checkpoint(origin=f"{ORIGIN}/0123abcd-0-2", size=7, root=leaf_hash(b"another"))
    return sign_checkpoint(other, [ed25519(other.origin)])

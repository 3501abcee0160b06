# SPDX-License-Identifier: EUPL-1.2
"""The samples of the Biscuit specification: `python -m tests.integration.biscuit_samples FOLDER` plays all of them.

`FOLDER` is `samples/current` of a copy of the specification. Each token is read and written back as it was, or refused
where it is to be; and each validation ends as the sample says: with which policy, or in a refusal.
"""

import base64
import json
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from biscuit_auth import AuthorizerBuilder, Biscuit, PublicKey

from nhi.biscuit.format.chain import read_chain, write_chain
from nhi.biscuit.format.decode import read_blocks
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.offline.guard import guarded

_TIME = timedelta(seconds=10)


def played(folder: Path) -> tuple[int, int, list[str]]:
    """Return how many tokens and validations there are, and what is not as the samples say."""
    samples = json.loads((folder / "samples.json").read_text())
    root = PublicKey(f"ed25519/{samples['root_public_key']}")
    tokens, validations, wrong = 0, 0, []
    for case in samples["testcases"]:
        raw = (folder / case["filename"]).read_bytes()
        tokens += 1
        results = [one["result"] for one in case["validations"].values()]
        if not _read(raw) and any("Format" not in result.get("Err", ()) for result in results):
            wrong.append(f"{case['filename']}: is not read and written back")
        for name, validation in case["validations"].items():
            validations += 1
            asked = validation["authorizer_code"]
            found = guarded(partial(_authorised, raw, root, asked))
            if found != validation["result"].get("Ok"):
                wrong.append(f"{case['filename']} {name}: {found}, not {validation['result']}")
    return tokens, validations, wrong


def _read(raw: bytes) -> bool:
    """Whether the reader takes a token whole, and loses nothing of it."""
    try:
        chain = read_chain(raw)
        return bool(read_blocks(chain)) and write_chain(chain) == raw
    except BiscuitError:
        return False


def _authorised(raw: bytes, root: PublicKey, asked: str) -> int:
    builder: Any = AuthorizerBuilder(asked)
    limits = builder.limits()
    limits.max_time = _TIME
    builder.set_limits(limits)
    builder.register_extern_func("test", _extern)
    return int(builder.build(Biscuit.from_base64(base64.urlsafe_b64encode(raw).decode(), root)).authorize())


def _extern(left: object, right: object = None) -> object:
    """The one function that the samples call and do not bring along."""
    if right is None:
        return left
    return "equal strings" if left == right else "different strings"


if __name__ == "__main__":
    _tokens, _validations, _wrong = played(Path(sys.argv[1]))
    sys.stdout.write("".join(f"{one}\n" for one in _wrong))
    sys.stdout.write(f"{_tokens} tokens, {_validations} validations, {len(_wrong)} not as they are to be\n")
    sys.exit(bool(_wrong))

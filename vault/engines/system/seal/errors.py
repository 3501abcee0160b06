# SPDX-License-Identifier: EUPL-1.2
"""What all operations on the seal do around their work: confirm the facts before, turn failures into answers after."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hsm.errors import HsmError
from vault.barrier.failure import NamespaceSealed
from vault.framework.call import Call
from vault.framework.errors import FactsChanged, Failed, Malformed
from vault.seal.failure import SealFailure, SealRefusal

T = TypeVar("T")


async def confirm_facts(call: Call) -> None:
    """Check that the facts that allowed this call are still true, before it does what no transaction can undo.

    The operation itself moves the epoch, so the pipeline's fence must not compare afterwards. Here any newer epoch
    makes the call start again (`FactsChanged`), and later statements use another reader.
    """
    if call.options.wrap_ttl:
        raise Malformed("the answer of this operation cannot be wrapped; leave out X-Vault-Wrap-TTL")
    await call.reader.get("")
    if call.reader.epoch != call.epoch:
        raise FactsChanged


@contextmanager
def seal_errors() -> Iterator[None]:
    """Turn refusals and failures of the seal into those of the API."""
    try:
        yield
    except SealRefusal as refusal:
        raise Malformed(str(refusal)) from None
    except (SealFailure, HsmError) as failure:
        raise Failed(str(failure), chained=False) from None
    except NamespaceSealed:
        raise Failed("a namespace was sealed meanwhile; try again", chained=False) from None


async def with_seal_errors(work: Awaitable[T]) -> T:
    """Await `work` under `seal_errors`."""
    with seal_errors():
        return await work

# SPDX-License-Identifier: EUPL-1.2
"""Pictures of text that a telephone reads (ISO/IEC 18004)."""

from __future__ import annotations

import base64
import io

from vault.framework.errors import Malformed


def barcode(text: str, size: int, *, refusal: str) -> str:
    """Return a QR code as PNG of about `size` pixels, in base64; empty for 0 or less.

    Raises `Malformed` with `refusal` where the text is too long for one.
    """
    if size <= 0:
        return ""
    import segno  # few servers ever draw one, and none does while it starts

    picture = io.BytesIO()
    try:
        made = segno.make(text, error="m", micro=False)
    except segno.DataOverflowError:
        raise Malformed(refusal) from None
    made.save(picture, kind="png", scale=max(1, size // made.symbol_size()[0]))
    return base64.b64encode(picture.getvalue()).decode()

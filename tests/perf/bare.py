# SPDX-License-Identifier: EUPL-1.2
"""The ceiling: an ASGI application that does nothing but answer, on the server that ours runs on."""

import argparse

import uvicorn
from starlette.types import Receive, Scope, Send

BODY_BYTES = 350
_PADDING = "x" * (BODY_BYTES - len('{"data":""}\n'))
_BODY = f'{{"data":"{_PADDING}"}}\n'.encode()
_HEADERS = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"content-length", str(BODY_BYTES).encode()),
]


async def application(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer every request with the same 350 bytes of JSON, as long as a KV v2 read is."""
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})


def main() -> None:
    """Serve on loopback with TLS until stopped."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    options = parser.parse_args()
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        ssl_certfile=options.cert,
        ssl_keyfile=options.key,
    )


if __name__ == "__main__":
    main()

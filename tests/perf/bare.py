# SPDX-License-Identifier: EUPL-1.2
"""The ceiling: an ASGI application that does nothing but answer, on the server that ours runs on."""

import argparse

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send


def application(body_bytes: int) -> ASGIApp:
    """An application that answers every request with the same JSON of `body_bytes` bytes."""
    frame = '{"data":""}\n'
    body = frame.replace('""', f'"{"x" * (body_bytes - len(frame))}"').encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"content-length", str(len(body)).encode()),
    ]

    async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return answer


def main() -> None:
    """Serve on loopback with TLS until stopped."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--body-bytes", type=int, required=True)
    options = parser.parse_args()
    uvicorn.run(
        application(options.body_bytes),
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

# SPDX-License-Identifier: EUPL-1.2
"""One run of one command: its flags and arguments, the streams, and the server it talks to."""

from __future__ import annotations

from vaultctl.errors import EXIT_OK, EXIT_REMOTE, ApiError, RequestError
from vaultctl.flags import SECOND
from vaultctl.text.terminal import emit, visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from vaultctl.http.client import Client, Response


_LONGEST_OTHER = 200
"""A Biscuit is longer, and has no full stop; other tokens begin with `s.` or `b.`."""


class Invocation:
    """What a command's function is given. It returns its exit code, or raises what `vaultctl.errors` has."""

    def __init__(
        self,
        args: list[str],
        flags: Mapping[str, object],
        *,
        form: str,
        environ: Mapping[str, str],
        stdin: TextIO,
        stdout: TextIO,
        stderr: TextIO,
    ) -> None:
        """`args` are what stands beside the flags; `form` is the format of the output: table, json, yaml and so on."""
        self.args = args
        self.program: list[str] = []  # what stands behind `--`, of a command that starts another
        self.flags = flags
        self.form = form
        self.environ = environ
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.sent_token = self.sent_biscuit = False
        self._clients: list[Client] = []
        self._client: Client | None = None
        self._token: str | None = None

    @property
    def token(self) -> str:
        """The token in force: the environment's, else the token helper's."""
        if self._token is None:
            from vaultctl.http.token_helper import current_token

            self._token = current_token(self.environ)
        return self._token

    @property
    def client(self) -> Client:
        """The client for the server that flags and environment name."""
        if self._client is None:
            self._client = self.client_with(self.token)
        return self._client

    def client_with(self, token: str, *, wrap: bool = True) -> Client:
        """A client that uses another token; `wrap=False` ignores -wrap-ttl."""
        from vaultctl.http.client import Client
        from vaultctl.http.settings import Settings

        settings = Settings(self.flags, self.environ, token)
        self.sent_token = bool(token)
        self.sent_biscuit = len(token) > _LONGEST_OTHER and "." not in token
        if not wrap:
            settings.wrap_ttl = ""
        client = Client(settings)
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Close the connections of all its clients."""
        for client in self._clients:
            client.close()

    def text(self, name: str, default: str = "") -> str:
        """A text flag, or the default when it was not given."""
        value = self.flags.get(name)
        return value if isinstance(value, str) else default

    def truth(self, name: str, *, default: bool = False) -> bool:
        """A boolean flag, or the default when it was not given."""
        value = self.flags.get(name)
        return value if isinstance(value, bool) else default

    def number(self, name: str) -> int | None:
        """An int flag, or a duration in nanoseconds; None when it was not given."""
        value = self.flags.get(name)
        return value if isinstance(value, int) else None

    def seconds(self, name: str) -> int | None:
        """The whole seconds of a duration; None when it was not given."""
        nanoseconds = self.number(name)
        return None if nanoseconds is None else nanoseconds // SECOND

    def texts(self, name: str) -> list[str]:
        """A repeatable flag."""
        value = self.flags.get(name)
        return [str(item) for item in value] if isinstance(value, list) else []

    def pairs(self, name: str) -> dict[str, str]:
        """A repeatable key=value flag."""
        value = self.flags.get(name)
        return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}

    @property
    def tabular(self) -> bool:
        """Whether the output is for people."""
        return self.form == "table"

    @property
    def only_prints(self) -> bool:
        """Whether -output-curl-string or -output-policy was given."""
        return self.truth("output-curl-string") or self.truth("output-policy")

    def say(self, text: str) -> None:
        """One line, or several, on stdout, for people."""
        self.stdout.write(visible(text) + "\n")

    def emit(self, text: str, end: str = "\n") -> None:
        """What programs read, or a whole text that was asked for: exactly, but for a terminal."""
        emit(self.stdout, text, end)

    def warn(self, text: str) -> None:
        """One line, or several, on stderr, for people."""
        self.stderr.write(visible(text) + "\n")

    def succeed(self, text: str) -> int:
        """A message for people, which programs do not get; exit code 0."""
        if self.tabular:
            self.say(text)
        return EXIT_OK

    def print_warnings(self, answer: Mapping[str, object]) -> None:
        """The server's warnings, on stderr, unless the output is for programs."""
        if self.tabular and answer.get("warnings"):
            from vaultctl.text.output import warnings_text

            self.warn(warnings_text(answer["warnings"]))

    def print_field(self, value: object, where: str) -> int:
        """The value of -field, without a newline unless stdout is a terminal."""
        from vaultctl.text.output import field_text, missing_field

        if value is None:
            raise missing_field(self.text("field"), where)
        self.emit(field_text(value, self.form), "\n" if self.stdout.isatty() else "")
        return EXIT_OK

    def print_value(self, value: object) -> int:
        """A JSON value in the format for programs."""
        from vaultctl.text.output import formatted

        self.emit(formatted(value, self.form))
        return EXIT_OK

    def print_answer(self, answer: Mapping[str, object]) -> int:
        """A whole response: the -field asked for, a table, or the document."""
        from vaultctl.text.output import field_of, key_values, secret_document, secret_rows

        if self.text("field"):
            return self.print_field(field_of(answer, self.text("field")), "secret")
        if not self.tabular:
            return self.print_value(secret_document(answer))
        rows = secret_rows(answer)
        if rows:
            self.say(key_values(rows))
        self.print_warnings(answer)
        return EXIT_OK

    def print_written(self, response: Response, path: str) -> int:
        """The answer to a write; without a body, a message that names the path."""
        answer = response.json()
        if not answer:
            return self.succeed(f"Success! Data written to: {path}")
        return self.print_answer(answer)


class ErrorPrefix:
    """`with ErrorPrefix("Error reading x"):` puts what was being done before the server's own error text."""

    def __init__(self, what: str, code: int = EXIT_REMOTE) -> None:
        self._what = what
        self._code = code

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Prefix the error on its way out."""
        if isinstance(error, (ApiError, RequestError)):
            error.args = (f"{self._what}: {error}",)
            error.code = self._code

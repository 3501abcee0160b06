# SPDX-License-Identifier: EUPL-1.2
"""The entry point: find the command, parse its flags, run its function, turn errors into exit codes."""

from __future__ import annotations

import io
import os
import sys

from vaultctl.errors import (
    EXIT_LOCAL,
    EXIT_OK,
    EXIT_UNKNOWN,
    ApiError,
    CommandError,
    DryRunOutput,
    UsageError,
)
from vaultctl.flags import environment_value, parse, wanted_format
from vaultctl.text.terminal import emit, visible
from vaultctl.tree.command import Command, flags_of
from vaultctl.tree.lookup import find_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TextIO

    from vaultctl.invocation import Invocation

_HELP = ("-h", "-help", "--help")
_VERSION = ("-v", "-version", "--version")
COMPLETE = "__complete"
"""The word before those that a shell wants to have completed; people do not type it."""
_FORMATS = ("table", "json", "yaml", "pretty", "raw")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `argv` (default: the process's own) and return the exit code."""
    if argv is None and sys.getfilesystemencoding() != "utf-8":
        _start_anew_in_utf8()
    words = list(sys.argv[1:] if argv is None else argv)
    stdin, stdout, stderr = _streams()
    try:
        code = run(words, environ=os.environ, stdin=stdin, stdout=stdout, stderr=stderr)
        stdout.flush()
        return code
    except BrokenPipeError:
        _silence(1)
        return EXIT_LOCAL
    except OSError as error:  # of what is printed: everything else that fails is told as a CommandError
        _silence(1)
        stderr.write(f"cannot write the output: {error.strerror}\n")
        return EXIT_LOCAL
    except KeyboardInterrupt:
        return 130


def _start_anew_in_utf8() -> None:
    """Secrets and paths are UTF-8 whatever the locale, and no byte of an argument may be read as another letter."""
    if not sys.flags.utf8_mode:  # said in no variable, which a program that `run` starts would have too
        name, *rest = sys.orig_argv
        os.execv(sys.executable, [name, "-X", "utf8", *rest])  # noqa: S606  # itself


def _streams() -> tuple[TextIO, TextIO, TextIO]:
    """The three streams. The parent process may have closed any of them. What stderr does not take is lost."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115  # until the end
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # until the end
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # until the end
    return sys.stdin, sys.stdout, _Warnings(sys.stderr)  # type: ignore[return-value]  # all that is used of it


def _silence(descriptor: int) -> None:
    """Let what is still to be written there go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


class _Warnings(io.TextIOBase):
    """Standard error, whose failures change no exit code."""

    def __init__(self, inner: TextIO) -> None:
        self._inner = inner

    def write(self, text: str) -> int:
        """Write and flush, or drop."""
        try:
            self._inner.write(text)
            self._inner.flush()
        except OSError:
            _silence(2)
        return len(text)

    def isatty(self) -> bool:
        """Whether somebody sees it."""
        return self._inner.isatty()


def run(
    words: list[str], *, environ: Mapping[str, str], stdin: TextIO, stdout: TextIO, stderr: TextIO
) -> int:
    """Run one command line against the given environment and streams; the exit code.

    1. A shell that asks how a word goes on is told.
    2. The command is found by its first words; a group of commands shows its help.
    3. Help of the command is shown, where that was asked for.
    4. The command runs. What ends it early becomes its output, or a message and an exit code.
    """
    # 1. A shell's completion.
    if words[:1] == [COMPLETE]:
        return _complete(words[1:], environ, stdout)
    # 2. The command.
    if words and words[0] in _VERSION:
        words = ["version", *words[1:]]
    command, rest = find_command(words)
    if command is None:
        return _help_for_group(words, rest, stdout, stderr)
    # 3. Its help. What stands behind `--` is another program's.
    if any(word in _HELP for word in _before_dashes(rest)) and not command.passes_through:
        from vaultctl.tree.help import command_help

        stdout.write(command_help(command) + "\n")
        return EXIT_OK
    # 4. The run.
    try:
        if command.passes_through:
            return _load(command.function)(rest)
        return _run_command(command, rest, environ, stdin, stdout, stderr)
    except DryRunOutput as instead:
        emit(stdout, instead.text)
        return EXIT_OK
    except CommandError as error:
        stdout.flush()
        stderr.write(visible(f"{error}\n"))
        return error.code


def _complete(words: list[str], environ: Mapping[str, str], stdout: TextIO) -> int:
    """Tell a shell how the last word may go on."""
    from vaultctl.commands.completion.candidates import candidates, in_time

    with in_time():
        found = candidates(words, environ)
    stdout.write("".join(f"{one}\n" for one in found))
    return EXIT_OK


def _run_command(
    command: Command,
    rest: list[str],
    environ: Mapping[str, str],
    stdin: TextIO,
    stdout: TextIO,
    stderr: TextIO,
) -> int:
    """Parse flags and arguments, and call the command's function; an error of the server is told with its reason."""
    from vaultctl.invocation import Invocation

    form = wanted_format(rest, environment_value(environ, "FORMAT"))
    if form not in _FORMATS and form not in command.formats:
        *others, last = command.forms
        raise UsageError(f"Invalid output format: use {', '.join(others)} or {last}")
    if form == "raw" and form not in command.formats:
        raise UsageError("This command does not support the -format=raw option.")
    own = _before_dashes(rest) if command.program else rest
    values, args = parse(flags_of(command), own, ends=command.ends_flags)
    _check_count(command, len(args))
    _check_text(own)  # what is to be started may take any bytes
    invocation = Invocation(
        args, values, form=form, environ=environ, stdin=stdin, stdout=stdout, stderr=stderr
    )
    invocation.program = rest[len(own) + 1 :] if command.program else []
    try:
        code = _load(command.function)(invocation)
        if invocation.only_prints and command.remote:
            raise CommandError("This command sent no request, so there is nothing to print instead of it.")
        return code
    except ApiError as error:
        stdout.flush()
        stderr.write(visible(f"{error}\n"))
        invocation.print_warnings({"warnings": list(error.warnings)})
        _explain(invocation, error, stderr)
        return error.code
    finally:
        invocation.close()


def _before_dashes(words: list[str]) -> list[str]:
    """The words before the first `--`."""
    return words[: words.index("--")] if "--" in words else words


def _explain(invocation: Invocation, error: ApiError, stderr: TextIO) -> None:
    from vaultctl.http.explanation import explain

    text = explain(error, has_token=invocation.sent_token, is_biscuit=invocation.sent_biscuit)
    stderr.write(visible(text) + "\n" if text else "")


def _check_count(command: Command, count: int) -> None:
    least, most, label = command.arguments
    if count < least:
        raise UsageError(f"Not enough arguments (expected {label}, got {count})")
    if most is not None and count > most:
        raise UsageError(f"Too many arguments (expected {label}, got {count})")


def _check_text(words: Sequence[str]) -> None:
    """Refuse arguments that are not UTF-8, which no request can carry; they are not repeated."""
    for position, word in enumerate(words, start=1):
        try:
            word.encode()
        except UnicodeEncodeError:
            raise CommandError(
                f"argument {position} of the command is not UTF-8 text; encode it, as base64 say"
            ) from None


def _load(function: str) -> Callable[..., int]:
    """The function of `module:name` below vaultctl.commands, imported now."""
    module, _, name = function.partition(":")
    __import__(f"vaultctl.commands.{module}")  # importlib takes longer to load than most commands' modules
    loaded: Callable[..., int] = getattr(sys.modules[f"vaultctl.commands.{module}"], name)
    return loaded


def _help_for_group(words: list[str], path: list[str], stdout: TextIO, stderr: TextIO) -> int:
    """Help of the root or of a group: asked for (0), a group without a known command (1), or nothing known (127)."""
    from vaultctl.tree.help import group_help

    unknown = words[len(path) :]
    asked = bool(unknown) and unknown[0] in _HELP
    (stdout if asked else stderr).write(group_help(path) + "\n")
    if asked:
        return EXIT_OK
    if unknown and unknown[0].startswith("-") and len(unknown) > 1:
        stderr.write("\nFlags stand behind the command: `vaultctl kv get -format=json secret/x`.\n")
        return EXIT_LOCAL
    if unknown:
        from vaultctl.tree.help import absent, meant

        if told := absent(words):
            stderr.write(f"\n{told}\n")
            return EXIT_LOCAL if path else EXIT_UNKNOWN
        kind, guess = ("flag" if unknown[0].startswith("-") else "command"), meant(path, unknown)
        stderr.write(f"\nUnknown {kind}" + (f"; did you mean `vaultctl {guess}`?" if guess else ".") + "\n")
    return EXIT_LOCAL if path else EXIT_UNKNOWN

# SPDX-License-Identifier: EUPL-1.2
"""What is declared of a command, and the flags that many commands have."""

from __future__ import annotations

from vaultctl.flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Command:
    """One command: its words, argument line and count (least, most, how messages say it), and its function.

    `function` is `module:name` below vaultctl.commands. `output` is "", "format" or "field" (both flags).
    `formats` are those that it has beside table, json and yaml; with `streams` it has no yaml, as it prints one record after the other. With `program`, what stands behind `--` is one to start.
    With `ends_flags`, what stands behind the first argument is all arguments.
    """

    __slots__ = (
        "arguments",
        "details",
        "ends_flags",
        "flags",
        "formats",
        "function",
        "name",
        "output",
        "passes_through",
        "program",
        "remote",
        "streams",
        "summary",
        "usage",
    )

    def __init__(
        self,
        name: str,
        function: str,
        usage: str,
        arguments: tuple[int, int | None, str],
        summary: str,
        *,
        output: str = "",
        flags: Sequence[Flag] = (),
        details: str = "",
        remote: bool = True,
        formats: Sequence[str] = (),
        streams: bool = False,
        passes_through: bool = False,
        program: bool = False,
        ends_flags: bool = False,
    ) -> None:
        self.name = name
        self.function = function
        self.usage = usage
        self.arguments = arguments
        self.summary = summary
        self.output = output
        self.flags = flags
        self.details = details
        self.remote = remote
        self.formats = formats
        self.streams = streams
        self.passes_through = passes_through
        self.program = program
        self.ends_flags = ends_flags

    @property
    def forms(self) -> tuple[str, ...]:
        """The formats that its help names."""
        return (*(form for form in FORMAT.words if form != "yaml" or not self.streams), *self.formats)


HTTP_FLAGS = (
    Flag(
        "address",
        "text",
        "Address of the server, such as https://vault.example:8200 or unix:///run/vault.sock.",
        env="ADDR",
    ),
    Flag("agent-address", "text", "Address of an agent, used instead of -address.", env="AGENT_ADDR"),
    Flag("ca-cert", "text", "PEM file with the CA that signed the server's certificate.", env="CACERT"),
    Flag("ca-path", "text", "Directory of PEM files with CAs; -ca-cert wins.", env="CAPATH"),
    Flag("client-cert", "text", "PEM file with the client certificate for TLS.", env="CLIENT_CERT"),
    Flag("client-key", "text", "PEM file with the key of -client-cert.", env="CLIENT_KEY"),
    Flag(
        "disable-redirects",
        "bool",
        "Do not follow the one redirect that is otherwise followed.",
        env="DISABLE_REDIRECTS",
    ),
    Flag("header", "pairs", "An additional request header name=value; may be repeated. Not X-Vault-*."),
    Flag("mfa", "texts", "MFA credentials, sent as X-Vault-MFA; may be repeated.", env="MFA"),
    Flag("namespace", "text", "Namespace that paths are relative to.", env="NAMESPACE"),
    Flag("ns", "text", "Short for -namespace."),
    Flag("non-interactive", "bool", "Never ask anything on the terminal."),
    Flag("output-curl-string", "bool", "Print the equivalent curl command instead of sending the request."),
    Flag("output-policy", "bool", "Print the policy that the request needs instead of sending it."),
    Flag("policy-override", "bool", "Accepted for compatibility; it has no effect."),
    Flag("tls-server-name", "text", "Name to check the server's certificate against.", env="TLS_SERVER_NAME"),
    Flag("tls-skip-verify", "bool", "Do not verify the server's certificate. Unsafe.", env="SKIP_VERIFY"),
    Flag("unlock-key", "text", "Key that unlocks a locked namespace."),
    Flag(
        "wrap-ttl",
        "duration",
        "Wrap the response in a single-use token that lives this long.",
        env="WRAP_TTL",
    ),
)
FORMAT = Flag(
    "format",
    "text",
    "How to print.",
    env="FORMAT",
    words=("table", "json", "yaml"),
)
FIELD = Flag("field", "text", "Print only this field, without a newline; wins over -format for tables.")


def flags_of(command: Command) -> list[Flag]:
    """The command's flags: its own, the output flags and the connection flags."""
    form = Flag("format", "text", FORMAT.help, env=FORMAT.env, words=command.forms)
    output = {"": (), "format": (form,), "field": (FIELD, form)}[command.output]
    return [*command.flags, *output, *(HTTP_FLAGS if command.remote else ())]

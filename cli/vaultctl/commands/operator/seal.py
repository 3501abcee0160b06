# SPDX-License-Identifier: EUPL-1.2
"""operator init, unseal, seal, rotate, key-status, step-down and members."""

from __future__ import annotations

from vaultctl.commands.status import print_seal_status
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_list, as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def init(invocation: Invocation) -> int:
    """Initialise a server and print its unseal keys and root token, once."""
    if invocation.truth("status"):
        return _init_status(invocation)
    with ErrorPrefix("Error initializing"):
        seal = invocation.client.send("GET", "sys/seal-status", preliminary=True).json()
    body = _init_body(invocation, by_slots=bool(seal.get("recovery_seal")))
    with ErrorPrefix("Error initializing"):
        answer = invocation.client.send("PUT", "sys/init", body=body).json()
    if invocation.text("field"):
        return invocation.print_field(
            _init_document(answer, body).get(invocation.text("field")), "init response"
        )
    if not invocation.tabular:
        return invocation.print_value(_init_document(answer, body))
    _print_keys(invocation, answer, body)
    return EXIT_OK


def unseal(invocation: Invocation) -> int:
    """Give one unseal key, or forget those given so far."""
    if invocation.truth("reset"):
        body: dict[str, object] = {"reset": True}
        doing = "Error resetting unseal process"
    else:
        body = {
            "key": unseal_key(invocation, invocation.args),
            "reset": False,
            "migrate": invocation.truth("migrate"),
        }
        doing = "Error unsealing"
    with ErrorPrefix(doing):
        seal = invocation.client.send("PUT", "sys/unseal", body=body).json()
    if invocation.text("field"):
        return invocation.print_field(seal.get(invocation.text("field")), "seal status")
    print_seal_status(invocation, seal)
    return EXIT_OK


def seal(invocation: Invocation) -> int:
    """Seal the server: it forgets its keys and serves nothing until it is unsealed."""
    with ErrorPrefix("Error sealing"):
        invocation.client.send("PUT", "sys/seal")
    invocation.say("Success! Vault is sealed.")
    return EXIT_OK


def rotate(invocation: Invocation) -> int:
    """Start a new encryption key; older ones keep decrypting."""
    with ErrorPrefix("Error rotating key"):
        invocation.client.send("POST", "sys/rotate/keyring")
    invocation.succeed("Success! Rotated key\n")
    return key_status(invocation)


def key_status(invocation: Invocation) -> int:
    """Show the encryption key's term, age and use."""
    with ErrorPrefix("Error reading key status"):
        answer = invocation.client.send("GET", "sys/key-status").json()
    data = as_map(answer.get("data")) or answer
    document = {key: data.get(key) for key in ("term", "install_time", "encryptions")}
    if not invocation.tabular:
        return invocation.print_value(document)
    rows = (
        ("Key Term", str(data.get("term"))),
        ("Install Time", _short_time(str(data.get("install_time") or ""))),
        ("Encryption Count", str(data.get("encryptions") or 0)),
    )
    invocation.say("\n".join(f"{title:<16}    {value}" for title, value in rows))
    return EXIT_OK


def _init_status(invocation: Invocation) -> int:
    with ErrorPrefix("Error checking initialization status", 1):
        done = bool(invocation.client.send("GET", "sys/init").json().get("initialized"))
    if invocation.tabular:
        invocation.say("Vault is initialized" if done else "Vault is not initialized")
    else:
        invocation.print_value({"Initialized": done})
    return EXIT_OK if done else EXIT_REMOTE


def _init_body(invocation: Invocation, *, by_slots: bool) -> dict[str, object]:
    """What to ask for: shares that unseal, or where key slots do that (`by_slots`), recovery shares."""
    number = invocation.number
    return {
        "secret_shares": count(invocation, "key-shares", "n", 0 if by_slots else 5),
        "secret_threshold": count(invocation, "key-threshold", "t", 0 if by_slots else 3),
        "pgp_keys": pgp_keys(invocation.texts("pgp-keys")),
        "recovery_shares": (number("recovery-shares") or 5) if by_slots else 0,
        "recovery_threshold": (number("recovery-threshold") or 3) if by_slots else 0,
        "recovery_pgp_keys": pgp_keys(invocation.texts("recovery-pgp-keys")),
        "root_token_pgp_key": "".join(pgp_keys([invocation.text("root-token-pgp-key")]) or []),
    }


def _init_document(answer: Mapping[str, object], body: Mapping[str, object]) -> dict[str, object]:
    by_slots = bool(body["recovery_shares"])
    return {
        "unseal_keys_b64": answer.get("keys_base64"),
        "unseal_keys_hex": answer.get("keys"),
        "unseal_shares": 1 if by_slots else body["secret_shares"],
        "unseal_threshold": 1 if by_slots else body["secret_threshold"],
        "recovery_keys_b64": answer.get("recovery_keys_base64"),
        "recovery_keys_hex": answer.get("recovery_keys"),
        "recovery_keys_shares": body["recovery_shares"],
        "recovery_keys_threshold": body["recovery_threshold"],
        "root_token": answer.get("root_token"),
    }


def _print_keys(invocation: Invocation, answer: Mapping[str, object], body: Mapping[str, object]) -> None:
    for title, key in (("Unseal", "keys_base64"), ("Recovery", "recovery_keys_base64")):
        for number, share in enumerate(as_list(answer.get(key)), start=1):
            invocation.say(f"{title} Key {number}: {share}")
    invocation.say(f"\nInitial Root Token: {answer.get('root_token')}\n")
    if as_list(answer.get("keys_base64")):
        needed = body["secret_threshold"]
        invocation.say(
            f"Give the {body['secret_shares']} unseal keys to different people and keep none here. Any "
            f"{needed} of them\nunseal the server after each start or seal. Nobody can bring them back: "
            f"with fewer than\n{needed} left, everything stored is lost."
        )
    if as_list(answer.get("recovery_keys_base64")):
        invocation.say(
            f"The server unseals itself through its key slots. Give the {body['recovery_shares']} recovery keys "
            f"to different people\nand keep none here: {body['recovery_threshold']} of them are needed to make a "
            f"root token or to change the seal, and open\nthe vault without its key slots unless the server's "
            f"recovery_can_unseal is off."
        )


def step_down(invocation: Invocation) -> int:
    """Have the server that is asked stand aside for ten seconds, if another one serves."""
    with ErrorPrefix("Error stepping down"):
        invocation.client.send("PUT", "sys/step-down")
    invocation.say(f"Success! Stepped down: {invocation.client.address}")
    return EXIT_OK


def members(invocation: Invocation) -> int:
    """List the nodes of the cluster."""
    from vaultctl.text.output import columns

    with ErrorPrefix("Error listing members"):
        answer = invocation.client.send("GET", "sys/ha-status").json()
    nodes = [as_map(node) for node in as_list((as_map(answer.get("data")) or answer).get("nodes"))]
    if not invocation.tabular:
        return invocation.print_value({"Nodes": nodes})
    rows = [
        (
            "Host Name",
            "API Address",
            "Cluster Address",
            "Active Node",
            "Version",
            "Upgrade Version",
            "Last Echo",
        )
    ]
    for node in nodes:
        words = ("hostname", "api_address", "cluster_address", "active_node", "version", "upgrade_version")
        cells = [str(node.get(word) if node.get(word) is not None else "") for word in words]
        cells[3] = cells[3].lower()
        rows.append((*cells, str(node.get("last_echo") or "")))  # type: ignore[arg-type]  # seven cells again
    invocation.say(columns(rows))
    return EXIT_OK


def share(
    invocation: Invocation, state: Mapping[str, object], what: str, *, started: bool
) -> tuple[str, str]:
    """The nonce and the share that were given, or asked for on the terminal. CommandError where one is missing."""
    if not started:
        raise CommandError(f"no {what} is in progress: begin one with -init")
    nonce = invocation.text("nonce")
    if invocation.args and invocation.args[0] != "-":
        if not nonce:
            raise CommandError("Missing nonce value: specify it via the -nonce flag")
        return nonce, invocation.args[0].strip()
    if not invocation.args and not nonce:
        nonce = str(state.get("nonce") or "")
        invocation.say(f"Operation nonce: {nonce}")
    if not nonce:
        raise CommandError("Missing nonce value: specify it via the -nonce flag")
    return nonce, unseal_key(invocation, invocation.args)


def count(invocation: Invocation, name: str, short: str, default: int) -> int:
    """A number that has a long and a short flag."""
    for flag in (name, short):
        value = invocation.number(flag)
        if value is not None:
            return value
    return default


def unseal_key(invocation: Invocation, args: list[str]) -> str:
    """The key that is given as the only one of `args`; asked for where there is none."""
    from vaultctl.prompt import ask_hidden, from_stdin

    if not args:
        return ask_hidden(invocation, "Unseal Key")
    return from_stdin(invocation) if args[0] == "-" else args[0].strip()


def pgp_keys(paths: list[str]) -> list[str] | None:
    """The keys in base64, from binary, base64 or armoured files; None without any."""
    import base64

    keys = []
    for path in filter(None, paths):
        try:
            with open(path.removeprefix("@"), "rb") as file:
                content = file.read()
        except OSError as err:
            raise CommandError(f"cannot read the PGP key file {path}: {err.strerror}") from None
        if content.startswith(b"-----BEGIN"):
            block = content.decode("ascii", "replace").replace("\r", "").partition("\n\n")[2]
            lines = [line for line in block.split("\n") if line and line[0] not in "=-"]
            keys.append("".join(lines))
        elif content.isascii() and not content.startswith(b"\x99"):
            keys.append("".join(content.decode("ascii").split()))
        else:
            keys.append(base64.b64encode(content).decode("ascii"))
    return keys or None


def _short_time(text: str) -> str:
    """2026-11-24T23:19:28Z as 24 Nov 26 23:19 UTC; any other text as it is."""
    if len(text) < 16 or not (text[:4] + text[5:7] + text[8:10]).isdigit() or not text.endswith("Z"):
        return text
    return f"{text[8:10]} {_MONTHS[int(text[5:7]) - 1]} {text[2:4]} {text[11:16]} UTC"

# SPDX-License-Identifier: EUPL-1.2
"""A fresh soft token of openCryptoki, the one that locks its PIN.

Its daemon and its library have fixed paths for everything they write. They get them in a mount namespace of their
own, so that nothing of the machine's is touched; a program that wants the token is started inside that namespace.
"""

import subprocess
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LABEL = "ock-test"
_FACTORY_SO_PIN, _FACTORY_USER_PIN = "87654321", "12345678"
OFFICER_PIN = "76543210"
_SLOT = "3"
_CONFIGURATION = "version opencryptoki-3.23\nslot 3\n{\nstdll = libpkcs11_sw.so\ntokversion = 3.12\n}\n"

_WAIT = """
tries=0
until pkcsconf -t >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 1200 ] || exit 1
    sleep 0.05
done
"""

# Arguments: the folder, and where all temporary files are, which may be below what is covered. Says `ready`, then lives until its standard input is closed, and takes the daemon along.
_KEEPER = f"""
set -eu
here=$1
bound() {{ mkdir -p "$2"; mount --bind "$here/$1" "$2"; }}
bound lib /var/lib/opencryptoki
bound etc /etc/opencryptoki
bound run /run/opencryptoki
bound lock /run/lock/opencryptoki
bound log /var/log/opencryptoki
mount --bind "$2" /mnt
mount -t tmpfs tmpfs /dev/shm
mkdir -p "$2"
mount --move /mnt "$2"
pkcsslotd
trap 'kill -KILL "$(cat /run/opencryptoki/pkcsslotd.pid)"' EXIT
{_WAIT}
echo ready
cat >/dev/null
"""

_made: Final[dict[str, Mapping[Path, bytes]]] = {}
"""What the first token of each PIN in this process consists of. To set its PINs takes ten times as long as the rest."""


@dataclass(frozen=True)
class OpenCryptokiToken:
    """How to reach a soft token of openCryptoki."""

    library: Path
    label: str
    pin: str
    inside: tuple[str, ...]
    """Words that go before a command, so that it runs where the token is."""

    def flags(self) -> int:
        """Return the token's `CK_TOKEN_INFO.flags`."""
        shown = _run([*self.inside, "pkcsconf", "-t", "-c", _SLOT])
        line = next(line for line in shown.splitlines() if "Flags:" in line)
        return int(line.split()[1], 16)

    def end_daemon(self) -> None:
        """Kill the daemon, as an update or a crash does."""
        _run([*self.inside, "sh", "-c", 'kill -KILL "$(cat /run/opencryptoki/pkcsslotd.pid)"'])

    def start_daemon(self) -> None:
        """Start the daemon again and wait until it answers."""
        _run([*self.inside, "sh", "-c", f"pkcsslotd\n{_WAIT}"])

    def reset_pin(self) -> None:
        """Give the user PIN back its value and its three tries, as the security officer."""
        _pkcsconf(self.inside, "-u", "-S", OFFICER_PIN, "-n", _FACTORY_USER_PIN)
        _pkcsconf(self.inside, "-p", "-U", _FACTORY_USER_PIN, "-n", self.pin)


@contextmanager
def opencryptoki_token(folder: Path, *, pin: str = "47114711") -> Generator[OpenCryptokiToken]:
    """Run the daemon with one initialised token, whose user PIN is `pin` (4 to 8 characters), kept in `folder`.

    Needs the right to mount, as root has it. Raises `RuntimeError` when the daemon does not start.
    """
    _lay_out(folder, _made.get(pin, {}))
    arguments = [str(folder), tempfile.gettempdir()]
    keeper = subprocess.Popen(
        ["unshare", "--mount", "--ipc", "--propagation", "private", "sh", "-c", _KEEPER, "sh", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert keeper.stdout is not None
        if keeper.stdout.readline() != "ready\n":
            raise RuntimeError(f"pkcsslotd did not start: {keeper.communicate()[1]}")
        inside = ("nsenter", f"--target={keeper.pid}", "--mount", "--ipc", f"--wdns={Path.cwd()}", "--")
        token = OpenCryptokiToken(library_path(), LABEL, pin, inside)
        if pin not in _made:
            _initialise(token)
            files = [path for path in (folder / "lib").rglob("*") if path.is_file()]
            _made[pin] = {file.relative_to(folder): file.read_bytes() for file in files}
        yield token
    finally:
        keeper.communicate()


def library_path() -> Path:
    """Where Debian keeps the module. Raises `FileNotFoundError`: run `.ci/system-packages test`."""
    for found in sorted(Path("/usr/lib").glob("*/opencryptoki/libopencryptoki.so.0")):
        return found
    raise FileNotFoundError("libopencryptoki.so.0 is missing: run .ci/system-packages test")


def _initialise(token: OpenCryptokiToken) -> None:
    _pkcsconf(token.inside, "-I", "-S", _FACTORY_SO_PIN, typed=f"{LABEL}\n")
    # The security officer's own PIN comes first: the token refuses to set a user PIN under the factory's.
    _pkcsconf(token.inside, "-P", "-S", _FACTORY_SO_PIN, "-n", OFFICER_PIN)
    token.reset_pin()


def _lay_out(folder: Path, made: Mapping[Path, bytes]) -> None:
    for name in ("lib/swtok/TOK_OBJ", "lib/HSM_MK_CHANGE", "etc", "run", "lock/swtok", "log"):
        (folder / name).mkdir(parents=True)
    for file, content in made.items():
        (folder / file).write_bytes(content)
    (folder / "etc/opencryptoki.conf").write_text(_CONFIGURATION, encoding="utf-8")
    strength = Path("/etc/opencryptoki/strength.conf").read_bytes()
    (folder / "etc/strength.conf").write_bytes(strength)
    _run(["chown", "-R", "root:pkcs11", str(folder)])
    _run(["chown", "pkcsslotd:pkcs11", str(folder / "run"), str(folder / "lock")])
    _run(["chmod", "-R", "u=rwX,g=rwX,o=", str(folder)])
    (folder / "etc/strength.conf").chmod(0o640)  # with any other mode the library refuses to start


def _pkcsconf(inside: tuple[str, ...], *arguments: str, typed: str = "") -> None:
    _run([*inside, "pkcsconf", "-c", _SLOT, *arguments], typed=typed)


def _run(command: list[str], *, typed: str = "") -> str:
    finished = subprocess.run(command, input=typed, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise RuntimeError(f"{command[-1]}: {finished.stdout}{finished.stderr}")
    return finished.stdout

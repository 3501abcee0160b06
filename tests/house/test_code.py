# SPDX-License-Identifier: EUPL-1.2
"""Rules over our code that no linter has: who may know the clock, chance, SQL, and which names say nothing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT, files, nodes, spelled
from vault.framework.telemetry.log import FIELDS

_OURS = ("vault/", "hsm/", "nhi/", "cli/")
_SAYS_NOTHING = ("Manager", "Core", "Context", "Helper", "Util", "Utils")

# What only the named places may call, and why: everyone else takes a Clock or an Entropy as an argument.
_CLOCK = {"time.time", "datetime.now", "datetime.datetime.now", "dt.datetime.now", "datetime.utcnow"}
_CHANCE = {"os.urandom", "secrets.token_bytes", "secrets.token_hex", "secrets.token_urlsafe", "uuid.uuid4"}
_MAY_CALL = {
    "the clock": (_CLOCK, ("vault/framework/clock.py", "vault/server/", "cli/")),
    "chance": (_CHANCE, ("vault/framework/clock.py", "vault/server/", "cli/", "hsm/pin.py")),
}
_RESOLVES = {"getaddrinfo", "getnameinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getfqdn"}
_MAY_RESOLVE = (
    "vault/log/forward/transport/lookup.py",
    "vault/outbound/names.py",
    "vault/server/http/sockets.py",
    "cli/",
)
"""Where a name's look-up has a thread of its own, or nobody else waits yet."""
_MAY_WAIT = ("hsm/client/pkcs11_slot.py",)
"""Waits there for the end of an agent, some seconds at most, and nothing else does."""
_THREADS = frozenset({"ThreadPoolExecutor", "SingleThread"})
_MAY_HAVE_THREADS = {
    "cli/vaultctl/port/copying.py": "ask two servers for whoever moves one, in the command line",
    "cli/vaultctl/port/compare.py": "ask a server for whoever compares two, in the command line",
    "nhi/auth/jwt/cel/programs.py": "wait for a process; tenants take turns there",
    "nhi/identity/oidc/pairs.py": "makes keys for operators, a few at a time",
    "vault/engines/system/external_keys/pkcs11.py": "wait for devices; each has so many",
    "vault/framework/concurrency/offload.py": "the pool in which clients take turns",
    "vault/barrier/view.py": "encrypts and decrypts one long value for who holds a token, who then waits in the pool",
    "vault/log/reader/folder.py": "closes segments, in the process of the log reader",
    "vault/log/witness/server/listening.py": "one for all submissions, in the process of a witness",
    "vault/storage/postgres/parts.py": "joins the parts of one long value for who holds a token, who then waits in the pool",
    "vault/storage/sqlite/storage.py": "commits",
    "vault/storage/sqlite/reads.py": "reads one long value for who holds a token, who then waits in the pool",
}
"""Modules with threads of their own, and what these do. What strangers can have done goes through the pool, by turns."""
_MAY_IMPORT = {
    "sqlite3": ("vault/storage/", "vault/log/reader/index/store.py"),
    "asyncpg": ("vault/storage/postgres/connection.py",),
    "pkcs11": ("hsm/agent/",),
    "random": (),
    "pickle": (),
}


def _sources() -> list[Path]:
    return [path for path in files(".py") if str(path.relative_to(ROOT)).startswith(_OURS)]


def _nodes() -> Iterator[tuple[str, ast.AST]]:
    for path in _sources():
        name = str(path.relative_to(ROOT))
        for node in nodes(path.read_text(encoding="utf-8")):
            yield name, node


@pytest.mark.parametrize("what", _MAY_CALL)
def test_only_the_named_places_call(what: str) -> None:
    calls, places = _MAY_CALL[what]
    found = [
        f"{name}:{node.lineno}: {spelled(node.func)}"
        for name, node in _nodes()
        if isinstance(node, ast.Call) and not name.startswith(places) and spelled(node.func) in calls
    ]
    assert found == []


def test_nothing_waits_for_the_loops_own_threads_or_for_a_resolver() -> None:
    """The loop has few threads for all (two for names, with uvloop): one slow look-up there makes everybody wait."""
    found = []
    for name, node in _nodes():
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        does = node.func.attr
        shared = does == "to_thread" or (
            does == "run_in_executor"
            and bool(node.args)
            and isinstance(node.args[0], ast.Constant)
            and node.args[0].value is None
        )
        if (shared and name not in _MAY_WAIT) or (does in _RESOLVES and not name.startswith(_MAY_RESOLVE)):
            found.append(f"{name}:{node.lineno}: {does}")
    assert found == []


def test_what_takes_time_is_done_in_the_pool_in_which_clients_take_turns() -> None:
    """A queue that is first come, first served belongs to whoever opens most connections."""
    found = {
        name
        for name, node in _nodes()
        if isinstance(node, ast.Call) and spelled(node.func).rpartition(".")[2] in _THREADS
    }
    assert found == _MAY_HAVE_THREADS.keys()


def test_a_driver_is_imported_only_where_it_is_at_home() -> None:
    found = []
    for name, node in _nodes():
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            modules.append(node.module)
        for module in modules:
            homes = _MAY_IMPORT.get(module.split(".")[0])
            if homes is not None and not name.startswith(tuple(homes)):
                found.append(f"{name}: {module}")
    assert found == []


def test_one_function_says_where_a_mount_keeps_its_data() -> None:
    found = {
        name
        for name, node in _nodes()
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("mnt/")
    }
    assert found == {"vault/barrier/view.py"}


def test_no_class_has_a_name_that_says_nothing() -> None:
    found = [
        f"{name}:{node.lineno}: {node.name}"
        for name, node in _nodes()
        if isinstance(node, ast.ClassDef) and node.name.endswith(_SAYS_NOTHING)
    ]
    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    modules = {path: nodes(path.read_text(encoding="utf-8"))[0] for path in _sources()}
    lacking = [
        path for path, node in modules.items() if isinstance(node, ast.Module) and not ast.get_docstring(node)
    ]
    assert [str(path.relative_to(ROOT)) for path in lacking] == []


def test_every_field_that_we_log_is_one_that_is_written() -> None:
    methods = {"detail", "note", "caution", "failure", "crash"}
    logged = [
        (f"{name}:{node.lineno}", keyword.arg)
        for name, node in _nodes()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in methods and spelled(node.func.value).endswith("log")
        for keyword in node.keywords
    ]
    assert len(logged) > 20
    assert [f"{place}: {field}" for place, field in logged if field not in FIELDS] == []

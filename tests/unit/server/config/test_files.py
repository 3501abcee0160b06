# SPDX-License-Identifier: EUPL-1.2
"""Configuration files: what is read, how files merge, and what is refused with which words."""

import contextlib
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vault.audit.target import Claim
from vault.mount.entry import LockoutConfig
from vault.server.__main__ import run
from vault.server.compose.groups.leases import lifetime_limits
from vault.server.compose.services import lockout_config
from vault.server.config import reference, unsupported
from vault.server.config.collisions import claims
from vault.server.config.files import Validation, load, validate
from vault.server.config.reader import settings_of
from vault.server.config.seal_settings import HsmPolicy, ShamirSeal, StaticSeal
from vault.server.config.seal_stanzas import PKCS11_KEYS
from vault.server.config.settings import (
    AuditDevice,
    Config,
    Listener,
    ListenerTelemetry,
    StorageSettings,
    Telemetry,
    UserLockout,
)
from vault.server.failure import StartFailure
from vault.token.lifetime import LifetimeLimits
from vault.values.times import Seconds

STORAGE = 'storage "sqlite" { path = "/data/x.db" }\n'
LISTENER = 'listener "tcp" { address = "127.0.0.1:8200" tls_disable = true }\n'
SECRET = "hunter2hunter2"


def written(folder: Path, text: str, name: str = "server.hcl") -> str:
    file = folder / name
    file.write_text(text)
    return str(file)


def loaded(folder: Path, text: str) -> Config:
    return load([written(folder, text)], {})


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(StartFailure) as caught:
        loaded(folder, text)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_smallest_file_has_safe_defaults(tmp_path: Path) -> None:
    config = loaded(tmp_path, STORAGE + LISTENER)
    assert config.storage == StorageSettings(kind="sqlite", path="/data/x.db")
    assert config.listeners[0].max_request_size == 32 << 20
    assert config.listeners[0].tls_min_version == "tls12"
    assert not config.listeners[0].telemetry.unauthenticated_metrics_access
    assert not config.unsafe_allow_api_audit_creation
    assert not config.raw_storage_endpoint
    assert config.default_lease_ttl == 768 * 3600
    assert config.warnings == ()


def test_what_lasts_as_usual_lasts_no_longer_than_anything_may(tmp_path: Path) -> None:
    assert lifetime_limits(loaded(tmp_path, STORAGE + LISTENER + 'max_lease_ttl = "40h"')) == LifetimeLimits(
        default=Seconds(40 * 3600), longest=Seconds(40 * 3600)
    )
    assert lifetime_limits(loaded(tmp_path, STORAGE + LISTENER)) == LifetimeLimits(
        default=Seconds(768 * 3600), longest=Seconds(768 * 3600)
    )


def test_everything_that_openbao_reads_in_hcl_is_read(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        STORAGE
        + """
        api_addr = "https://vault:8200"
        default_lease_ttl = "1h30m"
        max_lease_ttl = 86400
        log_level = "DEBUG"
        disable_mlock = "true"
        seal "shamir" {}
        telemetry { prometheus_retention_time = "30s" disable_hostname = true }
        user_lockout "all" { lockout_threshold = "3" lockout_duration = "10m" }
        audit "file" "main" {
          description = "all"
          local = true
          options { file_path = "/var/log/a" mode = "0640" log_raw = false }
        }
        listener "unix" { address = "/run/x.sock" socket_mode = "0660" }
        listener "tcp" {
          address = "[::1]:8200"
          tls_cert_file = "/c"
          tls_key_file = "/k"
          tls_min_version = "tls13"
          tls_cipher_suites = "A,B"
          max_request_size = "1024"
          max_request_duration = "10s"
          telemetry { unauthenticated_metrics_access = true }
          custom_response_headers { "default" = { "X-One" = ["a", "b"] } "4xx" = { "X-Two" = ["c"] } }
        }
        """,
    )
    unix, tcp = config.listeners
    assert unix.socket_mode == 0o660
    assert (tcp.address, tcp.tls_min_version, tcp.tls_cipher_suites) == ("[::1]:8200", "tls13", ("A", "B"))
    assert (tcp.max_request_size, tcp.max_request_duration) == (1024, 10.0)
    assert tcp.telemetry.unauthenticated_metrics_access
    assert tcp.custom_response_headers == {"default": {"X-One": "a; b"}, "4xx": {"X-Two": "c"}}
    assert config.audit == (
        AuditDevice(
            kind="file",
            path="main/",
            description="all",
            local=True,
            options={"file_path": "/var/log/a", "mode": "0640", "log_raw": "false"},
        ),
    )
    assert not [line for line in config.warnings if "user_lockout" in line]
    assert config.user_lockout == (UserLockout(kind="all", lockout_threshold=3, lockout_duration=600.0),)
    assert (config.default_lease_ttl, config.max_lease_ttl, config.log_level) == (5400.0, 86400.0, "debug")


def test_what_a_lockout_does_not_set_is_as_in_that_of_all(tmp_path: Path) -> None:
    lockouts = """
    user_lockout "userpass" { lockout_threshold = 3 }
    user_lockout "all" { lockout_threshold = 2 lockout_duration = "1m" disable_lockout = true }
    user_lockout "approle" { disable_lockout = false }
    user_lockout "ldap" {}
    """
    config = loaded(tmp_path, STORAGE + LISTENER + lockouts)
    assert {each.kind: each for each in config.user_lockout} == {
        "userpass": UserLockout(
            kind="userpass", lockout_threshold=3, lockout_duration=60, disable_lockout=True
        ),
        "all": UserLockout(kind="all", lockout_threshold=2, lockout_duration=60, disable_lockout=True),
        "approle": UserLockout(kind="approle", lockout_threshold=2, lockout_duration=60),
        "ldap": UserLockout(kind="ldap", lockout_threshold=2, lockout_duration=60, disable_lockout=True),
    }
    assert [line.partition(": ")[2] for line in config.warnings] == [
        'user_lockout "ldap" has no effect: there is no such auth method here'
    ]


def test_json_reads_like_hcl_even_where_it_flattens(tmp_path: Path) -> None:
    document = {
        "storage": {"sqlite": {"path": "/data/x.db"}},
        "listener": [
            {"tcp": {"address": "127.0.0.1:8200", "tls_disable": 1}},
            {"unix": {"address": "/run/x.sock", "telemetry": {"metrics_only": True}}},
        ],
        "audit": {"file": {"main": {"options": {"file_path": "/a"}}}},
    }
    config = load([written(tmp_path, json.dumps(document), "server.json")], {})
    assert [listener.kind for listener in config.listeners] == ["tcp", "unix"]
    assert config.listeners[1].telemetry == ListenerTelemetry(metrics_only=True)
    assert config.audit[0].options == {"file_path": "/a"}
    assert config.storage.path == "/data/x.db"


def test_files_of_a_directory_merge_in_the_order_of_their_names(tmp_path: Path) -> None:
    written(tmp_path, STORAGE + LISTENER + 'log_level = "warn"\n', "10-base.hcl")
    written(tmp_path, '{"log_level": "trace", "storage": {"sqlite": {"path": "/other.db"}}}', "20-mine.json")
    written(tmp_path, "this is not read", "readme.txt")
    config = load([str(tmp_path)], {})
    assert (config.log_level, config.storage.path, len(config.listeners)) == ("trace", "/other.db", 1)


def test_several_workers_need_a_storage_that_processes_share_and_are_no_development_server(
    tmp_path: Path,
) -> None:
    assert loaded(tmp_path, STORAGE + LISTENER).workers == 1
    assert loaded(tmp_path, f"{STORAGE}{LISTENER}workers = 4").workers == 4
    assert "at least 1" in refusal(tmp_path, f"{STORAGE}{LISTENER}workers = 0")
    assert "at most 64" in refusal(tmp_path, f"{STORAGE}{LISTENER}workers = 65")
    assert "use another storage" in refusal(tmp_path, f'storage "inmem" {{}}\n{LISTENER}workers = 2')
    own = Config(listeners=(), storage=StorageSettings(kind="sqlite", path="/data/x.db"))
    with pytest.raises(StartFailure, match="a development server is one process"):
        load([written(tmp_path, "workers = 2")], {}, own)


def test_the_environment_goes_before_the_files_and_bao_before_vault(tmp_path: Path) -> None:
    file = written(tmp_path, STORAGE + LISTENER + 'log_level = "warn"\n')
    environment = {"VAULT_LOG_LEVEL": "error", "BAO_LOG_LEVEL": "trace", "VAULT_API_ADDR": "https://a"}
    config = load([file], environment)
    assert (config.log_level, config.api_addr) == ("trace", "https://a")
    with pytest.raises(StartFailure, match="environment BAO_LOG_LEVEL or VAULT_LOG_LEVEL: must be one of"):
        load([file], {"BAO_LOG_LEVEL": SECRET})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("listner {}", ":3: unknown setting listner; did you mean listener?"),
        ('listener "tcp" { adress = "x" tls_disable = true }', ":3: unknown setting adress in listener; did you mean address?"),
        ("nothing_like_it = 1", ":3: unknown setting nothing_like_it"),
        ("telemetry { prometheus_retention = 1 }", "did you mean prometheus_retention_time?"),
        ('audit "file" "a" { options { file_paht = "x" } }', "unknown setting file_paht in options; did you mean file_path?"),
        ('log_level = "hunter2hunter2"', ":3: log_level must be one of trace, debug, info, warn, error"),
        ('default_lease_ttl = "hunter2hunter2"', ":3: default_lease_ttl must be a duration such as 90s"),
        ('ui = "hunter2hunter2"', ":3: ui must be true or false"),
        ("ui = true\nui = false", ":4: ui is already set on line 3; keep one of them"),
        ("ui {}", ":3: ui must be true or false"),
        ('listener "tcp" { max_request_size = -1 tls_disable = true }', "max_request_size must be a whole number of at least 1"),
        ('listener "tcp" { address = "hunter2hunter2" tls_disable = true }', "address must be HOST:PORT"),
        ('listener "tcp" { address = "1.2.3.4:99999" tls_disable = true }', "address must be HOST:PORT"),
        ('listener "tcp" {}', "listener needs tls_cert_file and tls_key_file (or tls_disable = true on loopback)"),
        ('listener "quic" { tls_disable = true }', 'this listener does not exist; choose "tcp" or "unix"'),
        ('listener "unix" { address = "run/x" }', "must be the absolute path"),
        ('listener { address = "127.0.0.1:1" }', 'listener must have the form `listener "NAME" { … }`'),
        ('listener "tcp" { tls_disable = true x_forwarded_for_authorized_addrs = "hunter2hunter2" }', "x_forwarded_for_authorized_addrs must be addresses or blocks of addresses"),
        ('listener "tcp" { tls_disable = true x_forwarded_for_client_cert_header = "Client-Cert" }', "x_forwarded_for_client_cert_header needs x_forwarded_for_authorized_addrs"),
        ('listener "tcp" { tls_disable = true x_forwarded_for_client_cert_decoders = "DER" }', "x_forwarded_for_client_cert_decoders are URL, PEM and RFC9440"),
        ('listener "tcp" { tls_disable = true proxy_protocol_behavior = "use_always" }', "proxy_protocol_behavior: use x_forwarded_for_authorized_addrs instead"),
        ('listener "tcp" { tls_disable = true tls_require_and_verify_client_cert = true }', "needs TLS"),
        ('listener "tcp" { tls_cert_file = "a" tls_key_file = "b" tls_require_and_verify_client_cert = true }', "needs tls_client_ca_file"),
        ('listener "tcp" { tls_cert_file = "a" tls_key_file = "b" tls_min_version = "tls13" tls_max_version = "tls12" }', "tls_min_version is newer"),
        ('listener "tcp" { tls_disable = true custom_response_headers { "default" = { "X-Vault-A" = ["b"] } } }', "starts with X-Vault-"),
        ('listener "tcp" { tls_disable = true custom_response_headers { "999x" = { "A" = ["b"] } } }', "a status is"),
        ('audit "file" "a" {}', 'audit "file" needs options { file_path = "FILE" }'),
        ('audit "syslog" "a" { options { file_path = "x" } }', "this audit device does not exist here yet"),
        ('audit "file" "a" { options { file_path = "x" mode = "hunter2hunter2" } }', "options mode must be permission bits"),
        ('audit "file" "a" { options { file_path = "x" } }\naudit "file" "a" { options { file_path = "y" } }', ":4: another audit device has this name"),
        ('seal "pkcs11" { pin = "hunter2hunter2" }', ':3: seal "pkcs11": lib: is missing'),
        ('seal "kmip" { pin = "hunter2hunter2" }', ":3: this seal does not exist here; choose one of shamir, pkcs11, static"),
        ("raw_storage_endpoint = true", "raw_storage_endpoint: `sys/raw` does not exist here; remove it"),
        ("introspection_endpoint = true", "introspection_endpoint: `sys/internal/inspect` does not exist"),
        ('user_lockout "cert" {}', "user_lockout is for one of all, userpass"),
        ('audit "file" "a" { options { file_path = "x" log_raw = "perhaps" } }', "options log_raw must be true or false"),
        ('audit "file" "a" { options { file_path = "x" format = "jsonx" } }', "options format must be json"),
        ('audit "file" "a" { options { file_path = ["x"] } }', "file_path must be a string"),
        ('audit "file" "a" { options = 1 }', "options must be a block of strings"),
        ('listener "tcp" { tls_cert_file = "a" tls_key_file = "b" tls_client_ca_file = "c" tls_disable_client_certs = true tls_require_and_verify_client_cert = true }', "exclude each other"),
        ('listener "tcp" { tls_disable = true custom_response_headers { "default" = { "A" = [1] } } }', "a value must be a printable string"),
        ('storage "inmem" {}', ":3: storage is already set on line 1"),
        ('initialize "a" {}', "initialize holds no request; add one, or remove it"),
        ('default_lease_ttl = "2h"\nmax_lease_ttl = "1h"', "default_lease_ttl is longer than max_lease_ttl"),
        ("ui = ", ":3: "),
        ('pin = "hunter2hunter2', ":3: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_line_and_without_its_value(
    tmp_path: Path, text: str, expected: str
) -> None:
    message = refusal(tmp_path, STORAGE + LISTENER + text)
    assert expected in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LISTENER, "no storage; add"),
        (STORAGE, "no listener; add"),
        (
            'storage "raft" { path = "/x" }\n' + LISTENER,
            'choose "sqlite", "postgresql" or "inmem"; instead of',
        ),
        ('storage "consul" {}\n' + LISTENER, 'choose "sqlite", "postgresql" or "inmem"'),
        ('storage "sqlite" {}\n' + LISTENER, 'storage "sqlite" needs path'),
        ('storage "inmem" { path = "/x" }\n' + LISTENER, 'storage "inmem" has no path; remove it'),
        ('storage "postgresql" { path = "/x" }\n' + LISTENER, 'storage "postgresql" has no path; remove it'),
        ('storage "postgresql" { connection_url = "" }\n' + LISTENER, "connection_url must be a string that"),
        (
            'storage "postgresql" {}\n' + LISTENER,
            "needs connection_url, as postgresql://USER@HOST:PORT/DATABASE",
        ),
    ],
)
def test_a_missing_or_unknown_storage_or_listener_is_refused(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert expected in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"postgresql://coffre:{SECRET}@db/coffre", "must hold no password; name the file that does in password_file"),
        (f"postgresql://coffre@db/coffre?password={SECRET}", "must hold no password; name the file"),
        (f"mysql://{SECRET}@db/coffre", "must have the form postgresql://USER@HOST:PORT/DATABASE"),
        (f"postgresql://{SECRET}@db:port/coffre", "must have the form"),
        (f"postgresql://{SECRET}@[db/coffre", "must have the form"),
        (f"postgresql://{SECRET}@db", "must name user, host and database"),
        (f"postgresql://db/{SECRET}", "must name user, host and database"),
        (f"postgresql://{SECRET}@db/coffre?sslmode=disable", "says nothing of TLS; use tls_ca_file"),
        (f"postgresql://{SECRET}@db/coffre?target_session_attrs=any", "has no options but `host`"),
        (f"postgresql://{SECRET}@a,b/coffre", "names one host"),
        (f"postgresql://{SECRET}@/coffre?host=run", "has a `host` that is not the absolute directory"),
    ],
)  # fmt: skip
def test_an_address_of_postgresql_that_cannot_be_used_is_refused_without_what_is_in_it(
    tmp_path: Path, url: str, expected: str
) -> None:
    message = refusal(tmp_path, f'storage "postgresql" {{ connection_url = "{url}" }}\n{LISTENER}')
    assert f"connection_url {expected}" in message
    assert SECRET not in message


def test_what_a_postgresql_needs_besides_is_told(tmp_path: Path) -> None:
    url = 'connection_url = "postgresql://coffre@db.example.org/coffre"'
    assert "needs both tls_cert_file and tls_key_file" in refusal(
        tmp_path, f'storage "postgresql" {{\n{url}\ntls_cert_file = "/c" }}\n{LISTENER}'
    )
    extra = 'tls_disable = true\ntls_ca_file = "/c"\nha_enabled = true'
    config = loaded(tmp_path, f'storage "postgresql" {{\n{url}\n{extra}\n}}\n{LISTENER}')
    told = "\n".join(config.warnings)
    assert "tls_ca_file: no effect with tls_disable" in told
    assert "whoever is on it is believed" in told
    assert "ha_enabled" in told and "every node is active" in told
    assert Claim("tls_ca_file", "/c") in claims(config)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(StartFailure, match=r"nope\.hcl: cannot be read: No such file or directory"):
        load([str(tmp_path / "nope.hcl")], {})
    with pytest.raises(StartFailure, match=r"holds no \.hcl or \.json file"):
        load([str(tmp_path)], {})
    with pytest.raises(StartFailure, match="no configuration; name a file with -config=FILE"):
        load([], {})
    binary = tmp_path / "b.hcl"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(StartFailure, match="is not UTF-8 text"):
        load([str(binary)], {})
    large = tmp_path / "large.hcl"
    large.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(StartFailure, match=r"large\.hcl: is larger than 1048576 bytes"):
        load([str(large)], {})


def test_settings_that_are_ignored_earn_a_warning_with_the_reason(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        STORAGE
        + 'listener "tcp" { address = "0.0.0.0:8200" tls_disable = true cluster_address = "0.0.0.0:8201" }\n'
        + 'plugin_directory = "/plugins"\n'
        + 'audit "file" "a" { options { file_path = "x" log_raw = true } }\n'
        + 'listener "tcp" { tls_disable = true tls_min_version = "tls13" }\n',
    )
    assert [warning.partition(": ")[2] for warning in config.warnings] == [
        "plugin_directory has no effect: engines are built in, nothing is loaded from files",
        "cluster_address has no effect: nodes need no address for each other",
        "tls_disable sends tokens and secrets over the network in the clear",
        "tls_min_version: no effect with tls_disable",
        "log_raw writes secrets in the clear to the audit log",
    ]


def test_validation_returns_every_problem_and_then_every_warning(tmp_path: Path) -> None:
    file = written(tmp_path, 'storage "inmem" {}\nfoo = 1\nlistener "tcp" { bar = 2 tls_disable = true }\n')
    found = validate([file])
    assert [line.partition(":")[2] for line in found.problems] == [
        "2: unknown setting foo",
        "3: unknown setting bar in listener",
    ]
    assert [line.partition(":")[2] for line in found.warnings] == [
        '1: storage "inmem" forgets everything when the server stops; not for production'
    ]
    assert validate([written(tmp_path, STORAGE + LISTENER)]) == Validation(())
    assert validate([str(tmp_path / "nope.hcl")]).problems[0].endswith("check -config")


@pytest.mark.parametrize(
    ("text", "code", "shown"),
    [
        (STORAGE + LISTENER, 0, "The configuration is good."),
        (STORAGE + LISTENER + "foo = 1", 1, "unknown setting foo"),
        ('storage "inmem" {}\n' + LISTENER, 2, "warning: "),
    ],
)
def test_the_flag_test_config_prints_and_tells_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, code: int, shown: str
) -> None:
    text = text.replace("/data/x.db", str(tmp_path / "x.db"))
    environment = {"BAO_CONFIG_PATH": written(tmp_path, text)}
    assert run(["-test-config"], environment, None) == code
    assert shown in capsys.readouterr().out


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    key=st.sampled_from([*settings_of(Config), "listener", "storage", "audit", "seal", "hsm", "telemetry"]),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    ),
)
def test_no_value_makes_the_reader_fail_in_another_way(tmp_path: Path, key: str, value: object) -> None:
    file = written(tmp_path, json.dumps({key: value}), "fuzz.json")
    with contextlib.suppress(StartFailure):
        load([written(tmp_path, STORAGE + LISTENER), file], {})


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).parents[4] / "docs" / "configuration.md").read_text()
    assert page == reference.render(), "run `python -m vault.server.config.reference > docs/configuration.md`"
    assert "\n\n\n" not in page
    structs: list[type[msgspec.Struct]] = [
        Config, Listener, ListenerTelemetry, StorageSettings, AuditDevice, UserLockout, Telemetry,
        ShamirSeal, StaticSeal, HsmPolicy,
    ]  # fmt: skip
    known = {name for struct in structs for name in struct.__struct_fields__}
    known -= {"files", "kind", "listeners", "seals", "snapshots", "warnings"}
    known |= set(PKCS11_KEYS)
    known |= {
        key for table in (unsupported.IGNORED, unsupported.REFUSED) for keys in table.values() for key in keys
    }
    assert [name for name in sorted(known) if f"`{name}`" not in page and f"`{name} " not in page] == []


def test_the_file_of_an_audit_device_is_told_in_one_place() -> None:
    given = [
        {"file_path": "/a"},
        {"path": "/b"},
        {"file_path": "", "path": "/b"},
        {"file_path": "/a", "path": "/b"},
    ]
    assert [_file_of(options) for options in given] == ["/a", "/b", "/b", "/a"]
    nowhere = [{}, {"file_path": "stdout"}, {"path": "stderr"}, {"file_path": "discard", "path": "/b"}]
    assert [_file_of(options) for options in nowhere] == [""] * 4


def _file_of(options: dict[str, str]) -> str:
    return AuditDevice(kind="file", path="main/", options=options).file


def test_settings_that_name_one_file_or_one_address_are_told(tmp_path: Path) -> None:
    """One of them would destroy what the other keeps."""
    database = tmp_path / "vault.db"
    (tmp_path / "link").symlink_to(database)
    storage = f'storage "sqlite" {{ path = "{database}" }}\n'
    log = tmp_path / "log"

    def audit(name: str, file: object) -> str:
        return f'audit "file" "{name}" {{ options {{ file_path = "{file}" }} }}\n'

    def told(text: str) -> list[str]:
        file = tmp_path / "one.hcl"
        file.write_text(storage + text)
        return list(validate([str(file)]).problems)

    other = 'listener "tcp" {\n address = "127.0.0.1:8200"\n tls_disable = true\n}\n'
    for text, expected in (
        (f'pid_file = "{database}"', f"path of storage and pid_file are one file, {database}; give each its own"),
        (f'pid_file = "{tmp_path}/link"', f"path of storage and pid_file are one file, {tmp_path}/link; give each its own"),
        (f'log_file = "{database}-wal"', f"path of storage and log_file are one file, {database}-wal; give each its own"),
        (audit("a", database), f'path of storage and file_path of audit "a/" are one file, {database}; give each its own'),
        (audit("a", log) + f'log_file = "{log}"', f'file_path of audit "a/" and log_file are one file, {log}; give each its own'),
        (pair(log, database), f"path of storage and tls_key_file are one file, {database}; give each its own"),
        (other + other, "two listeners have the address 127.0.0.1:8200; give each its own"),
    ):  # fmt: skip
        listener = "" if "listener" in text else LISTENER
        assert told(listener + text) == [expected]
    free = 'listener "tcp" {\n address = "127.0.0.1:0"\n tls_disable = true\n}\n'
    nowhere = 'log_file = "/dev/null"\npid_file = "/dev/null"'
    fine = (
        free + free,
        audit("a", log) + audit("b", log),
        audit("a", "stdout") + audit("b", "stdout"),
        nowhere,
    )
    for text in (*fine, pair(log, log)):
        assert told(text if "listener" in text else LISTENER + text) == []


def test_a_lockout_for_less_than_a_second_is_not_one_for_as_long_as_nobody_says() -> None:
    stanza = UserLockout(kind="all", lockout_duration=0.5, lockout_counter_reset=0)
    assert lockout_config(stanza) == LockoutConfig(threshold=5, duration=Seconds(1), counter_reset=Seconds(1))


def pair(cert: Path, key: Path) -> str:
    """A listener with these files."""
    return f'listener "tcp" {{\n tls_cert_file = "{cert}"\n tls_key_file = "{key}"\n}}\n'

# SPDX-License-Identifier: EUPL-1.2
"""secrets enable, list, tune, move and disable."""

from __future__ import annotations

from vaultctl.errors import EXIT_LOCAL, EXIT_OK, CommandError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.go import duration_text, go_text
from vaultctl.text.json import as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_LISTS = ("audit-non-hmac-request-keys", "audit-non-hmac-response-keys")
_HEADER_LISTS = ("passthrough-request-headers", "allowed-response-headers")
_MOUNT_KEYS = {
    "uuid": "",
    "type": "",
    "description": "",
    "accessor": "",
    "config": None,
    "options": None,
    "local": False,
    "seal_wrap": False,
    "external_entropy_access": False,
    "plugin_version": "",
    "running_plugin_version": "",
    "running_sha256": "",
    "deprecation_status": "",
}
_CONFIG_KEYS = ("default_lease_ttl", "max_lease_ttl", "force_no_cache")
_DETAILS = (
    "Path",
    "Plugin",
    "Accessor",
    "Default TTL",
    "Max TTL",
    "Force No Cache",
    "Replication",
    "Seal Wrap",
    "External Entropy Access",
    "Options",
    "Description",
    "UUID",
    "Version",
    "Running Version",
    "Running SHA256",
    "Deprecation Status",
)


def enable(invocation: Invocation) -> int:
    """Mount a secrets engine."""
    engine = invocation.args[0].strip()
    if engine == "plugin":
        engine = invocation.text("plugin-name")
    path = (invocation.text("path") or engine).strip(" /")
    config: dict[str, object] = {
        "options": None,
        "default_lease_ttl": duration_text(invocation.number("default-lease-ttl") or 0),
        "max_lease_ttl": duration_text(invocation.number("max-lease-ttl") or 0),
        "force_no_cache": invocation.truth("force-no-cache"),
        **details(invocation),
    }
    body: dict[str, object] = {
        "type": engine,
        "description": invocation.text("description"),
        "config": config,
        "local": invocation.truth("local"),
        "seal_wrap": invocation.truth("seal-wrap"),
        "external_entropy_access": invocation.truth("external-entropy-access"),
        "options": options_of(invocation),
    }
    version = invocation.text("plugin-version")
    if version:
        config["plugin_version"] = version
    with ErrorPrefix("Error enabling"):
        invocation.client.send("POST", f"sys/mounts/{path}", body=body)
    named = f"{engine} secrets engine" + (f" version {version}" if version else "")
    invocation.say(f"Success! Enabled the {named} at: {path}/")
    return EXIT_OK


def tune(invocation: Invocation) -> int:
    """Change a mount's settings; those not given stay as they are."""
    body: dict[str, object] = {"options": options_of(invocation)}
    default, longest = invocation.number("default-lease-ttl"), invocation.number("max-lease-ttl")
    body["default_lease_ttl"] = "" if default is None else duration_text(default)
    if "description" in invocation.flags:
        body["description"] = invocation.text("description")
    body["max_lease_ttl"] = "" if longest is None else duration_text(longest)
    body["force_no_cache"] = False
    body.update(details(invocation))
    if invocation.text("plugin-version"):
        body["plugin_version"] = invocation.text("plugin-version")
    return send_tuning(invocation, invocation.args[0], body)


def send_tuning(invocation: Invocation, path: str, settings: Mapping[str, object]) -> int:
    """Send mount settings; `settings` may leave out the three that are always sent."""
    path = path.strip(" /")
    body = {"options": None, "default_lease_ttl": "", "max_lease_ttl": "", "force_no_cache": False}
    ordered = dict(settings) if "force_no_cache" in settings else {**body, **settings}
    with ErrorPrefix(f"Error tuning secrets engine {path}/"):
        invocation.client.send("POST", f"sys/mounts/{path}/tune", body=ordered)
    invocation.say(f"Success! Tuned the secrets engine at: {path}/")
    return EXIT_OK


def disable(invocation: Invocation) -> int:
    """Remove a mount with all its data."""
    path = invocation.args[0].strip(" /")
    with ErrorPrefix(f"Error disabling secrets engine at {path}/"):
        invocation.client.send("DELETE", f"sys/mounts/{path}")
    invocation.say(f"Success! Disabled the secrets engine (if it existed) at: {path}/")
    return EXIT_OK


def move(invocation: Invocation) -> int:
    """Move a secrets engine to another path, into another namespace too."""
    return moved(invocation, "secrets engine")


def moved(invocation: Invocation, what: str) -> int:
    """Move a mount, and wait until it has moved."""
    import time

    source, target = (f"{path.strip(' /')}/" for path in invocation.args)
    with ErrorPrefix(f"Error moving {what} {source} to {target}"):
        answer = invocation.client.send("POST", "sys/remount", body={"from": source, "to": target}).json()
    known = as_map(answer.get("data")).get("migration_id")
    invocation.say(f"Started moving {what} {source} to {target}, with migration ID {known}")
    while True:
        with ErrorPrefix(f"Error checking migration status for {known}"):
            found = invocation.client.send("GET", f"sys/remount/status/{known}").json()
        state = as_map(as_map(found.get("data")).get("migration_info")).get("status")
        if state == "success":
            invocation.say(f"Success! Finished moving {what} {source} to {target}, with migration ID {known}")
            return EXIT_OK
        if state == "failure":
            raise CommandError(f"Failure! Error encountered moving {what} {source} to {target}", EXIT_LOCAL)
        time.sleep(1)


def list_mounts(invocation: Invocation) -> int:
    """List the mounts."""
    return list_table(invocation, "sys/mounts", "Error listing secrets engines")


def list_table(invocation: Invocation, table: str, doing: str) -> int:
    """List a mount table: secrets engines, or auth methods, which say more of their tokens and nothing of caches."""
    from vaultctl.text.output import columns

    auth = table == "sys/auth"
    with ErrorPrefix(doing):
        answer = invocation.client.send("GET", table).json()
    mounts = as_map(answer.get("data"))
    if not invocation.tabular:
        return invocation.print_value({path: _document(as_map(mounts[path])) for path in sorted(mounts)})
    rows: list[tuple[str, ...]]
    if invocation.truth("detailed"):
        head = tuple("Token Type" if auth and name == "Force No Cache" else name for name in _DETAILS)
        rows = [head, *(_detailed_row(path, as_map(mounts[path]), auth=auth) for path in sorted(mounts))]
    else:
        rows = [("Path", "Type", "Accessor", "Description", *(("Version",) if auth else ()))]
        for path in sorted(mounts):
            mount = as_map(mounts[path])
            version = (_text(mount, "plugin_version"),) if auth else ()
            row = (path, _text(mount, "type"), _text(mount, "accessor"), _text(mount, "description"))
            rows.append((*row, *version))
    invocation.say(columns(rows))
    return EXIT_OK


def details(invocation: Invocation) -> dict[str, object]:
    """The settings that are sent where they were given."""
    details: dict[str, object] = {}
    for name in _LISTS:
        if name in invocation.flags:
            details[name.replace("-", "_")] = invocation.texts(name)
    if "listing-visibility" in invocation.flags:
        details["listing_visibility"] = invocation.text("listing-visibility")
    for name in _HEADER_LISTS:
        if name in invocation.flags:
            details[name.replace("-", "_")] = invocation.texts(name)
    return details


def options_of(invocation: Invocation) -> dict[str, str] | None:
    """The options of the engine, or None."""
    options = invocation.pairs("options")
    version = invocation.number("version")
    if version:
        options["version"] = str(version)
    return dict(sorted(options.items())) or None


def _document(mount: Mapping[str, object]) -> dict[str, object]:
    """A mount in the key order of -format=json."""
    document = {key: mount.get(key, default) for key, default in _MOUNT_KEYS.items()}
    config = as_map(mount.get("config"))
    ordered = {key: config.get(key, False if key == "force_no_cache" else 0) for key in _CONFIG_KEYS}
    document["config"] = {**ordered, **{key: config[key] for key in config if key not in ordered}}
    return document


def _detailed_row(path: str, mount: Mapping[str, object], *, auth: bool) -> tuple[str, ...]:
    config = as_map(mount.get("config"))
    engine = mount.get("type")
    options = mount.get("options")
    return (
        path,
        _text(mount, "type"),
        _text(mount, "accessor"),
        _ttl(config.get("default_lease_ttl"), engine),
        _ttl(config.get("max_lease_ttl"), engine),
        _text(config, "token_type") if auth else go_text(bool(config.get("force_no_cache"))),
        "local" if mount.get("local") else "replicated",
        go_text(bool(mount.get("seal_wrap"))),
        go_text(bool(mount.get("external_entropy_access"))),
        go_text({} if options is None else options),
        _text(mount, "description"),
        _text(mount, "uuid"),
        _text(mount, "plugin_version"),
        _text(mount, "running_plugin_version"),
        _text(mount, "running_sha256"),
        _text(mount, "deprecation_status"),
    )


def _ttl(value: object, engine: object) -> str:
    if engine in ("system", "cubbyhole"):
        return ""
    seconds = value if isinstance(value, int) else 0
    return str(seconds) if seconds else "system"


def _text(mount: Mapping[str, object], key: str) -> str:
    return str(mount.get(key) or "")

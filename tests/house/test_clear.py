# SPDX-License-Identifier: EUPL-1.2
"""What the log may show of a request's parameters: nothing that is called like a secret, or like a text of a person."""

import re
from typing import Final

from tests.house.tree import ROOT

_NEVER: Final = re.compile(
    r"(?:^|_)(?:accessor|code|credential|crl|data|description|display|email|email_sans|hash|input|jwt|key|keys|meta"
    r"|metadata|nonce|otp|password|payload|pem|pubkeys|secret|subject|token|uri|uris|url|user|username)$|_hash|certificate"
)
_OTHERWISE: Final = {
    "mount_accessor": "the id of a mount",
    "alias_mount_accessor": "the id of a mount",
    "audit_non_hmac_request_keys": "names of fields",
    "audit_non_hmac_response_keys": "names of fields",
    "oauth2_metadata": "kinds of tokens",
    "authorization_code": "yes or no",
    "partial_failure_response_code": "a status",
    "disable_local_ca_jwt": "yes or no",
    "generate_signing_key": "yes or no",
    "allow_user_certificates": "yes or no",
    "allow_host_certificates": "yes or no",
    "enable_identity_alias_metadata": "yes or no",
}
"""What is called so and is something else."""


def _clear() -> dict[str, set[str]]:
    """The parameters that are shown, by path and verb, from the file that a reviewer reads."""
    lines = (ROOT / "api-spec" / "log" / "clear.txt").read_text(encoding="utf-8").splitlines()
    return {" ".join(words[:2]): set(words[2:]) for words in map(str.split, lines)}


def test_the_list_of_what_the_log_shows_names_no_secret_and_no_person() -> None:
    """A second look at what `Doc(…, clear=True)` declares: the first one is the reviewer's."""
    shown = {name: route for route, names in _clear().items() for name in names if _NEVER.search(name)}
    assert {name: route for name, route in shown.items() if name not in _OTHERWISE} == {}
    assert set(_OTHERWISE) <= set(shown)


def test_nothing_of_what_is_stored_as_a_secret_is_shown() -> None:
    clear = _clear()
    assert not [route for route in clear if route.startswith("/v1/cubbyhole/")]
    assert clear["/v1/secret/data/{path:any} POST"] == {"version"}
    assert clear["/v1/kv/{path:any} SCAN"] == {"depth", "limit"}
    assert [route for route in clear if route.startswith("/v1/kv/")] == ["/v1/kv/{path:any} SCAN"]

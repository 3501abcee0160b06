# SPDX-License-Identifier: EUPL-1.2
"""Where browsers are sent: to the provider, and back to where a role allows."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import urlencode, urlsplit

from nhi.auth.jwt.exchange import scope
from nhi.auth.jwt.model import Config, Role
from nhi.auth.jwt.states import SignIn
from nhi.loopback import port_apart


def allowed(uri: str, uris: tuple[str, ...]) -> bool:
    """Whether the browser may be sent to `uri`: exactly one of `uris`, but for loopback's port (RFC 8252 7.3)."""
    return uri in uris or any((found := port_apart(uri, one)) and found[1] for one in uris)


def to_provider(endpoint: str, config: Config, role: Role, state: str, sign_in: SignIn) -> str:
    """Return the URL at which the user signs in (OpenID Connect Core 1.0, sections 3.1.2.1 and 3.2.2.1)."""
    fields = {
        "client_id": config.oidc_client_id,
        "nonce": sign_in.nonce,
        "redirect_uri": sign_in.redirect_uri,
        "scope": scope(role),
        "state": state,
    }
    if sign_in.implicit:
        fields |= {"response_type": "id_token", "response_mode": "form_post"}
    else:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(sign_in.verifier.encode()).digest()).rstrip(b"=")
        fields |= {
            "response_type": "code",
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
    if role.max_age:
        fields["max_age"] = str(role.max_age)
    return endpoint + ("&" if urlsplit(endpoint).query else "?") + urlencode(sorted(fields.items()))

# SPDX-License-Identifier: EUPL-1.2
"""transit: keys in devices, as far as they need no device, and what is refused of any new key.

No KMS plugin is called `absent` on either server, so no key of it is ever found.
"""

from tests.conformance.scenario import Scenario, delete, get, post

CONFIG = "sys/external-keys/configs/of-transit"
EXTERNAL = {"type": "external-key"}
REF = {**EXTERNAL, "external_key_ref": "of-transit:k"}

STEPS = [
    post("sys/mounts/tq", {"type": "transit"}),
    post("tq/keys/a", {}),
    post("tq/keys/x", EXTERNAL),
    post("tq/keys/x", {**EXTERNAL, "external_key_ref": ""}),
    post("tq/keys/x", REF),
    post("tq/keys/x", {**EXTERNAL, "external_key_ref": "bad"}),
    post("tq/keys/x", {**EXTERNAL, "external_key_ref": "a:b:c"}),
    post("tq/keys/x", {**EXTERNAL, "external_key_ref": ":"}),
    post("tq/keys/x", {**EXTERNAL, "external_key_ref": "c:"}),
    post("tq/keys/x", {**REF, "auto_rotate_period": "2h"}),
    post("tq/keys/x", {**REF, "auto_rotate_period": "1m"}),
    post("tq/keys/x", {**EXTERNAL, "auto_rotate_period": "2h"}),
    post("tq/keys/x", {**REF, "convergent_encryption": True}),
    post("tq/keys/x", {"type": "aes256-gcm96", "external_key_ref": "of-transit:k"}),
    post("tq/keys/x", {"external_key_ref": ":"}),
    post("tq/keys/x", {"type": "External-Key"}, divergence="DV-02"),
    post(CONFIG, {"plugin": "absent", "verify": False}),
    post(f"{CONFIG}/keys/k", {"verify": False}),
    post("tq/keys/x", REF),
    post("tq/keys/x", {**EXTERNAL, "external_key_ref": "of-transit:other"}),
    post(f"{CONFIG}/keys/k/grants/tq", {}),
    post("tq/keys/x", REF, divergence="DV-02"),
    get("tq/keys/x"),
    post("tq/keys/a", EXTERNAL),
    post("tq/keys/a", {"external_key_ref": "of-transit:k"}),
    post("tq/keys/a/rotate", {"external_key_ref": "of-transit:k"}),
    post("tq/keys/zz/rotate", {"external_key_ref": "of-transit:k"}),
    post("tq/encrypt/new", {"plaintext": "YQ==", "type": "external-key"}, divergence="DV-02"),
    post("tq/keys/a", {"type": "nope"}, divergence="DV-02"),
    post("tq/keys/a", {"key_size": 3}),
    post("tq/keys/a", {"key_size": 64}),
    post("tq/keys/new", {"key_size": 64}),
    post("tq/keys/a", {"type": "hmac"}),
    post("tq/keys/a", {"type": "hmac", "key_size": 3}, divergence="DV-02"),
    post("tq/keys/a", {"type": "rsa-2048", "derived": True}),
    post("tq/keys/a", {"convergent_encryption": True}),
    post("tq/keys/a", {"auto_rotate_period": "1m"}),
    post("tq/keys/a", {"type": "ed25519", "key_size": 32}),
    get("tq/keys/a"),
    delete(f"{CONFIG}/keys/k"),
    delete(CONFIG),
    delete("sys/mounts/tq"),
]
SCENARIOS = [Scenario("transit", "external", STEPS)]

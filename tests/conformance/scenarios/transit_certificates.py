# SPDX-License-Identifier: EUPL-1.2
"""transit: requests for certificates, chains that are kept beside pairs, and what is refused."""

from dataclasses import replace

from tests.conformance.scenario import Scenario, Step, delete, get, post

TEMPLATE = (
    "-----BEGIN CERTIFICATE REQUEST-----\n"
    "MIIBETCBuAIBADAiMRIwEAYDVQQDDAlhLmV4YW1wbGUxDDAKBgNVBAoMA8OWKjBZ\n"
    "MBMGByqGSM49AgEGCCqGSM49AwEHA0IABI5TO2+gv3tGJbswZnwB+2B++fi4qA/v\n"
    "WzAGKHAxh7Kjc+sdveAzGDZtBp+DpvWQAFPHNjPLBBshxV4ahsH0ALSgNDAyBgkq\n"
    "hkiG9w0BCQ4xJTAjMCEGA1UdEQQaMBiCCWEuZXhhbXBsZYELeEBhLmV4YW1wbGUw\n"
    "CgYIKoZIzj0EAwIDSAAwRQIgPNICgePalcdMVnqEjkV/PJHxu9YkBA0n8mgz5mb7\n"
    "YGQCIQDAq6aCu4XYtrqBK+RNyw8Yi/7eF6ZgOv6+oVFmfHkZew==\n"
    "-----END CERTIFICATE REQUEST-----\n"
)


def made(name: str, divergence: str = "", **body: object) -> Step:
    """A CSR; its signature is another one each time."""
    return post(f"tc/keys/{name}/csr", body, divergence=divergence)


def kept(name: str, chain: str, divergence: str = "", **body: object) -> Step:
    """A chain that is kept, or refused: its leaf's key is another one on each server."""
    return post(
        f"tc/keys/{name}/set-certificate",
        {"certificate_chain": chain, **body},
        divergence=divergence,
    )


def shown(step: Step) -> Step:
    """A step whose answer has a text that is no server's own choice."""
    return replace(step, shape=4)


CERTIFICATES = [
    post("sys/mounts/tc", {"type": "transit"}),
    post("tc/keys/p", {"type": "ecdsa-p256"}),
    post("tc/keys/p3", {"type": "ecdsa-p384"}),
    post("tc/keys/p5", {"type": "ecdsa-p521"}),
    post("tc/keys/e", {"type": "ed25519"}),
    post("tc/keys/r", {"type": "rsa-2048"}),
    post("tc/keys/m", {"type": "mldsa-44"}),
    post("tc/keys/a", {}),
    post("tc/keys/h", {"type": "hmac", "key_size": 32}),
    post("tc/keys/ed", {"type": "ed25519", "derived": True}),
    *(shown(made(name)) for name in ("p", "p3", "p5", "e", "r", "m")),
    *(shown(made(name, csr=TEMPLATE)) for name in ("p", "p3", "p5", "e", "r", "m")),
    made("a"),
    made("h"),
    made("ed"),
    made("zz"),
    made("a", csr="x"),
    made("zz", csr="x"),
    get("tc/keys/p/csr"),
    delete("tc/keys/p/csr"),
    shown(made("p", version=1)),
    shown(made("p", version="1")),
    shown(made("p", csr="")),
    shown(made("p", csr=None)),
    made("p", version=2),
    made("p", version=-1),
    made("p", csr="x"),
    made("p", csr="x", version=2),
    made(
        "p",
        csr="-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        divergence="DV-02",
    ),
    made("p", csr=[TEMPLATE]),
    shown(made("p", csr="before\n" + TEMPLATE)),
    get("tc/keys/p", save=("public:data.keys.1.public_key",), shape=4),
    *(shown(kept("p", f"{{certified_{name}}}")) for name in ("alone", "two", "full", "bare")),
    *(kept("p", f"{{certified_{name}}}", divergence="DV-06") for name in ("short", "swapped", "impostor")),
    shown(kept("p", "{certified_two}\n\n")),
    shown(kept("p", "\nbefore\n{certified_two}")),
    kept("p", "{certified_authority}"),
    kept("p", "{certified_led}"),
    kept("p", "{certified_twice}"),
    kept("p", "{certified_leaves}"),
    kept("p", "{certified_stranger}", divergence="DV-07"),
    kept("p", "{certified_edwards}"),
    kept("e", "{certified_two}"),
    kept("r", "{certified_two}"),
    kept("m", "{certified_two}"),
    kept("p3", "{certified_two}", divergence="DV-07"),
    kept("a", "{certified_two}"),
    kept("h", "{certified_two}"),
    kept("ed", "{certified_two}"),
    kept("zz", "{certified_two}"),
    kept("zz", "x"),
    kept("p", ""),
    kept("p", "x"),
    kept("p", "{certified_two}rubbish"),
    kept("p", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", divergence="DV-02"),
    post("tc/keys/p/set-certificate", {}),
    kept("p", "{certified_two}", version=2),
    kept("p", "{certified_two}", version=-1),
    kept("p", "{certified_authority}", version=2),
    kept("p", "{certified_stranger}", version=2),
    shown(kept("p", "{certified_two}", version=1)),
    get("tc/keys/p/set-certificate"),
    delete("tc/keys/p/set-certificate"),
    shown(get("tc/keys/p")),
    shown(get("tc/export/certificate-chain/p")),
    shown(get("tc/export/certificate-chain/p/1")),
    shown(get("tc/export/certificate-chain/p/latest")),
    shown(get("tc/export/certificate-chain/p?format=der")),
    shown(get("tc/export/certificate-chain/p?format=raw")),
    shown(get("tc/export/certificate-chain/p?format=pem")),
    get("tc/export/certificate-chain/p/2"),
    post("tc/keys/p/rotate", {}, shape=3),
    kept("p", "{certified_two}", divergence="DV-07"),
    get("tc/export/certificate-chain/p", divergence="DV-07"),
    get("tc/export/certificate-chain/p/latest", divergence="DV-07"),
    shown(get("tc/export/certificate-chain/p/1")),
    shown(get("tc/keys/p")),
    shown(made("p", version=1)),
    shown(made("p")),
    post("tc/keys/p/config", {"min_decryption_version": 2}, shape=3),
    made("p", version=1),
    kept("p", "{certified_two}", version=1),
    get("tc/export/certificate-chain/p/1"),
    delete("tc/keys/p/soft-delete"),
    shown(made("p")),
    get("tc/keys/p", save=("public:data.keys.2.public_key",), shape=4),
    shown(kept("p", "{certified_two}")),
    get("tc/export/certificate-chain/p", divergence="DV-07"),
    get("tc/keys/e", save=("public:data.keys.1.public_key",), shape=4),
    shown(kept("e", "{certified_full}")),
    shown(get("tc/export/certificate-chain/e")),
    get("tc/keys/r", save=("public:data.keys.1.public_key",), shape=4),
    shown(kept("r", "{certified_full}")),
    get("tc/keys/m", save=("public:data.keys.1.public_key",), shape=4),
    shown(kept("m", "{certified_full}")),
    shown(get("tc/export/certificate-chain/m")),
    get("tc/export/certificate-chain/ed", divergence="DV-07"),
    delete("sys/mounts/tc"),
]
SCENARIOS = [Scenario("transit", "certificates", CERTIFICATES)]

# SPDX-License-Identifier: EUPL-1.2
"""Making keys, and signing with them, checked by another library."""

import ctypes
import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11 import Attribute, KeyType

from hsm.agent.device import Device
from hsm.agent.session.module import Module
from hsm.errors import BadConfig, KeyAmbiguous, KeyMissing, SlotUnavailable
from hsm.versions import printable
from tests.hsm.spoiling import answer, spoiled
from tests.hsm.tokens import SoftHsm

DATA = b"what is signed"
GENERAL_ERROR, DEVICE_ERROR, TEMPLATE_INCONSISTENT = 0x05, 0x30, 0xD1


@pytest.fixture
def device(softhsm: SoftHsm, module: Module) -> Device:
    made = softhsm.device("a", module=module)
    made.start()
    return made


def test_ed25519_signs_the_message(device: Device) -> None:
    public = load_der_public_key(device.generate_key_pair("root", b"1", "ed25519"))
    assert isinstance(public, ed25519.Ed25519PublicKey)
    public.verify(device.sign("root", b"1", "EDDSA", DATA), DATA)
    found = device.public_key("root", None)  # whoever knows less than that is told the rest
    assert (found.label, found.key_id) == ("root", b"1")
    assert found == device.public_key("root", b"1") == device.public_key("", b"1")


@pytest.mark.parametrize(
    ("algorithm", "hash_name", "size"),
    [("p256", "sha256", 64), ("p384", "sha384", 96), ("p521", "sha512", 132)],
)
def test_ecdsa_signs_a_hash(device: Device, algorithm: str, hash_name: str, size: int) -> None:
    public = load_der_public_key(device.generate_key_pair("root", b"1", algorithm))
    assert isinstance(public, ec.EllipticCurvePublicKey)
    digest = hashlib.new(hash_name, DATA).digest()
    signature = device.sign("root", b"1", "ECDSA", digest)
    assert len(signature) == size
    half = size // 2
    encoded = utils.encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
    by_hash: dict[str, HashAlgorithm] = {"sha256": SHA256(), "sha384": SHA384(), "sha512": SHA512()}
    public.verify(encoded, DATA, ec.ECDSA(by_hash[hash_name]))


def test_rsa_signs_in_every_way(device: Device) -> None:
    public = load_der_public_key(device.generate_key_pair("root", b"1", "rsa2048"))
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(device.sign("root", b"1", "SHA384_RSA_PKCS", DATA), DATA, padding.PKCS1v15(), SHA384())
    info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(DATA).digest()
    public.verify(device.sign("root", b"1", "RSA_PKCS", info), DATA, padding.PKCS1v15(), SHA256())
    pss = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32)
    public.verify(device.sign("root", b"1", "SHA256_RSA_PKCS_PSS", DATA), DATA, pss, SHA256())
    digest = hashlib.sha512(DATA).digest()
    pss = padding.PSS(mgf=padding.MGF1(SHA512()), salt_length=64)
    public.verify(device.sign("root", b"1", "RSA_PKCS_PSS", digest), DATA, pss, SHA512())


def test_what_cannot_be_signed_is_refused(device: Device) -> None:
    device.generate_key_pair("root", b"1", "rsa2048")
    device.generate_key_pair("curve", b"1", "p256")
    for label, mechanism, data in (
        ("root", "MD5_RSA_PKCS", DATA),
        ("root", "RSA_PKCS_PSS", DATA),
        ("root", "EDDSA", DATA),
        ("curve", "SHA256_RSA_PKCS", DATA),
        ("curve", "ECDSA", DATA),
        ("root", "RSA_PKCS", bytes(300)),
    ):
        with pytest.raises(BadConfig):
            device.sign(label, b"1", mechanism, data)


def test_a_kek_does_not_sign(softhsm: SoftHsm, module: Module) -> None:
    device = softhsm.device("a", module=module)
    device.start()
    device.generate_kek("rsa3072", modifiable=False)
    with pytest.raises(BadConfig, match="may not sign"):
        device.sign("kek", b"v0001", "SHA256_RSA_PKCS", DATA)


def test_a_key_pair_s_name_is_taken_once(device: Device) -> None:
    device.generate_key_pair("root", b"1", "p256")
    with pytest.raises(BadConfig, match="is taken"):
        device.generate_key_pair("root", b"1", "ed25519")
    device.generate_key_pair("root", b"2", "ed25519")
    with pytest.raises(KeyAmbiguous):
        device.public_key("root", None)


def test_two_programs_that_make_the_same_pair_do_not_leave_two(device: Device, module: Module) -> None:
    def twice(real: Callable[..., int], *arguments: int) -> int:
        real(*arguments)
        return real(*arguments)

    with spoiled(module, C_GenerateKeyPair=twice), pytest.raises(KeyAmbiguous):
        device.generate_key_pair("root", b"1", "p256")
    assert device.public_key("root", b"1").public


@pytest.mark.parametrize(
    ("label", "key_id", "algorithm"), [("", b"1", "p256"), ("root", b"", "p256"), ("root", b"1", "p192")]
)
def test_a_key_pair_without_a_name_or_a_known_algorithm_is_refused(
    device: Device, label: str, key_id: bytes, algorithm: str
) -> None:
    with pytest.raises(BadConfig):
        device.generate_key_pair(label, key_id, algorithm)


def test_a_kek_without_a_label_or_a_known_algorithm_is_refused(softhsm: SoftHsm, module: Module) -> None:
    device = softhsm.device("a", module=module, key_label="", key_id=b"v0001")
    device.start()
    for algorithm in ("aes", "des"):
        with pytest.raises(BadConfig):
            device.generate_kek(algorithm, modifiable=False)


@pytest.mark.parametrize("algorithm", ["aes", "aes+hmac", "rsa3072"])
def test_a_token_that_refuses_the_strict_template_gets_the_least(
    device: Device, module: Module, algorithm: str
) -> None:
    function = "C_GenerateKeyPair" if algorithm.startswith("rsa") else "C_GenerateKey"
    for code in (GENERAL_ERROR, TEMPLATE_INCONSISTENT):
        with spoiled(module, **{function: answer(code, times=1)}):
            assert device.generate_kek(algorithm, modifiable=False).protected
    with spoiled(module, **{function: answer(DEVICE_ERROR, times=1)}), pytest.raises(SlotUnavailable):
        device.generate_kek(algorithm, modifiable=False)
    with spoiled(module, **{function: answer(TEMPLATE_INCONSISTENT)}), pytest.raises(BadConfig):
        device.generate_kek(algorithm, modifiable=False)


def test_a_strict_key_cannot_be_retired_and_the_message_says_that_it_does_not_matter(device: Device) -> None:
    device.generate_kek("aes", modifiable=False)
    with pytest.raises(BadConfig, match=r"unmodifiable.*newer version"):
        device.retire("v0001")
    with pytest.raises(BadConfig, match="must be a CKA_ID"):
        device.retire("0xzz")


def test_a_retirement_that_the_device_fails_is_not_called_unmodifiable(
    device: Device, module: Module
) -> None:
    device.generate_kek("aes", modifiable=True)
    with spoiled(module, C_SetAttributeValue=answer(0x1B)), pytest.raises(BadConfig, match="unmodifiable"):
        device.retire("v0001")
    with spoiled(module, C_SetAttributeValue=answer(DEVICE_ERROR)), pytest.raises(SlotUnavailable):
        device.retire("v0001")


def test_an_rsa_key_is_retired_by_its_public_half(softhsm: SoftHsm, module: Module) -> None:
    device = softhsm.device("a", module=module, rsa_oaep_hash="sha1")
    device.start()
    device.generate_kek("rsa3072", modifiable=True)
    wrapped = device.wrap(bytes(32))
    device.retire("v0001")
    (version,) = device.keys()
    assert version.retired
    assert device.unwrap(wrapped) == bytes(32)


def _make(device: Device, **template: bool) -> None:
    """A key as another program would make it."""
    attributes = {Attribute[name]: value for name, value in template.items()}
    with device._sessions.token.open(rw=True) as session:
        session.generate_key(KeyType.AES, 256, label="kek", id=b"v0001", store=True, template=attributes)


def test_a_key_that_may_leave_the_token_does_not_count(device: Device) -> None:
    _make(device, EXTRACTABLE=True, SENSITIVE=False)
    assert device.keys() == []
    with pytest.raises(KeyMissing, match=r"a secret key kek id v0001: it is not sensitive \(CKA_SENSITIVE\)"):
        device.wrap(bytes(32))


def test_a_token_that_makes_extractable_keys_keeps_none(device: Device, module: Module) -> None:
    def extractable(real: Callable[..., int], *arguments: int) -> int:
        code = real(*arguments)
        attribute = (ctypes.c_ulong * 3).from_address(arguments[2])
        if attribute[0] == int(Attribute.EXTRACTABLE) and attribute[1]:
            ctypes.c_ubyte.from_address(attribute[1]).value = 1
        return code

    with spoiled(module, C_GetAttributeValue=extractable):
        for algorithm in ("aes", "rsa3072"):
            with pytest.raises(BadConfig, match="so it was destroyed"):
                device.generate_kek(algorithm, modifiable=False)
    found = device.keys()
    assert found == []


def test_a_key_that_may_not_encrypt_is_refused_by_name(
    softhsm: SoftHsm, module: Module, device: Device
) -> None:
    _make(device, ENCRYPT=False)
    (version,) = device.keys()
    assert version.retired
    with pytest.raises(KeyMissing, match="none that encrypts"):
        device.wrap(bytes(32))
    configured = softhsm.device("a", module=module, key_id=b"v0001")
    configured.start()
    with pytest.raises(BadConfig, match=r"may not encrypt \(CKA_ENCRYPT is false\)"):
        configured.wrap(bytes(32))


def test_a_key_of_a_curve_that_we_do_not_use_is_refused(device: Device) -> None:
    secp256k1 = bytes.fromhex("06052b8104000a")
    with device._sessions.token.open(rw=True) as session:
        parameters = session.create_domain_parameters(
            KeyType.EC, {Attribute.EC_PARAMS: secp256k1}, local=True
        )
        parameters.generate_keypair(store=True, label="koblitz", id=b"1")
    with pytest.raises(BadConfig, match="must be RSA, Ed25519, P-256, P-384 or P-521"):
        device.public_key("koblitz", b"1")


def test_a_public_half_that_is_no_point_is_refused(device: Device, module: Module) -> None:
    device.generate_key_pair("root", b"1", "p256")

    def garble(real: Callable[..., int], *arguments: int) -> int:
        code = real(*arguments)
        attribute = (ctypes.c_ulong * 3).from_address(arguments[2])
        if attribute[0] == int(Attribute.EC_POINT) and attribute[1]:
            ctypes.memset(attribute[1], 7, attribute[2])
        return code

    with spoiled(module, C_GetAttributeValue=garble), pytest.raises(BadConfig, match="cannot be read"):
        device.public_key("root", b"1")


def test_two_keys_of_one_id_are_named(device: Device) -> None:
    for _ in range(2):
        _make(device, SENSITIVE=True)
    with pytest.raises(KeyAmbiguous, match="key kek id v0001"):
        device.keys()


def test_an_attribute_that_the_token_does_not_tell_counts_as_the_worse(
    device: Device, module: Module
) -> None:
    _make(device, SENSITIVE=True)
    untold_of = [Attribute.SENSITIVE, Attribute.VALUE_LEN]

    def untold(real: Callable[..., int], *arguments: int) -> int:
        attribute = (ctypes.c_ulong * 3).from_address(arguments[2])
        return 0x12 if attribute[0] in map(int, untold_of) and arguments[3] == 1 else real(*arguments)

    with spoiled(module, C_GetAttributeValue=untold):
        assert device.keys() == []
    del untold_of[0]
    with spoiled(module, C_GetAttributeValue=untold):
        (version,) = device.keys()
    assert version.bits == 0
    assert printable(b"v0001") == version.version


def test_mechanism_and_key_must_fit(softhsm: SoftHsm, module: Module) -> None:
    plain = softhsm.device("a", module=module)
    plain.start()
    plain.generate_kek("aes", modifiable=False)
    for mechanism, label, said in (
        ("RSA_PKCS_OAEP", "kek", "is an AES key"),
        ("AES_CBC_HMAC", "kek", "needs a second key kek-hmac"),
        ("AES_GCM", "rsa", "is an RSA key"),
    ):
        device = softhsm.device("a", module=module, mechanism=mechanism, key_label=label)
        device.start()
        if label == "rsa":
            device.generate_kek("rsa3072", modifiable=False)
        with pytest.raises(BadConfig, match=said):
            device.wrap(bytes(32))


def test_a_token_without_gcm_takes_the_key_with_hmac(softhsm: SoftHsm, module: Module) -> None:
    device = softhsm.device("a", module=module)
    device.start()
    device.generate_kek("aes+hmac", modifiable=False)
    gcm = 0x1087

    def without(real: Callable[..., int], *arguments: int) -> int:
        code = real(*arguments)
        if code == 0 and arguments[1]:
            count = ctypes.c_ulong.from_address(arguments[2]).value
            listed = (ctypes.c_ulong * count).from_address(arguments[1])
            listed[:] = [number if number != gcm else 0x1085 for number in listed]
        return code

    with spoiled(module, C_GetMechanismList=without):
        assert device.wrap(bytes(32)).m == "aes-cbc-hmac"


def test_a_configured_version_wraps_although_there_is_a_newer_one(softhsm: SoftHsm, module: Module) -> None:
    device = softhsm.device("a", module=module, key_id=b"v0001")
    device.start()
    for _ in range(2):
        device.generate_kek("aes", modifiable=False)
    assert device.wrap(bytes(32)).k == "v0001"
    assert device.probe().key_version == "v0001"

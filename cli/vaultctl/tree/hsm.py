# SPDX-License-Identifier: EUPL-1.2
"""Declarations: tokens of hardware security modules, key ceremonies, and the slots of the seal."""

from __future__ import annotations

from vaultctl.flags import Flag
from vaultctl.tree.command import Command

_NONE = (0, 0, "0")
_ONE = (1, 1, "1")
_MODULE = (
    Flag("lib", "text", "Absolute path of the PKCS#11 module.", env="HSM_LIB"),
    Flag("library-parameters", "text", "What the module is initialised with; only NSS takes any."),
)
_TOKEN = (
    *_MODULE,
    Flag("token-label", "text", "Label of the token.", env="HSM_TOKEN_LABEL"),
    Flag("token-serial", "text", "Serial number of the token; needed where two have the same label."),
    Flag(
        "slot", "text", "PKCS#11 slot, decimal or 0x…; the last resort, for numbers change.", env="HSM_SLOT"
    ),
    Flag(
        "pin",
        "text",
        "Where the PIN is: file:///PATH or credential://NAME. It is asked for where nothing names it.",
        env="HSM_PIN",
    ),
    Flag("timeout", "duration", "How long one operation may take; default 10s."),
    Flag("force-pin-final-try", "bool", "Log in although one more wrong PIN locks the token."),
    Flag("non-interactive", "bool", "Never ask anything on the terminal."),
)
_KEY = (
    *_TOKEN,
    Flag("key-label", "text", "Label of the key that wraps.", env="HSM_KEY_LABEL"),
)
_WRAPPING = (
    Flag(
        "mechanism",
        "text",
        "How to wrap; chosen by what token and key can do unless given.",
        env="HSM_MECHANISM",
        words=("AES_GCM", "AES_CBC_HMAC", "RSA_PKCS_OAEP"),
    ),
    Flag(
        "rsa-oaep-hash",
        "text",
        "Hash of RSA_PKCS_OAEP; default sha256.",
        env="HSM_RSA_OAEP_HASH",
        words=("sha256", "sha384", "sha512", "sha1"),
    ),
)
_DRY_RUN = Flag("dry-run", "bool", "Say what would be done or refused, and change nothing.")
_ONLY_SHOWS = Flag("dry-run", "bool", "As everywhere; this command changes nothing anyway.")
_ALGORITHM = (
    Flag("alg", "text", "Kind of the key; default aes.", words=("aes", "rsa3072", "rsa4096")),
    Flag("etm", "bool", "Make a second key for HMAC, for tokens without AES-GCM."),
)
_MODIFIABLE = Flag("modifiable", "bool", "Let the key be retired on the token later.")

_DEVICES = (
    Command(
        "hsm list-slots",
        "hsm.slots:list_slots",
        "-lib=PATH [options]",
        _NONE,
        "List the tokens of a PKCS#11 module",
        output="format",
        remote=False,
        flags=(
            *_MODULE,
            Flag("timeout", "duration", "How long the module may take; default 10s."),
            _ONLY_SHOWS,
        ),
    ),
    Command(
        "hsm probe",
        "hsm.slots:probe",
        "-lib=PATH -token-label=LABEL [options]",
        _NONE,
        "Find out by trying what a token can do",
        output="format",
        remote=False,
        flags=(*_TOKEN, _DRY_RUN),
        details="It makes keys that are gone with the session. Exit code 0: fit for a seal; 2: not.",
    ),
    Command(
        "hsm generate-kek",
        "hsm.keys:generate",
        "-lib=PATH -token-label=LABEL -key-label=LABEL [options]",
        _NONE,
        "Make the first version of a key that wraps",
        output="format",
        remote=False,
        flags=(*_KEY, *_ALGORITHM, _MODIFIABLE, _DRY_RUN),
        details="Refuses a label that has a version already: hsm rotate-kek makes the next one.",
    ),
    Command(
        "hsm rotate-kek",
        "hsm.keys:rotate",
        "-lib=PATH -token-label=LABEL -key-label=LABEL [options]",
        _NONE,
        "Make the next version of a key that wraps",
        output="format",
        remote=False,
        flags=(*_KEY, *_ALGORITHM, _MODIFIABLE, _DRY_RUN),
        details="Afterwards, operator seal-slots rewrap moves the server to it; older versions still unwrap.",
    ),
    Command(
        "hsm retire-kek",
        "hsm.keys:retire",
        "-lib=PATH -token-label=LABEL -key-label=LABEL [options] VERSION",
        _ONE,
        "Let an old version of a key unwrap only",
        output="format",
        remote=False,
        flags=(*_KEY, _DRY_RUN),
        details="The newest version is refused. The token must allow it: see -modifiable of hsm generate-kek.",
    ),
    Command(
        "hsm import-kek",
        "hsm.keys:import_components",
        "-lib=PATH -token-label=LABEL -key-label=LABEL [options]",
        _NONE,
        "Put the same AES key into a second token, from the components of two custodians",
        output="format",
        remote=False,
        flags=(*_KEY, _DRY_RUN),
        details="Each component is 64 hexadecimal digits, typed unseen; the key is their exclusive or. "
        "Check values are shown, as CKA_CHECK_VALUE has them. Such a key was outside a token once.",
    ),
    Command(
        "hsm test",
        "hsm.roundtrip:test",
        "-lib=PATH -token-label=LABEL -key-label=LABEL [options]",
        _NONE,
        "Wrap and unwrap with a key as a seal does, and measure",
        output="format",
        remote=False,
        flags=(*_KEY, *_WRAPPING, Flag("count", "int", "How many times to unwrap; default 1000."), _DRY_RUN),
    ),
)
_CEREMONIES = (
    Command(
        "hsm ceremony run",
        "hsm.ceremonies:run",
        "[options] SCRIPT TRANSCRIPT",
        (2, 2, "2"),
        "Go through a script step by step and write the transcript",
        remote=False,
        flags=(*_KEY, *_WRAPPING, *_ALGORITHM, _MODIFIABLE, _DRY_RUN),
        details="SCRIPT is TOML: title, place, participant, step, receipt, evidence; docs/hsm.md has one.",
    ),
    Command(
        "hsm ceremony sign",
        "hsm.ceremonies:sign",
        "[options] TRANSCRIPT",
        _ONE,
        "Sign a transcript as one of its participants",
        remote=False,
        flags=(
            Flag("name", "text", "The participant's name."),
            Flag("key", "text", "PEM file of the participant's private key; a password is asked for."),
            Flag("non-interactive", "bool", "Never ask anything on the terminal."),
            _DRY_RUN,
        ),
    ),
    Command(
        "hsm ceremony verify",
        "hsm.ceremonies:verify",
        "[options] TRANSCRIPT",
        _ONE,
        "Show a transcript and check every participant's signature",
        output="format",
        remote=False,
        flags=(
            Flag(
                "script", "text", "The ceremony's script: who was to be there, with which keys, and do what."
            ),
            _ONLY_SHOWS,
        ),
        details="Exit code 0: all have signed these very bytes; 2: not, or not what the script says.",
    ),
)
_STATUS = Flag("status", "bool", "Only show how many values are under which version of the key.")
_SLOTS = (
    Command(
        "operator seal-slots list",
        "operator.seal_slots:list_slots",
        "[options]",
        _NONE,
        "List the ways into the vault",
        output="format",
        flags=(_ONLY_SHOWS,),
    ),
    Command(
        "operator seal-slots add",
        "operator.seal_slots:add",
        "[options] NAME",
        _ONE,
        "Make a configured slot part of the vault",
        output="format",
        flags=(_DRY_RUN,),
        details="It gets the root key and must give it back before it counts.",
    ),
    Command(
        "operator seal-slots verify",
        "operator.seal_slots:verify",
        "[options] NAME",
        _ONE,
        "Have a slot open the vault's root key",
        output="format",
        flags=(_DRY_RUN,),
    ),
    Command(
        "operator seal-slots promote",
        "operator.seal_slots:promote",
        "[options] NAME",
        _ONE,
        "Try a slot before all others",
        output="format",
        flags=(_DRY_RUN,),
    ),
    Command(
        "operator seal-slots demote",
        "operator.seal_slots:demote",
        "[options] NAME",
        _ONE,
        "Try a slot after all others",
        output="format",
        flags=(_DRY_RUN,),
    ),
    Command(
        "operator seal-slots remove",
        "operator.seal_slots:remove",
        "[options] NAME",
        _ONE,
        "Take a slot from the vault",
        output="format",
        flags=(
            Flag("abandon", "bool", "Delete wrapped values that no slot opens any more, this one included."),
            _DRY_RUN,
        ),
        details="The server refuses to remove the last slot that works, and without -abandon one that takes values along.",
    ),
    Command(
        "operator seal-slots rewrap",
        "operator.seal_slots:rewrap",
        "[options] NAME",
        _ONE,
        "Put what a slot holds under the newest version of its key",
        output="format",
        flags=(_STATUS, _DRY_RUN),
    ),
    Command(
        "operator rotate-root",
        "operator.seal_slots:rotate_root",
        "[options]",
        _NONE,
        "Replace the root key under all slots",
        flags=(
            Flag("no-links", "bool", "After a compromise: the old root key is not to lead to the new one."),
            Flag(
                "drop",
                "list",
                "With -no-links: slots to drop, whether they answer or not.",
            ),
            Flag("abandon", "bool", "With -no-links: delete wrapped values that no slot opens any more."),
            _DRY_RUN,
        ),
        details="A slot that does not answer, and the one for people's shares, keeps a link from the old root key to the "
        "new one. With -no-links such slots are dropped, and only if -drop names them; so is any other that it names, such "
        "as a compromised one that still answers. What is dropped opens the vault no more. The server refuses to drop a slot that "
        "takes values along, but with -abandon.",
    ),
    Command(
        "hsm rewrap",
        "operator.seal_slots:rewrap",
        "[options] NAME",
        _ONE,
        "Have the server use the newest version of a slot's key",
        output="format",
        flags=(_STATUS, _DRY_RUN),
        details="The same as operator seal-slots rewrap; the step after hsm rotate-kek.",
    ),
)

COMMANDS = (*_DEVICES, *_CEREMONIES, *_SLOTS)

# SPDX-License-Identifier: EUPL-1.2
"""Examples of each command, which its help shows."""

from __future__ import annotations

_DEVICE = "-lib=/usr/lib/softhsm/libsofthsm2.so -token-label=vault"

EXAMPLES = {
    "audit disable": ("audit disable file", "audit disable file/second"),
    "audit enable": (
        "audit enable file file_path=/var/log/coffre/audit.log",
        "audit enable -path=second file file_path=/mnt/audit.log mode=0640",
    ),
    "audit checkpoints": ("audit checkpoints > kept.jsonl", "audit checkpoints 5f3a9c1e-0-0"),
    "audit devices": ("audit devices", "audit devices -format=json"),
    "audit export": (
        "audit export -state=exported.json -format=ocsf > events.jsonl",
        "audit export -folder=/mnt/copy/log -log=5f3a9c1e-0-0",
    ),
    "audit hash": ("audit hash", "printf %s \"$VALUE\" | vaultctl audit hash -"),
    "audit holds lift": ("audit holds lift case-7", "audit holds lift inquiry-2026"),
    "audit holds list": ("audit holds list", "audit holds list -format=json"),
    "audit holds place": (
        "audit holds place -from=2026-01-01 -to=2026-07-01 -reason='inquiry 7' case-7",
        "audit holds place everything",
    ),
    "audit prove": (
        "audit prove -o=record.proof 5f3a9c1e-0-0:48211",
        "audit prove -key=coffre.vkey -o=record.proof 5f3a9c1e-0-0:48211",
    ),
    "audit purge": ("audit purge -before=180d", "audit purge -before=2026-01-01"),
    "audit query": (
        "audit query -resource=secret/payments/db -since=2026-11-24 -until=2026-11-25 -names",
        "audit query -outcome=denied -since=24h",
        "audit query -credential=BLOCK -reverse",
    ),
    "audit segments": ("audit segments", "audit segments -download=/mnt/copy/log"),
    "audit show": ("audit show 5f3a9c1e-0-0:48211", "audit show -format=json 5f3a9c1e-0-0:48211"),
    "audit status": ("audit status", "audit status -format=json"),
    "audit tail": ("audit tail", "audit tail -outcome=denied,failed -n=0"),
    "audit verify": (
        "audit verify -key=coffre.vkey -checkpoint=kept.note /mnt/copy/log",
        "audit verify -key=coffre.vkey -proof=record.proof",
    ),
    "audit list": ("audit list", "audit list -detailed"),
    "audit witness": (
        "audit witness -key=/etc/witness/key -name=witness.example.eu/w1 -state=/var/lib/witness -log=$VKEY",
        "audit witness -listen=0.0.0.0:8380 -key=/etc/witness/key -state=/var/lib/witness -log=$VKEY",
    ),
    "auth disable": ("auth disable userpass", "auth disable approle-old/"),
    "auth enable": (
        "auth enable userpass",
        "auth enable -path=ci -description='GitLab runners' jwt",
        "auth enable -default-lease-ttl=30m -max-lease-ttl=4h approle",
    ),
    "auth help": ("auth help oidc", "auth help jwt"),
    "auth list": ("auth list", "auth list -detailed"),
    "auth move": ("auth move approle ci-approle", "auth move userpass team/userpass"),
    "auth tune": (
        "auth tune -default-lease-ttl=1h approle",
        "auth tune -user-lockout-threshold=10 -user-lockout-duration=15m userpass",
    ),
    "completion": ('eval "$(vaultctl completion bash)"', "completion fish > ~/.config/fish/completions/vaultctl.fish"),
    "crypto inventory": ("crypto inventory -profile=anssi", "crypto inventory -format=json > keys.json"),
    "delete": ("delete secret/data/app", "delete auth/approle/role/billing"),
    "env export": (
        "umask 077 && vaultctl env export secret/billing > .env",
        'eval "$(vaultctl env export -format=shell secret/billing)"',
    ),
    "env import": ("env import secret/billing .env", "env import -merge secret/billing - < .env"),
    "hsm ceremony run": (
        f"hsm ceremony run {_DEVICE} -key-label=kek script.json transcript.json",
        f"hsm ceremony run -dry-run {_DEVICE} -key-label=kek script.json transcript.json",
    ),
    "hsm ceremony sign": (
        "hsm ceremony sign -name='Ada Lovelace' transcript.json",
        "hsm ceremony sign -name='Ada Lovelace' -key=ada.pem transcript.json",
    ),
    "hsm ceremony verify": (
        "hsm ceremony verify transcript.json",
        "hsm ceremony verify -script=script.json transcript.json",
    ),
    "hsm generate-kek": (
        f"hsm generate-kek {_DEVICE} -key-label=kek",
        f"hsm generate-kek {_DEVICE} -key-label=kek -alg=rsa4096",
    ),
    "hsm import-kek": (
        f"hsm import-kek {_DEVICE} -key-label=kek",
        f"hsm import-kek -dry-run {_DEVICE} -key-label=kek",
    ),
    "hsm list-slots": (
        "hsm list-slots -lib=/usr/lib/softhsm/libsofthsm2.so",
        "hsm list-slots -format=json -lib=/usr/lib/libCryptoki2_64.so",
    ),
    "hsm probe": (f"hsm probe {_DEVICE}", f"hsm probe -pin=file:///etc/coffre/pin {_DEVICE}"),
    "hsm retire-kek": (
        f"hsm retire-kek {_DEVICE} -key-label=kek 3",
        f"hsm retire-kek -dry-run {_DEVICE} -key-label=kek 3",
    ),
    "hsm rewrap": ("hsm rewrap hsm-a", "hsm rewrap -status hsm-a"),
    "hsm rotate-kek": (
        f"hsm rotate-kek {_DEVICE} -key-label=kek",
        f"hsm rotate-kek -dry-run {_DEVICE} -key-label=kek",
    ),
    "hsm test": (f"hsm test {_DEVICE} -key-label=kek", f"hsm test -count=1000 {_DEVICE} -key-label=kek"),
    "identity explain": ("identity explain ada", "identity explain -format=json ada"),
    "kv delete": ("kv delete secret/app", "kv delete -versions=3,4 secret/app"),
    "kv destroy": ("kv destroy -versions=3 secret/app", "kv destroy -mount=secret -versions=1,2 app"),
    "kv enable-versioning": ("kv enable-versioning old/", "kv enable-versioning team/secrets"),
    "kv get": (
        "kv get secret/app",
        "kv get -field=password secret/app",
        "kv get -version=2 -format=json secret/app",
    ),
    "kv list": ("kv list secret/", "kv list -mount=secret team"),
    "kv metadata delete": ("kv metadata delete secret/app", "kv metadata delete -mount=secret app"),
    "kv metadata get": ("kv metadata get secret/app", "kv metadata get -format=json secret/app"),
    "kv metadata patch": (
        "kv metadata patch -custom-metadata=owner=ada secret/app",
        "kv metadata patch -remove-custom-metadata=owner secret/app",
    ),
    "kv metadata put": (
        "kv metadata put -max-versions=5 -cas-required secret/app",
        "kv metadata put -delete-version-after=720h secret/app",
    ),
    "kv patch": ("kv patch secret/app password=@password.txt", "kv patch -remove-data=old secret/app new=1"),
    "kv put": (
        "kv put secret/app user=ada password=@password.txt",
        "kv put -cas=0 secret/app - < app.json",
    ),
    "kv rollback": ("kv rollback -version=2 secret/app", "kv rollback -mount=secret -version=2 app"),
    "kv scan": ("kv scan secret/", "kv scan -format=json secret/team"),
    "kv undelete": ("kv undelete -versions=3 secret/app", "kv undelete -mount=secret -versions=3,4 app"),
    "lease lookup": ("lease lookup auth/approle/login/h1f2", "lease lookup -format=json auth/approle/login/h1f2"),
    "lease renew": ("lease renew auth/approle/login/h1f2", "lease renew -increment=30m auth/approle/login/h1f2"),
    "lease revoke": ("lease revoke auth/approle/login/h1f2", "lease revoke -prefix auth/approle/"),
    "list": ("list sys/policies/acl", "list -limit=100 -after=app secret/metadata"),
    "login": (
        "login",
        "login -method=userpass username=ada",
        "login -method=oidc -path=keycloak role=operator",
    ),
    "monitor": ("monitor", "monitor -log-level=debug -log-format=json"),
    "namespace create": (
        "namespace create team-a",
        "namespace create -custom-metadata=owner=ada team-a",
        "namespace create -key-shares=3 -key-threshold=2 vaulted",
    ),
    "namespace delete": ("namespace delete team-a", "namespace delete -namespace=team-a project"),
    "namespace delete-sealed": ("namespace delete-sealed -force team-a",
                                "namespace delete-sealed -force -namespace=team-a project"),
    "namespace list": ("namespace list", "namespace list -detailed -namespace=team-a"),
    "namespace lock": ("namespace lock team-a", "namespace lock -namespace=team-a"),
    "namespace lookup": ("namespace lookup team-a", "namespace lookup -format=json team-a"),
    "namespace patch": (
        "namespace patch -custom-metadata=owner=grace team-a",
        "namespace patch -remove-custom-metadata=owner team-a",
    ),
    "namespace scan": ("namespace scan", "namespace scan -detailed -namespace=team-a"),
    "namespace seal": ("namespace seal vaulted", "namespace seal -namespace=team-a project"),
    "namespace seal-status": ("namespace seal-status vaulted", "namespace seal-status -format=json vaulted"),
    "namespace unlock": ("namespace unlock -unlock-key=KEY team-a", "namespace unlock team-a"),
    "namespace unseal": ("namespace unseal vaulted", "namespace unseal -reset vaulted"),
    "nhi approve": (
        "nhi approve -ask -token-file=narrow.biscuit > request",
        "nhi approve -request=request -approver=night-shift -change=CHG-7 -ttl=5m > approval",
        "nhi approve -block=approval -token-file=narrow.biscuit > approved.biscuit",
    ),
    "nhi attenuate": (
        "nhi attenuate -op=read -path='secret/data/billing/*' -ttl=5m > narrow.biscuit",
        "nhi attenuate -token-file=narrow.biscuit -cidr=10.20.0.0/16 -seal",
    ),
    "nhi credentials": (
        "nhi credentials -workload=billing",
        "nhi credentials -anomaly=several-sources -since=24h",
        "nhi credentials -never-presented -until=1h",
    ),
    "nhi failures": ("nhi failures", "nhi failures -registration=billing -format=json"),
    "nhi inspect": ("nhi inspect -token-file=narrow.biscuit", "nhi inspect -unverified -token-file=narrow.biscuit"),
    "nhi issue": ("nhi issue billing", "nhi issue -ttl=10m -field=token billing"),
    "nhi register": (
        "nhi register -policy=billing-ro -ttl=1h -max-ttl=8h billing",
        "nhi register -policy=billing-ro -field=client_secret -secret billing > secret",
    ),
    "nhi report": ("nhi report", "nhi report -format=json"),
    "nhi revoke": ("nhi revoke -id=6c1f0a52d94be8137705ce29b1f4a683", "nhi revoke -workload=billing -reason=INC-12 -dry-run"),
    "nhi seal": ("nhi seal -token-file=narrow.biscuit > sealed.biscuit", "nhi seal -token-file=- < narrow.biscuit"),
    "nhi tree": ("nhi tree 9a40", "nhi tree -format=svg 9a40 > tree.svg"),
    "nhi workload delete": ("nhi workload delete billing", "nhi workload delete -mount=team/nhi billing"),
    "nhi workload list": ("nhi workload list", "nhi workload list -format=json"),
    "nhi workload read": ("nhi workload read billing", "nhi workload read -format=json billing"),
    "nhi workload write": (
        "nhi workload write -owner=team-billing -ttl=90d billing",
        "nhi workload write -owner=team-billing -ttl=90d -description='Invoices at night' billing",
    ),
    "operator db check": (
        "operator db check -config=/etc/coffre/config.hcl",
        "operator db check -config=/etc/coffre/config.hcl -format=json",
    ),
    "operator db init": (
        "operator db init -config=/etc/coffre/config.hcl",
        "operator db init -config=/etc/coffre/config.hcl -owner=coffre_owner -owner-password-file=/run/credentials/owner",
    ),
    "operator db migrate": (
        "operator db migrate -config=/etc/coffre/config.hcl",
        "operator db migrate -config=/etc/coffre/config.hcl -owner=coffre_owner -owner-password-file=/run/credentials/owner",
    ),
    "operator upgrade-check": (
        "operator upgrade-check -config=/etc/coffre/config.hcl",
        "operator upgrade-check -database=/var/lib/coffre/coffre.db -format=json",
    ),
    "operator migrate": (
        "operator migrate -config=migrate.hcl",
        "operator migrate -config=migrate.hcl -progress",
    ),
    "operator diagnose": (
        "operator diagnose -config=/etc/coffre/config.hcl",
        "operator diagnose -config=/etc/coffre/config.hcl -format=json",
    ),
    "operator generate-root": (
        "operator generate-root -init",
        "operator generate-root",
        "operator generate-root -decode=- -otp=OTP",
    ),
    "operator init": (
        "operator init -key-shares=5 -key-threshold=3",
        "operator init -n=3 -t=2 -pgp-keys=ada.asc,grace.asc,alan.asc",
        "operator init -recovery-shares=5 -recovery-threshold=3",
    ),
    "operator key-status": ("operator key-status", "operator key-status -format=json"),
    "operator members": ("operator members", "operator members -format=json"),
    "operator rekey": ("operator rekey -init -key-shares=7 -key-threshold=4", "operator rekey -status"),
    "operator rotate": ("operator rotate", "operator rotate -format=json"),
    "operator rotate-keys": (
        "operator rotate-keys -init -key-shares=7 -key-threshold=4",
        "operator rotate-keys -status",
    ),
    "operator rotate-root": ("operator rotate-root -dry-run", "operator rotate-root"),
    "operator seal": ("operator seal", "operator seal -address=https://vault.example.org:8200"),
    "operator seal-slots add": ("operator seal-slots add hsm-b", "operator seal-slots add -dry-run hsm-b"),
    "operator seal-slots demote": ("operator seal-slots demote hsm-a", "operator seal-slots demote -dry-run hsm-a"),
    "operator seal-slots list": ("operator seal-slots list", "operator seal-slots list -format=json"),
    "operator seal-slots promote": ("operator seal-slots promote hsm-b",
                                    "operator seal-slots promote -dry-run hsm-b"),
    "operator seal-slots remove": ("operator seal-slots remove hsm-a", "operator seal-slots remove -dry-run hsm-a"),
    "operator seal-slots rewrap": ("operator seal-slots rewrap hsm-a", "operator seal-slots rewrap -status hsm-a"),
    "operator seal-slots verify": ("operator seal-slots verify hsm-a",
                                   "operator seal-slots verify -format=json hsm-a"),
    "operator snapshot save": (
        "operator snapshot save -config=/etc/coffre/config.hcl /backup/coffre.db",
        "operator snapshot save -config=/etc/coffre/config.hcl -recipients-file=/etc/coffre/backup.recipients /backup/coffre.age",
        "operator snapshot save -database=/var/lib/coffre/coffre.db -progress /backup/coffre.db",
    ),
    "operator snapshot inspect": (
        "operator snapshot inspect /backup/coffre.db",
        "operator snapshot inspect -identity=key.txt -format=json /backup/coffre.age",
    ),
    "operator snapshot verify": (
        "operator snapshot verify /backup/coffre.db",
        "operator snapshot verify -identity=key.txt /backup/coffre.age",
    ),
    "operator snapshot list": (
        "operator snapshot list -config=/etc/coffre/config.hcl",
        "operator snapshot list -config=/etc/coffre/config.hcl -format=json",
    ),
    "operator snapshot status": ("operator snapshot status", "operator snapshot status -format=json"),
    "operator snapshot restore": (
        "operator snapshot restore -config=/etc/coffre/config.hcl /backup/coffre.db",
        "operator snapshot restore -config=/etc/coffre/config.hcl -dry-run -identity=key.txt /backup/coffre.age",
        "operator snapshot restore -database=/var/lib/coffre/coffre.db /backup/coffre.db",
    ),
    "operator step-down": ("operator step-down", "operator step-down -address=https://vault-b.example.org:8200"),
    "operator unseal": ("operator unseal", "operator unseal -reset", "operator unseal -migrate"),
    "operator validate-config": (
        "operator validate-config -config=/etc/coffre/config.hcl",
        "operator validate-config -config=/etc/coffre/conf.d",
    ),
    "patch": ("patch secret/data/app - < change.json", "patch identity/entity/id/ID metadata=team=billing"),
    "path-help": ("path-help secret", "path-help auth/approle/role/billing"),
    "plugin deregister": ("plugin deregister secret old", "plugin deregister -version=v1.0.0 auth old"),
    "plugin info": ("plugin info secret kv", "plugin info -format=json auth jwt"),
    "plugin list": ("plugin list", "plugin list -detailed auth"),
    "plugin register": ("plugin register -sha256=SUM -command=db secret db",
                        "plugin register -sha256=SUM -version=v1.2.0 auth own"),
    "plugin reload": ("plugin reload -plugin=kv", "plugin reload -mounts=secret/"),
    "policy delete": ("policy delete billing-ro", "policy delete -namespace=team-a billing-ro"),
    "policy explain": (
        "policy explain secret/data/app",
        "policy explain secret/data/app -capability=update",
        "policy explain secret/data/app -policy=billing-ro",
    ),
    "policy fmt": ("policy fmt billing.hcl", "policy fmt ~/policies/admin.hcl"),
    "policy list": ("policy list", "policy list -namespace=team-a"),
    "policy read": ("policy read default", "policy read billing-ro > billing.hcl"),
    "policy write": (
        "policy write billing-ro billing.hcl",
        "policy write billing-ro - < billing.hcl",
    ),
    "port back": (
        "port back -from=https://bao.example:8200 -from-token-file=bao.token -journal=move.journal",
        "port back -from=http://127.0.0.1:8200 -journal=move.journal",
    ),
    "port export": (
        "port export -recipients-file=operators.txt -sign-key=$HOME/.ssh/id_ed25519 archive",
        "port export -since=archive -recipients-file=operators.txt -sign-key=$HOME/.ssh/id_ed25519 delta",
    ),
    "port import": (
        "port import -identity=operator.key -signers=allowed_signers archive",
        "port import -identity=operator.key -signers=allowed_signers -journal=archive.import-0a1b2c3d.journal delta",
    ),
    "port move": (
        "port move -from=https://bao.example:8200 -from-token-file=bao.token -journal=move.journal",
        "port move -from=https://bao.example:8200 -from-token-file=bao.token -journal=move.journal -switch",
    ),
    "port verify": (
        "port verify -from=https://bao.example:8200 -from-token-file=bao.token -decisions=10000",
        "port verify -identity=operator.key -signers=allowed_signers archive",
        "port verify -offline -signers=allowed_signers archive",
    ),
    "print token": ("print token", "VAULT_ADDR=https://vault.example.org:8200 vaultctl print token"),
    "read": ("read sys/health", "read -format=json auth/approle/role/billing/role-id", "read secret/data/app version=2"),
    "run": (
        "run secret/billing -- ./billing --port 8080",
        "run -prefix=DB_ secret/db -- psql",
        "run -env=PGPASSWORD=secret/db#password -- pg_dump billing",
    ),
    "scan": ("scan secret/metadata", "scan -limit=100 secret/metadata/team"),
    "secrets disable": ("secrets disable old/", "secrets disable -namespace=team-a kv"),
    "secrets enable": (
        "secrets enable -path=secret kv-v2",
        "secrets enable -path=team -version=2 -description='Team A' kv",
        "secrets enable nhi",
    ),
    "secrets list": ("secrets list", "secrets list -detailed -format=json"),
    "secrets move": ("secrets move old/ archive/old/", "secrets move kv team/kv"),
    "secrets tune": (
        "secrets tune -max-lease-ttl=24h secret/",
        "secrets tune -audit-non-hmac-response-keys=version secret/",
    ),
    "conformance": (
        "conformance run --manifest manifest.toml --report report.json",
        "conformance explain ESA-KV-005",
        "conformance list --profile kv-consume",
    ),
    "server": ("server -config=/etc/coffre/config.hcl", "server -dev", "server -test-config -config=/etc/coffre/config.hcl"),
    "ssh": (
        "ssh -mode=ca -role=developers deploy@server.example",
        "ssh -mode=otp -role=otp deploy@192.0.2.10 -p 2222",
        "ssh -mode=ca -role=developers -no-exec -field=signed_key deploy@server.example",
    ),
    "status": ("status", "status -format=json", "status -field=sealed"),
    "token capabilities": ("token capabilities secret/data/app", "token capabilities -accessor ACCESSOR secret/data/app"),
    "token create": (
        "token create -policy=reader -ttl=1h",
        "token create -orphan -period=24h -display-name=backup -policy=backup",
        "token create -type=batch -policy=reader -ttl=20m -field=token",
    ),
    "token lookup": ("token lookup", "token lookup -accessor ACCESSOR"),
    "token renew": ("token renew", "token renew -increment=2h"),
    "token revoke": ("token revoke -self", "token revoke -accessor ACCESSOR", "token revoke -mode=orphan -accessor ACCESSOR"),
    "transit import": (
        "transit import transit/keys/orders @key.b64",
        "openssl pkcs8 -topk8 -nocrypt -in key.pem -outform DER | base64 | vaultctl transit import transit/keys/release - type=ecdsa-p256",
    ),
    "transit import-version": (
        "transit import-version transit/keys/orders @newer.b64",
        "transit import-version transit/keys/release @key.b64 version=1",
    ),
    "unwrap": ("unwrap WRAPPING_TOKEN", "VAULT_TOKEN=$(cat wrapped) vaultctl unwrap", "unwrap -field=password WRAPPING_TOKEN"),
    "version": ("version", "-version"),
    "version-history": ("version-history", "version-history -format=json"),
    "write": (
        "write auth/userpass/users/ada password=@password.txt token_policies=reader",
        "write -f auth/approle/role/billing/secret-id",
        "write sys/config/cors @cors.json",
    ),
}  # fmt: skip
"""Two or three by command, as they follow `vaultctl`, or with all of the line where more stands before that."""

_OF_GROUPS = {
    "": ("login", "kv put", "kv get"), "audit": ("audit query", "audit show", "audit verify"),
    "audit holds": ("audit holds place", "audit holds list", "audit holds lift"),
    "auth": ("auth enable", "auth list", "auth tune"), "env": ("env export", "env import"),
    "hsm": ("hsm list-slots", "hsm generate-kek", "hsm test"),
    "hsm ceremony": ("hsm ceremony run", "hsm ceremony sign", "hsm ceremony verify"),
    "kv": ("kv put", "kv get", "kv list"), "kv metadata": ("kv metadata get", "kv metadata put"),
    "lease": ("lease lookup", "lease renew", "lease revoke"),
    "namespace": ("namespace create", "namespace list", "namespace seal"),
    "nhi": ("nhi workload write", "nhi register", "nhi issue"),
    "nhi workload": ("nhi workload write", "nhi workload list"),
    "operator": ("operator init", "operator unseal", "operator snapshot save"),
    "operator seal-slots": ("operator seal-slots list", "operator seal-slots add", "operator seal-slots verify"),
    "plugin": ("plugin list", "plugin info"), "policy": ("policy write", "policy list", "policy explain"),
    "secrets": ("secrets enable", "secrets list", "secrets tune"),
    "token": ("token create", "token lookup", "token revoke"),
    "transit": ("transit import", "transit import-version"),
}  # fmt: skip
"""Commands whose first examples the help of a group shows; a group of one command shows that command's."""


def lines_of_group(name: str) -> list[str]:
    """The whole command lines of a group's examples; the root has no name."""
    if name in _OF_GROUPS:
        return [lines(command)[0] for command in _OF_GROUPS[name]]
    return next(lines(command) for command in EXAMPLES if command.startswith(f"{name} "))


def lines(name: str) -> list[str]:
    """The whole command lines of one command's examples."""
    return [line if "vaultctl " in line else f"vaultctl {line}" for line in EXAMPLES[name]]

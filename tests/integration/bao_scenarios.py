# SPDX-License-Identifier: EUPL-1.2
"""What operators type, as scenarios: command lines of `bao` that are played on both servers in turn.

`NAME=…` keeps what the rest of the line prints, and `{NAME}` puts it in; `< text` at the end is standard input.
"""

GROUND = ["secrets enable -path=two -version=2 kv", "kv put two/fresh x=1"]

KV2 = """
kv put two/app user=ada pass=one
kv put -format=json two/app user=ada pass=two
kv put -cas=1 two/app user=x
kv put -cas=2 -field=version two/app user=eve pass=three
kv put -mount=two deep/er/b n=1
kv put two/stdin - < {"n":1.5,"l":[1,{"a":null}],"t":"é","b":true}
kv get two/app
kv get -format=json two/app
kv get -format=yaml two/app
kv get -version=1 two/app
kv get -version=1 -field=pass two/app
kv get -field=none two/app
kv get -version=99 two/app
kv get two/none
kv get -format=json two/stdin
kv patch two/app pass=four
kv patch -method=rw two/app more=1
kv patch -cas=1 two/app more=2
kv patch -remove-data=more two/app
kv patch two/none x=1
kv get -format=json two/app
kv list two
kv list -format=json two/deep
kv list two/none
kv scan two
kv scan -format=json two
kv delete two/app
kv get two/app
kv get -format=json two/app
kv undelete -versions=6 two/app
kv get -field=pass two/app
kv delete -versions=1,2 two/app
kv get -version=2 two/app
kv undelete two/app
kv undelete -versions=1 two/app
kv destroy -versions=2 two/app
kv get -version=2 two/app
kv destroy two/app
kv rollback -version=1 two/app
kv rollback -version=2 two/app
kv rollback two/app
kv get two/app
kv metadata get two/app
kv metadata get -format=json two/app
kv metadata put -max-versions=4 -delete-version-after=3h -cas-required -custom-metadata=owner=ops two/app
kv put two/app x=1
kv metadata patch -custom-metadata=more=1 two/app
kv metadata patch -remove-custom-metadata=owner two/app
kv metadata patch -max-versions=-1 two/app
kv metadata get two/app
kv metadata put -custom-metadata=a=b two/fresh
kv metadata get two/fresh
kv metadata delete two/app
kv metadata get two/app
kv metadata get two/none
kv get two/fresh
kv put two/app
kv get nowhere/x
read two/config
write two/config max_versions=2 delete_version_after=90m
read -format=json two/config
read two/data/fresh
read two/subkeys/stdin
read -format=json two/subkeys/stdin depth=1
list two/metadata
list two/detailed-metadata
scan two/metadata
list -limit=1 two/metadata
list -after=deep/ two/metadata
patch two/data/stdin - < {"data":{"n":2}}
patch two/metadata/stdin max_versions=3
delete two/metadata/stdin
read two/data/stdin
""".strip().splitlines()

KV1 = """
secrets enable -path=one -version=1 -description=old kv
kv put one/app user=ada ttl=5m
kv get one/app
kv get -format=json one/app
kv get -field=user one/app
kv get one/none
kv put one/deep/er x=1
kv list one
kv list -format=json one/deep
kv list one/none
kv scan one
kv patch one/app user=x
kv undelete -versions=1 one/app
kv metadata get one/app
kv rollback -version=1 one/app
write one/generic x=1 y=@/dev/null
read one/generic
read -field=x one/generic
read -format=yaml one/generic
list one
scan one
write one/empty
kv delete one/app
kv get one/app
kv enable-versioning one
kv get one/generic
kv put one/generic x=2
kv metadata get one/generic
secrets list
secrets disable one
kv get one/generic
""".strip().splitlines()

MOUNTS = """
secrets enable -path=m -description=mine -default-lease-ttl=1h -max-lease-ttl=2h kv
secrets enable -path=m kv
secrets enable -path=other no-such-engine
secrets enable -path=sys kv
secrets enable -path=loc -local -version=2 kv
secrets list
secrets list -detailed
secrets list -format=json
secrets tune -default-lease-ttl=90m -description=tuned -listing-visibility=unauth m
secrets tune -max-lease-ttl=30m m
secrets tune -audit-non-hmac-request-keys=a -audit-non-hmac-request-keys=b -passthrough-request-headers=X m
secrets tune none
read sys/mounts/m/tune
read -format=json sys/mounts/m
kv put m/x a=1
secrets move m n
kv get n/x
kv get m/x
secrets move none elsewhere
secrets disable n
secrets disable n
secrets disable loc
secrets disable sys
auth list
auth list -format=json
auth list -detailed
audit list
audit list -detailed
audit list -format=json
audit enable file file_path=/dev/null
audit disable none
write sys/audit-hash/none input=x
write -field=sum sys/tools/hash/sha2-256 input=YQ==
write sys/tools/hash/md5 input=YQ==
read sys/internal/ui/mounts
read sys/internal/ui/mounts/none
read sys/auth/token/tune
path-help two
path-help none
delete none/x
read sys/none
list sys/none
""".strip().splitlines()

TOKENS = """
policy write reader - < path "one/*" { capabilities = ["read", "list"] }
policy write bad - < path "one/*" { capabilities = ["fly"] }
policy write worse - < path {
policy read reader
policy read -format=json reader
policy read none
policy list
policy list -format=json
policy fmt none.hcl
TOKEN=token create -policy=reader -ttl=1h -explicit-max-ttl=3h -display-name=me -metadata=a=b -field=token
ACCESSOR=token lookup -field=accessor {TOKEN}
token lookup {TOKEN}
token lookup -format=json {TOKEN}
token lookup -accessor {ACCESSOR}
token capabilities {TOKEN} one/a
token capabilities {TOKEN} sys/mounts
token capabilities -accessor {ACCESSOR} one/a
token capabilities one/a
token renew {TOKEN}
token renew -increment=30m -format=json {TOKEN}
token renew -accessor {ACCESSOR}
token renew -increment=9h -field=token {TOKEN}
token create -policy=reader -policy=default -period=30m
token create -format=json -orphan -use-limit=4 -type=service
token create -type=batch -policy=reader -ttl=5m
token create -id=my-own-name -ttl=5m -policy=default
token create -id=my-own-name -ttl=5m -policy=default
token create -id=s.taken -policy=default
token create -role=none
token create -ttl=nonsense
token create -no-default-policy -policy=lonely -renewable=false -format=json
CHILD=token create -policy=root -field=token
token revoke {CHILD}
token lookup {CHILD}
token revoke {CHILD}
OTHER=token create -policy=default -field=token_accessor
token revoke -accessor {OTHER}
token revoke -accessor {OTHER}
token revoke -mode=orphan my-own-name
token revoke
token lookup
token lookup no-such-token
token lookup -accessor nothing
list auth/token/accessors/none
login -no-store {TOKEN}
login -no-store wrong
login -no-store -format=json {TOKEN}
login -no-store -token-only {TOKEN}
login -field=policies {TOKEN}
print token
WRAP=kv get -wrap-ttl=60s -field=wrapping_token two/fresh
WRITTEN=write -wrap-ttl=5m -field=wrapping_token sys/wrapping/wrap x=1 y=two
write sys/wrapping/lookup token={WRITTEN}
unwrap -format=json {WRITTEN}
unwrap {WRITTEN}
unwrap nothing
MADE=token create -policy=default -ttl=20m -wrap-ttl=60s -field=wrapping_token
unwrap -field=token_duration {MADE}
token create -wrap-ttl=60s -policy=default
token revoke -self
policy delete reader
policy delete none
policy delete default
policy delete root
policy write root - < path "a" {}
policy read root
policy read default
""".strip().splitlines()

LIMITED = """
kv put two/limited a=1
policy write narrow - < path "two/data/limited" { capabilities = ["read"] }
NARROW=token create -policy=narrow -field=token
LOGIN=login -token-only {NARROW}
-{LOGIN} kv get two/limited
-{LOGIN} kv put two/limited a=2
-{LOGIN} kv list two
-{LOGIN} secrets list
-{LOGIN} policy list
-{LOGIN} token lookup
-{LOGIN} token capabilities two/data/limited
-{LOGIN} token create -policy=root
-{LOGIN} token create -policy=narrow -ttl=5m
-{LOGIN} operator key-status
-{LOGIN} operator seal
-{LOGIN} audit list
-{LOGIN} read sys/policies/acl/narrow
-{LOGIN} token revoke -self
-{LOGIN} token lookup
-none token lookup
-none kv get two/limited
""".strip().splitlines()

OPERATOR = """
status
status -format=json
operator init -status
operator unseal AAAA
operator init -key-shares=2 -key-threshold=3
SHARES=operator init -key-shares=5 -key-threshold=3 -format=json
operator init -status
operator init
status
status -format=json
kv get secret/x
operator unseal {SHARES.keys.0}
operator unseal -format=json {SHARES.b64.1}
operator unseal not-a-key
operator unseal -reset
operator unseal {SHARES.keys.2}
operator unseal {SHARES.keys.3}
operator unseal {SHARES.keys.3}
operator unseal {SHARES.keys.4}
status
-{SHARES.root} token lookup -format=json
-{SHARES.root} operator key-status
-{SHARES.root} operator rotate
-{SHARES.root} operator key-status -format=json
-{SHARES.root} secrets list
-{SHARES.root} policy list
-{SHARES.root} read sys/rotate/config
-{SHARES.root} read sys/leader
-{SHARES.root} read -format=json sys/seal-status
-{SHARES.root} operator seal
status
-{SHARES.root} operator seal
-{SHARES.root} kv get secret/x
""".strip().splitlines()

ODD = """
kv put -mount=two a/ x=1
kv put two/ x=1
kv put two x=1
write two/data/b x=1
kv get -mount=two a//b
kv put two/é/ü x=ö
kv get -field=x two/é/ü
kv put two/sp%20ace x=1
kv put "two/with space" x=1
kv list two
kv put two/.. x=1
kv put two/a/../b x=1
auth tune token
auth tune -description=x token
auth disable token
audit disable x
lease lookup x
lease renew x
version-history -format=raw
monitor extra
secrets enable
kv put -bogus two/x a=1
no-such-command
write sys/tools/random/8 format=base7
write -force sys/rotate
read sys/capabilities-self
write sys/capabilities-self paths=two/a paths=sys/mounts
write -format=json sys/capabilities token=nobody paths=a
""".strip().splitlines()

NAMESPACES = """
namespace list
namespace create a
namespace create -custom-metadata=k=v b
namespace create -namespace=a inner
namespace create sys
namespace create a/b
namespace list
namespace list -detailed -namespace=a
namespace scan
namespace lookup b
namespace patch -custom-metadata=x=y -remove-custom-metadata=k b
namespace lookup -format=json b
secrets enable -namespace=a -path=kv kv
secrets enable -namespace=a -path=two -version=2 kv
secrets list -namespace=a
secrets list -namespace=a/inner
secrets list -namespace=nowhere
kv put -namespace=a kv/x y=z
kv get -namespace=a kv/x
kv get a/kv/x
kv put -namespace=a two/x y=z
kv get -namespace=a -format=json two/x
kv get a/two/x
kv list -namespace=a kv
read -namespace=a kv/x
policy write -namespace=a p - < path "kv/*" { capabilities = ["read", "list"] }
policy list -namespace=a
policy read -namespace=a p
TOKEN=token create -namespace=a -policy=p -field=token
OTHER=token create -policy=default -field=token
-{TOKEN} token lookup
-{TOKEN} kv get -namespace=a kv/x
-{TOKEN} kv get a/kv/x
-{TOKEN} kv put -namespace=a kv/x y=q
-{TOKEN} kv get -namespace=b kv/x
-{TOKEN} kv list secret
-{TOKEN} secrets list -namespace=a
-{TOKEN} token capabilities -namespace=a kv/x
-{TOKEN} token renew
-{OTHER} kv get -namespace=a kv/x
token capabilities {TOKEN} a/kv/x
token lookup -namespace=a {TOKEN}
token revoke -namespace=a {TOKEN}
-{TOKEN} token lookup
namespace lock b
namespace unlock -namespace=b
audit list -namespace=a
operator seal -namespace=a
namespace delete a
namespace delete -namespace=a inner
namespace delete nowhere
""".strip().splitlines()

# The configuration of Coffre. `vaultctl server -test-config -config=/etc/coffre/config.hcl` looks at it, and at what it names.
storage "sqlite" {
  path = "/var/lib/coffre/coffre.db"
}

# A certificate of your authority. The group of the key is coffre, its mode 0640.
listener "tcp" {
  address       = "127.0.0.1:8200"
  tls_cert_file = "/etc/coffre/tls.crt"
  tls_key_file  = "/etc/coffre/tls.key"
}

audit "file" "main" {
  options {
    file_path = "/var/log/coffre/audit.log"
  }
}

pid_file = "/run/coffre/coffre.pid"

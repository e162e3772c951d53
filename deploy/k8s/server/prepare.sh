#!/bin/sh
# Settings and identity of each service of the pod, in memory, for that service alone: what is mounted of a Secret belongs to
# root and is open to a group, and a key that others could read is refused.
#
#   /secrets/<service>/   ca.pem, cert.pem, key.pem, smtp.cert.pem, smtp.key.pem, and for Transport organization.key
#   /settings/<service>/  what the container of the service mounts as /etc/postroad
set -eu
umask 077
root=${ROOT:-} # for its test
template=$root/${TEMPLATE:-template}
for service in $SERVICES; do
    to=$root/settings/$service
    mkdir -p "$to/identity/$service" "$to/identity/smtp"
    cat "$root/secrets/$service/ca.pem" >"$to/identity/ca.pem"
    for part in cert key; do
        cat "$root/secrets/$service/$part.pem" >"$to/identity/$service/$part.pem"
        [ ! -e "$root/secrets/$service/smtp.$part.pem" ] || cat "$root/secrets/$service/smtp.$part.pem" >"$to/identity/smtp/$part.pem"
    done
    [ ! -e "$root/secrets/$service/organization.key" ] || cat "$root/secrets/$service/organization.key" >"$to/identity/organization.key"
    sed "s|@SERVER@|$SERVER|; s|@FOREST@|$FOREST|; s|@ETCD@|$ETCD|; s|@SERVICE@|$service|" "$template/server.toml" >"$to/server.toml"
done

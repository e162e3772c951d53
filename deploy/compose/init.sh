#!/bin/sh
# What has to be there before the first service starts: authorities, the certificates and settings of every server, the folder
# of tools. Runs in a container of its own without a network, and again at every start; what is there stays valid.
#
#   /volumes/1-4  settings of BERLIN1, BERLIN2, OSLO1, OSLO2    /volumes/6  the organization's authority, for this alone
#   /volumes/5    the internet's files                          /volumes/7  configuration of Prometheus
#   /lab          for tools: like the folder of a lab           /volumes/8  certificates of etcd
#   /volumes/9    what tools looks with: an administrator's certificate, which no server has
set -eu
umask 077

traces=${OTLP:-http://$NETWORK.0.4:4317}
deploy=/deploy
authority=/volumes/6/authority

[ -e "$authority/ca" ] || postroad cert init --forest contoso.example --path "$authority" >/dev/null
[ -e /volumes/5/authority/ca ] || postroad cert init --forest internet.lab.example --path /volumes/5/authority >/dev/null

# etcd asks its clients for certificates of the organization, and shows one itself.
postroad cert issue --ca "$authority" --server ETCD --fqdn etcd.contoso.example --service transport --path /volumes/8

# Settings of one server. Each service listens on the address of its own container.
settings() {
    cat <<END
server = "$1"
forest = "contoso.example"
state = "/var/lib/postroad"
otlp = "$traces"
dns = ["$NETWORK.0.53:5300"]
trusted-roots = "/etc/postroad/internet.pem"
allow-private-targets = true

[directory]
kind = "etcd"
endpoints = ["https://etcd.contoso.example:2379"]
ca = "/etc/postroad/identity/ca.pem"
identity = "/etc/postroad/identity/transport"

[identity]
path = "/etc/postroad/identity"

[services.frontend-transport]
smtp = "$2.$(($3 + 1)):2525"
submission = "$2.$(($3 + 1)):5587"
organization = "$2.$(($3 + 1)):5717"
metrics = "$2.$(($3 + 1)):9717"

[services.transport]
organization = "$2.$(($3 + 2)):7525"
metrics = "$2.$(($3 + 2)):9525"

[services.mailbox-submission]
metrics = "$2.$(($3 + 3)):9476"

[services.mailbox-delivery]
organization = "$2.$(($3 + 4)):5475"
metrics = "$2.$(($3 + 4)):9475"
END
}

# What `postroad lab` commands know a server by.
status() {
    cat <<END
    {"name": "$1", "fqdn": "$2", "address": "$3.$(($4 + 1))", "settings": "/lab/servers/$1/server.toml",
     "smtp": "$3.$(($4 + 1)):2525", "submission": "$3.$(($4 + 1)):5587", "processes": [
      {"service": "frontend-transport", "pid": 1, "metrics": "$3.$(($4 + 1)):9717", "log": "/proc/1/fd/2"},
      {"service": "transport", "pid": 1, "metrics": "$3.$(($4 + 2)):9525", "log": "/proc/1/fd/2"},
      {"service": "mailbox-submission", "pid": 1, "metrics": "$3.$(($4 + 3)):9476", "log": "/proc/1/fd/2"},
      {"service": "mailbox-delivery", "pid": 1, "metrics": "$3.$(($4 + 4)):9475", "log": "/proc/1/fd/2"}]}
END
}

servers=""
# volume, server, site's network, first address
while read -r volume name network first; do
    fqdn="$(echo "$name" | tr '[:upper:]' '[:lower:]').contoso.example"
    folder=/volumes/$volume
    postroad cert issue --ca "$authority" --server "$name" --fqdn "$fqdn" --path "$folder/identity"
    cp /volumes/5/authority/ca/cert.pem "$folder/internet.pem"
    settings "$name" "$network" "$first" >"$folder/server.toml"
    mkdir -p "/lab/servers/$name/state" "/lab/servers/$name/identity"
    cp "$folder/server.toml" "/lab/servers/$name/server.toml"
    cp "$folder/identity/ca.pem" "/lab/servers/$name/identity/ca.pem"
    servers="$servers${servers:+,}
$(status "$name" "$fqdn" "$network" "$first")"
done <<END
1 BERLIN1 $NETWORK.101 10
2 BERLIN2 $NETWORK.101 20
3 OSLO1 $NETWORK.102 10
4 OSLO2 $NETWORK.102 20
END

# `postroad queue` and the like. The directory is asked by BERLIN1's settings, with a certificate of their own.
postroad cert issue --ca "$authority" --server TOOLS --fqdn tools.contoso.example --service transport --path /volumes/9/identity
postroad cert issue --ca "$authority" --administrator operator --path /volumes/9/identity
cp /volumes/1/server.toml /volumes/1/internet.pem /volumes/9/

# The folder in which the commands look for a lab unless told otherwise.
mkdir -p /lab/.postroad
ln -sfn /lab /lab/.postroad/lab
mkdir -p /lab/internet /volumes/5/deliveries /volumes/5/traces
# The organization is the lab file without its two other sections.
awk '/^[a-zA-Z]+:/ {skip = /^(internet|lab):/} !skip' "$deploy/lab/two-sites.yaml" >/lab/organization.yaml
cat >/lab/lab.json <<END
{"pid": null, "network": "$NETWORK.0.0", "dns": "$NETWORK.0.53:5300", "smtpPort": 2500, "otlp": "$traces",
  "deliveries": "/lab/internet/deliveries", "traces": "/lab/internet/traces", "servers": [$servers]}
END

# Prometheus is another user, and its configuration is no secret.
sed "s/@NETWORK@/$NETWORK/g" "$deploy/compose/prometheus/prometheus.yml" >/volumes/7/prometheus.yml
chmod 755 /volumes/7
chmod 644 /volumes/7/prometheus.yml

#!/bin/sh
# What has to be there before the first service starts: authorities, certificates and settings, each for one service alone, and
# whose the volumes are. Runs in a container of its own without a network, as root with no more than the rights to give files
# away, and again at every start; what is there stays valid.
#
#   /volumes/authority            the organization's authority and that of etcd's members, for this alone
#   /volumes/SERVER-SERVICE       settings and state of a service      /volumes/etcdN       certificates and data of a member
#   /volumes/configure            etcd's root, an administrator, the organization's key and file
#   /volumes/tools                an administrator's certificate       /lab                 like the folder of a lab
#   /volumes/centre               that of the admin centre, and its state
#   /volumes/internet             what arrived there, and traces       /volumes/internet-authority  of its hosts' certificates
#   /volumes/monitoring           configuration of Prometheus
#   /volumes/edge1                with PERIMETER: settings and state of the Edge server
set -eu
umask 077

traces=${OTLP:-http://$NETWORK.0.4:4317}
deploy=/deploy
authority=/volumes/authority
internet=/volumes/internet
outside=/volumes/internet-authority
# The user of the image, who reads mailboxes, and the group to which these belong.
people=10001

# A folder that is one user's.
folder() { mkdir -p "$2" && chown "$1:$1" "$2" && chmod 700 "$2"; }

# A folder of mailboxes, which users of that group share. What an earlier version left there belonged to one user.
share() {
    [ "$(stat -c '%a %g' "$1")" != "2770 $people" ] || return 0
    chgrp -Rh $people "$1" && chown $people "$1"
    find "$1" -type d -exec chmod 2770 {} + && find "$1" -type f -exec chmod 660 {} +
}

# A file for one user, whole at every moment: services read what is renewed while they run. What comes in by `-` is the content.
give() {
    [ -d "${3%/*}" ] || folder "$1" "${3%/*}"
    cat "$2" >"$3.new"
    chown "$1:$1" "$3.new"
    mv "$3.new" "$3"
}

# A certificate, its key and whom its owner believes.
pair() {
    for part in key cert; do give "$1" "$2/$part.pem" "$3/$part.pem"; done
}

[ -e "$authority/organization" ] || postroad cert init --forest contoso.example --path "$authority/organization" >/dev/null
[ -e "$authority/etcd" ] || postroad cert init --forest etcd.contoso.example --path "$authority/etcd" >/dev/null
[ -e "$outside/ca" ] || postroad cert init --forest internet.lab.example --path "$outside" >/dev/null
chown -R $people:$people "$outside"
folder $people "$internet"
folder $people "$internet/deliveries"
folder $people "$internet/traces"

# etcd shows its clients a certificate of the organization, and its fellows one of their own authority.
for member in 1 2 3; do
    user=$((10500 + member)) to=/volumes/etcd$member
    for kind in organization:client etcd:peer; do
        issued=$authority/issued/${kind#*:}$member
        postroad cert issue --ca "$authority/${kind%:*}" --server "ETCD$member" --fqdn "etcd$member.contoso.example" \
            --service transport --path "$issued" >/dev/null
        pair $user "$issued/smtp" "$to/settings/${kind#*:}"
        give $user "$issued/ca.pem" "$to/settings/${kind#*:}/ca.pem"
    done
    folder $user "$to/settings"
    folder $user "$to/state"
done

# Settings of one service. Each listens on the address of its own container.
settings() { # server, service, site's network, first address
    cat <<END
server = "$1"
forest = "contoso.example"
state = "/var/lib/postroad"
mailboxes = "/var/lib/mailboxes"
otlp = "$traces"
dns = ["$NETWORK.0.53:5300"]
trusted-roots = "/etc/postroad/internet.pem"

[directory]
kind = "etcd"
endpoints = [
    "https://etcd1.contoso.example:2379", "https://etcd2.contoso.example:2379", "https://etcd3.contoso.example:2379",
]
ca = "/etc/postroad/identity/ca.pem"
identity = "/etc/postroad/identity/$2/etcd"

[identity]
path = "/etc/postroad/identity"

[services.frontend-transport]
smtp = "$3.$(($4 + 10)):2525"
submission = "$3.$(($4 + 10)):5587"
organization = "$3.$(($4 + 10)):5717"
metrics = "$3.$(($4 + 10)):9717"

[services.transport]
organization = "$3.$(($4 + 18)):7525"
metrics = "$3.$(($4 + 18)):9525"

[services.mailbox-submission]
metrics = "$3.$(($4 + 26)):9476"

[services.mailbox-delivery]
organization = "$3.$(($4 + 34)):5475"
metrics = "$3.$(($4 + 34)):9475"
END
    [ "$2" != admin ] || cat <<END

[services.admin]
organization = "$NETWORK.103.50:5477"
metrics = "$NETWORK.103.50:9477"
END
    # Where the Edge server is: it announces itself to nobody inside.
    [ -z "${PERIMETER:-}" ] || cat <<END

[peers.EDGE1]
transport = "$NETWORK.104.10:7525"
admin = "$NETWORK.104.10:5477"
END
}

# The Edge server is a forest by itself: nothing of the organization's is among what it has.
edge() {
    issued=$authority/issued/EDGE1 to=/volumes/edge1 user=10601
    [ -e "$authority/edge1" ] || postroad cert init --forest edge1.contoso.example --path "$authority/edge1" >/dev/null
    postroad cert issue --ca "$authority/edge1" --server EDGE1 --fqdn edge1.contoso.example --service transport --service admin \
        --path "$issued" >/dev/null
    folder $user "$to/settings"
    folder $user "$to/state"
    for file in ca.pem organization.key; do give $user "$issued/$file" "$to/settings/identity/$file"; done
    for part in transport admin smtp; do pair $user "$issued/$part" "$to/settings/identity/$part"; done
    give $user "$outside/ca/cert.pem" "$to/settings/internet.pem"
    give $user - "$to/settings/server.toml" <<END
server = "EDGE1"
forest = "edge1.contoso.example"
state = "/var/lib/postroad"
otlp = "$traces"
dns = ["$NETWORK.0.53:5300"]
trusted-roots = "/etc/postroad/internet.pem"

[directory]
kind = "embedded"
path = "/var/lib/postroad/directory.db"

[identity]
path = "/etc/postroad/identity"

[services.transport]
smtp = "$NETWORK.104.10:2525"
organization = "$NETWORK.104.10:7525"
metrics = "$NETWORK.104.10:9525"

[services.admin]
socket = "/var/lib/postroad/admin.sock"
organization = "$NETWORK.104.10:5477"
metrics = "$NETWORK.104.10:9477"
END
    give $user - "$to/settings/edge1.yaml" <<END
transportConfig: {privateTargetRanges: [$NETWORK.0.0/22]}
sites: [{name: Perimeter}]
servers: [{name: EDGE1, fqdn: edge1.contoso.example, site: Perimeter, role: Edge}]
END
}

# What one service gets: its own identity, the certificate for SMTP and the organization's key where it needs them, settings.
service() { # server, service, user, site's network, first address
    issued=$authority/issued/$1
    to=/volumes/$(echo "$1" | tr '[:upper:]' '[:lower:]')-$2
    folder "$3" "$to/settings"
    give "$3" "$issued/ca.pem" "$to/settings/identity/ca.pem"
    pair "$3" "$issued/$2" "$to/settings/identity/$2"
    give "$3" "$issued/$2/ca.pem" "$to/settings/identity/$2/ca.pem"
    pair "$3" "$issued/$2/etcd" "$to/settings/identity/$2/etcd"
    case "$2" in frontend-transport | transport) pair "$3" "$issued/smtp" "$to/settings/identity/smtp" ;; esac
    case "$2" in transport | admin) give "$3" "$issued/organization.key" "$to/settings/identity/organization.key" ;; esac
    give "$3" "$outside/ca/cert.pem" "$to/settings/internet.pem"
    settings "$1" "$2" "$4" "$5" | give "$3" - "$to/settings/server.toml"
    [ ! -d "$to/state" ] || folder "$3" "$to/state"
}

# What `postroad lab` commands know a server by.
status() {
    cat <<END
    {"name": "$1", "fqdn": "$2", "address": "$3.$(($4 + 10))", "settings": "/etc/postroad/server.toml",
     "smtp": "$3.$(($4 + 10)):2525", "submission": "$3.$(($4 + 10)):5587", "processes": [
      {"service": "frontend-transport", "pid": 1, "metrics": "$3.$(($4 + 10)):9717", "log": "/proc/1/fd/2"},
      {"service": "transport", "pid": 1, "metrics": "$3.$(($4 + 18)):9525", "log": "/proc/1/fd/2"},
      {"service": "mailbox-submission", "pid": 1, "metrics": "$3.$(($4 + 26)):9476", "log": "/proc/1/fd/2"},
      {"service": "mailbox-delivery", "pid": 1, "metrics": "$3.$(($4 + 34)):9475", "log": "/proc/1/fd/2"}]}
END
}

folder $people /lab
folder $people /lab/servers
servers=""
# server, site's network, first address, number of its users
while read -r name network first users; do
    fqdn="$(echo "$name" | tr '[:upper:]' '[:lower:]').contoso.example"
    all="--service frontend-transport --service transport --service mailbox-submission --service mailbox-delivery"
    [ "$name" != BERLIN1 ] || all="$all --service admin"
    # shellcheck disable=SC2086  # several options
    postroad cert issue --ca "$authority/organization" --server "$name" --fqdn "$fqdn" $all --path "$authority/issued/$name" >/dev/null
    service "$name" frontend-transport "${users}01" "$network" "$first"
    service "$name" transport "${users}02" "$network" "$first"
    service "$name" mailbox-submission "${users}03" "$network" "$first"
    service "$name" mailbox-delivery "${users}04" "$network" "$first"
    share "/volumes/mailboxes-$(echo "$name" | tr '[:upper:]' '[:lower:]')"
    [ "$name" != BERLIN1 ] || service "$name" admin "${users}05" "$network" "$first"
    for part in "" /state /state/mailboxes; do folder $people "/lab/servers/$name$part"; done
    give $people "$authority/issued/$name/ca.pem" "/lab/servers/$name/identity/ca.pem"
    servers="$servers${servers:+,}
$(status "$name" "$fqdn" "$network" "$first")"
done <<END
BERLIN1 $NETWORK.101 0 101
BERLIN2 $NETWORK.101 64 102
OSLO1 $NETWORK.102 0 103
OSLO2 $NETWORK.102 64 104
END

[ -z "${PERIMETER:-}" ] || edge

# Who works in tools administers by the admin service: neither etcd's certificate nor the organization's key is there.
postroad cert issue --ca "$authority/organization" --administrator operator --role-group 'Organization Management' \
    --path "$authority/issued/operator" >/dev/null
folder $people /volumes/tools
give $people "$authority/issued/operator/ca.pem" /volumes/tools/identity/ca.pem
pair $people "$authority/issued/operator/administrator" /volumes/tools/identity/administrator
settings BERLIN1 transport "$NETWORK.101" 0 | give $people - /volumes/tools/server.toml

# The admin centre administers by the admin service, too, as an administrator of its own.
postroad cert issue --ca "$authority/organization" --administrator centre --role-group 'Organization Management' \
    --path "$authority/issued/centre" >/dev/null
folder 10106 /volumes/centre/settings
give 10106 "$authority/issued/centre/ca.pem" /volumes/centre/settings/identity/ca.pem
pair 10106 "$authority/issued/centre/administrator" /volumes/centre/settings/identity/administrator
folder 10106 /volumes/centre/state

# The organization is the lab file without its two other sections.
organization=$authority/organization.yaml
awk '/^[a-zA-Z]+:/ {skip = /^(internet|lab):/} !skip' "$deploy/lab/two-sites.yaml" |
    sed "s|127\\.0\\.0\\.0/8|$NETWORK.0.0/22|" >"$organization"

# Who sets etcd and the organization up, once: as etcd's root, and as its administrator.
postroad cert issue --ca "$authority/organization" --etcd-root --path "$authority/issued/etcd-root" >/dev/null
to=/volumes/configure
folder 10701 "$to"
pair 10701 "$authority/issued/etcd-root" "$to/etcd-root"
give 10701 "$authority/issued/etcd-root/ca.pem" "$to/etcd-root/ca.pem"
give 10701 "$authority/issued/operator/ca.pem" "$to/identity/ca.pem"
folder 10701 "$to/identity/administrator"
pair 10701 "$authority/issued/operator/administrator/etcd" "$to/identity/administrator/etcd"
give 10701 "$authority/organization/organization.key" "$to/identity/organization.key"
settings BERLIN1 administrator "$NETWORK.101" 0 | give 10701 - "$to/server.toml"
give 10701 "$organization" "$to/organization.yaml"

# The folder in which the commands look for a lab unless told otherwise.
folder $people /lab/.postroad
ln -sfn /lab /lab/.postroad/lab
mkdir -p /lab/internet
give $people "$organization" /lab/organization.yaml
give $people - /lab/lab.json <<END
{"pid": null, "network": "$NETWORK.0.0", "dns": "$NETWORK.0.53:5300", "smtpPort": 2500, "otlp": "$traces",
  "deliveries": "/lab/internet/deliveries", "traces": "/lab/internet/traces", "servers": [$servers]}
END

folder 10602 /volumes/monitoring
sed "s/@NETWORK@/$NETWORK/g" "$deploy/compose/prometheus/prometheus.yml" | give 10602 - /volumes/monitoring/prometheus.yml

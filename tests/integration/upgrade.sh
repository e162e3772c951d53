#!/bin/bash
# A rolling upgrade under load with two programs, and the way back: upgrade.sh PREVIOUS NEXT [ROUNDS]
#
# Two servers of four processes each on this machine, one directory. While mail goes both ways without a pause, each service is ended and
# started by the next program, one after the other, then by the previous one again. At the end everything that was accepted has to be in
# the mailboxes, once.
set -euo pipefail

previous=$(realpath "$1")
next=$(realpath "$2")
rounds=${3:-1}
work=$(mktemp -d)
declare -A running
finish() {
    for pid in "${running[@]}" ${load:-}; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT
cd "$work"

free() { python3 -c 'import socket
all = [socket.socket() for _ in range(16)]
for one in all: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in all))'; }

"$previous" cert init --forest contoso.example --path keys >/dev/null
# shellcheck disable=SC2046  # ports
set -- $(free)
for server in BERLIN1 OSLO1; do
    name=$(echo $server | tr '[:upper:]' '[:lower:]')
    "$previous" cert issue --ca keys --server $server --fqdn "$name.contoso.example" --path "$name/identity" >/dev/null
    mkdir -p "$name/state"
    echo "servers = [\"127.0.0.1:$1\"]" >"$name/sendmail.toml"
    cat >"$name/server.toml" <<END
server = "$server"
forest = "contoso.example"
state = "$work/$name/state"
mailboxes = "$work/$name/mailboxes"
[directory]
kind = "embedded"
path = "$work/directory.db"
[identity]
path = "$work/$name/identity"
[services.frontend-transport]
smtp = "127.0.0.1:$1"
submission = "127.0.0.1:$2"
organization = "127.0.0.1:$3"
metrics = "127.0.0.1:$4"
[services.transport]
organization = "127.0.0.1:$5"
smtp = "127.0.0.1:$6"
submission = "127.0.0.1:$7"
metrics = "127.0.0.1:$8"
[services.mailbox-delivery]
organization = "127.0.0.1:$9"
metrics = "127.0.0.1:${10}"
[services.mailbox-submission]
metrics = "127.0.0.1:${11}"
END
    shift 5
    # The second server gets ports of its own.
    # shellcheck disable=SC2046
    set -- $(free)
done
cat >organization.yaml <<END
sites: [{name: Berlin}, {name: Oslo}]
siteLinks: [{name: Berlin-Oslo, sites: [Berlin, Oslo]}]
servers:
  - {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin, transport: &any-disk {backPressure: {databaseUsedSpace:
      {lowToMedium: 100, mediumToHigh: 100, highToMedium: 100, mediumToLow: 100}}}}
  - {name: OSLO1, fqdn: oslo1.contoso.example, site: Oslo, transport: *any-disk}
databases: [{name: DB1, server: BERLIN1}, {name: DB2, server: OSLO1}]
acceptedDomains: [{name: Contoso, domainName: contoso.example, default: true}]
recipients:
  - {name: anna, address: anna@contoso.example, proxyAddresses: [postmaster@contoso.example], database: DB1}
  - {name: olga, address: olga@contoso.example, database: DB2}
END
"$previous" apply organization.yaml --yes --settings berlin1/server.toml >/dev/null

start() { # program, server, service
    "$1" "$3" --settings "$2/server.toml" --log warn >>"$2-$3.log" 2>&1 &
    running[$2/$3]=$!
    for _ in $(seq 300); do
        "$1" health "$3" --settings "$2/server.toml" >/dev/null 2>&1 && return
        sleep 0.2
    done
    echo "$3 of $2 does not become ready" >&2
    tail -5 "$2-$3.log" >&2
    exit 1
}
services="mailbox-delivery transport frontend-transport mailbox-submission"
for server in berlin1 oslo1; do for service in $services; do start "$previous" $server $service; done; done

# Without a pause, both ways; who is refused comes again, as clients do. What was accepted is counted.
: >accepted
send() { # from server, to
    local number=0
    while [ ! -e stop ]; do
        number=$((number + 1))
        until printf 'Subject: %s\nTo: %s\n\nhello\n' "$1-$number" "$2" |
            "$next" sendmail -C "$1/sendmail.toml" -t -i -f someone@elsewhere.example >/dev/null 2>>sendmail.log; do
            [ ! -e stop ] || return 0
            sleep 0.1
        done
        echo "$1-$number" >>accepted
    done
}
send berlin1 olga@contoso.example & load="$!"
send oslo1 anna@contoso.example & load="$load $!"

replace() { # program
    for server in berlin1 oslo1; do
        for service in $services; do
            kill "${running[$server/$service]}"
            wait "${running[$server/$service]}" || { echo "$service of $server did not end well" >&2; exit 1; }
            start "$1" $server $service
        done
    done
}
for _ in $(seq "$rounds"); do
    replace "$next"
    echo "upgraded: $("$next" --version), $(wc -l <accepted) messages accepted"
    replace "$previous"
    echo "and back: $("$previous" --version), $(wc -l <accepted) messages accepted"
done
: >stop
[ -s accepted ] || { echo "nothing was accepted" >&2; tail -3 sendmail.log >&2; exit 1; }
# shellcheck disable=SC2086  # two processes
wait $load || true
load=""

subjects() { grep -rhs '^Subject: ' berlin1/mailboxes oslo1/mailboxes | sed 's/^Subject: //' | tr -d '\r' | sort; }
for _ in $(seq 300); do
    missing=$(comm -23 <(sort accepted) <(subjects | uniq) | wc -l)
    [ "$missing" -ne 0 ] || break
    sleep 0.2
done
[ "$missing" -eq 0 ] || { echo "$missing of $(wc -l <accepted) messages were lost" >&2; comm -23 <(sort accepted) <(subjects | uniq) | head -5 >&2; exit 1; }
echo "$(wc -l <accepted) messages accepted, all delivered, $(subjects | uniq -d | wc -l) of them twice"

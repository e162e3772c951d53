#!/bin/sh
# Measures EdgeSync of so many recipients between the admin services of a Mailbox server and an Edge server, two processes with
# directories of their own on this machine: the first synchronization, and what changes cost afterwards. Files are in target/edge-size
# and are removed at the end. Ports 25477 and 25478 of 127.0.0.1 have to be free.
set -eu
recipients=$1
postroad=${2:-target/release/postroad}
place=target/edge-size
rm -rf "$place"
mkdir -p "$place"
inside=
edge=
end() {
    [ -z "$inside" ] || kill "$inside" 2>/dev/null || true
    [ -z "$edge" ] || kill "$edge" 2>/dev/null || true
    rm -rf "$place"
}
trap end EXIT INT TERM

# name, forest, DNS name, port
server() {
    mkdir -p "$place/$1"
    "$postroad" cert init --forest "$2" --path "$place/$1-keys" > /dev/null
    "$postroad" cert issue --ca "$place/$1-keys" --server "$1" --fqdn "$3" --path "$place/$1/identity" --service admin > /dev/null
    "$postroad" cert issue --ca "$place/$1-keys" --administrator anna --role-group 'Organization Management' \
        --path "$place/$1/identity" > /dev/null
    cat > "$place/$1/server.toml" <<END
server = "$1"
forest = "$2"
state = "$place/$1/state"
[directory]
kind = "embedded"
path = "$place/$1/directory.db"
[identity]
path = "$place/$1/identity"
[services.admin]
organization = "127.0.0.1:$4"
socket = "$place/$1/admin.sock"
[peers.EDGE1]
admin = "127.0.0.1:25478"
END
}

# seconds of the clock, and of the processor for a process
clock() { date +%s.%N; }
used() { awk '{ print ($14 + $15) / '"$(getconf CLK_TCK)"' }' "/proc/$1/stat"; }
most() { awk '/VmHWM/ { printf "%d", $2 / 1024 }' "/proc/$1/status"; }
minus() { awk "BEGIN { printf \"%.2f\", $1 - $2 }"; }

begin() {
    for one in "$inside" "$edge"; do echo 5 > "/proc/$one/clear_refs" || true; done
    began=$(clock) inside_used=$(used "$inside") edge_used=$(used "$edge")
}

# What was measured: seconds, of the processor inside and on the Edge server, the most memory of each in MiB
told() {
    printf '%-44s %8s %8s %8s %8s %8s\n' "$1" "$(minus "$(clock)" "$began")" "$(minus "$(used "$inside")" "$inside_used")" \
        "$(minus "$(used "$edge")" "$edge_used")" "$(most "$inside")" "$(most "$edge")"
}

shell() { "$postroad" shell --settings "$place/$1/server.toml" -c "$2"; }

synchronize() {
    shell S000-MBX1 "Start-EdgeSynchronization $1 | Format-List Result,Recipients,RecipientPieces,RecipientsRead,AllRead,FailureDetails"
}

server S000-MBX1 corp.example s000-mbx1.corp.example 25477
server EDGE1 edge1.corp.example edge1.corp.example 25478
"$postroad" generate --recipients "$recipients" --output "$place/organization.yaml"
"$postroad" apply "$place/organization.yaml" --settings "$place/S000-MBX1/server.toml" --yes > "$place/apply.log"
printf 'sites: [{name: Perimeter}]\nservers: [{name: EDGE1, fqdn: edge1.corp.example, site: Perimeter, role: Edge}]\n' > "$place/edge.yaml"
"$postroad" apply "$place/edge.yaml" --settings "$place/EDGE1/server.toml" --yes > /dev/null
shell EDGE1 "New-EdgeSubscription -FileName $place/file.xml -Force" > /dev/null
shell S000-MBX1 "New-EdgeSubscription -FileData ([System.IO.File]::ReadAllBytes('$place/file.xml')) -Site S000" > /dev/null

"$postroad" admin --settings "$place/EDGE1/server.toml" > "$place/EDGE1.log" 2>&1 &
edge=$!
until grep -q ready "$place/EDGE1.log"; do kill -0 "$edge"; sleep 0.1; done
"$postroad" admin --settings "$place/S000-MBX1/server.toml" > "$place/S000-MBX1.log" 2>&1 &
inside=$!
printf '%-44s %8s %8s %8s %8s %8s\n' "$recipients recipients" seconds "CPU in" "CPU Edge" "MiB in" "MiB Edge"
begin
until grep -q ready "$place/S000-MBX1.log"; do kill -0 "$inside"; sleep 0.1; done
until grep -q 'an Edge server was synchronized' "$place/S000-MBX1.log"; do kill -0 "$inside"; sleep 0.1; done
told "first synchronization"
grep 'an Edge server was synchronized' "$place/S000-MBX1.log" | tail -1

begin
synchronize ''
told "again, nothing has changed"
begin
shell S000-MBX1 'Set-Mailbox user0000003 -EmailAddresses @{Add="changed@corp.example"}'
until shell S000-MBX1 'Test-EdgeSynchronization -VerifyRecipient changed@corp.example' | grep -q ' Synchronized'; do sleep 0.2; done
told "one address comes (a look every 5 s)"
grep 'an Edge server was synchronized' "$place/S000-MBX1.log" | tail -1
begin
shell S000-MBX1 'Set-SendConnector "Internet 000" -Comment changed'
synchronize ''
told "a change of the configuration"
begin
shell S000-MBX1 'Test-EdgeSynchronization'
told "compared with what was told"
begin
shell S000-MBX1 'Test-EdgeSynchronization -FullCompareMode'
told "compared, every recipient read"
begin
synchronize -ForceFullSync
told "in full, nothing has changed"
begin
shell S000-MBX1 'New-AcceptedDomain -Name more -DomainName more.example'
synchronize ''
told "another accepted domain"
du -ch "$place"/EDGE1/directory.db* | tail -1

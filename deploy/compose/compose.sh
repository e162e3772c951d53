#!/bin/sh
# Starts, shows and ends the containers of this folder; `make up`, `make status` and `make down` call it. Says what to do when
# something is missing.
#
#   compose.sh check      is there everything that is needed?
#   compose.sh up         until every service is healthy
#   compose.sh status     health, applied revision and queue of each service
#   compose.sh down       ends the containers; mail and configuration stay in their volumes
#   compose.sh down all   the volumes too
#   compose.sh …          anything else goes to docker-compose as it stands
#
# PERIMETER=1 has an Edge server beside it all (perimeter.yaml), which `up` subscribes to Berlin.
# COMPOSE is the tool: "docker compose" or docker-compose, whichever is there, unless it names one.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# Time for every service to become healthy, in seconds.
PATIENCE=${POSTROAD_PATIENCE:-180}
export COMPOSE_PROJECT_NAME="${COMPOSE_PROJECT_NAME:-postroad}"

fail() { echo "error: $1" >&2; exit 1; }

command -v docker >/dev/null ||
    fail "docker is not installed: apt-get install docker.io docker-compose, or see https://docs.docker.com/engine/install/"
reason=$(docker version --format '{{.Server.Version}}' 2>&1 >/dev/null) || case "$reason" in
    *"permission denied"*) fail "you may not talk to the Docker daemon: use sudo, or join the group docker and log in again" ;;
    *) fail "the Docker daemon does not answer: start it (systemctl start docker). It said: $reason" ;;
esac

if [ -n "${COMPOSE:-}" ]; then
    compose=$COMPOSE
    $compose version >/dev/null 2>&1 || fail "COMPOSE is \"$COMPOSE\", which does not run"
elif docker compose version >/dev/null 2>&1; then compose="docker compose"
elif command -v docker-compose >/dev/null; then compose="docker-compose"
else fail "docker-compose is not installed: apt-get install docker-compose"; fi
# shellcheck disable=SC2086  # two words for Compose v2
run() { $compose --file "$here/docker-compose.yaml" ${PERIMETER:+--file "$here/perimeter.yaml"} ${POSTROAD_COMPOSE_FILE:+--file "$POSTROAD_COMPOSE_FILE"} "$@"; }

# Version 1 says nothing at all when a command is for a container that is not there.
running() { [ -n "$(run ps -q 2>/dev/null)" ] || fail "nothing runs: make up"; }

advise() {
    case "$1" in
        *"already allocated"* | *"address already in use"*)
            echo "Something else listens on a port of the front ends or of the admin centre: end it, or choose others, such as" >&2
            echo "  BERLIN1_SMTP=3521 BERLIN1_CLIENTS=6871 CENTRE_PORT=9443 make up    (deploy/compose/docker-compose.yaml names all of them)" >&2 ;;
        *"Pool overlaps"* | *"Address already in use"*)
            echo "Another network has these addresses: choose another, such as POSTROAD_NETWORK=10.99 make up" >&2 ;;
        *"No such image"* | *"pull access denied"* | *"manifest unknown"*)
            echo "The images are missing: make image" >&2 ;;
        *) echo "The logs say more: deploy/compose/compose.sh logs --tail 20" >&2 ;;
    esac
}

# Names of services, their state and health, one a line.
states() {
    # Compose v2 leaves out what has ended unless it is asked for all.
    ids=$(run ps --all --quiet 2>/dev/null)
    # shellcheck disable=SC2086  # a list of containers
    [ -z "$ids" ] || docker inspect --format '{{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{with .State.Health}}{{.Status}}{{end}}' $ids
}

# Names of the services that say themselves that they are ready, one a line: the engine asks them once a minute only.
ready() {
    run exec -T tools postroad lab status 2>/dev/null | awk '$3 ~ /^ready,?$/ {print tolower($1) "-" $2}'
    run exec -T tools postroad servers >/dev/null 2>&1 && echo admin
    run exec -T centre postroad health --at 127.0.0.1:9479 >/dev/null 2>&1 && echo centre
}

wait_until_healthy() {
    waited=0
    while :; do
        all=$(states)
        unknown=$(echo "$all" | awk '$2 == "running" && $3 != "" && $3 != "healthy" {print $1}')
        missing=""
        [ -z "$unknown" ] || missing=$(echo "$unknown" | grep -vxF "$(ready)" || true)
        gone=$(echo "$all" | awk '$2 != "running" && $1 != "init" && $1 !~ /configure$/ {print $1 " (" $2 ")"}')
        # A busy engine says nothing at times, which is no good news.
        [ -z "$all" ] || [ -n "$missing$gone" ] || return 0
        [ -t 2 ] && printf '\r%s services are not ready yet ' "$(echo "$missing" | grep -c .)" >&2
        if [ "$waited" -ge "$PATIENCE" ]; then
            echo >&2
            # shellcheck disable=SC2086  # lists
            echo "error: not healthy after $PATIENCE s:" $missing $gone >&2
            for service in $(echo "$missing" | head -n 2); do run logs --tail 5 "$service" >&2; done
            exit 1
        fi
        sleep 1
        waited=$((waited + 1))
    done
}

# A command of the management shell, inside: by the admin service, and in a folder in which it may read files.
inside() { run exec -T tools sh -c 'cd /tmp && exec postroad shell -c "$1"' sh "$1"; }

# The Edge server is subscribed to Berlin, as docs/edge.md says: a file is written there and carried inside. The hosts of this internet
# listen on 2500, and what goes to Tailspin leaves by the perimeter.
subscribe() {
    if inside Get-EdgeSubscription | grep -q EDGE1; then return; fi
    file=EdgeSubscription.xml
    run exec -T edge1 sh -c 'cd /var/lib/postroad && postroad shell -c "New-EdgeSubscription -FileName subscription.xml -Force" >&2 &&
        cat subscription.xml && rm subscription.xml' | run exec -T tools sh -c "umask 077 && cat >/tmp/$file"
    inside "New-EdgeSubscription -FileData ([System.IO.File]::ReadAllBytes('$file')) -Site Berlin" >/dev/null
    run exec -T tools rm /tmp/$file
    inside "Set-SendConnector 'EdgeSync - Berlin to Internet' -Port 2500
        New-SendConnector -Name 'Tailspin by the perimeter' -AddressSpaces tailspin.example -SourceTransportServers EDGE1 -Port 2500" >/dev/null
    inside Start-EdgeSynchronization >/dev/null
    echo "EDGE1 is subscribed to Berlin." >&2
}

case "${1:-}" in
    check) ;;
    up)
        echo "starting two sites, four servers, three etcd and an internet …" >&2
        output=$(mktemp)
        trap 'rm -f "$output"' EXIT
        if ! run up --detach --remove-orphans >"$output" 2>&1; then
            tail -n 15 "$output" >&2
            echo "error: the containers cannot be started" >&2
            advise "$(cat "$output")"
            exit 1
        fi
        wait_until_healthy
        [ -z "${PERIMETER:-}" ] || subscribe
        [ -t 2 ] && printf '\r%60s\r' '' >&2
        run exec -T tools postroad lab status
        cat <<END

Every service is ready. Next:
  make status                                                        what is ready, and what waits
  deploy/compose/compose.sh exec tools postroad lab demo --running   eleven messages, each with its way and the reason
  deploy/compose/compose.sh exec router link cut berlin oslo         break something; 'link mend' mends it
  https://localhost:${CENTRE_PORT:-8443}/                                            the admin centre; nobody has an account yet:
  deploy/compose/compose.sh logs centre | grep /welcome/             the link that makes the first, once, within a day; after a
                                                                     day 'compose.sh restart centre' makes another
  make down                                                          (make down VOLUMES=1 forgets the mail too)
END
        ;;
    status)
        running
        states | sort | awk '{printf "%-28s %-10s %s\n", $1, $2, $3}'
        echo
        run exec -T tools postroad lab status
        ;;
    down)
        if [ "${2:-}" = all ]; then volumes=--volumes; else volumes=""; fi
        # What belongs to a profile is only seen with it.
        export COMPOSE_PROFILES=monitoring,grafana,jaeger
        # A busy engine still counts a container that it has just removed among those of a network.
        # shellcheck disable=SC2086  # an option or nothing
        run down $volumes --remove-orphans || { sleep 3; run down $volumes --remove-orphans; }
        ;;
    exec)
        shift
        running
        # Without a terminal version 1 wants to be told so.
        if [ "$1" = -T ] || { [ -t 0 ] && [ -t 1 ]; }; then run exec "$@"; else run exec -T "$@"; fi
        ;;
    *) run "$@" ;;
esac

#!/bin/sh
# Makes what the Secrets of an overlay are made from: the organization's authority, once, and an identity for each server of
# the overlay, for its etcd and for its administrator. The authority stays where this is run: no pod gets it.
#
#   deploy/k8s/identities.sh deploy/k8s/two-sites [PATH-OF-THE-AUTHORITY]
#
# Run again before certificates end, and apply the overlay: pods that are started anew show the new ones.
set -eu
umask 077

[ $# -ge 1 ] || { echo "usage: identities.sh OVERLAY [AUTHORITY]; an overlay is a folder like deploy/k8s/two-sites" >&2; exit 2; }
overlay=$1
authority=${2:-$overlay/authority}
etcd=$(dirname "$0")/etcd
program=${POSTROAD:-postroad}
command -v "$program" >/dev/null || { echo "there is no $program: set POSTROAD to the program, such as target/debug/postroad" >&2; exit 1; }

[ -e "$authority/ca" ] || "$program" cert init --forest contoso.example --path "$authority"
for folder in "$overlay"/*/kustomization.yaml; do
    folder=$(dirname "$folder")
    name=$(basename "$folder")
    server=$(echo "$name" | tr '[:lower:]' '[:upper:]')
    "$program" cert issue --ca "$authority" --server "$server" --fqdn "$name.contoso.example" --path "$folder/identity"
done
"$program" cert issue --ca "$authority" --server ETCD --fqdn etcd --service transport --path "$etcd/identity"
"$program" cert issue --ca "$authority" --server TOOLS --fqdn tools.contoso.example --service transport --path "$overlay/administrator"

#!/bin/sh
# Checks the manifests where there is no cluster: identities are made, the overlay is built by kubectl's kustomize, each object is
# held against the schemas of several versions of Kubernetes, and prepare.sh lays out what a container mounts.
#
#   POSTROAD=target/debug/postroad deploy/k8s/check.sh [OVERLAY]        (default: two-sites)
#
# Needs kubectl and Python's venv; kubernetes-validate comes from PyPI into target/tools. Ends with 3 where kubectl is not there.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
overlay=${1:-two-sites}
tools=$here/../../target/tools/kubernetes
program=$(command -v "${POSTROAD:-postroad}") || { echo "there is no ${POSTROAD:-postroad}: set POSTROAD to the program" >&2; exit 1; }
program=$(realpath "$program")

command -v kubectl >/dev/null || { echo "kubectl is not installed: the manifests were NOT CHECKED" >&2; exit 3; }
[ -x "$tools/bin/kubernetes-validate" ] || {
    python3 -m venv "$tools" && "$tools/bin/pip" install --quiet kubernetes-validate==1.37.0
} || { echo "kubernetes-validate cannot be had from PyPI: the manifests were NOT CHECKED" >&2; exit 3; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$here/." "$work"
cd "$work"
POSTROAD=$program ./identities.sh "$overlay" >/dev/null
kubectl kustomize "$overlay" >built.yaml
for version in 1.29 1.31 1.34; do
    "$tools/bin/kubernetes-validate" --strict --quiet -k "$version" built.yaml >"report" 2>&1 || { cat report >&2; exit 1; }
done

# What prepare.sh makes of the secrets of a server is read by the program.
for service in frontend-transport transport; do
    mkdir -p "secrets/$service"
    cp "$overlay/berlin1/identity/ca.pem" "secrets/$service/"
    for part in cert key; do
        cp "$overlay/berlin1/identity/$service/$part.pem" "secrets/$service/$part.pem"
        cp "$overlay/berlin1/identity/smtp/$part.pem" "secrets/$service/smtp.$part.pem"
    done
done
cp "$overlay/berlin1/identity/organization.key" secrets/transport/
ROOT=$work TEMPLATE=server SERVICES="frontend-transport transport" SERVER=BERLIN1 FOREST=contoso.example ETCD=https://etcd:2379 \
    sh server/prepare.sh
for service in frontend-transport transport; do
    made=settings/$service
    [ -z "$(find "$made" -perm /077)" ] || { echo "others may read what prepare.sh makes of $service" >&2; exit 1; }
    [ -e "$made/identity/$service/key.pem" ] && [ -e "$made/identity/smtp/key.pem" ] || { echo "$service has no keys" >&2; exit 1; }
    # Nobody answers; that the settings are understood is what is asked.
    "$program" health "$service" --settings "$made/server.toml" >"report" 2>&1 || true
    grep -q "$service" report || { cat report >&2; exit 1; }
done
[ ! -e settings/frontend-transport/identity/organization.key ] || { echo "a front end has the organization's key" >&2; exit 1; }
"$program" explain olga@contoso.example buyer@partner.example --from OSLO1 --organization "$overlay/organization.yaml" >/dev/null
echo "$overlay: $(grep -c '^kind:' built.yaml) objects, valid for Kubernetes 1.29, 1.31 and 1.34"

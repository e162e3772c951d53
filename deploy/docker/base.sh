#!/bin/sh
# Makes a base image from Debian's packages, for machines that reach Debian's mirror and no registry.
# Usage: base.sh IMAGE
set -eu

image=$1
if docker image inspect "$image" >/dev/null 2>&1; then exit 0; fi
echo "making $image from Debian's packages (about a minute)"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mmdebstrap --quiet --variant=minbase --include=ca-certificates,libgssapi-krb5-2 \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    bookworm "$folder/base.tar" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
docker import "$folder/base.tar" "$image" >/dev/null

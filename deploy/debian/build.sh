#!/bin/sh
# Builds the Debian package from a program that is built already: build.sh PROGRAM FOLDER [VERSION]
# COMPRESS=xz makes it a third smaller and takes a minute; the default is gzip.
# What is in it follows from docs/, deploy/systemd and the program itself (man pages, completion).
set -eu

program=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
version=${3:-$("$program" --version | cut -d' ' -f2)}
architecture=$(dpkg --print-architecture)
maintainer="The Postroad authors <maintainers@postroad.example>"
# Times of files are that of the last change, so that the same sources make the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || stat -c %Y "$root/CHANGELOG.md")}
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
share=$tree/usr/share
umask 022
mkdir -p "$tree/DEBIAN" "$tree/usr/bin" "$tree/usr/lib/systemd/system" "$tree/usr/lib/sysusers.d" "$tree/usr/lib/tmpfiles.d" \
    "$tree/etc/postroad" "$tree/etc/postroad-centre" "$share/man/man1" "$share/bash-completion/completions" "$share/zsh/vendor-completions" \
    "$share/fish/vendor_completions.d" "$share/doc/postroad"

strip -o "$tree/usr/bin/postroad" "$program"
cp -R "$root/deploy/systemd/." "$tree/usr/lib/systemd/system"
cp "$here/sysusers.conf" "$tree/usr/lib/sysusers.d/postroad.conf"
cp "$here/tmpfiles.conf" "$tree/usr/lib/tmpfiles.d/postroad.conf"
cp "$here/server.toml" "$tree/etc/postroad/server.toml"
cp "$here/centre.env" "$tree/etc/postroad-centre/centre.env"
"$program" man "$share/man/man1"
gzip -9n "$share"/man/man1/*
"$program" completion bash >"$share/bash-completion/completions/postroad"
"$program" completion zsh >"$share/zsh/vendor-completions/_postroad"
"$program" completion fish >"$share/fish/vendor_completions.d/postroad.fish"
cp -R "$root"/docs/*.md "$root/docs/examples" "$share/doc/postroad"
gzip -9nc "$root/CHANGELOG.md" >"$share/doc/postroad/CHANGELOG.md.gz"
printf 'postroad (%s) stable; urgency=medium\n\n  * What changed is in CHANGELOG.md.gz.\n\n -- %s  %s\n' \
    "$version" "$maintainer" "$(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")" | gzip -9n >"$share/doc/postroad/changelog.gz"
cp "$here/copyright" "$share/doc/postroad/copyright"
find "$tree" -type f -exec chmod 644 {} +
chmod 755 "$tree/usr/bin/postroad"

# Which versions of which libraries the program needs.
mkdir "$work/debian"
printf 'Source: postroad\n\nPackage: postroad\nArchitecture: any\n' >"$work/debian/control"
libraries=$(cd "$work" && dpkg-shlibdeps -O tree/usr/bin/postroad | sed -n 's/^shlibs:Depends=//p')
size=$(du -sk --apparent-size "$tree" | cut -f1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@LIBRARIES@/$libraries/" -e "s/@SIZE@/$size/" \
    -e "s/@MAINTAINER@/$maintainer/" \
    "$here/control" >"$tree/DEBIAN/control"
printf '%s\n' /etc/postroad/server.toml /etc/postroad-centre/centre.env >"$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 755 "$here/$script" "$tree/DEBIAN/$script"
done
(cd "$tree" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"

package=$out/postroad_${version}_$architecture.deb
dpkg-deb --root-owner-group -Z"${COMPRESS:-gzip}" --build "$tree" "$package" >/dev/null
echo "$package"

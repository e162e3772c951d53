#!/usr/bin/env python3
"""Makes the image of the program and of what it is linked to, and nothing else: no shell, no package manager, no root.

    minimal.py PROGRAM ARCHIVE [TAG]

ARCHIVE is an OCI layout in a tar, which `docker load`, `skopeo` and registries take. The same program makes the same image: files in order,
with the time of SOURCE_DATE_EPOCH, owned by numbers. With it go the list of what the program is made of (CycloneDX) and how it was built
(in-toto, SLSA), both attached to the image's digest and beside the archive. SIGN names a private key (PEM: Ed25519, or ECDSA over P-256),
by which the latter is signed (DSSE); verify.py looks at that. Prints the digest and the sizes.
"""
import base64
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
USER = 10001
# The architecture as Go and the OCI call it.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# Folders of the service's user: what is mounted over them gets their owner.
FOLDERS = ["etc/postroad", "var/lib/postroad", "var/lib/mailboxes", "tmp"]
TEXTS = {
    "etc/passwd": f"root:x:0:0:root:/:/nonexistent\npostroad:x:{USER}:{USER}:postroad:/var/lib/postroad:/nonexistent\n",
    "etc/group": f"root:x:0:\npostroad:x:{USER}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
STATEMENT = "application/vnd.in-toto+json"
ENVELOPE = "application/vnd.dsse.envelope.v1+json"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


def epoch():
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    return int(subprocess.check_output(["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]))


def libraries(program):
    """What the program is linked to, by the path at which its loader looks."""
    found = {}
    for line in subprocess.check_output(["ldd", program], text=True).splitlines():
        match = re.search(r"(?:=> )?(/\S+) \(0x", line)
        if match:
            found[match.group(1)] = os.path.realpath(match.group(1))
    return found


def package_of(path):
    """The Debian package of a file and its version, for its licence and for the list of what is inside."""
    # Where /lib is a link to /usr/lib, dpkg knows a file by the name that its package gave it.
    for one in (path, "/usr" + path, path.removeprefix("/usr")):
        said = subprocess.run(["dpkg-query", "-S", one], capture_output=True, text=True).stdout
        if said:
            name = said.split(":")[0]
            version = subprocess.check_output(["dpkg-query", "-W", "-f=${Version}", name], text=True)
            return name, version
    return None


class Layer:
    """A tar whose octets depend on names and contents alone."""

    def __init__(self, time):
        self.time, self.entries = time, {}

    def add(self, path, content, mode=0o644, owner=0):
        for parent in list(Path(path).parents)[:-1]:
            self.entries.setdefault(str(parent), (None, 0o755, 0))
        self.entries[path] = (content, mode, owner)

    def tar(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for path in sorted(self.entries):
                content, mode, owner = self.entries[path]
                info = tarfile.TarInfo(path)
                info.mtime, info.mode, info.uid, info.gid = self.time, mode, owner, owner
                if content is None:
                    info.type = tarfile.DIRTYPE
                    archive.addfile(info)
                else:
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
        return out.getvalue()


def layer_of(program, time, bom):
    layer = Layer(time)
    for folder in FOLDERS:
        layer.add(folder, None, 0o700, USER)
    for path, text in TEXTS.items():
        layer.add(path, text.encode())
    layer.add("usr/bin/postroad", program.read_bytes(), 0o755)
    layer.add("usr/share/sbom/postroad.cdx.json", bom)
    layer.add(AUTHORITIES[1:], Path(AUTHORITIES).read_bytes())
    packages = {package_of(AUTHORITIES) or ("ca-certificates", "")}
    for at, real in libraries(program).items():
        layer.add(at[1:], Path(real).read_bytes(), 0o755)
        packages.add(package_of(real) or (at, ""))
    for name, _ in sorted(packages):
        licence = Path("/usr/share/doc") / name / "copyright"
        if licence.exists():
            layer.add(str(licence)[1:], licence.read_bytes())
    return layer.tar(), sorted(packages)


def bom_of(program):
    """The list of crates, and after it is known the Debian packages."""
    subprocess.run([str(ROOT / ".ci" / "sbom")], check=True, stdout=subprocess.DEVNULL)
    document = json.loads((ROOT / "target" / "postroad.cdx.json").read_text())
    for at, real in libraries(program).items():
        package = package_of(real)
        if package:
            name, version = package
            purl = f"pkg:deb/debian/{name}@{version}"
            entry = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "scope": "required"}
            if entry not in document["components"]:
                document["components"].append(entry)
    document["components"].sort(key=lambda entry: entry["bom-ref"])
    return (json.dumps(document, indent=2) + "\n").encode()


def provenance_of(digest, program, time):
    """How it was built, as SLSA says it (https://slsa.dev/spec/v1.0/provenance)."""
    said = lambda *command: subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    lock = hashlib.sha256((ROOT / "Cargo.lock").read_bytes()).hexdigest()
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "postroad", "digest": {"sha256": digest}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "deploy/docker/program.sh and deploy/docker/minimal.py",
                "externalParameters": {"SOURCE_DATE_EPOCH": time},
                "resolvedDependencies": [
                    {"uri": "git", "digest": {"gitCommit": said("git", "rev-parse", "HEAD")}},
                    {"uri": "Cargo.lock", "digest": {"sha256": lock}},
                    {"uri": "program", "digest": {"sha256": hashlib.sha256(program.read_bytes()).hexdigest()}},
                ],
            },
            "runDetails": {"builder": {"id": said("rustc", "--version"), "version": {"cc": said("cc", "--version").split("\n")[0]}}},
        },
    }


def openssl(*arguments, stdin=None):
    ran = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True)
    if ran.returncode:
        sys.exit(f"error: openssl {arguments[0]}: {ran.stderr.decode(errors='replace').strip()}")
    return ran.stdout


def signed(payload, kind, key):
    """An envelope with the signature of it (https://github.com/secure-systems-lab/dsse, version 1)."""
    public = openssl("pkey", "-in", key, "-pubout", "-outform", "DER")
    kinds = {b"ED25519": [], b"prime256v1": ["-digest", "sha256"]}
    text = openssl("pkey", "-pubin", "-inform", "DER", "-noout", "-text", stdin=public)
    how = next((options for name, options in kinds.items() if name in text), None)
    if how is None:
        sys.exit(f"error: {key} is neither an Ed25519 key nor one of ECDSA over P-256: openssl genpkey -algorithm ed25519 makes one")
    with tempfile.NamedTemporaryFile() as body:
        body.write(b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload))
        body.flush()
        signature = openssl("pkeyutl", "-sign", "-rawin", *how, "-inkey", key, "-in", body.name)
    plain = lambda octets: base64.b64encode(octets).decode()
    who = hashlib.sha256(public).hexdigest()
    envelope = {"payloadType": kind, "payload": plain(payload), "signatures": [{"keyid": who, "sig": plain(signature)}]}
    return (json.dumps(envelope) + "\n").encode()


class Layout:
    """Blobs by their digest, in one tar."""

    def __init__(self, time):
        self.layer = Layer(time)

    def blob(self, content, media):
        digest = hashlib.sha256(content).hexdigest()
        self.layer.add("blobs/sha256/" + digest, content)
        return {"mediaType": media, "digest": "sha256:" + digest, "size": len(content)}

    def document(self, value, media):
        return self.blob(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), media)


def attached(layout, image, content, kind):
    """An artifact about the image (OCI 1.1, referrers)."""
    empty = layout.blob(b"{}", "application/vnd.oci.empty.v1+json")
    blob = layout.blob(content, kind)
    return layout.document({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "artifactType": kind,
        "config": empty, "layers": [blob], "subject": image,
    }, "application/vnd.oci.image.manifest.v1+json") | {"artifactType": kind}


def main():
    source, archive = Path(sys.argv[1]), Path(sys.argv[2])
    tag = sys.argv[3] if len(sys.argv) > 3 else "postroad:minimal"
    time, key = epoch(), os.environ.get("SIGN")
    program = archive.parent / ".postroad.stripped"
    subprocess.run(["strip", "-o", str(program), str(source)], check=True)
    try:
        bom = bom_of(program)
        tar, packages = layer_of(program, time, bom)
        layout = Layout(time)
        packed = gzip.compress(tar, 6, mtime=0)
        layer = layout.blob(packed, "application/vnd.oci.image.layer.v1.tar+gzip")
        created = datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        config = layout.document({
            "architecture": ARCHITECTURES[os.uname().machine], "os": "linux", "created": created,
            "config": {
                "User": f"{USER}:{USER}", "Entrypoint": ["/usr/bin/postroad"], "Cmd": ["--help"], "StopSignal": "SIGTERM",
                "Env": ["PATH=/usr/bin", "POSTROAD_SETTINGS=/etc/postroad/server.toml"],
                "Labels": {"org.opencontainers.image.title": "postroad", "org.opencontainers.image.licenses": "Apache-2.0"},
            },
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]},
            "history": [{"created": created, "created_by": "deploy/docker/minimal.py"}],
        }, "application/vnd.oci.image.config.v1+json")
        image = layout.document({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [layer],
        }, "application/vnd.oci.image.manifest.v1+json")
        digest = image["digest"].split(":")[1]
        provenance = (json.dumps(provenance_of(digest, program, time), indent=2) + "\n").encode()
        artifacts = [attached(layout, image, bom, "application/vnd.cyclonedx+json"),
                     attached(layout, image, provenance, STATEMENT)]
        if key:
            envelope = signed(provenance, STATEMENT, key)
            artifacts.append(attached(layout, image, envelope, ENVELOPE))
        named = image | {"annotations": {"io.containerd.image.name": "docker.io/library/" + tag,
                                         "org.opencontainers.image.ref.name": tag.split(":")[-1]}}
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [named, *artifacts]}
        put = lambda name, value: layout.layer.add(name, json.dumps(value, sort_keys=True).encode())
        put("oci-layout", {"imageLayoutVersion": "1.0.0"})
        put("index.json", index)
        # For docker load of engines that know no OCI layout.
        blob = lambda one: "blobs/" + one["digest"].replace(":", "/")
        put("manifest.json", [{"Config": blob(config), "RepoTags": [tag], "Layers": [blob(layer)]}])
        archive.write_bytes(layout.layer.tar())
        archive.with_suffix(".cdx.json").write_bytes(bom)
        archive.with_suffix(".provenance.json").write_bytes(provenance)
        if key:
            archive.with_suffix(".provenance.dsse.json").write_bytes(envelope)
        print(f"{tag} sha256:{digest}")
        print(f"{len(packed) / 1e6:.1f} MB packed, {len(tar) / 1e6:.1f} MB unpacked, {program.stat().st_size / 1e6:.1f} MB of it the program;"
              f" {len(packages)} Debian packages")
    finally:
        program.unlink(missing_ok=True)


main()

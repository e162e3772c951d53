#!/usr/bin/env python3
"""Says who vouches for a minimal image, and for what it was built from.

    verify.py ARCHIVE PUBLIC-KEY

ARCHIVE is what minimal.py made with SIGN, PUBLIC-KEY the other half of that key (PEM). Every digest in the archive is counted again, down to
the layer; the statement about the image has to be signed by that key, and to be about that image. Prints the digest and the commit.
"""
import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile

STATEMENT = "application/vnd.in-toto+json"
ENVELOPE = "application/vnd.dsse.envelope.v1+json"


def refuse(why):
    sys.exit(f"error: {why}")


class Archive:
    """Blobs that are what their name says."""

    def __init__(self, path):
        self.tar = tarfile.open(path)

    def read(self, name):
        try:
            return self.tar.extractfile(name).read()
        except (KeyError, AttributeError):
            refuse(f"there is no {name} in the archive")

    def blob(self, descriptor):
        kind, _, digest = descriptor["digest"].partition(":")
        content = self.read(f"blobs/{kind}/{digest}")
        if kind != "sha256" or hashlib.sha256(content).hexdigest() != digest:
            refuse(f"{descriptor['digest']} is something else: the archive was changed")
        return content

    def document(self, descriptor):
        return json.loads(self.blob(descriptor))


def is_signed(payload, kind, signature, key):
    body = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    text = subprocess.run(["openssl", "pkey", "-pubin", "-in", key, "-noout", "-text"], capture_output=True)
    if text.returncode:
        refuse(f"{key} is no public key: openssl pkey -in KEY -pubout makes one of the private one")
    how = [] if b"ED25519" in text.stdout else ["-digest", "sha256"]
    with tempfile.NamedTemporaryFile() as said, tempfile.NamedTemporaryFile() as by:
        said.write(body), by.write(signature)
        said.flush(), by.flush()
        return not subprocess.run(["openssl", "pkeyutl", "-verify", "-rawin", *how, "-pubin", "-inkey", key, "-in", said.name,
                                   "-sigfile", by.name], capture_output=True).returncode


def main():
    if len(sys.argv) != 3:
        refuse("verify.py ARCHIVE PUBLIC-KEY")
    archive, key = Archive(sys.argv[1]), sys.argv[2]
    entries = json.loads(archive.read("index.json"))["manifests"]
    images = [entry for entry in entries if "artifactType" not in entry]
    if len(images) != 1:
        refuse(f"{len(images)} images are in the archive, where one is expected")
    image = archive.document(images[0])
    for part in [image["config"], *image["layers"]]:
        archive.blob(part)
    # Engines that know no OCI layout load what this names.
    named = json.loads(archive.read("manifest.json"))
    path = lambda part: "blobs/" + part["digest"].replace(":", "/")
    if [(one["Config"], one["Layers"]) for one in named] != [(path(image["config"]), [path(part) for part in image["layers"]])]:
        refuse("manifest.json names another image than index.json")
    about = [archive.document(entry) for entry in entries if entry.get("artifactType") == ENVELOPE]
    about = [artifact for artifact in about if artifact["subject"]["digest"] == images[0]["digest"]]
    if not about:
        refuse("nobody signed where this image comes from: make image MINIMAL=1 SIGN=KEY does")
    for artifact in about:
        envelope = json.loads(archive.blob(artifact["layers"][0]))
        payload = base64.b64decode(envelope["payload"])
        if envelope["payloadType"] != STATEMENT:
            continue
        if not any(is_signed(payload, STATEMENT, base64.b64decode(one["sig"]), key) for one in envelope["signatures"]):
            continue
        statement = json.loads(payload)
        if {"sha256": images[0]["digest"].split(":")[1]} not in [one["digest"] for one in statement["subject"]]:
            refuse("what that key signed is about another image")
        sources = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        print(f"{images[0]['digest']}: signed by {key}")
        for source in sources:
            print(f"  {source['uri']} {' '.join(source['digest'].values())}")
        return
    refuse(f"what is said about this image is not signed by {key}")


main()

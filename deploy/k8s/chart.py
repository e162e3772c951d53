#!/usr/bin/env python3
"""Makes the Helm chart of the manifests: `chart.py FOLDER` writes it, `chart.py --check FOLDER` says whether FOLDER is what would be written.

The same pieces that the overlays are put together from are built by kubectl's kustomize with words in place of names, and each word becomes
an expression of Helm. So there is nothing in the chart that is not in the manifests; what is only Helm's is in this file: which piece is
there when, and what an expression says.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
NOTE = "{{- /* Made of ../../../ by chart.py; POSTROAD_REWRITE=1 deploy/k8s/check.sh writes it anew. */ -}}\n"
# A generated ConfigMap is called anew when what is in it changes, so that whoever mounts it is started anew.
HASH = "[a-z0-9]{10}"

# The organization of the overlay `trying` is for its servers alone: an upgrade that forgets to name yours would apply it to yours.
TRYING = '(and .Values.trying (eq (keys .Values.servers | sortAlpha | join " ") "berlin1 oslo1"))'
NO_ORGANIZATION = ('{{- if not (or .Values.organization %s) }}\n{{- fail "organization is empty: give your organization file by '
                   '--set-file organization=contoso.yaml at every upgrade, or configure=false to apply none" }}\n{{- end }}\n' % TRYING)

# Words that stand for values, and what becomes of them.
WORDS = {
    "HELMNAME": "{{ $name }}",
    "HELMSERVER": "{{ $server.name }}",
    "HELMFQDN": "{{ $server.fqdn }}",
    "HELMZONE": "{{ $server.zone }}",
    "HELMFOREST": "{{ $.Values.forest }}",
    "HELMENDPOINTS": "{{ $.Values.etcd.endpoints }}",
    "HELMFIRST": "{{ (index $.Values.servers (keys $.Values.servers | sortAlpha | first)).name }}",
    "HELMAPI": "{{ $.Values.controller.api }}",
    "HELMSERVERS": '{{ range $name, $server := $.Values.servers }}{{ $server.name }}={{ $server.fqdn }} {{ end }}',
}

# ConfigMaps whose content is values, and which: they are called anew when these change, and not for anything else.
CONTENTS = {
    "HELMNAME-server": "list $server $.Values.forest $.Values.etcd.endpoints",
    "controller": "$.Values.controller",
    "centre": "list $.Values.controller.api $.Values.centre",
    "identities": "list $.Values.servers $.Values.forest",
    "configure": "list $.Values.servers $.Values.forest $.Values.etcd.endpoints",
    "organization": "$.Values.organization",
}

SERVER = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [%(resources)s]
components: [%(components)s]
namePrefix: HELMNAME-
labels:
  - pairs: {app.kubernetes.io/part-of: postroad}
    includeTemplates: true
configMapGenerator:
  - name: server
    literals: [NAME=HELMNAME, SERVER=HELMSERVER, FQDN=HELMFQDN, FOREST=HELMFOREST, "ETCD=HELMENDPOINTS", ZONE=HELMZONE]
"""
PART = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [%(resources)s]
labels:
  - pairs: {app.kubernetes.io/part-of: postroad}
    includeTemplates: true
"""
EACH = "{{- range $name, $server := .Values.servers }}\n%s{{- end }}\n"
# Piece: its kustomization below deploy/k8s, the condition, whether it is there for each server, and what of it is another piece's.
PIECES = {
    "organization": (PART % {"resources": "../organization"}, None, False),
    "servers": (SERVER % {"resources": "../base", "components": "../components/name"}, None, True),
    "admin": (SERVER % {"resources": "../base, ../admin", "components": "../components/name"}, "$server.admin", True),
    "certificates": (SERVER % {"resources": "../base", "components": "../components/name, ../components/cert-manager"},
                     'eq $.Values.identities "cert-manager"', True),
    "etcd": (PART % {"resources": "../etcd"}, ".Values.etcd.bundled", False),
    "etcd-outside": (PART % {"resources": "../overlays/production/etcd.yaml"}, ".Values.etcd.network", False),
    "issuer": (PART % {"resources": "../overlays/production/issuer.yaml"}, 'eq .Values.identities "cert-manager"', False),
    "identities": (PART % {"resources": "../identities"} + """configMapGenerator:
  - name: identities
    literals: [POSTROAD_FOREST=HELMFOREST, "POSTROAD_SERVERS=HELMSERVERS", POSTROAD_ETCD=etcd]
""", 'eq .Values.identities "job"', False),
    "configure": (PART % {"resources": "../configure"} + """configMapGenerator:
  - name: organization
    literals: ["organization.yaml=HELMORGANIZATION"]
  - name: configure
    literals: [SERVER=HELMFIRST, FOREST=HELMFOREST, "ETCD=HELMENDPOINTS"]
""", ".Values.configure", False),
    "controller": (PART % {"resources": "../controller/controller.yaml"} + """configMapGenerator:
  - name: controller
    literals: ["POSTROAD_API=HELMAPI"]
""", ".Values.controller.enabled", False),
    "centre": (PART % {"resources": "../centre"} + """configMapGenerator:
  - name: centre
    literals: ["POSTROAD_API=HELMAPI"]
""", ".Values.centre.enabled", False),
    "monitoring": (PART % {"resources": "../monitoring"}, ".Values.monitoring", False),
}


def built(folder, kustomization):
    """The documents of a kustomization in a folder beside base."""
    path = os.path.join(folder, "piece")
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    with open(os.path.join(path, "kustomization.yaml"), "w") as file:
        file.write(kustomization)
    text = subprocess.run(["kubectl", "kustomize", "--load-restrictor", "LoadRestrictionsNone", path], check=True, capture_output=True, text=True).stdout
    return text.split("\n---\n")


def identity(document):
    kind = re.search(r"^kind: (\S+)$", document, re.M).group(1)
    name = re.search(r"^metadata:\n(?:  .*\n)*?  name: (\S+)$", document, re.M).group(1)
    return kind, re.sub("-" + HASH + "$", "", name) if kind == "ConfigMap" else name


def templated(piece, document):
    """A document with expressions in place of words."""
    # What is in a value may hold what Helm would take for an expression of its own.
    text = document.replace("{{", "\0").replace("}}", "\1")
    # ConfigMaps whose content is values are called by these.
    text = re.sub("(" + "|".join(CONTENTS) + ")-" + HASH + r"\b",
                  lambda found: found.group(1) + "-{{ %s | toJson | sha256sum | trunc 10 }}" % CONTENTS[found.group(1)], text)
    if piece in ("issuer", "etcd-outside"):
        text = text.replace("contoso.example", "HELMFOREST").replace("192.0.2.0/24", "{{ .Values.etcd.network }}")
    text = re.sub(r"^( *)organization.yaml: HELMORGANIZATION$",
                  r'\1organization.yaml: |\n{{ .Values.organization | default (.Files.Get "files/trying.yaml") | indent 4 }}', text, flags=re.M)
    for word in sorted(WORDS, key=len, reverse=True):
        text = text.replace(word, WORDS[word])
    text = re.sub(r"image: postroad-etcd:dev", 'image: {{ $.Values.images.etcd }}', text)
    text = re.sub(r"image: postroad(:dev)?$", 'image: {{ $.Values.images.postroad }}', text, flags=re.M)
    text = re.sub(r"minReplicas: 1$", 'minReplicas: {{ $.Values.frontend.minReplicas }}', text, flags=re.M)
    text = re.sub(r"maxReplicas: 4$", 'maxReplicas: {{ $.Values.frontend.maxReplicas }}', text, flags=re.M)
    if piece == "servers":
        for volume, size in (("queue", "20Gi"), ("mailboxes", "100Gi")):
            text = re.sub(r"( +)storage: " + size + "\n",
                          r"\1storage: {{ $.Values.storage.%s.size }}" % volume + "\n{{- with $.Values.storage." + volume +
                          ".class }}\n      storageClassName: {{ . }}\n{{- end }}\n", text + "\n")
    # A Job cannot be changed: each release has its own.
    if piece in ("configure", "identities") and "kind: Job" in text:
        text = re.sub(r"^  name: (configure|identities)$", r"  name: \1-{{ .Release.Revision }}", text, flags=re.M)
    text = text.replace("\0", "{{ `{{` }}").replace("\1", "{{ `}}` }}")
    return text.rstrip("\n") + "\n"


def write(folder):
    templates = os.path.join(folder, "templates")
    shutil.rmtree(templates, ignore_errors=True)
    shutil.rmtree(os.path.join(folder, "crds"), ignore_errors=True)
    os.makedirs(templates)
    os.makedirs(os.path.join(folder, "crds"))
    shutil.copy(os.path.join(HERE, "controller", "crds.yaml"), os.path.join(folder, "crds", "crds.yaml"))
    os.makedirs(os.path.join(folder, "files"), exist_ok=True)
    shutil.copy(os.path.join(HERE, "overlays", "trying", "organization.yaml"), os.path.join(folder, "files", "trying.yaml"))
    with tempfile.TemporaryDirectory() as work:
        source = os.path.join(work, "k8s")
        shutil.copytree(HERE, source, ignore=shutil.ignore_patterns("chart", "*.pyc"))
        plain = {identity(document) for document in built(source, PIECES["servers"][0])}
        for piece, (kustomization, condition, each) in PIECES.items():
            documents = built(source, kustomization)
            if piece in ("admin", "certificates"):
                documents = [one for one in documents if identity(one) not in plain]
            # Helm makes the namespace, with --create-namespace.
            documents = [one for one in documents if identity(one)[0] != "Namespace"]
            text = "".join("---\n" + templated(piece, document) for document in documents)
            if piece == "configure":
                text = NO_ORGANIZATION + text
            if condition:
                text = "{{- if %s }}\n%s{{- end }}\n" % (condition, text)
            if each:
                text = EACH % text
            with open(os.path.join(templates, piece + ".yaml"), "w") as file:
                file.write(NOTE + text)


def main():
    check = sys.argv[1] == "--check"
    folder = sys.argv[-1]
    if not check:
        write(folder)
        return
    with tempfile.TemporaryDirectory() as made:
        write(made)
        for part in ("templates", "crds", "files"):
            result = subprocess.run(["diff", "-ru", os.path.join(folder, part), os.path.join(made, part)])
            if result.returncode:
                sys.exit("the chart is not what chart.py makes: POSTROAD_REWRITE=1 deploy/k8s/check.sh writes it anew")


main()

#!/usr/bin/env python3
"""Holds manifests against the schemas of versions of Kubernetes, strictly: `schemas.py FILE VERSION…`.

The schemas are those that kubernetes-validate of PyPI brings along. It reads all of them for every object; here once for a version.
Custom resources have definitions of their own: cert-manager's, the Prometheus operator's, ours.
"""
import json
import sys

import yaml
from importlib_resources import files
from jsonschema.validators import Draft202012Validator
from referencing import Registry, Resource

OWN = ("cert-manager.io/", "monitoring.coreos.com/", "apiextensions.k8s.io/")
SCHEMAS = files("kubernetes_validate").joinpath("kubernetes-json-schema")


def read(version, name):
    schema = SCHEMAS.joinpath("v%s.0-local-strict" % version, name + ".json")
    return json.loads(schema.read_text()) if schema.is_file() else None


def definitions(version):
    found = read(version, "_definitions")
    if found is None:
        sys.exit("there are no schemas of Kubernetes %s" % version)
    return (Resource.from_contents(found) @ Registry()).crawl()


def schema_of(document):
    """As its file is called: apps/v1 Deployment is deployment-apps-v1, rbac.authorization.k8s.io/v1 Role is role-rbac-v1."""
    group, _, version = document["apiVersion"].rpartition("/")
    return "-".join(filter(None, [document["kind"].lower(), group.split(".")[0], version]))


def wrong(document, version, registry):
    schema = read(version, schema_of(document))
    if schema is None:
        yield "Kubernetes %s has no such kind" % version
        return
    resource = Resource.from_contents(schema)
    for error in Draft202012Validator(schema, registry=resource @ registry).iter_errors(document):
        yield "not of Kubernetes %s: %s: %s" % (version, ".".join(map(str, error.path)), error.message)


def main():
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with open(sys.argv[1]) as file:
        documents = [one for one in yaml.load_all(file, loader) if one and not one["apiVersion"].startswith(OWN)]
    found = []
    for version in sys.argv[2:]:
        registry = definitions(version)
        for one in documents:
            place = "%s %s" % (one["kind"], one["metadata"]["name"])
            found += ["%s: %s" % (place, text) for text in wrong(one, version, registry)]
    sys.exit("\n".join(found) or None)


main()

#!/usr/bin/env python3
"""Says whether the chart with some values is what an overlay is: `compare.py CHART VALUES OVERLAY BUILT`, with VALUES a file or `-` for
those of the chart, and BUILT what `kubectl kustomize` made of the overlay. Prints the number of objects.

Helm itself renders the chart: helm-python-sdk of PyPI brings it along as a library.
"""
import re
import sys

import helm_python
import yaml

# Told apart by their content in both, each in its own way.
NAMED_BY_CONTENT = re.compile(r"^((?:[a-z0-9]+-)?(?:server|settings|configure-settings|organization|configure|identities|controller|centre))-[a-z0-9]{10}$")


def plain(value):
    """Without what is called by its content, and without empty maps."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, str):
        return NAMED_BY_CONTENT.sub(r"\1", value.strip())
    return value


def objects(documents):
    found = {}
    for document in documents:
        if document is None or document["kind"] in ("Namespace", "CustomResourceDefinition"):
            continue
        document = plain(document)
        document["metadata"].pop("namespace", None)
        name = document["metadata"]["name"]
        if document["kind"] == "Job":
            # A Job cannot be changed: each release of the chart has its own.
            name = document["metadata"]["name"] = re.sub("-[0-9]+$", "", name)
        for subject in document.get("subjects", []):
            subject.pop("namespace", None)
        found[document["kind"], name] = document
    return found


def differences(one, other, path=""):
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(set(one) | set(other)):
            yield from differences(one.get(key), other.get(key), path + "/" + str(key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for at, pair in enumerate(zip(one, other)):
            yield from differences(*pair, path + "/" + str(at))
    elif one != other:
        yield "%s: the chart has %r, the overlay %r" % (path, one, other)


def refused(loaded, values):
    """Nobody else gets the organization of the overlay `trying`, not even where the values say so."""
    for trying in (False, True):
        try:
            loaded.render({**values, "trying": trying}, name="postroad", namespace="postroad")
        except helm_python.HelmError as error:
            if "organization is empty" not in str(error):
                raise
        else:
            sys.exit("the chart applies the organization of the overlay trying to others")


def main():
    chart, values, overlay, built = sys.argv[1:]
    own = values == "-"
    values = {} if own else yaml.safe_load(open(values))
    if not own:
        # --set-file organization=…
        values["organization"] = open(overlay + "/organization.yaml").read()
    with helm_python.Chart.load(chart) as loaded:
        if not own:
            refused(loaded, {key: value for key, value in values.items() if key != "organization"})
        rendered = loaded.render(values, name="postroad", namespace="postroad")
    text = "\n---\n".join(rendered[name] for name in sorted(rendered) if name.endswith(".yaml"))
    ours, theirs = objects(yaml.safe_load_all(text)), objects(yaml.safe_load_all(open(built)))
    wrong = ["only the chart has %s %s" % one for one in sorted(set(ours) - set(theirs))]
    wrong += ["only the overlay has %s %s" % one for one in sorted(set(theirs) - set(ours))]
    for one in sorted(set(ours) & set(theirs)):
        wrong += ["%s %s%s" % (*one, text) for text in differences(ours[one], theirs[one])]
    if wrong:
        sys.exit("\n".join(wrong[:30]))
    print(len(ours))


main()

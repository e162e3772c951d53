#!/usr/bin/env python3
"""What no schema knows of an overlay: `lint.py BUILT SECRETS`, with BUILT of `kubectl kustomize` and SECRETS of `postroad cert cluster
--print`. Pods are as the level `restricted` wants them, nothing refers to what is not there, and no policy or budget chooses nobody.
"""
import json
import sys

import yaml

wrong = []


def pods(documents):
    for document in documents:
        spec = document.get("spec") or {}
        if document["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec and "spec" in spec["template"]:
            name = "%s %s" % (document["kind"], document["metadata"]["name"])
            yield name, spec["template"]["metadata"]["labels"], spec["template"]["spec"], spec


def restricted(name, pod):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/, level restricted."""
    security = pod.get("securityContext", {})
    if not security.get("runAsNonRoot") or security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        wrong.append("%s may run as root, or has no seccomp profile" % name)
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            wrong.append("%s has %s" % (name, key))
    for volume in pod.get("volumes", []):
        if set(volume) - {"name"} - {"configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim"}:
            wrong.append("%s has a volume %r" % (name, volume))
    for container in pod.get("initContainers", []) + pod["containers"]:
        own, of = container.get("securityContext", {}), "%s, %s" % (name, container["name"])
        if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities") != {"drop": ["ALL"]}:
            wrong.append("%s may get privileges" % of)
        if own.get("readOnlyRootFilesystem") is not True:
            wrong.append("%s may write to its root" % of)
        if "limits" not in container.get("resources", {}) or "requests" not in container.get("resources", {}):
            wrong.append("%s has no limit of memory, or no request" % of)
        mounted, there = {one["name"] for one in container.get("volumeMounts", [])}, {one["name"] for one in pod.get("volumes", [])}
        for missing in sorted(mounted - there - {"queue", "mailboxes", "state", "data"}):
            wrong.append("%s mounts %s, which is not there" % (of, missing))


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in (selector or {}).items())


def chosen(what, selector, all_labels):
    if not any(selects(selector, labels) for labels in all_labels):
        wrong.append("%s chooses nobody: %r" % (what, selector))


def references(name, pod, spec, maps, secrets):
    claims = {one["metadata"]["name"] for one in spec.get("volumeClaimTemplates", [])}
    volumes = {one["name"] for one in pod.get("volumes", [])} | claims
    for container in pod.get("initContainers", []) + pod["containers"]:
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                wrong.append("%s mounts %s, which is not there" % (name, mount["name"]))
        for source in container.get("envFrom", []):
            if source["configMapRef"]["name"] not in maps:
                wrong.append("%s needs the ConfigMap %s" % (name, source["configMapRef"]["name"]))
    for volume in pod.get("volumes", []):
        if "configMap" in volume and volume["configMap"]["name"] not in maps:
            wrong.append("%s needs the ConfigMap %s" % (name, volume["configMap"]["name"]))
        used = [source["secret"] for source in volume.get("projected", {}).get("sources", [])]
        if "secret" in volume and not volume["secret"].get("optional"):
            used.append({"name": volume["secret"]["secretName"], "items": []})
        for secret in used:
            if secret["name"] not in secrets:
                wrong.append("%s needs the Secret %s, which nobody makes" % (name, secret["name"]))
            else:
                for item in secret["items"]:
                    if item["key"] not in secrets[secret["name"]]:
                        wrong.append("%s needs %s of the Secret %s" % (name, item["key"], secret["name"]))


def main():
    documents = [one for one in yaml.safe_load_all(open(sys.argv[1])) if one]
    secrets = {one["metadata"]["name"]: one["data"] for one in json.load(open(sys.argv[2]))["items"]}
    for document in documents:
        if document["kind"] == "Certificate":
            secrets.setdefault(document["spec"]["secretName"], {"ca.crt": "", "tls.crt": "", "tls.key": ""})
    maps = {one["metadata"]["name"] for one in documents if one["kind"] == "ConfigMap"}
    all_pods = list(pods(documents))
    labels = [labels for _, labels, _, _ in all_pods]
    services = [one for one in documents if one["kind"] == "Service"]
    for name, own, pod, spec in all_pods:
        restricted(name, pod)
        references(name, pod, spec, maps, secrets)
        if "serviceName" in spec and spec["serviceName"] not in {one["metadata"]["name"] for one in services}:
            wrong.append("%s names a Service that is not there" % name)
    for document in documents:
        kind, spec = document["kind"], document.get("spec", {})
        what = "%s %s" % (kind, document["metadata"]["name"])
        if kind == "Service":
            chosen(what, spec["selector"], labels)
        elif kind == "PodDisruptionBudget":
            chosen(what, spec["selector"]["matchLabels"], labels)
        elif kind == "ServiceMonitor":
            own = [one for one in services if selects(spec["selector"]["matchLabels"], one["metadata"].get("labels", {}))]
            ports = {port["name"] for one in own for port in one["spec"]["ports"]}
            for endpoint in spec["endpoints"]:
                # Bundled etcd alone is in the cluster.
                if endpoint["port"] not in ports and endpoint["port"] != "metrics-e":
                    wrong.append("%s wants the port %s, which no Service has" % (what, endpoint["port"]))
        elif kind == "NetworkPolicy":
            chosen(what, spec["podSelector"].get("matchLabels"), labels)
            peers = [peer for rule in spec.get("ingress") or [] for peer in rule.get("from", [])]
            peers += [peer for rule in spec.get("egress") or [] for peer in rule.get("to", [])]
            for peer in peers:
                selector = peer.get("podSelector", {}).get("matchLabels")
                # What an overlay may do without: the etcd of ../etcd, tools, the controller.
                if selector and selector not in ({"app.kubernetes.io/name": "etcd"},):
                    chosen(what, selector, labels)
    # Of each pod one budget at most: an eviction is refused otherwise.
    budgets = [one["spec"]["selector"]["matchLabels"] for one in documents if one["kind"] == "PodDisruptionBudget"]
    for name, own, _, _ in all_pods:
        if sum(selects(budget, own) for budget in budgets) > 1:
            wrong.append("%s has several budgets" % name)
        policies = [one["spec"]["podSelector"].get("matchLabels") for one in documents if one["kind"] == "NetworkPolicy"]
        if not any(policy and selects(policy, own) for policy in policies):
            wrong.append("%s has no policy of its own" % name)
    if wrong:
        sys.exit("\n".join(wrong))


main()

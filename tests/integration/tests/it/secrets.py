"""Kubernetes' API as far as Secrets of one namespace go: GET, POST (which makes and never replaces), PATCH by server-side apply. Prints its port.

A stand-in: the API server that tests can build serves custom resources alone.
"""
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FOLDER = "/api/v1/namespaces/postroad/secrets"
secrets = {}


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, code, value):
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def failure(self, code, reason):
        self.answer(code, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": reason,
                           "reason": reason, "code": code})

    def body(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def name(self):
        return self.path.split("?")[0].removeprefix(FOLDER + "/")

    def do_GET(self):
        found = secrets.get(self.name())
        self.answer(200, found) if found else self.failure(404, "NotFound")

    def do_POST(self):
        given = self.body()
        name = given["metadata"]["name"]
        if name in secrets:
            return self.failure(409, "AlreadyExists")
        secrets[name] = given
        self.answer(201, given)

    def do_PATCH(self):
        if self.headers["Content-Type"] != "application/apply-patch+yaml" or "fieldManager=" not in self.path:
            return self.failure(415, "UnsupportedMediaType")
        given = self.body()
        there = secrets.get(self.name())
        if there and there["type"] != given["type"]:
            return self.failure(422, "Invalid")
        secrets[self.name()] = given
        self.answer(200, given)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
print(server.server_port, flush=True)
server.serve_forever()

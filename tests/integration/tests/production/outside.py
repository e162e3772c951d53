"""What is outside of the organization in this test: name servers that know its hosts and a provider, and the provider's relay,
which takes everything. Usage: outside.py ADDRESS NAME=ADDRESS ... mx:DOMAIN=NAME ..."""

import socket
import socketserver
import sys
import threading

ADDRESS = sys.argv[1]
NAMES = dict(word.split("=") for word in sys.argv[2:])
TYPE_A = 1
TYPE_MX = 15


def encoded(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


class Names(socketserver.DatagramRequestHandler):
    def handle(self):
        question = self.rfile.read()
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode().lower())
            at += 1 + question[at]
        end = at + 5
        name = ".".join(labels)
        address, exchanger = NAMES.get(name), NAMES.get("mx:" + name)
        kind = int.from_bytes(question[at + 1 : at + 3], "big")
        data = None
        if address and kind == TYPE_A:
            data = socket.inet_aton(address)
        elif exchanger and kind == TYPE_MX:
            data = b"\0\x0a" + encoded(exchanger)
        answers = data is not None
        flags = 0x8580 if address or exchanger else 0x8583
        header = question[:2] + flags.to_bytes(2, "big") + b"\0\1" + (b"\0\1" if answers else b"\0\0") + b"\0\0\0\0"
        answer = b""
        if answers:
            answer = b"\xc0\x0c" + kind.to_bytes(2, "big") + b"\0\1\0\0\0\x3c" + len(data).to_bytes(2, "big") + data
        self.wfile.write(header + question[12:end] + answer)


class Relay(socketserver.StreamRequestHandler):
    def handle(self):
        def say(text):
            self.wfile.write(text.encode() + b"\r\n")

        say("220 relay.provider.example ESMTP")
        for line in self.rfile:
            word = line.strip().upper().split(b" ")[0]
            if word == b"DATA":
                say("354 go ahead")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                say("250 taken")
            elif word == b"QUIT":
                say("221 bye")
                return
            else:
                say("250 relay.provider.example")


class Threads(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


names = socketserver.ThreadingUDPServer((ADDRESS, 53), Names)
threading.Thread(target=names.serve_forever, daemon=True).start()
Threads((ADDRESS, 25), Relay).serve_forever()

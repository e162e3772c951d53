"""What is outside of the organization in this test: name servers that know its hosts and a provider, and the provider's relay,
which takes everything. Usage: outside.py ADDRESS NAME=ADDRESS ..."""

import socket
import socketserver
import sys
import threading

ADDRESS = sys.argv[1]
NAMES = dict(word.split("=") for word in sys.argv[2:])
TYPE_A = 1


class Names(socketserver.DatagramRequestHandler):
    def handle(self):
        question = self.rfile.read()
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode().lower())
            at += 1 + question[at]
        end = at + 5
        address = NAMES.get(".".join(labels))
        kind = int.from_bytes(question[at + 1 : at + 3], "big")
        answers = address is not None and kind == TYPE_A
        flags = 0x8580 if address else 0x8583
        header = question[:2] + flags.to_bytes(2, "big") + b"\0\1" + (b"\0\1" if answers else b"\0\0") + b"\0\0\0\0"
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(address) if answers else b""
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

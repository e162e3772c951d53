"""A delivery agent in Python: each message becomes a file in a folder, as a fax gateway might want it.

    python3 -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. proto/postroad/agent/v1/agent.proto
    python3 docs/examples/agent.py --socket /run/postroad-agents/transport.sock --protocol FAX --folder /var/spool/fax

Debian: python3-grpcio, python3-grpc-tools.
"""

import argparse
import os
import queue
import re
import sys
import time

import grpc
from postroad.agent.v1 import agent_pb2, agent_pb2_grpc

NUMBER = re.compile(r"\+?[0-9]{1,20}")


def outcome(recipient, file_name, begin, content, folder):
    """Delivers to one recipient, and says what became of it."""
    Outcome = agent_pb2.RecipientOutcome
    if not NUMBER.fullmatch(recipient.address):
        return Outcome(result=Outcome.RESULT_FAILED, status="5.1.1", text="this is no telephone number")
    try:
        # Under a hidden name first: whoever empties the folder finds whole files alone.
        hidden = os.path.join(folder, "." + file_name)
        with open(hidden, "wb") as file:
            file.write(f"To: {recipient.address}\nFrom: {begin.sender}\n\n".encode() + content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(hidden, os.path.join(folder, file_name))
    except OSError as error:
        return Outcome(result=Outcome.RESULT_LATER, status="4.3.0", text=str(error))
    return Outcome(result=Outcome.RESULT_DELIVERED)


def attend(stub, arguments):
    """One connection: a message after the other, until Transport ends it."""
    said = queue.SimpleQueue()
    hello = agent_pb2.Hello(protocol=arguments.protocol, name="fax-folder 1")
    said.put(agent_pb2.AgentMessage(hello=hello))
    begin, content = None, b""
    for part in stub.Attend(iter(said.get, None)):
        kind = part.WhichOneof("part")
        if kind == "begin":
            begin, content = part.begin, b""
        elif kind == "content":
            content += part.content
        elif kind == "end":
            # A message that is given again has the same id: it replaces the same file.
            names = [f"{begin.id}-{at}.fax" for at in range(len(begin.recipients))]
            outcomes = [
                outcome(recipient, name, begin, content, arguments.folder)
                for recipient, name in zip(begin.recipients, names)
            ]
            answer = agent_pb2.Outcome(id=begin.id, recipients=outcomes)
            said.put(agent_pb2.AgentMessage(outcome=answer))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--socket", required=True, help="Unix socket of Transport")
    parser.add_argument("--protocol", default="FAX", help="deliveryProtocol of the connectors")
    parser.add_argument("--folder", required=True, help="where files are written")
    arguments = parser.parse_args()
    while True:
        # The name in the header is of no use to a Unix socket, and gRPC would take its path for it.
        options = [("grpc.default_authority", "localhost")]
        with grpc.insecure_channel(f"unix:{arguments.socket}", options=options) as channel:
            try:
                attend(agent_pb2_grpc.DeliveryAgentsStub(channel), arguments)
            except grpc.RpcError as error:
                print(f"Transport: {error.details()}", file=sys.stderr)
        time.sleep(1)


if __name__ == "__main__":
    main()

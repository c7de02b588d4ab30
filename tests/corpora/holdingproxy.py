"""A proxy that passes connections on as they are, and holds requests for one address until it is told.

It prints each address that it holds; a line on its input lets those go, and all that come after them.
"""

import contextlib
import socket
import sys
import threading


def _answers(client, server):
    with contextlib.suppress(OSError):
        while piece := server.recv(65536):
            client.sendall(piece)
        client.shutdown(socket.SHUT_WR)


def _requests(client, server, held, told):
    """Pass requests on; they have no bodies."""
    read = b""
    while True:
        while b"\r\n\r\n" not in read:
            piece = client.recv(65536)
            if not piece:
                return
            read += piece
        head, _, read = read.partition(b"\r\n\r\n")
        path = head.split(b" ", 2)[1]
        if path.partition(b"?")[0].rstrip(b"/").endswith(held) and not told.is_set():
            sys.stdout.write(f"{path.decode()}\n")
            sys.stdout.flush()
            told.wait()
        server.sendall(head + b"\r\n\r\n")


def _forward(client, target, held, told):
    with client, socket.create_connection(target) as server, contextlib.suppress(OSError):
        answers = threading.Thread(target=_answers, args=(client, server), daemon=True)
        answers.start()
        _requests(client, server, held, told)
        server.shutdown(socket.SHUT_WR)
        answers.join()


def main(port, target_port, held):
    """Listen until killed."""
    told = threading.Event()

    def listen():
        sys.stdin.readline()
        told.set()

    with socket.create_server(("127.0.0.1", port)) as listener:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        threading.Thread(target=listen, daemon=True).start()
        while True:
            client, _ = listener.accept()
            passed = (client, ("127.0.0.1", target_port), held.encode(), told)
            threading.Thread(target=_forward, args=passed, daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])

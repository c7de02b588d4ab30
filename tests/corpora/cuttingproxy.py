"""A proxy that breaks the first answer to each chosen address off in the middle, then behaves."""

import contextlib
import socket
import sys
import threading

CUT_AFTER = 4000


def _forward(client, target, suffix, cut, lock):
    with client, socket.create_connection(target) as server:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(65536)
            if not piece:
                return
            head += piece
        lines = head.split(b"\r\n")
        path = lines[0].split(b" ")[1]
        kept = [line for line in lines if not line.lower().startswith(b"connection:")]
        server.sendall(b"\r\n".join([kept[0], b"Connection: close", *kept[1:]]))
        with lock:
            breaks = path.partition(b"?")[0].endswith(suffix) and path not in cut
            if breaks:
                cut.add(path)
                sys.stdout.write(f"{path.decode()}\n")
                sys.stdout.flush()
        sent = 0
        while piece := server.recv(65536):
            if breaks and sent + len(piece) > CUT_AFTER:
                client.sendall(piece[: CUT_AFTER - sent])
                return
            client.sendall(piece)
            sent += len(piece)


def main(port, target_port, suffix):
    """Listen until killed; print each address that was cut."""
    cut, lock = set(), threading.Lock()
    with socket.create_server(("127.0.0.1", port)) as listener:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            client, _ = listener.accept()

            def handle(client=client):
                with contextlib.suppress(OSError):
                    _forward(client, ("127.0.0.1", target_port), suffix.encode(), cut, lock)

            threading.Thread(target=handle, daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])

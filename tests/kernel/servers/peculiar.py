"""Legal but unusual HTTP, by target: `peculiar.py PORT [FILE]`. One thread per connection, on every address of the host."""

import os
import socket
import sys
import threading
import time


def head(connection, rest):
    """Reads one request head; gives it and what came behind it."""
    while b"\r\n\r\n" not in rest:
        more = connection.recv(65536)
        if not more:
            return None, b""
        rest += more
    at = rest.index(b"\r\n\r\n") + 4
    return rest[:at], rest[at:]


def echo(connection, rest):
    while rest:
        connection.sendall(rest)
        rest = connection.recv(65536)


def serve(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    rest = b""
    while True:
        request, rest = head(connection, rest)
        if request is None:
            return
        method, target, _ = request.split(b"\r\n")[0].split(b" ")
        if target == b"/upgrade":
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
            return echo(connection, rest or connection.recv(65536))
        if method == b"CONNECT":
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            return echo(connection, rest or connection.recv(65536))
        if target == b"/until-close":
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
            for _ in range(5):
                connection.sendall(b"HTTP/9 is not a response\r\n")
            return
        if target == b"/pieces":
            for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n":
                connection.sendall(bytes([byte]))
                time.sleep(0.001)
        elif target == b"/early":
            # The answer goes out while the body is still coming.
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            length = int([line for line in request.split(b"\r\n") if line.lower().startswith(b"content-length")][0].split(b":")[1])
            while len(rest) < length:
                rest += connection.recv(65536)
            rest = rest[length:]
        elif target == b"/never":
            time.sleep(0.05)
            return
        elif target == b"/held":
            # Until the test says so: a fixed time would be too short on a busy machine.
            while not os.path.exists(sys.argv[2]):
                time.sleep(0.01)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


def work(connection):
    with connection:
        serve(connection)


listener = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
while True:
    threading.Thread(target=work, args=(listener.accept()[0],), daemon=True).start()

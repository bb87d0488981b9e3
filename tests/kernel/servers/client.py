"""A client that cuts its requests into many segments: `client.py HOST PORT REQUESTS PIECE`.

Each head has about 1500 bytes; its number and its pattern let the test tell what it must have been.
"""

import socket
import sys

host, port, requests, piece = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])


def head(number):
    fields = "".join(f"X-{field}: {number:06}{'abcdefgh' * 4}\r\n" for field in range(32))
    return f"GET /{number} HTTP/1.1\r\nHost: gait\r\n{fields}\r\n".encode()


connection = socket.create_connection((host, port), timeout=30)
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for number in range(requests):
    request = head(number)
    for at in range(0, len(request), piece):
        connection.sendall(request[at:at + piece])
    answer = b""
    while not answer.endswith(b"hello"):
        more = connection.recv(65536)
        assert more, "the server closed the connection"
        answer += more

"""Python's own servers: `python.py PORT single|threads|forks`. Each answers with its process and thread."""

import http.server
import os
import socketserver
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"{os.getpid()} {threading.get_native_id()}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_):
        pass


class Forks(socketserver.ForkingMixIn, http.server.HTTPServer):
    pass


servers = {"single": http.server.HTTPServer, "threads": http.server.ThreadingHTTPServer, "forks": Forks}
server = servers[sys.argv[2]]
server.request_queue_size = 128
# Clients of the tests go without a word.
server.handle_error = lambda *_: None
server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()

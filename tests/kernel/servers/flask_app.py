"""A Flask application on a threading server: its port is the argument."""
import gc
import logging
import sys
import threading

from flask import Flask, abort, jsonify
from werkzeug.serving import make_server

app = Flask(__name__)


def price(item):
    return item * 3


def total(items):
    return sum(price(item) for item in items)


@app.route("/items/<int:item>")
def item(item):
    return jsonify(id=item, price=price(item))


@app.route("/cart/<int:count>")
def cart(count):
    return jsonify(total=total(range(1, count + 1)))


@app.route("/forbidden")
def forbidden():
    abort(403)


# The collector calls back wherever it happens to run, which makes trees of their own.
gc.disable()
# Python 3.11 passes its own probes only in threads that have a profile function.
threading.setprofile(lambda *_: None)
logging.getLogger("werkzeug").disabled = True
make_server("127.0.0.1", int(sys.argv[1]), app, threaded=True).serve_forever()

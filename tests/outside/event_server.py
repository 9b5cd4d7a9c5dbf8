"""Server-sent events: a WSGI application that tells each client its own name, on and on.

Run by gunicorn as `event_server:application`. `/open` is how many streams there are.
"""

import itertools
import threading
import time

PAUSE_SECONDS = 0.2
# What is said about keeping it, by path; nothing makes a stream anybody else's.
SAYS = {
    "/silent": [],
    "/no-cache": [("Cache-Control", "no-cache")],
    "/dated": [("Last-Modified", "Sun, 01 Jan 2023 00:00:00 GMT")],
}
OPEN, LOCK = set(), threading.Lock()


def stream(name, first):
    with LOCK:
        OPEN.add(name)
    try:
        for number in itertools.count(first):
            yield f"id: {number}\ndata: {name} {number} {time.time()}\n\n".encode()
            time.sleep(PAUSE_SECONDS)
    finally:
        with LOCK:
            OPEN.discard(name)


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/open":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Cache-Control", "no-store")])
        return [" ".join(sorted(OPEN)).encode()]
    start_response("200 OK", [("Content-Type", "text/event-stream; charset=utf-8"), *SAYS[path]])
    # Who asks is in a field, so that two clients ask for one URL.
    name = environ.get("HTTP_X_NAME", "nobody")
    return stream(name, int(environ.get("HTTP_LAST_EVENT_ID", "-1")) + 1)

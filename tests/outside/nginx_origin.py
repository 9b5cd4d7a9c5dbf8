#!/usr/bin/env python3
"""Copal before a real nginx: bodies of 1 KiB, 1 MiB and 1 GiB, as miss, follower and hit."""

import concurrent.futures
import threading
import time

from stand import Copal, Nginx, check, get

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


def bodies_are_identical(origin, copal):
    for name in ("1k", "1m", "1g"):
        path = f"/{name}"
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            both = [pool.submit(get, copal.port, path) for _ in range(2)]
            cold = [it.result() for it in both]
        hit = get(copal.port, path)
        for status, fields, digest in [*cold, hit]:
            how = fields["cache-status"]
            check(status == 200 and digest == origin.sums[name], f"{name} is identical: {how}")
        check(hit[1]["cache-status"] == "copal; hit", f"{name} is a hit the third time")
        check(origin.requests(path) == 1, f"{name} was asked for once")


def conditions_and_purge(origin, copal):
    _, fields, _ = get(copal.port, "/1k")
    status, _, _ = get(copal.port, "/1k", {"If-None-Match": fields["etag"]})
    check(status == 304, "a condition that holds is answered with 304")
    answer = copal.purge(f'{{"url":"http://127.0.0.1:{copal.port}/1k"}}')
    check(answer.strip() == '{"purged":1}', f"purge tells its count: {answer.strip()}")
    _, fields, digest = get(copal.port, "/1k")
    check("uri-miss" in fields["cache-status"], "the next one is a miss")
    check(digest == origin.sums["1k"], "and still the same")


def revalidation(origin, copal):
    get(copal.port, "/stale/1m")
    time.sleep(1.1)
    status, fields, digest = get(copal.port, "/stale/1m")
    check("fwd=stale; fwd-status=304" in fields["cache-status"], "a stale page is confirmed")
    check(status == 200 and digest == origin.sums["1m"], "and served whole")


def one_request_for_a_herd(origin, copal):
    for name in ("herd0", "herd1", "herd2"):
        gate = threading.Barrier(200)

        def ask(path=f"/{name}", gate=gate):
            gate.wait()
            return get(copal.port, path)

        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            answers = [it.result() for it in [pool.submit(ask) for _ in range(200)]]
        good = all(it[0] == 200 and it[2] == origin.sums[name] for it in answers)
        check(good, f"200 clients got {name} whole")
        check(origin.requests(f"/{name}") == 1, f"nginx's log has one request for {name}")


def main():
    files = {"1k": KIB, "1m": MIB, "1g": GIB, **{f"herd{i}": MIB for i in range(3)}}
    origin = Nginx(files)
    copal = Copal(origin, "--memory", "12GiB")
    try:
        bodies_are_identical(origin, copal)
        conditions_and_purge(origin, copal)
        revalidation(origin, copal)
        one_request_for_a_herd(origin, copal)
        check(copal.stop() == 0, "it ends with 0")
    finally:
        copal.process.kill()
        origin.stop()


if __name__ == "__main__":
    main()

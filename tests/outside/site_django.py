"""Django under gunicorn: public pages hit, and sessions, forms and accounts stay with their owners."""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from recipes import running
from stand import TARGET, expect, free_port, wait_for
from visitor import Visitor

VENV = TARGET / "outside-venv" / "bin"
HERE = pathlib.Path(__file__).resolve().parent
ANALYTICS = {"_ga": "GA1.1.17.42", "_gid": "GA1.1.9", "_fbp": "fb.1.2"}


class Gunicorn:
    """The project on a database of its own."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="copal-django-"))
        (self.folder / "site.css").write_text("body { color: black }")
        self.port = free_port()
        environment = {**os.environ, "DJANGO_FOLDER": str(self.folder)}
        subprocess.run([VENV / "python", HERE / "django_project.py"], env=environment, check=True)
        command = [VENV / "gunicorn", "-b", f"127.0.0.1:{self.port}", "-w", "2", "--threads", "4"]
        log = ["--access-logfile", str(self.folder / "access.log"), "--log-level", "error"]
        command += [*log, "--chdir", str(HERE), "django_project:application"]
        self.process = subprocess.Popen(command, env=environment)
        wait_for(self.port)

    def requests(self, path):
        """How often the access log names this path."""
        # A request is in the log a moment after its answer.
        time.sleep(0.1)
        lines = (self.folder / "access.log").read_text().splitlines()
        return sum(f" {path} HTTP/" in line for line in lines)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


def run():
    origin = Gunicorn()
    with running("Django", origin) as copal:
        Story(origin, copal).tell()


class Story:
    def __init__(self, origin, copal):
        self.origin, self.port = origin, copal.port

    def tell(self):
        self.public_pages()
        self.csrf()
        self.alice, self.bob = self.log_in("alice"), self.log_in("bob")
        self.pages_by_cookie()
        self.accounts()
        self.sessions()
        self.uploads()
        self.back_office()
        self.log_out()

    def stranger(self, **cookies):
        return Visitor(self.port, {**ANALYTICS, **cookies})

    def public_pages(self):
        for path in ("/", "/static/site.css"):
            answers = [self.stranger(_ga=f"GA1.1.{n}").get(path) for n in range(10)]
            good = all(it.hit and it.status == 200 for it in answers[1:])
            expect(
                good and self.origin.requests(path) == 1,
                f"visitors with analytics hit {path}: {answers[1]}",
            )
        answer = self.stranger().get("/?utm_source=evil&gclid=evil")
        expect(answer.hit and "evil" not in answer.text, f"whatever campaign they come by: {answer}")
        tag = self.stranger().get("/").fields["etag"]
        answer = self.stranger().ask("GET", "/", fields={"If-None-Match": tag})
        expect(answer.status == 304, f"a condition is answered with 304: {answer}")

    def csrf(self):
        one, two = self.stranger(), self.stranger()
        pages = [it.get("/form/") for it in (one, two)]
        tokens = [it.form("word").get("csrfmiddlewaretoken") for it in pages]
        expect(
            tokens[0] and tokens[0] != tokens[1], f"each visitor has a token of its own: {pages[1]}"
        )
        for visitor, token, word in ((one, tokens[0], "anchovy"), (two, tokens[1], "bergamot")):
            answer = visitor.post(
                "/form/", {"csrfmiddlewaretoken": token, "word": word}, follow=True
            )
            expect(f"Thanks for {word}" in answer.text, f"which is taken: {answer}")
        answer = one.post("/form/", {"csrfmiddlewaretoken": "x" * 64, "word": "no"})
        expect(answer.status == 403, f"and no other: {answer.status}")
        page = self.stranger().get("/form/")
        expect("Thanks" not in page.text, f"no stranger finds the thanks: {page}")

    def log_in(self, name, path="/accounts/login/"):
        visitor = self.stranger()
        form = visitor.get(path).form("method" if "admin" in path else "login")
        form |= {"username": name, "password": name}
        answer = visitor.post(path, form)
        good = answer.status == 302 and ("sessionid", "/") in visitor.jar
        expect(good, f"{name} logs in: {answer}")
        return visitor

    def pages_by_cookie(self):
        """They may be kept, by cookie, with whichever visitor first."""
        for path in ("/hello/", "/hello/?first=alice"):
            order = [(self.stranger(), "stranger"), (self.alice, "alice"), (self.bob, "bob")]
            if "alice" in path:
                order = [order[1], order[2], order[0]]
            for visitor, name in order * 2:
                answer = visitor.get(path)
                expect(f"Hello {name}." == answer.text, f"{path} greets {name}: {answer}")
            answer = self.stranger(_ga="GA1.1.99").get(path)
            expect(
                answer.hit and answer.text == "Hello stranger.", f"strangers share theirs: {answer}"
            )

    def accounts(self):
        for turn in range(3):
            who = [(self.alice, "alice"), (self.bob, "bob"), (self.stranger(), None)] * 5
            with concurrent.futures.ThreadPoolExecutor(15) as pool:
                asked = [(name, pool.submit(it.get, f"/account/?turn={turn}")) for it, name in who]
                answers = [(name, it.result()) for name, it in asked]
            good = all(
                it.text == f"The account of {name}." if name else it.status == 302
                for name, it in answers
            )
            expect(good, f"a mixed herd at /account/: to each his own, {answers[0][1]}")
        tag = self.alice.get("/account/").fields["etag"]
        answer = self.alice.ask("GET", "/account/", fields={"If-None-Match": tag})
        expect(answer.status == 304, f"a condition for a private page reaches Django: {answer}")

    def sessions(self):
        one, two = self.stranger(), self.stranger()
        first = one.get("/basket/?add=pear")
        expect("pear" in first.text and ("sessionid", "/") in one.jar, f"a session begins: {first}")
        second = two.get("/basket/?add=pear")
        expect(
            two.jar.get(("sessionid", "/")) != one.jar[("sessionid", "/")], f"and another: {second}"
        )
        one.get("/basket/?add=plum")
        expect(
            one.get("/basket/").text == "In the basket: pear,plum.",
            "the basket holds what its owner put in",
        )
        expect(two.get("/basket/").text == "In the basket: pear.", "and not what others did")
        expect(
            self.stranger().get("/basket/").text == "In the basket: .",
            "strangers' baskets are empty",
        )

    def uploads(self):
        """Taken whole with a token, and without one refused, which the visitor gets to see."""
        visitor = self.stranger()
        token = visitor.get("/form/").form("word")["csrfmiddlewaretoken"]
        for length in (1000, 2_000_000):
            fields = {"X-CSRFToken": token, "Content-Type": "application/octet-stream"}
            answer = visitor.ask("POST", "/length/", b"x" * length, fields)
            expect(answer.text == str(length), f"an upload of {length} bytes arrives: {answer}")
        answer = self.stranger().ask("POST", "/length/", b"x" * 2_000_000)
        expect(answer.status == 403, f"one without a token gets its 403: {answer}")

    def back_office(self):
        root = self.log_in("root", "/admin/login/?next=/admin/")
        form = root.get("/admin/auth/group/add/").form("group_form") | {"name": "Secret society"}
        answer = root.post("/admin/auth/group/add/", form, follow=True)
        good = "Secret society" in answer.text and "was added" in answer.text
        expect(good, f"a group is added in the back office: {answer}")
        for visitor in (self.stranger(), self.alice):
            answer = visitor.get("/admin/auth/group/")
            good = answer.status == 302 and "Secret society" not in answer.text
            expect(good, f"others do not see it: {answer}")

    def log_out(self):
        token = self.alice.get("/form/").form("word")["csrfmiddlewaretoken"]
        answer = self.alice.post("/accounts/logout/", {"csrfmiddlewaretoken": token})
        expect(answer.status in (200, 302), f"alice logs out: {answer.status}")
        answer = self.alice.get("/account/")
        expect(answer.status == 302, f"and has no account any more: {answer}")
        expect(self.alice.get("/hello/").text == "Hello stranger.", "but a greeting")
        expect(self.bob.get("/account/").text == "The account of bob.", "bob still has his")

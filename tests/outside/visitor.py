"""A browser as far as caches notice it: a cookie jar, forms and redirects, one connection a request."""

import dataclasses
import email.message
import email.utils
import html.parser
import http.client
import time
import urllib.parse

REDIRECTS_MAX = 5


@dataclasses.dataclass
class Answer:
    status: int
    fields: email.message.Message
    body: bytes

    def __str__(self):
        return f"{self.status} {self.how}"

    @property
    def text(self):
        return self.body.decode(errors="replace")

    @property
    def how(self):
        """What Copal's Cache-Status says."""
        return self.fields.get("cache-status", "no Cache-Status")

    @property
    def hit(self):
        return self.how.startswith("copal; hit")

    def form(self, needle):
        """The fields of the first form whose tag has this text, with their values."""
        parser = Forms()
        parser.feed(self.text)
        return next((inputs for tag, inputs in parser.forms if needle in tag), {})


class Forms(html.parser.HTMLParser):
    """The hidden and filled inputs of each form of a page."""

    def __init__(self):
        super().__init__()
        self.forms = []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self.forms.append((str(attrs), {}))
        elif tag == "input" and self.forms and attrs.get("name"):
            self.forms[-1][1][attrs["name"]] = attrs.get("value", "")


class Visitor:
    """One browser before one port; `source` is the address that it comes from."""

    def __init__(self, port, cookies=None, source="127.0.0.1"):
        self.port, self.source = port, source
        self.jar = {(name, "/"): value for name, value in (cookies or {}).items()}

    def get(self, path, **options):
        return self.ask("GET", path, **options)

    def post(self, path, form, **options):
        body = urllib.parse.urlencode(form).encode()
        fields = {"Content-Type": "application/x-www-form-urlencoded", **options.pop("fields", {})}
        return self.ask("POST", path, body=body, fields=fields, **options)

    def ask(self, method, path, body=None, fields=None, follow=False):
        answer = self._ask(method, path, body, fields or {})
        for _ in range(REDIRECTS_MAX):
            if not follow or answer.status not in (301, 302, 303, 307, 308):
                break
            path = self.local(urllib.parse.urljoin(path, answer.fields["location"]))
            answer = self._ask("GET", path, None, {})
        return answer

    def _ask(self, method, path, body, fields):
        source = (self.source, 0)
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=60, source_address=source
        )
        cookies = {"Cookie": it} if (it := self.cookies(path)) else {}
        connection.request(method, path, body, {**cookies, **fields})
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        connection.close()
        for line in answer.fields.get_all("set-cookie", []):
            self.keep(line)
        return answer

    def cookies(self, path):
        # A copy, for others may ask with the same jar at the same time.
        jar = [
            (name, value) for (name, scope), value in [*self.jar.items()] if path.startswith(scope)
        ]
        return "; ".join(f"{name}={value}" for name, value in jar)

    def keep(self, line):
        """Takes a Set-Cookie (RFC 6265 §5.2), or drops the cookie that it says has expired."""
        pair, *rest = line.split(";")
        name, _, value = pair.strip().partition("=")
        attributes = {it.strip().partition("=")[0].lower(): it.partition("=")[2] for it in rest}
        place = name, attributes.get("path") or "/"
        expires = email.utils.parsedate_tz(attributes.get("expires", ""))
        gone = expires is not None and email.utils.mktime_tz(expires) < time.time()
        if gone or attributes.get("max-age", "1").startswith(("0", "-")):
            self.jar.pop(place, None)
        else:
            self.jar[place] = value

    @staticmethod
    def local(url):
        """The path and query of a URL of this site."""
        parts = urllib.parse.urlsplit(url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

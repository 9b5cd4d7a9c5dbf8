"""docker-registry with skopeo: images are pushed and pulled, layers hit, and tags that move are seen."""

import base64
import concurrent.futures
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import time
import urllib.parse

from recipes import running
from stand import expect, free_port, wait_for
from visitor import Visitor

LAYER_BYTES = 5_000_000
USER, PASSWORD = "ada", "secret"
# bcrypt, the only form that the registry takes.
HTPASSWD = "ada:$2y$05$91Zi61IFb6otpNFWLWY75.Z0HMsuFXrgOjN39bWUdoLf470W.jVWC\n"

CONFIG = """
version: 0.1
log: {{ level: error, accesslog: {{ disabled: false }} }}
storage: {{ filesystem: {{ rootdirectory: {folder}/data }}, delete: {{ enabled: true }} }}
http: {{ addr: "127.0.0.1:{port}", secret: of a test }}
"""
AUTH = """
auth: {{ htpasswd: {{ realm: test, path: {folder}/htpasswd }} }}
"""


class Registry:
    """docker-registry in a folder of its own; a private one wants a name and a password."""

    def __init__(self, private):
        self.folder, self.port = (
            pathlib.Path(tempfile.mkdtemp(prefix="copal-registry-")),
            free_port(),
        )
        (self.folder / "htpasswd").write_text(HTPASSWD)
        config = (CONFIG + AUTH * private).format(folder=self.folder, port=self.port)
        (self.folder / "config.yml").write_text(config)
        with open(self.folder / "log", "wb") as log:
            command = ["docker-registry", "serve", str(self.folder / "config.yml")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self.port)

    def requests(self, *needles):
        """How many lines of the access log have all of these."""
        # A request is in the log a moment after its answer.
        time.sleep(0.1)
        lines = (self.folder / "log").read_text().splitlines()
        return sum(all(needle in line for needle in needles) for line in lines)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


class Image:
    """An image as an OCI layout: a layer of noise, a configuration and a manifest."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "blobs" / "sha256").mkdir(parents=True)
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as file:
            member = tarfile.TarInfo("noise")
            member.size = LAYER_BYTES
            file.addfile(member, io.BytesIO(os.urandom(LAYER_BYTES)))
        kind = "application/vnd.oci.image"
        layer = self._blob(f"{kind}.layer.v1.tar+gzip", gzip.compress(tar.getvalue(), 1))
        root = {"type": "layers", "diff_ids": [digest_of(tar.getvalue())]}
        config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": root}
        config = self._blob(f"{kind}.config.v1+json", json.dumps(config).encode())
        manifest = {"schemaVersion": 2, "config": config, "layers": [layer]}
        manifest["mediaType"] = f"{kind}.manifest.v1+json"
        manifest = self._blob(manifest["mediaType"], json.dumps(manifest).encode())
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
        self.layer, self.digest = layer["digest"], manifest["digest"]

    def _blob(self, kind, content):
        digest = digest_of(content)
        (self.folder / "blobs" / digest.replace(":", "/")).write_bytes(content)
        return {"mediaType": kind, "digest": digest, "size": len(content)}


def digest_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def skopeo(*arguments):
    command = ["skopeo", "--insecure-policy", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode == 0, done.stdout + done.stderr


def run():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="copal-images-"))
    try:
        for story, private in ((open_to_all, False), (behind_a_password, True)):
            origin = Registry(private)
            with running("Registry", origin) as copal:
                story(origin, copal, folder)
    finally:
        shutil.rmtree(folder)


def open_to_all(origin, copal, folder):
    first, second = Image(folder / "first"), Image(folder / "second")
    for name in ("tale", "project/tale"):
        push(copal, first, f"{name}:1")
        pulls(origin, copal, folder, first, name)
    by_hand(copal, first)
    uploads(copal)
    push(copal, second, "herd:1")
    pull_at_once(origin, copal, folder, second, "herd")
    push(copal, second, "tale:1")
    moved(copal, folder, second)


def where(copal, image):
    return f"docker://127.0.0.1:{copal.port}/{image}"


def push(copal, image, name):
    done, text = skopeo("copy", "--dest-tls-verify=false", f"oci:{image.folder}", where(copal, name))
    expect(done, f"skopeo pushes {name}{'' if done else ': ' + text}")


def pull(copal, name, folder, *flags):
    shutil.rmtree(folder, ignore_errors=True)
    done, text = skopeo(
        "copy", "--src-tls-verify=false", *flags, where(copal, name), f"dir:{folder}"
    )
    return done, text


def pull_at_once(origin, copal, folder, image, name):
    """Four machines pull an image that nobody has pulled before."""
    before = origin.requests("GET", "/blobs/")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        folders = [folder / f"pulled{n}" for n in range(4)]
        done = list(pool.map(lambda it: pull(copal, f"{name}:1", it)[0], folders))
    good = all(done) and all(has_layer(it, image) for it in folders)
    asked = origin.requests("GET", "/blobs/") - before
    expect(good, f"four pull {name} at once: the registry was asked {asked} times")


def has_layer(folder, image):
    file = folder / image.layer.removeprefix("sha256:")
    return file.exists() and digest_of(file.read_bytes()) == image.layer


def pulls(origin, copal, folder, image, name):
    for turn in ("first", "second", "third"):
        before = origin.requests("GET", "/blobs/")
        done, text = pull(copal, f"{name}:1", folder / "pulled")
        good = done and has_layer(folder / "pulled", image)
        expect(good, f"skopeo pulls {name}, the {turn} time{'' if good else ': ' + text}")
        asked = origin.requests("GET", "/blobs/") - before
        if turn == "first":
            expect(asked > 0, f"the registry was asked for blobs {asked} times")
        else:
            expect(asked == 0, f"blobs hit: the registry was asked {asked} times")
    done, text = skopeo("inspect", "--tls-verify=false", where(copal, f"{name}:1"))
    expect(done and json.loads(text)["Digest"] == image.digest, "skopeo inspect tells the digest")
    done, text = skopeo("inspect", "--tls-verify=false", where(copal, f"{name}@{image.digest}"))
    expect(done and json.loads(text)["Layers"] == [image.layer], "and by the digest the layers")
    done, text = skopeo(
        "copy",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        where(copal, f"{name}:1"),
        where(copal, f"{name}:copy"),
    )
    expect(
        done, f"skopeo copies from tag to tag, through copal both ways{'' if done else ': ' + text}"
    )


def by_hand(copal, image):
    visitor, path = Visitor(copal.port), f"/v2/tale/blobs/{image.layer}"
    whole = visitor.get(path)
    expect(whole.hit and digest_of(whole.body) == image.layer, f"a layer: {whole}")
    answer = visitor.ask("GET", path, fields={"Range": "bytes=1500000-"})
    good = answer.status == 206 and answer.body == whole.body[1500000:]
    expect(good, f"the rest of a layer: {answer}")
    answer = visitor.ask("HEAD", path)
    good = answer.status == 200 and int(answer.fields["content-length"]) == len(whole.body)
    expect(good, f"HEAD tells its length: {answer}")
    answer = visitor.ask("GET", path, fields={"If-None-Match": whole.fields["etag"]})
    expect(answer.status == 304, f"If-None-Match: {answer}")
    # A client that knows only the old form and one that knows the new one ask for the same tag.
    form = "application/vnd.oci.image.manifest.v1+json"
    new = visitor.ask("GET", "/v2/tale/manifests/1", fields={"Accept": form})
    old = visitor.ask(
        "GET",
        "/v2/tale/manifests/1",
        fields={"Accept": "application/vnd.docker.distribution.manifest.v1+json"},
    )
    again = visitor.ask("GET", "/v2/tale/manifests/1", fields={"Accept": form})
    good = new.status == again.status == 200 and new.body == again.body and old.body != new.body
    expect(good, f"a manifest by Accept: {new.status} {old.status} {again.status}, {again}")


def uploads(copal):
    """By the registry's protocol: POST, PATCH with a part, another part, and PUT with the digest."""
    visitor, content = Visitor(copal.port), os.urandom(3_000_000)
    path = f"/v2/tale/blobs/{digest_of(content)}"
    answer = visitor.get(path)
    expect(answer.status == 404, f"a blob that is not there: {answer}")
    octets = {"Content-Type": "application/octet-stream"}
    answer = visitor.ask("POST", "/v2/tale/blobs/uploads/", b"")
    begun = answer.fields.get("location", "")
    good = answer.status == 202 and urllib.parse.urlsplit(begun).netloc == f"127.0.0.1:{copal.port}"
    expect(good, f"an upload begins, at copal's address: {answer}")
    for start, part in ((0, content[:1_000_000]), (1_000_000, content[1_000_000:])):
        span = {"Content-Range": f"{start}-{start + len(part) - 1}"}
        answer = visitor.ask("PATCH", Visitor.local(begun), part, {**octets, **span})
        begun = answer.fields.get("location", begun)
        expect(answer.status == 202, f"PATCH with {len(part)} bytes: {answer}")
    end = Visitor.local(begun) + f"&digest={urllib.parse.quote(digest_of(content))}"
    answer = visitor.ask("PUT", end, b"", octets)
    expect(answer.status == 201, f"PUT ends it: {answer}")
    answer = visitor.get(path)
    expect(answer.status == 200 and answer.body == content, f"the blob is there at once: {answer}")


def moved(copal, folder, image):
    done, _ = pull(copal, "tale:1", folder / "pulled")
    expect(done and has_layer(folder / "pulled", image), "a tag that has moved is seen at once")
    answer = Visitor(copal.port).ask("DELETE", f"/v2/tale/manifests/{image.digest}")
    expect(answer.status == 202, f"a manifest is deleted: {answer}")
    done, _ = pull(copal, f"tale@{image.digest}", folder / "pulled")
    expect(not done, "and gone at once")


def behind_a_password(origin, copal, folder):
    image = Image(folder / "private")
    flag = f"--dest-creds={USER}:{PASSWORD}"
    done, text = skopeo(
        "copy", "--dest-tls-verify=false", flag, f"oci:{image.folder}", where(copal, "tale:1")
    )
    expect(done, f"skopeo pushes with a password{'' if done else ': ' + text}")
    path = f"/v2/tale/blobs/{image.layer}"
    for turn in ("first", "second"):
        done, _ = pull(copal, "tale:1", folder / "pulled", f"--src-creds={USER}:{PASSWORD}")
        expect(done and has_layer(folder / "pulled", image), f"and pulls, the {turn} time")
        done, _ = pull(copal, "tale:1", folder / "pulled")
        expect(not done, "nobody does without one")
        for place in (path, "/v2/tale/manifests/1", "/v2/"):
            answer = Visitor(copal.port).get(place)
            good = answer.status == 401 and "www-authenticate" in answer.fields
            expect(good, f"{place[:24]} without a password: {answer}")
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    answer = Visitor(copal.port).ask("GET", path, fields={"Authorization": f"Basic {basic}"})
    expect(
        answer.status == 200 and digest_of(answer.body) == image.layer,
        f"with one, after the 401: {answer}",
    )
    answer = Visitor(copal.port).ask("GET", path, fields={"Authorization": "Basic bm86bm8="})
    expect(answer.status == 401, f"with a wrong one: {answer}")

#!/usr/bin/env python3
"""Reads logs from an emulator of Azure's storage, as `windrow` reads them here.

    python3 tests/remote_support/emulator.py target/debug/windrow

wants a build with the feature `cloud`, and `azurite-blob` on PATH (npm install azurite);
without that it skips. Ends with 1 if an answer differs.
"""

import base64
import contextlib
import email.utils
import hashlib
import hmac
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

DATA = pathlib.Path(__file__).resolve().parents[2] / "data"
BUCKET = "logs"
# What every Azurite has, as its documentation says.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def objects():
    """The keys of all objects, with their bytes: one needs to be escaped."""
    logs = sorted((DATA / "logs").glob("*.json.gz"))
    found = {f"day 1/{path.name}": path.read_bytes() for path in logs}
    found["other/readme.txt"] = b"no log"
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(command, port):
    """A server, from when it listens on."""
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        server = subprocess.Popen(command, cwd=folder, stdout=nowhere, stderr=nowhere)
        try:
            for _ in range(300):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.1)
            else:
                raise SystemExit(f"{command[0]} does not listen")
            yield
        finally:
            server.terminate()
            server.wait()


def put_azure(port, path, body, query=(), headers=()):
    """A signed PUT, as https://learn.microsoft.com/rest/api/storageservices says."""
    headers = dict(headers) | {
        "x-ms-date": email.utils.formatdate(usegmt=True),
        "x-ms-version": "2021-12-02",
    }
    named = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    escaped = urllib.parse.quote(path)
    resource = f"/{ACCOUNT}/{ACCOUNT}{escaped}" + "".join(f"\n{n}:{v}" for n, v in sorted(query))
    length = str(len(body)) if body else ""
    kind = "application/octet-stream"
    text = f"PUT\n\n\n{length}\n\n{kind}\n\n\n\n\n\n\n{named}{resource}"
    signed = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signed).decode()}"
    headers["Content-Type"] = kind
    url = f"http://127.0.0.1:{port}/{ACCOUNT}{escaped}"
    url += f"?{urllib.parse.urlencode(query)}" if query else ""
    urllib.request.urlopen(urllib.request.Request(url, body, headers, method="PUT")).close()


@contextlib.contextmanager
def azure():
    """The variables to reach the store with."""
    port = free_port()
    command = ["azurite-blob", "--silent", "--inMemoryPersistence", "--skipApiVersionCheck"]
    with running([*command, "--blobPort", str(port)], port):
        put_azure(port, f"/{BUCKET}", b"", [("restype", "container")])
        for key, body in objects().items():
            put_azure(port, f"/{BUCKET}/{key}", body, headers=[("x-ms-blob-type", "BlockBlob")])
        yield {
            "AZURE_STORAGE_USE_EMULATOR": "true",
            "AZURITE_BLOB_STORAGE_URL": f"http://127.0.0.1:{port}",
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
        }


def run(windrow, *args, env=()):
    """What a command prints, and how it ends."""
    done = subprocess.run(
        [windrow, *args], env=os.environ | dict(env), capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout, done.stderr


def check(windrow, env):
    """How many answers differ from those about the same files here."""
    here, there = str(DATA / "logs"), f"az://{BUCKET}"
    errors, rows = ["--where", "status >= 500"], ["--output", "json", "-n", "5000"]
    cases = [
        (["count", f"{there}/day 1/"], ["count", here]),
        (["count", f"{there}/day 1/*.json.gz"], ["count", here]),
        (["count", f"{there}/**/*.gz", *errors], ["count", here, *errors]),
        (["head", f"{there}/day 1/", *rows], ["head", here, *rows]),
        (["schema", f"{there}/day 1/"], ["schema", here]),
    ]
    wrong = 0
    for remote, local in cases:
        found, want = run(windrow, *remote, env=env), run(windrow, *local)
        same = found[0] == want[0] == 0 and found[1] == want[1]
        print(f"{'ok   ' if same else 'WRONG'} windrow {' '.join(remote)}")
        if not same:
            print(f"  ended with {found[0]}: {found[2].strip() or found[1][:500]}")
        wrong += not same
    code, _, error = run(windrow, "count", f"{there}/no such key", env=env)
    named = code != 0 and "no such key" in error and KEY not in error
    print(f"{'ok   ' if named else 'WRONG'} a missing object: {code} {error.strip()}")
    return wrong + (not named)


def main():
    windrow = str(pathlib.Path(sys.argv[1]).resolve())
    if shutil.which("azurite-blob") is None:
        print("skipped: there is no azurite-blob")
        return
    with azure() as env:
        sys.exit(1 if check(windrow, env) else 0)


if __name__ == "__main__":
    main()

"""A tool server over stdio for tests, in plain Python: does what its calls ask, misbehaviour included.

`--silent` reads and never answers, `--stubborn` ignores the end of its input and SIGTERM, `--modern` answers
`server/discover`, `--dies` exits at once after a word on standard error.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time

lock = threading.Lock()
heard = []
answers = {}
arrived = threading.Condition()


def say(message):
    with lock:
        sys.stdout.buffer.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        sys.stdout.buffer.flush()


def notify(method, **params):
    say({"method": method, "params": params})


def ask(ident, method, **params):
    say({"id": ident, "method": method, "params": params})
    with arrived:
        assert arrived.wait_for(lambda: ident in answers, 10)
        return answers.pop(ident)


def spawn(far):
    """A child that leaves the group and the session; with `far`, its parent has ended already."""
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    if not far:
        return subprocess.Popen(sleep, start_new_session=True, stdin=subprocess.DEVNULL).pid
    # What it starts keeps our output open: whoever waits for its end waits for that one, too.
    script = f"import os,subprocess; os.write(9, b'%d' % subprocess.Popen({sleep!r}, start_new_session=True).pid)"
    reader, writer = os.pipe()
    command = [sys.executable, "-c", f"import os; os.dup2({writer}, 9)\n{script}"]
    subprocess.run(command, start_new_session=True, pass_fds=[writer], check=True)
    return int(os.read(reader, 20))


def call(name, arguments, params, ident):
    token = params.get("_meta", {}).get("progressToken")
    if name == "echo":
        return arguments
    if name == "pid":
        return os.getpid()
    if name == "env":
        return dict(os.environ)
    if name == "cwd":
        return os.getcwd()
    if name == "limits":
        return {one: resource.getrlimit(getattr(resource, one)) for one in arguments["names"]}
    if name == "progress":
        for number in range(arguments["count"]):
            notify("notifications/progress", progressToken=token, progress=number)
        return token
    if name == "log":
        notify("notifications/message", level="info", data=arguments["data"])
        return None
    if name == "changed":
        notify("notifications/tools/list_changed")
        return None
    if name == "updated":
        notify("notifications/resources/updated", uri=arguments["uri"])
        return None
    if name == "ask":
        return ask(arguments.get("id", "q"), "sampling/createMessage", prompt=arguments.get("prompt"))
    if name == "ping":
        return ask("p", "ping")
    if name == "slow":
        time.sleep(arguments["s"])
        return "slow"
    if name == "spawn":
        return spawn(arguments.get("far", False))
    if name == "crash":
        sys.stderr.write(arguments.get("last", "crashing") + "\n")
        sys.stderr.flush()
        os._exit(3)
    if name == "stderr":
        for line in arguments["lines"]:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()
        return None
    if name == "raw":
        with lock:
            sys.stdout.buffer.write(arguments["text"].encode("latin-1"))
            sys.stdout.buffer.flush()
        return None
    if name == "flood":
        with lock:
            for _ in range(arguments["mib"]):
                sys.stdout.buffer.write(b"x" * 1048576)
            sys.stdout.buffer.flush()
        return None
    if name == "heard":
        return heard
    if name == "hang":
        time.sleep(600)
    raise ValueError(name)


def serve(message):
    ident, params = message["id"], message.get("params", {})
    method = message["method"]
    if method == "initialize":
        result = {"protocolVersion": params["protocolVersion"], "capabilities": {}, "serverInfo": {"pid": os.getpid()}}
        say({"id": ident, "result": result})
    elif method == "server/discover" and "--modern" in sys.argv:
        say({"id": ident, "result": {"supportedVersions": ["2026-07-28"], "pid": os.getpid()}})
    elif method == "subscriptions/listen":
        meta = {"io.modelcontextprotocol/subscriptionId": ident}
        notify("notifications/subscriptions/acknowledged", _meta=meta)
        notify("notifications/tools/list_changed", _meta=meta)
        if params.get("end"):
            say({"id": ident, "result": {"_meta": meta}})
    elif method.startswith("resources/"):
        heard[-1] = [method, params["uri"]]
        say({"id": ident, "result": {}})
    elif method == "tools/call":
        try:
            result = call(params["name"], params.get("arguments", {}), params, ident)
        except ValueError as exc:
            say({"id": ident, "error": {"code": -32602, "message": str(exc)}})
            return
        say({"id": ident, "result": {"value": result}})
    else:
        say({"id": ident, "error": {"code": -32601, "message": "Method not found"}})


def main():
    if "--dies" in sys.argv:
        sys.stderr.write("cannot find my database\n")
        sys.exit(4)
    if "--stubborn" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        message = json.loads(line)
        heard.append(message.get("method", "answer"))
        if message.get("method") == "notifications/cancelled":
            heard[-1] = ["cancelled", message["params"]["requestId"]]
        if "--silent" in sys.argv:
            continue
        if "method" not in message:
            with arrived:
                answers[message["id"]] = message
                arrived.notify_all()
        elif "id" in message:
            threading.Thread(target=serve, args=(message,), daemon=True).start()
    while "--stubborn" in sys.argv:
        time.sleep(1)
    os._exit(0)


main()

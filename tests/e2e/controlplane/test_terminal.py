"""Resources from the terminal: the real commands, the real server, what people see."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from click.testing import CliRunner
from tests.e2e.controlplane.programs import newest
from tests.e2e.running import eventually, free_ports

from heddle.cli.kubeconfig import Who, _config, _issue
from heddle.cli.main import main
from heddle.controlplane.access.authority import Authority

BACKEND = """\
apiVersion: heddle.dev/v1alpha1
kind: Backend
metadata:
  name: scripted
  labels: {team: shop}
spec:
  provider:
    type: scripted
"""
MAP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {team: shop}}
data:
  colour: "%s"
"""


class Ran(NamedTuple):
    code: int
    out: str
    err: str


class Terminal:
    """A control plane, and a person before it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port, self.state = folder, port, folder / "state"
        self.process: subprocess.Popen[bytes] | None = None

    def serve(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "heddle.controlplane.process", "--state", str(self.state)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*command, "--port", str(self.port), *arguments], stdout=log, stderr=log)
        eventually(lambda: "the resource API is served" in (self.folder / "log").read_text(), 20)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)

    def run(self, *arguments: str, given: str = "", **environ: str) -> Ran:
        """A command, in this process: starting one takes longer than most of them run."""
        done = CliRunner().invoke(main, arguments, given, env=self._environ(environ))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Ran(done.exit_code, done.stdout, done.stderr)

    def really(self, *arguments: str) -> Ran:
        """A command as people run it."""
        command = [sys.executable, "-m", "heddle", *arguments]
        around = {**os.environ, **self._environ({})}
        done = subprocess.run(command, capture_output=True, text=True, env=around, timeout=60, check=False)
        return Ran(done.returncode, done.stdout, done.stderr)

    def _environ(self, more: dict[str, str]) -> dict[str, str]:
        place = f"127.0.0.1:{self.port}"
        return {"HEDDLE_STATE": str(self.state), "HEDDLE_SERVER": place, "HOME": str(self.folder), **more}

    def file(self, name: str, *documents: str) -> str:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("---\n".join(documents))
        return str(path)


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    made = Terminal(tmp_path_factory.mktemp("terminal"), free_ports(1)[0])
    made.serve()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def space(terminal: Terminal, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    name = request.node.name.replace("_", "-").replace("test-", "").partition("[")[0][:60].strip("-")
    document = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"
    assert terminal.run("apply", "-f", "-", given=document).code == 0
    return name


def test_a_change_seen_made_and_undone(terminal: Terminal, space: str):
    files = terminal.file("undo/a.yaml", BACKEND, MAP % "red")
    seen = terminal.run("diff", "-n", space, "-f", files)
    assert seen.code == 1
    assert "+++ applied/backend.heddle.dev/scripted" in seen.out
    made = terminal.run("apply", "-n", space, "-f", files)
    assert made.out.splitlines() == ["configmap/settings created", "backend.heddle.dev/scripted created"]
    assert terminal.run("diff", "-n", space, "-f", files).code == 0
    files = terminal.file("undo/a.yaml", BACKEND, MAP % "blue")
    seen = terminal.run("diff", "-n", space, "-f", files)
    assert {"-  colour: red", "+  colour: blue"} <= set(seen.out.splitlines())
    again = terminal.run("apply", "-n", space, "-f", files, "--why", "ticket 4711")
    assert again.out.splitlines() == ["configmap/settings configured", "backend.heddle.dev/scripted unchanged"]
    history = terminal.run("history", "-n", space, "cm", "settings").out.splitlines()
    assert history[1].endswith("ticket 4711")
    assert len(history) == 3
    tried = terminal.run("rollback", "-n", space, "cm/settings", "--dry-run")
    assert "+  colour: red" in tried.out
    assert "colour: blue" in terminal.run("get", "-n", space, "cm", "settings", "-o", "yaml").out
    assert terminal.run("rollback", "-n", space, "cm/settings").code == 0
    assert "colour: red" in terminal.run("get", "-n", space, "cm", "settings", "-o", "yaml").out
    newest = json.loads(terminal.run("history", "-n", space, "cm/settings", "-o", "json").out)[0]
    assert newest["verb"] == "rollback"
    assert newest["why"].startswith("rollback to version ")


def test_what_was_deleted_comes_back(terminal: Terminal, space: str):
    terminal.run("apply", "-n", space, "-f", "-", given=MAP % "red")
    terminal.run("delete", "-n", space, "cm", "settings")
    assert terminal.run("get", "-n", space, "cm", "settings").code == 1
    assert terminal.run("rollback", "-n", space, "cm", "settings").code == 0
    assert "colour: red" in terminal.run("get", "-n", space, "cm/settings", "-o", "yaml").out


def test_secrets_are_not_shown_and_have_no_way_back(terminal: Terminal, space: str):
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {api-key: %s}\n"
    terminal.run("apply", "-n", space, "-f", "-", given=secret % "hunter2")
    seen = terminal.run("diff", "-n", space, "-f", "-", given=secret % "hunter3")
    assert seen.code == 1
    terminal.run("apply", "-n", space, "-f", "-", given=secret % "hunter3")
    shown = terminal.run("describe", "-n", space, "secret", "s")
    changes = terminal.run("history", "-n", space, "secret", "s", "--diff")
    for text in ("hunter", "aHVudGVyM"):
        assert text not in seen.out + shown.out + changes.out
    refused = terminal.run("rollback", "-n", space, "secret", "s")
    assert refused.code == 1
    assert "only the digest of a Secret's earlier versions is kept" in refused.err


def test_forms_of_output(terminal: Terminal, space: str):
    terminal.run("apply", "-n", space, "-f", "-", given=f"{BACKEND}---\n{MAP % 'red'}")
    table = terminal.run("get", "-n", space, "backends").out.splitlines()
    assert table[0].split()[0] == "NAME"
    assert table[1].split()[0] == "scripted"
    both = terminal.run("get", "-n", space, "backend,cm").out
    assert "backends.heddle.dev\nNAME " in both
    assert "\n\nconfigmaps\nNAME " in both
    bare = terminal.run("get", "-n", space, "backend,cm", "--no-headers").out
    assert "backend.heddle.dev/scripted" in bare
    assert "configmap/settings" in bare
    everywhere = terminal.run("get", "Backends", "-A", "--no-headers").out
    assert [space, "scripted"] in [line.split()[:2] for line in everywhere.splitlines()]
    assert terminal.run("get", "-n", space, "backends", "-o", "name").out == "backend.heddle.dev/scripted\n"
    one = json.loads(terminal.run("get", "-n", space, "backend/scripted", "-o", "json").out)
    assert one["spec"] == {"provider": {"type": "scripted"}}
    several = yaml.safe_load(terminal.run("get", "-n", space, "backends.heddle.dev", "-o", "yaml").out)
    assert several["kind"] == "List"
    template = '{range .items[*]}{.metadata.name}={.spec.provider.type}{"\\n"}{end}'
    assert terminal.run("get", "-n", space, "backends", "-o", f"jsonpath={template}").out == "scripted=scripted\n"
    assert terminal.run("get", "-n", space, "backends", "-l", "team=blog").err.startswith("nothing found")
    described = terminal.run("describe", "-n", space, "backend", "scripted").out
    assert "Kind:        Backend of heddle.dev/v1alpha1" in described


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("get", "agentss"), "did you mean `agents`?"),
        (("get", "agent", "nobody"), 'agents.kagent.dev "nobody" not found'),
        (("get", "agents", "-o", "xml"), "expected table|wide|yaml"),
        (("get", "agents", "-o", "jsonpath={.a"), "a brace is not closed"),
        (("get", "agents", "-l", "a in (b"), ""),
        (("get", "a/b/c", "d"), "KIND/NAME"),
        (("delete", "agents"), "name what to delete"),
        (("delete",), "name objects, or files"),
        (("history", "agents"), "name one object"),
        (("rollback", "agent", "nobody"), "not found"),
        (("rollback", "ns", "default", "--to", "999999"), "has no version 999999"),
        (("wait", "agents", "--for", "luck"), "expected condition=Ready"),
        (("wait", "agents", "--for", "condition=Ready", "--timeout", "soon"), "duration"),
        (("apply", "-f", "/nowhere"), "there is no such file or folder"),
        (("apply", "-f", "-", "--prune"), "--prune needs --selector"),
        (("get", "agents", "--server", "nowhere"), "expected HOST:PORT"),
        (("get", "agents", "--server", "https://127.0.0.1:9/path"), "expected HOST:PORT"),
        (("get", "agents", "--server", "https://127.0.0.1:9/"), "no control plane answers at https://127.0.0.1:9:"),
        (("get", "agents", "--kubeconfig", "/nowhere"), "/nowhere"),
    ],
)
def test_mistakes_are_explained(terminal: Terminal, arguments: tuple[str, ...], says: str):
    ran = terminal.run(*arguments)
    assert ran.code != 0
    assert says in " ".join(ran.err.split())


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: 5\n", "bad.yaml:4"),
        ("apiVersion: heddle.dev/v1alpha1\nkind: Backend\nmetadata: {name: a}\nspec:\n  providr: {}\n", "providr"),
        ("apiVersion: v1\nkind: ConfigMapp\nmetadata: {name: a}\n", "did you mean `ConfigMap`?"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n", "bad.yaml:3: error: metadata.name: expected a name"),
        ("llm: {}\n", "a config.yaml in the short form is run by `heddle up -f`"),
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("kind: [", "not YAML"),
    ],
)
def test_bad_files_are_told_with_file_and_line(terminal: Terminal, document: str, says: str):
    ran = terminal.run("apply", "-f", terminal.file("bad.yaml", document))
    assert ran.code == 1
    assert "bad.yaml" in ran.err
    assert says in ran.err


def test_one_refused_object_harms_no_other(terminal: Terminal, space: str):
    bad = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndata: 5\n"
    ran = terminal.run("apply", "-n", space, "-f", terminal.file("mixed.yaml", bad, MAP % "red"))
    assert ran.code == 1
    assert ran.out == "configmap/settings created\n"


def test_conflicts_and_taking_over(terminal: Terminal, space: str):
    terminal.run("apply", "-n", space, "-f", "-", given=MAP % "red")
    config = terminal.folder / "kubeconfig"
    authority = Authority(terminal.state, lambda: __import__("time").time())
    issued = _issue(authority, Who("bob", ("heddle:admins",), 3600.0), token=False)
    config.write_text(yaml.safe_dump(_config(authority, issued, f"https://127.0.0.1:{terminal.port}", ("x", space))))
    command = [newest(), "--kubeconfig", str(config), "apply", "--server-side", "--force-conflicts", "-f", "-"]
    subprocess.run(command, input=MAP % "green", text=True, check=True, capture_output=True)
    refused = terminal.run("apply", "-n", space, "-f", "-", given=MAP % "blue")
    assert refused.code == 1
    assert 'conflict with "kubectl"' in refused.err
    assert "--force-conflicts takes the fields over" in refused.err
    assert terminal.run("apply", "-n", space, "-f", "-", "--force-conflicts", given=MAP % "blue").code == 0
    through = terminal.run("get", "cm", "settings", "-o", "yaml", "--kubeconfig", str(config))
    assert "colour: blue" in through.out, "the namespace is that of the context"
    history = terminal.run("history", "-n", space, "cm/settings").out
    assert "bob" in history


def test_pruning_deletes_only_what_it_applied(terminal: Terminal, space: str):
    shop = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, labels: {team: prune}}\n"
    terminal.run("apply", "-n", space, "-f", terminal.file("prune.yaml", shop % "one", shop % "two"))
    other = shop % "others"
    edited = terminal.run("apply", "-n", space, "-f", "-", given=other.replace("team: prune", "team: none"))
    assert edited.code == 0
    files = terminal.file("prune.yaml", shop % "one")
    tried = terminal.run("apply", "-n", space, "-f", files, "--prune", "-l", "team=prune", "--dry-run")
    assert "configmap/two pruned (dry run)" in tried.out
    ran = terminal.run("apply", "-n", space, "-f", files, "--prune", "-l", "team=prune")
    assert "configmap/two pruned" in ran.out
    left = terminal.run("get", "-n", space, "cm", "-o", "name").out.split()
    assert {"configmap/one", "configmap/others"} <= set(left)
    assert "configmap/two" not in left


def test_edit(terminal: Terminal, space: str):
    terminal.run("apply", "-n", space, "-f", "-", given=MAP % "red")
    editor = terminal.file("editor.sh", '#!/bin/sh\nsed -i s/red/yellow/ "$1"\n')
    Path(editor).chmod(0o700)
    assert terminal.run("edit", "-n", space, "cm", "settings", EDITOR=editor).out == "configmap/settings edited\n"
    assert "colour: yellow" in terminal.run("get", "-n", space, "cm/settings", "-o", "yaml").out
    assert terminal.run("edit", "-n", space, "cm", "settings", EDITOR="true").out == "nothing was changed\n"
    assert "nothing was changed" in terminal.run("edit", "-n", space, "cm", "settings", EDITOR="false").err
    Path(editor).write_text("#!/bin/sh\nsed -i 's/data:/datta:/' \"$1\"\n")
    refused = terminal.run("edit", "-n", space, "cm", "settings", EDITOR=editor)
    assert refused.code == 1
    assert "datta" in refused.err


def test_wait(terminal: Terminal, space: str):
    assert terminal.run("wait", "ns", space, "--for=jsonpath={.status.phase}=Active").code == 0
    terminal.run("apply", "-n", space, "-f", "-", given=MAP % "red")
    late = terminal.run("wait", "-n", space, "cm/settings", "--for=condition=Ready", "--timeout", "300ms")
    assert late.code == 1
    assert "was not met in time" in late.err
    terminal.run("delete", "-n", space, "cm/settings")
    assert terminal.run("wait", "-n", space, "cm/settings", "--for=delete").code == 0


def test_watch(terminal: Terminal, space: str):
    places = {"HEDDLE_STATE": str(terminal.state), "HEDDLE_SERVER": f"127.0.0.1:{terminal.port}"}
    command = [sys.executable, "-m", "heddle", "get", "-n", space, "cm", "-w"]
    log = terminal.folder / "watch.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **places})
    try:
        terminal.run("apply", "-n", space, "-f", "-", given=MAP % "red")
        eventually(lambda: "settings" in log.read_text(), 15)
        assert log.read_text().startswith("NAME")
    finally:
        process.terminate()
        process.wait(10)


def test_the_program_itself(terminal: Terminal):
    assert terminal.really("get", "ns", "default", "-o", "name") == Ran(0, "namespace/default\n", "")
    refused = terminal.really("get", "ns", "nowhere")
    assert refused == Ran(1, "", 'Error: namespaces "nowhere" not found\n')


def test_without_a_control_plane(tmp_path: Path):
    alone = Terminal(tmp_path, free_ports(1)[0])
    nothing = alone.run("get", "agents")
    assert nothing.code == 1
    assert "holds no control plane; start one with `heddle up`" in nothing.err
    alone.serve()
    alone.stop()
    away = alone.run("get", "agents")
    assert away.code == 1
    assert "no control plane answers at https://127.0.0.1:" in away.err


def test_another_authority_is_not_trusted(terminal: Terminal, tmp_path: Path):
    Authority(tmp_path, lambda: __import__("time").time())
    ran = terminal.run("get", "agents", "--state", str(tmp_path))
    assert ran.code == 1
    assert "its certificate is not trusted" in ran.err

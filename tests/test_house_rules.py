"""The rules of the house that no linter knows. An exception is listed here with its reason, or it is a failure."""

import ast
import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from heddle import plugins

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "heddle"
MODULES = sorted(SRC.rglob("*.py"))

MODULE_LINES, MODULE_CAP = 400, 450
FUNCTION_LINES, FUNCTION_CAP = 40, 60
PARAMETERS = 6

LONG_MODULES: dict[str, str] = {
    "net/serving.py": "the states of a connection are read side by side; half of it elsewhere would hide a transition",
}
"""path under src/heddle -> why it is better whole."""

LONG_FUNCTIONS: dict[str, str] = {}
"""`path:Class.function` -> why it is better whole."""

WIDE_FUNCTIONS: dict[str, str] = {
    "model/model_call.py:ModelCall.__init__": "a value: one parameter for each field, by name",
    "net/message.py:Request.__init__": "a value: one parameter for each field",
}
"""`path:Class.function` -> why it takes more than six parameters."""

PLUGIN_PACKAGES = {"policies": "policies", "providers": "providers", "drivers.sinks": "sinks"}
"""package under heddle -> its group in plugins."""

MAKE_TARGETS = {
    "up",
    "test",
    "test-matrix",
    "test-kubectl",
    "lint",
    "bench",
    "docs",
    "prove",
    "compiled",
    "test-compiled",
    "dist",
    "clean",
    "help",
}

# In two pieces, so that this file obeys its own rule.
REGISTRY_HOSTS = [
    "pypi" + ".org",
    "python" + "hosted",
    "npm" + "js",
    "docker" + ".io",
    "ghcr" + ".io",
    "quay" + ".io",
    "gcr" + ".io",
    "crates" + ".io",
]

GIVEN_BY_OTHERS = ("examples/reference/", "tests/golden/kubernetes-api/")
"""Files copied byte for byte; what they name is not ours to change."""


def relative(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, node
            yield from functions(node, f"{prefix}{node.name}.")
        else:
            yield from functions(node, prefix)


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without the docstring: a longer contract is no longer function."""
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        length -= (first.end_lineno or first.lineno) - first.lineno + 1
    return length


def every_function() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in MODULES:
        for name, node in functions(ast.parse(path.read_bytes())):
            yield f"{relative(path)}:{name}", node


def tracked() -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


# Sizes


def test_modules_are_short():
    lengths = {relative(path): len(path.read_bytes().splitlines()) for path in MODULES}
    long = {name for name, n in lengths.items() if n > MODULE_LINES}
    assert long == set(LONG_MODULES), "split it, or list it with the reason"
    assert not {name: lengths[name] for name in long if lengths[name] > MODULE_CAP}


def test_functions_are_short():
    lengths = {name: code_lines(node) for name, node in every_function()}
    long = {name for name, n in lengths.items() if n > FUNCTION_LINES}
    assert long == set(LONG_FUNCTIONS), "split it, or list it with the reason"
    assert not {name: lengths[name] for name in long if lengths[name] > FUNCTION_CAP}


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([argument for argument in named if argument.arg not in {"self", "cls"}])


def test_signatures_are_narrow():
    wide = {name for name, node in every_function() if parameters(node) > PARAMETERS}
    # A command's parameters are its options: click passes them one by one.
    assert {name for name in wide if not name.startswith("cli/")} == set(WIDE_FUNCTIONS)


# What is compiled (ADR 17)


def compiled_modules() -> list[Path]:
    """What `setup.py` compiles, read from it: to import it would build."""
    tree = ast.parse((ROOT / "setup.py").read_bytes())
    (table,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["COMPILED"]
    ]
    return [SRC / folder / f"{name}.py" for folder, names in ast.literal_eval(table).items() for name in names]


def test_no_compiled_finally_waits():
    """mypyc 2.4 keeps what such a block was about to raise, and raises it in a later call that ran well."""
    waits = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Yield)
    found = [
        f"{relative(path)}:{node.lineno}"
        for path in compiled_modules()
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Try) and any(isinstance(x, waits) for part in node.finalbody for x in ast.walk(part))
    ]
    assert not found


def test_compiled_modules_define_no_structs():
    """mypyc does not keep the annotations that msgspec reads."""
    found = [relative(path) for path in compiled_modules() if "msgspec.Struct)" in path.read_text().replace(",", ")")]
    assert not found


# What is written about the code


def test_every_module_says_what_it_owns():
    silent = [relative(path) for path in MODULES if len(ast.get_docstring(ast.parse(path.read_bytes())) or "") < 30]
    assert not silent


def test_every_package_has_a_charter():
    inits = [path for path in MODULES if path.stem == "__init__"]
    thin = [relative(path) for path in inits if len(ast.get_docstring(ast.parse(path.read_bytes())) or "") < 60]
    assert not thin
    without = {path.parent for path in MODULES} - {path.parent for path in inits}
    assert not without


def test_codecs_name_their_specification():
    codecs = [path for path in (SRC / "wire").rglob("*.py") if path.stem not in {"__init__", "errors"}]
    assert codecs
    assert not [relative(p) for p in codecs if "*Source:*" not in (ast.get_docstring(ast.parse(p.read_bytes())) or "")]


def test_nothing_is_left_for_later():
    later = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|#.*\b(?i:for now|placeholder)\b")
    found = []
    for path in [*MODULES, *(ROOT / "bench").rglob("*.py"), *(ROOT / "scripts").iterdir()]:
        if path.is_file():
            lines = path.read_text().splitlines()
            found += [f"{path.relative_to(ROOT)}:{i}" for i, line in enumerate(lines, 1) if later.search(line)]
    assert not found


def undocumented_fields(path: Path) -> Iterator[str]:
    """Fields of the classes of a module under which no docstring literal stands."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if not isinstance(node, ast.ClassDef):
            continue
        for field, after in zip(node.body, [*node.body[1:], None], strict=True):
            if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                continue
            documented = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if not documented and "ClassVar" not in ast.unparse(field.annotation):
                yield f"{relative(path)}:{node.name}.{field.target.id}"


def test_every_configuration_field_is_documented():
    """The reference pages and `heddle explain` are made from these."""
    config = [path for path in (SRC / "model").rglob("*.py") if "config" in path.relative_to(SRC).as_posix()]
    assert config, "the structs of config.yaml are in model/config*"
    assert not [field for path in config for field in undocumented_fields(path)]


def test_no_registry_is_named():
    """Where packages come from is the reader's choice, and their mirror's."""
    found = []
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(GIVEN_BY_OTHERS):
            text = path.read_bytes().lower()
            found += [f"{name}: {host}" for host in REGISTRY_HOSTS if host.encode() in text]
    assert not found


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in [path for path in tracked() if path.suffix == ".md"]:
        prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        targets = [t for t in re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", prose) if not re.match(r"\w+:", t)]
        broken += [f"{page.relative_to(ROOT)} -> {t}" for t in targets if not (page.parent / t).exists()]
    assert not broken


# Plug-ins: one file, one line


def modules_of(package: str) -> set[str]:
    folder = SRC.joinpath(*package.split("."))
    found = {path.stem for path in folder.glob("*.py") if path.stem != "__init__"}
    found |= {path.name for path in folder.iterdir() if (path / "__init__.py").exists()}
    return {f"heddle.{package}.{name}" for name in found}


def imported_by(path: Path) -> set[str]:
    """Dotted names that a module imports: `from a import b` counts as a and as a.b."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def named_in_plugins(group: str) -> set[str]:
    table = {"policies": plugins.POLICIES, "providers": plugins.PROVIDERS, "sinks": plugins.SINKS}[group]
    return {value.partition(":")[0] for value in table.values()}


@pytest.mark.parametrize(("package", "group"), PLUGIN_PACKAGES.items())
def test_each_implementation_is_one_file_and_one_line(package: str, group: str):
    modules, named = modules_of(package), named_in_plugins(group)
    assert named <= modules
    # What is not named supports one that is (policies and providers may not even that: an import contract says so).
    assert modules - named <= {name for path in MODULES for name in imported_by(path)}


@pytest.mark.parametrize(("package", "group"), PLUGIN_PACKAGES.items())
def test_only_plugins_names_implementations(package: str, group: str):
    found = []
    for path in MODULES:
        own = "heddle." + ".".join(path.relative_to(SRC).with_suffix("").parts)
        elsewhere = {name for name in named_in_plugins(group) if not own.startswith(name)}
        found += [f"{own} imports {name}" for name in imported_by(path) & elsewhere]
        if path.name != "plugins.py":
            constants = [n.value for n in ast.walk(ast.parse(path.read_bytes())) if isinstance(n, ast.Constant)]
            strings = {value.partition(":")[0] for value in constants if isinstance(value, str)}
            found += [f"{own} names {name}" for name in strings & elsewhere]
    assert not found


@pytest.mark.parametrize("group", ["policies", "providers", "sinks"])
def test_every_plugin_loads(group: str):
    assert plugins.names(group)
    for name in plugins.names(group):
        assert callable(plugins.load(group, name)), name


def test_a_plugin_is_found_by_its_line_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(plugins.PROVIDERS, "mine", f"{Path.__module__}:Path")
    assert "mine" in plugins.names("providers")
    assert plugins.load("providers", "mine") is importlib.import_module(Path.__module__).Path


# The commands


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def test_make_has_the_commands_people_are_told_of():
    assert make_targets() >= MAKE_TARGETS
    described = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not [target for target in MAKE_TARGETS if f"make {target} " not in described]


def test_the_readme_starts_with_the_two_commands():
    text = (ROOT / "README.md").read_text()
    start = "\n".join(text.splitlines()[:40])
    assert "make up" in start
    assert "make test" in start
    assert "OpenAI(base_url=" in start, "and then how to talk to it"
    assert (
        set(re.findall(r"\bmake ([a-z]+)\b", " ".join(re.findall(r"```.*?```|`[^`]+`", text, re.DOTALL))))
        <= make_targets()
    )


def test_lint_runs_what_the_design_depends_on():
    lint = (ROOT / "scripts" / "lint.sh").read_text()
    assert all(tool in lint for tool in ('ruff" check', 'ruff" format --check', "mypy", "lint-imports"))
    assert "layers" in (ROOT / "pyproject.toml").read_text()


def test_ci_is_the_same_commands_and_nothing_else():
    ci = ROOT / ".ci" / "run"
    assert ci.stat().st_mode & 0o111
    assert {"stage test", "stage lint"} <= set(ci.read_text().splitlines())
    vendors = (".github", ".gitlab-ci.yml", ".circleci", "azure-pipelines.yml", ".travis.yml", "Jenkinsfile")
    assert not [name for name in vendors if (ROOT / name).exists()]


def test_scripts_parse_and_are_executable():
    scripts = [path for path in tracked() if path.suffix == ".sh"]
    assert scripts
    for script in [*scripts, ROOT / ".ci" / "run"]:
        subprocess.run(["sh", "-n", str(script)], check=True)
    sourced = {"services.sh"}
    assert not [p.name for p in scripts if p.name not in sourced and not p.stat().st_mode & 0o111]

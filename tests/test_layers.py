"""A module imports only from modules below it; at the bottom are the errors."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import treenlp

PACKAGE = Path(treenlp.__file__).parent
ORDER = (
    "errors text trees lexicon encoder parsing composition disambiguation tasks data experiment "
    "models analysis catalogue pipeline review estimators cli server __main__"
).split()
HEAVY = ("torch", "numpy", "scipy", "sklearn", "nltk", "tokenizers", "safetensors", "rich")


def layer(module: str) -> int:
    """Place of `treenlp.layer.anything` in the order; the package itself is on top of all."""
    parts = module.split(".")
    return ORDER.index(parts[1]) if len(parts) > 1 else len(ORDER)


def module_name(path: Path) -> str:
    parts = ["treenlp", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: str, module: str) -> list[tuple[int, str]]:
    """Lines and names of the treenlp modules that a source imports, wherever in the file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} has a relative import"
            if node.module == "treenlp":
                found += [(node.lineno, f"treenlp.{alias.name}") for alias in node.names]
            elif node.module is not None:
                found.append((node.lineno, node.module))
    return [(line, name) for line, name in found if name.split(".")[0] == "treenlp"]


def upward(source: str, module: str) -> list[str]:
    return [
        f"{module}:{line} imports {name}"
        for line, name in imports(source, module)
        if name.split(".")[1:2] != ["__version__"] and layer(name) > layer(module)
    ]


def test_imports_only_go_downhill() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        found += upward(path.read_text(encoding="utf-8"), module_name(path))
    assert found == []


def test_an_upward_import_is_found() -> None:
    source = "def f():\n    from treenlp.pipeline import load\n"
    assert upward(source, "treenlp.parsing.chart") == [
        "treenlp.parsing.chart:2 imports treenlp.pipeline"
    ]
    assert upward("import treenlp.errors", "treenlp.parsing.chart") == []


def test_every_module_has_a_layer() -> None:
    for path in PACKAGE.rglob("*.py"):
        layer(module_name(path))


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, treenlp, treenlp.cli.app\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_exist_and_are_few() -> None:
    assert len(treenlp.__all__) <= 12
    for name in treenlp.__all__:
        assert getattr(treenlp, name) is not None
    assert set(treenlp.__all__) <= set(dir(treenlp))


def test_names_in_all_exist() -> None:
    missing = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {name for node in tree.body for name in _defined(node)}
        for node in tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                listed = ast.literal_eval(node.value)
                known = names | {"load", "Pipeline", "Analysis", "Tree", "TreenlpError"}
                missing += [f"{path.name}: {name}" for name in listed if name not in known]
    assert missing == []


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    if isinstance(node, ast.Assign):
        return [
            name.id
            for target in node.targets
            for name in ast.walk(target)
            if isinstance(name, ast.Name)
        ]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []

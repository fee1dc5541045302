"""Folder order is data order: who may import whom, and who may import the heavy libraries."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import s2nir

ROOT = Path(s2nir.__file__).parent
# each name imports only from those before it; the first row are single modules that everyone may use
BASE = ["errors", "arguments", "values", "files", "fixedpoint", "events"]
ORDER = [*BASE, "machine", "graph", "frontend", "quantize", "mapping", "emulate", "cost", "report", "train", "data",
         "export", "pipeline", "cluster", "bench", "demo", "cli", "__main__"]
REACH_RIGHT = {  # convenience methods that import to the right inside their body
    ("emulate/recording.py", "report"),  # rec.report()
    ("emulate/event.py", "cost"),  # s2nir.run(timing="event"): cycles of packets and ticks
    ("mapping/image.py", "emulate"),  # image.stream()
    ("mapping/image.py", "export"),  # image.export_py_spinnaker2()
}
ONLY = {  # heavy library -> modules that may import it, and whether inside a function only
    "numba": {"emulate/kernels.py": False, "emulate/walk.py": False, "data/camera.py": False, "data/filters.py": False,
              "train/kernels.py": False, "mapping/route/kernels.py": False,
              "mapping/minimise/kernels.py": False, "mapping/minimise/walk.py": False,
              "mapping/minimise/expand_kernels.py": False,
              "mapping/place/kernels.py": False, "mapping/row_kernels.py": False, "emulate/row_kernels.py": False,
              "graph/rule_kernels.py": False, "emulate/draw_kernels.py": False,
              "emulate/event_kernels.py": False, "emulate/deliver_kernels.py": False,
              "emulate/step_kernels.py": False,
              "emulate/vectors.py": False, "emulate/neuron_vectors.py": False},
    "nir": {"frontend/nir_file.py": True},
    "torch": {"train/": False, "bench/": True, "frontend/snntorch_trace.py": True,
              "frontend/snntorch_module.py": False},
    "snntorch": {"train/": False, "bench/": True, "frontend/snntorch_trace.py": True,
                 "frontend/snntorch_module.py": False},
    "tonic": {"data/tonic_library.py": True},
    "matplotlib": {"bench/figure.py": True},
    "rich": {"cli/console.py": True},
    "dask": {"cluster/workers.py": True},
    "distributed": {"cluster/workers.py": True},
}


def imports():
    """(module, its part, imported part, what stands behind it, inside a function?) over the package; libraries have
    no part."""
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        tree = ast.parse(path.read_text())
        later = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) or _typing_only(n)]
        inside = {id(n) for block in later for n in ast.walk(block)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                up = path.parents[node.level - 1]
                full = [*up.relative_to(ROOT).parts, *(node.module.split(".") if node.module else [])]
                for alias in node.names:
                    yield name, [*full, *([alias.name] if not node.module else [])], id(node) in inside
            elif isinstance(node, ast.ImportFrom):
                yield name, [node.module.split(".")[0] + "!"], id(node) in inside
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    yield name, [alias.name.split(".")[0] + "!"], id(node) in inside


def _typing_only(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def part(name):
    return name.split("/")[0].removesuffix(".py")


def test_every_part_stands_in_the_order():
    found = {part(p.relative_to(ROOT).as_posix()) for p in ROOT.rglob("*.py")} - {"__init__"}
    assert found == set(ORDER)


def test_parts_import_only_from_the_left_and_through_front_doors():
    seen = 0
    for name, target, inside in imports():
        here = part(name)
        if target[0].endswith("!") or here == "__init__":
            continue
        there = target[0]
        if there == here:
            continue
        seen += 1
        if (name, there) in REACH_RIGHT:
            assert inside, f"{name} imports {there} at its top"
            continue
        assert ORDER.index(there) < ORDER.index(here), f"{name} imports {there}, which comes after it"
        assert len(target) == 1, f"{name} imports {'.'.join(target)}: go through the front door"
    assert seen > 60
    assert {(n, t[0]) for n, t, _ in imports()} >= REACH_RIGHT


def test_heavy_libraries_stay_where_they_belong():
    for name, target, inside in imports():
        library = target[0].removesuffix("!")
        if target[0].endswith("!") and library in ONLY:
            place = name if name in ONLY[library] else name.split("/")[0] + "/"  # a module, or a whole folder
            assert place in ONLY[library], f"{name} imports {library}"
            assert inside or not ONLY[library][place], f"{name} imports {library} at its top"


def test_importing_s2nir_loads_nothing_heavy():
    code = (
        "import sys, s2nir; s2nir.compile, s2nir.load, s2nir.quantize, s2nir.run, s2nir.compare; "
        "print([m for m in ('torch', 'numba', 'nir', 'snntorch', 'matplotlib', 'rich', 'dask', 'distributed') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_there_whatever_is_imported_first():
    for first in ("compile", "load", "run", "deploy", "PTQ"):
        code = f"import s2nir; s2nir.{first}; assert callable(s2nir.quantize) and s2nir.quantize.__name__ == 'quantize'"
        subprocess.run([sys.executable, "-c", code], check=True)
    for name in s2nir.__all__:
        assert getattr(s2nir, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = s2nir.nothing


def test_modules_and_functions_are_of_a_size_to_read():
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text()
        assert text.count("\n") <= 500, path.name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 60, f"{path.name}: {node.name}"

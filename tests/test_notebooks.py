"""Every notebook runs from a clean kernel to its last assertion; the files hold no outputs."""

import warnings
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the notebook tools' own dependencies
        import nbformat
    return nbformat.read(path, as_version=4)


def test_there_are_some():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_outputs_are_stripped(path):
    code = [c for c in read(path).cells if c.cell_type == "code"]
    assert all(not c.outputs and c.execution_count is None for c in code)
    assert "assert " in code[-1].source


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_runs(path, tmp_path, monkeypatch):
    """In a kernel of its own; the tools may warn of themselves, s2nir may not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nbclient
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = read(path)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    assert any(o.output_type == "display_data" for o in outputs)
    assert "S2NirWarning" not in str([o for o in outputs if o.get("name") == "stderr"])

"""COUPLING.md says where the domains reach into each other: each line is right, and none is missing."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from django.apps import apps
from django.conf import settings

DOMAINS = ("payments", "users", "notifications", "reporting")
KINDS = ("import", "query", "raw SQL", "foreign key", "call", "signal")
ROOT = Path(settings.BASE_DIR)
_ROW = re.compile(r"\| (\w+) \| (\w+) \| ([a-zA-Z ]+) \| ([\w/]+\.py):(\d+) \| `([^`]+)`.* \| (.+) \|")
_TABLE = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+(payments|users|notifications|reporting)_[a-z_]+")


class Coupling(NamedTuple):
    """A row of the list."""

    domain: str
    other: str
    kind: str
    file: str
    line: int


@cache
def rows() -> dict[Coupling, str]:
    """The rows, each with its code."""
    lines = (ROOT / "COUPLING.md").read_text().splitlines()
    found = [match for line in lines if (match := _ROW.fullmatch(line))]
    couplings = [Coupling(row[1], row[2], row[3], row[4], int(row[5])) for row in found]
    assert len(set(couplings)) == len(couplings), "a row is there twice"
    return dict(zip(couplings, [row[6] for row in found], strict=True))


def listed(kind: str) -> set[Coupling]:
    return {row for row in rows() if row.kind == kind}


@cache
def sources() -> dict[str, ast.Module]:
    """The modules of the domains, without tests and migrations."""
    paths = [path for domain in DOMAINS for path in (ROOT / domain).rglob("*.py")]
    names = {str(path.relative_to(ROOT)): path for path in paths}
    return {
        name: ast.parse(path.read_text())
        for name, path in names.items()
        if not {"tests", "migrations"} & set(Path(name).parts)
    }


def foreign_imports(file: str) -> Iterator[tuple[str, ast.Import | ast.ImportFrom]]:
    """Import statements that name another domain."""
    own = Path(file).parts[0]
    for node in ast.walk(sources()[file]):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module or ""]
        for domain in {module.partition(".")[0] for module in modules} & (set(DOMAINS) - {own}):
            yield domain, node


def foreign_names(file: str, module_end: str = "") -> dict[str, str]:
    """Names that a file imports from other domains, each with its domain."""
    return {
        alias.asname or alias.name: domain
        for domain, node in foreign_imports(file)
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith(module_end)
        for alias in node.names
    }


def found(kind: str, file: str, places: set[tuple[str, int]]) -> set[Coupling]:
    return {Coupling(Path(file).parts[0], other, kind, file, line) for other, line in places}


def test_each_row_is_of_a_known_kind_and_says_what_replaces_it():
    assert len(rows()) > 100
    table_lines = (ROOT / "COUPLING.md").read_text().count(".py:")
    assert table_lines == len(rows()), "a row cannot be read"
    for row in rows():
        assert row.kind in KINDS
        assert {row.domain, row.other} <= set(DOMAINS)
        assert row.domain != row.other
        assert row.file.startswith(row.domain + "/")


def test_each_line_still_holds_what_is_said():
    for row, code in rows().items():
        lines = (ROOT / row.file).read_text().splitlines()
        elsewhere = [number for number, line in enumerate(lines, 1) if code in line]
        assert row.line in elsewhere, f"COUPLING.md: {row.file}:{row.line} {code!r} is at {elsewhere} now"


def test_imports():
    expected = set()
    for file in sources():
        expected |= found("import", file, {(domain, node.lineno) for domain, node in foreign_imports(file)})
    assert listed("import") == expected


def test_calls():
    expected = set()
    for file, tree in sources().items():
        names = foreign_names(file)
        called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                called += node.decorator_list
        places = {(names[f.id], f.lineno) for f in called if isinstance(f, ast.Name) and f.id in names}
        expected |= found("call", file, places)
    assert listed("call") == expected


def test_managers_of_foreign_models():
    expected = set()
    for file, tree in sources().items():
        names = foreign_names(file, "models")
        places = {
            (names[node.value.id], node.lineno)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr == "objects"
            if isinstance(node.value, ast.Name) and node.value.id in names
        }
        expected |= found("query", file, places)
    missing = expected - listed("query")
    assert not missing
    # The rest are joins.
    for row in listed("query") - expected:
        code = rows()[row]
        assert re.search(r"select_related|__|\"user\"", code), (row, code)


def test_foreign_keys():
    expected = []
    for model in apps.get_models(include_auto_created=True):
        own = model._meta.app_label
        for field in model._meta.concrete_fields if own in DOMAINS else ():
            other = field.related_model._meta.app_label if field.is_relation else own
            if other in set(DOMAINS) - {own}:
                expected.append((own, other, model.__module__.replace(".", "/") + ".py", field.name))
    of_list = [
        (row.domain, row.other, row.file, rows()[row].partition(" = models.")[0]) for row in listed("foreign key")
    ]
    assert sorted(of_list) == sorted(expected)


def test_signals():
    expected = set()
    for file, tree in sources().items():
        names = foreign_names(file, "signals")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "receiver":
                signals = [arg for arg in node.args if isinstance(arg, ast.Name) and arg.id in names]
                expected |= found("signal", file, {(names[arg.id], arg.lineno) for arg in signals})
    assert listed("signal") == expected


def test_raw_sql():
    expected = set()
    for file, tree in sources().items():
        own, places = Path(file).parts[0], set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for number, line in enumerate(node.value.splitlines()):
                    places |= {(domain, node.lineno + number) for domain in _TABLE.findall(line) if domain != own}
        expected |= found("raw SQL", file, places)
    assert listed("raw SQL") == expected


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_add_up(kind):
    text = (ROOT / "COUPLING.md").read_text()
    total = next(line for line in text.splitlines() if line.startswith("| all |"))
    numbers = [int(cell) for cell in total.strip("| ").split("|")[2:]]
    assert numbers[KINDS.index(kind)] == len(listed(kind))

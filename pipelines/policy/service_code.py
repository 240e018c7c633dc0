"""Whether the text of a cell may stand before or after a model: read, never run.

A module of service code imports, defines functions and names constants. What it uses it defines itself: a notebook's
variables are not there when the version serves.
"""

from __future__ import annotations

import ast
import builtins
import symtable
import warnings
from collections.abc import Iterable, Iterator

from pipelines.errors import BadServiceCode
from pipelines.values import Modules, ServiceFunction

LONGEST = 200_000
"""Characters of a file."""

# What notebooks add to the builtins, and what ends or stops a program.
_NOT_THERE = {"display", "get_ipython", "exit", "quit", "copyright", "credits", "license", "_", "__IPYTHON__"}
_FORBIDDEN = {
    "open": "a bento has no such file: write its content into the cell as a constant",
    "input": "nobody is there to answer",
    "breakpoint": "nobody is there to answer",
    "eval": "what it runs cannot be checked",
    "exec": "what it runs cannot be checked",
    "__import__": "what it imports cannot be checked: use an import statement",
    "globals": "a function works on its argument alone",
}
_BUILTINS = frozenset(dir(builtins)) - _NOT_THERE | {"__name__"}
_TYPES = {"bool", "bytes", "float", "int", "str"}
_CONSTANT_CALLS = {
    *("dict", "frozenset", "list", "set", "tuple", "re.compile"),
    *(f"numpy.{name}" for name in ("array", "asarray", "float32", "float64", "int32", "int64")),
}
_SHOWN = 12


def check(function: ServiceFunction, modules: Modules | None) -> None:
    """Read the text of one function's file.

    Args:
        function: It; a line number in a message is that of the file, and of the cell with its magic in the first line.
        modules: What it may import; None when that is not known yet.

    Raises:
        BadServiceCode: the text may not stand there; the message names the line, the cause and what to do.
    """
    if len(function.text) > LONGEST:
        raise BadServiceCode(f"{function.name} has {len(function.text):,} characters", instead=f"at most {LONGEST:,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _Reader(function).read(modules)
    except SyntaxError as error:
        raise _refusal(function, error.lineno or 0, f"is no Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, BadServiceCode):
            raise
        raise BadServiceCode(f"{function.name} cannot be read as Python: {type(error).__name__}") from None


def _refusal(function: ServiceFunction, line: int, what: str, instead: str = "", then: str = "") -> BadServiceCode:
    place = f"line {line} of {function.name}" if line else function.name
    return BadServiceCode(f"{place} {what}", instead=instead, then=then)


class _Reader:
    """One file, parsed."""

    def __init__(self, function: ServiceFunction) -> None:
        self._function = function
        self._name = function.name
        text = function.text
        compile(text, self._name, "exec", dont_inherit=True)
        self._tree = ast.parse(text)
        self._table = symtable.symtable(text, self._name, "exec")
        self._imported: dict[str, str] = {}
        self._constants: set[str] = set()

    def read(self, modules: Modules | None) -> None:
        for statement in self._tree.body:
            self._statement(statement)
        self._signature()
        if modules is not None:
            self._imports(modules)
        self._names()

    def _refuse(self, node: ast.AST | int, what: str, instead: str = "", then: str = "") -> BadServiceCode:
        line = node if isinstance(node, int) else getattr(node, "lineno", 0)
        return _refusal(self._function, line, what, instead, then)

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                return
            case ast.Import() | ast.ImportFrom():
                self._imported.update(_bound(node))
            case ast.FunctionDef():
                self._definition(node)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if self._is_constant(value):
                self._constants.add(name)
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if value and self._is_constant(value):
                self._annotations([node.annotation])
                self._constants.add(name)
            case _:
                said = ast.unparse(node).splitlines()[0][:60]
                raise self._refuse(
                    node,
                    f"would run `{said}` when a host starts",
                    instead="service code imports, defines functions and names constants",
                    then="Move it into the function, or write the value itself.",
                )

    def _definition(self, node: ast.FunctionDef) -> None:
        if node.decorator_list:
            raise self._refuse(node.decorator_list[0], "is a decorator", instead="service code has plain functions")
        arguments = node.args
        for default in [*arguments.defaults, *arguments.kw_defaults]:
            if default is not None and not self._is_constant(default):
                raise self._refuse(default, "has a default that is no constant")
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        self._annotations([argument.annotation for argument in every if argument] + [node.returns])

    def _annotations(self, found: Iterable[ast.expr | None]) -> None:
        for annotation in found:
            for node in ast.walk(annotation) if annotation is not None else ():
                if isinstance(node, ast.Call | ast.NamedExpr | ast.Lambda | ast.ListComp | ast.GeneratorExp):
                    raise self._refuse(annotation or node, "has an annotation that would run something")

    def _is_constant(self, node: ast.expr) -> bool:
        match node:
            case ast.Constant():
                return True
            case ast.Name(id=name):
                return name in self._constants or name in _TYPES
            case ast.Attribute():
                return self._dotted(node) != ""
            case ast.Tuple() | ast.List() | ast.Set():
                return all(map(self._is_constant, node.elts))
            case ast.Dict():
                return all(key is not None and self._is_constant(key) for key in node.keys) and all(
                    map(self._is_constant, node.values)
                )
            case ast.UnaryOp(operand=operand):
                return self._is_constant(operand)
            case ast.BinOp(left=left, right=right):
                return self._is_constant(left) and self._is_constant(right)
            case ast.Call():
                parts = [*node.args, *(keyword.value for keyword in node.keywords)]
                return self._dotted(node.func) in _CONSTANT_CALLS and all(map(self._is_constant, parts))
        return False

    def _dotted(self, node: ast.expr) -> str:
        """The full name of `np.float32`; empty where it does not begin at an import or a builtin."""
        if isinstance(node, ast.Attribute):
            home = self._dotted(node.value)
            return f"{home}.{node.attr}" if home else ""
        if isinstance(node, ast.Name):
            return self._imported.get(node.id, node.id if node.id in _CONSTANT_CALLS else "")
        return ""

    def _signature(self) -> None:
        name = self._name
        found = [node for node in self._tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
        if len(found) != 1:
            others = [node.name for node in self._tree.body if isinstance(node, ast.FunctionDef)]
            what = f"defines {', '.join(others)}" if others else "defines no function"
            what = f"defines {name} {len(found)} times" if found else what
            example = "return inputs / 16.0" if name == "preprocess" else "return outputs.argmax(axis=1)"
            argument = "inputs" if name == "preprocess" else "outputs"
            raise self._refuse(0, what, instead=f"one `def {name}({argument}): {example}`, or so, is what is applied")
        (node,) = found
        arguments = node.args
        given = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        if len(given) != 1 or arguments.kwonlyargs or arguments.vararg or arguments.kwarg:
            raise self._refuse(
                node, f"gives it the arguments ({ast.unparse(arguments)})", instead="it has one, which takes all rows"
            )
        own = list(_own_nodes(node))
        if any(isinstance(part, ast.Yield | ast.YieldFrom) for part in own):
            raise self._refuse(node, "makes a generator of it", instead="it returns all rows at once")
        if not any(isinstance(part, ast.Return) and part.value is not None for part in own):
            raise self._refuse(node, "begins a function that returns nothing", then="End it with `return`.")

    def _imports(self, modules: Modules) -> None:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.ImportFrom) and (node.level or node.names[0].name == "*"):
                what = "imports relative to a package" if node.level else "imports everything from a module"
                raise self._refuse(node, what, then="Import by name what is needed.")
            for name in _roots(node):
                if name not in modules:
                    raise self._refuse(
                        node,
                        f"imports {name}, which the bento does not install",
                        instead=f"there are the standard library and {_listed(modules.installed)}",
                        then="Write what is needed of it into the cell.",
                    )

    def _names(self) -> None:
        own = {symbol.get_name() for symbol in self._table.get_symbols() if _is_defined(symbol)}
        uses = [node for node in ast.walk(self._tree) if isinstance(node, ast.Name)]
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Global):
                raise self._refuse(
                    node, f"changes {', '.join(node.names)} for all requests", instead="a function keeps no state"
                )
        used = sorted(_from_module(self._table) - own)
        missing = [name for name in used if name not in _BUILTINS]
        if missing:
            line = min((node.lineno for node in uses if node.id in missing), default=0)
            raise self._refuse(
                line,
                f"uses {', '.join(missing)}, which {'are' if len(missing) > 1 else 'is'} not defined in the cell",
                instead="the notebook's variables are not there when the version serves",
                then="Define it in the cell: import it, or write its value.",
            )
        for name in used:
            if name in _FORBIDDEN:
                line = min((node.lineno for node in uses if node.id == name), default=0)
                raise self._refuse(line, f"calls {name}", instead=_FORBIDDEN[name])


def _bound(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """The names that an import binds, and what they stand for."""
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"
        else:
            root = alias.name.partition(".")[0]
            yield (alias.asname, alias.name) if alias.asname else (root, root)


def _roots(node: ast.AST) -> Iterator[str]:
    """The top-level modules that a node imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module.partition(".")[0]


def _own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """What stands in a function itself, not in one defined inside of it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


def _is_defined(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()


def _from_module(table: symtable.SymbolTable) -> set[str]:
    """The names that any scope looks for in the module."""
    is_module = table.get_type() == "module"
    found = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (is_module or symbol.is_global())
    }
    for child in table.get_children():
        found |= _from_module(child)
    return found


def _listed(names: frozenset[str]) -> str:
    shown = sorted(name for name in names if not name.startswith("_"))
    return ", ".join(shown[:_SHOWN]) + (f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")

"""``sweep.constraints``: conditions that a setting must meet, such as ``optimizer.lr * data.batch_size < 10``."""

import ast
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import yaml

from fulgurite.errors import ConfigError, did_you_mean

_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"len": len, "min": min, "max": max, "sum": sum, "abs": abs}
_ALLOWED = "keys that are varied or set, numbers, words in quotes, + - * / // %, comparisons, and, or, not, [i], len()"


class Constraint:
    """One condition. A setting that lacks one of its keys, because that does not count there, meets it.

    Args:
        text: the condition.
        known: keys that it may speak of.

    Raises:
        ConfigError: for what is no condition, or speaks of another key.
    """

    def __init__(self, text: Any, known: Collection[str]) -> None:
        self.text = str(text)
        try:
            self._tree = ast.parse(self.text.strip(), mode="eval").body
        except SyntaxError as error:
            raise ConfigError(f"sweep.constraints: cannot read {self.text!r}; it may hold {_ALLOWED}") from error
        self._keys: set[str] = set()
        self._read(self._tree)
        if not self._keys:
            raise ConfigError(f"sweep.constraints: {self.text!r} speaks of no key that is varied")
        for key in self._keys:
            if key not in known:
                raise ConfigError(
                    f"sweep.constraints: {self.text!r} speaks of {key}, which is neither varied nor set"
                    f"{did_you_mean(key, sorted(known))}"
                )

    def is_met(self, chosen: Mapping[str, str]) -> bool:
        """Whether values by key meet it.

        Raises:
            ConfigError: when it cannot be computed.
        """
        if not self._keys <= chosen.keys():
            return True
        values = {key: _value(chosen[key]) for key in self._keys}
        try:
            return bool(self._evaluate(self._tree, values))
        except (TypeError, ZeroDivisionError, IndexError, ValueError) as error:
            told = ", ".join(f"{key}={value}" for key, value in values.items())
            raise ConfigError(f"sweep.constraints: {self.text!r} cannot be computed for {told}: {error}") from error

    def _read(self, node: ast.AST) -> None:
        """Collect the keys, and refuse what may not stand there."""
        if (key := _key(node)) is not None:
            self._keys.add(key)
            return
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
        plain = ast.BinOp | ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant | ast.Subscript | ast.List | ast.Tuple
        signs = (ast.boolop, ast.unaryop, ast.expr_context, *_OPERATORS)
        if not is_call and not isinstance(node, (plain, *signs)):
            raise ConfigError(f"sweep.constraints: {self.text!r} may hold {_ALLOWED} only")
        children = node.args if isinstance(node, ast.Call) else ast.iter_child_nodes(node)
        for child in children:
            self._read(child)

    def _evaluate(self, node: ast.AST, values: Mapping[str, Any]) -> Any:
        if (key := _key(node)) is not None:
            return values[key]
        match node:
            case ast.Constant():
                return node.value
            case ast.List() | ast.Tuple():
                return [self._evaluate(each, values) for each in node.elts]
            case ast.BinOp():
                return _OPERATORS[type(node.op)](self._evaluate(node.left, values), self._evaluate(node.right, values))
            case ast.BoolOp():
                parts = (self._evaluate(each, values) for each in node.values)
                return all(parts) if isinstance(node.op, ast.And) else any(parts)
            case ast.UnaryOp():
                value = self._evaluate(node.operand, values)
                return not value if isinstance(node.op, ast.Not) else -value if isinstance(node.op, ast.USub) else value
            case ast.Compare():
                sides = [self._evaluate(each, values) for each in (node.left, *node.comparators)]
                steps = zip(node.ops, sides, sides[1:], strict=False)
                return all(_OPERATORS[type(sign)](one, other) for sign, one, other in steps)
            case ast.Subscript():
                return self._evaluate(node.value, values)[self._evaluate(node.slice, values)]
            case ast.Call(func=ast.Name(id=name)):
                return _FUNCTIONS[name](*(self._evaluate(each, values) for each in node.args))
        raise AssertionError(node)


def broken(constraints: Sequence[Constraint], chosen: Mapping[str, str]) -> str:
    """The first condition that values by key do not meet; empty when they meet all."""
    return next((each.text for each in constraints if not each.is_met(chosen)), "")


def _key(node: ast.AST) -> str | None:
    """``optimizer.lr`` for the names of a key."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := _key(node.value)) is not None:
        return f"{before}.{node.attr}"
    return None


def _value(text: str) -> Any:
    """The value of an override: YAML takes ``1e-3`` for a word."""
    try:
        return float(text) if "e" in text.lower() and text.lower() not in ("e", "inf") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError:
            return text

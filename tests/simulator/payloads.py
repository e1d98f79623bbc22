"""Hypothesis strategies for payloads that follow a JSON schema of OCPP, or break it in places."""

from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]
Strategy = st.SearchStrategy[Any]

JUNK: Strategy = st.sampled_from([None, True, 3, -1, 0.5, "", "ab", "x" * 600, [], {}])
TENTHS = st.integers(0, 1000).map(lambda tenths: tenths / 10)
SCALARS: dict[str | None, Strategy] = {
    "integer": st.integers(-2, 120),
    "number": st.one_of(st.integers(-1, 100), TENTHS, st.sampled_from([-0.1, 1e9])),
    "boolean": st.booleans(),
    None: st.sampled_from([None, 3, "", "{}", {"connector": 1}]),
}
TIMES = st.sampled_from(
    ["2030-01-01T12:00:00Z", "2029-06-01T00:00:00+02:00", "2031-01-01T00:00:00.5", "noon"]
)


class Payloads:
    """Valid payloads of a schema; with `flaws`, payloads that may break it in a place or two."""

    def __init__(self, schema: Schema, *, flaws: bool = False) -> None:
        self._schema = schema
        self._definitions: dict[str, Schema] = schema.get("definitions", {})
        self._flaws = flaws

    def values(self) -> Strategy:
        return self._values(self._schema, 0)

    def _values(self, schema: Schema, depth: int) -> Strategy:
        if "$ref" in schema:
            schema = self._definitions[schema["$ref"].rpartition("/")[2]]
        right = self._right_values(schema, depth)
        return self._dice().flatmap(lambda die: JUNK if die == 0 else right)

    def _right_values(self, schema: Schema, depth: int) -> Strategy:
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        match schema.get("type"):
            case "object":
                return self._objects(schema, depth)
            case "array":
                minimum, maximum = (
                    (0, 3) if self._flaws else (schema.get("minItems", 0), schema.get("maxItems", 3))
                )
                items = self._values(schema["items"], depth + 1)
                return st.lists(items, min_size=minimum, max_size=max(min(maximum, 3), minimum))
            case "string" if schema.get("format") == "date-time" and not self._flaws:
                return TIMES
            case "string":
                return st.text(max_size=min(schema.get("maxLength", 20) + self._flaws, 60))
            case kind:
                return SCALARS[kind]

    def _objects(self, schema: Schema, depth: int) -> Strategy:
        required = schema.get("required", [])
        known = {
            name: st.deferred(lambda part=part: self._values(part, depth + 1))  # type: ignore[misc]
            for name, part in schema.get("properties", {}).items()
            if depth < 4 or name in required
        }

        def build(die: int) -> Strategy:
            needed = {name: known[name] for name in required if die != 1 and name in known}
            optional = {name: value for name, value in known.items() if name not in needed}
            return st.fixed_dictionaries(
                needed, optional=optional | ({"surplus": st.just(1)} if die == 0 else {})
            )

        return self._dice().flatmap(build)

    def _dice(self) -> st.SearchStrategy[int]:
        """0 and 1 are flaws."""
        return st.integers(0, 24) if self._flaws else st.just(2)

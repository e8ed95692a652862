"""YAML in which a key stands once: the second of two would win without a word."""

from typing import Any

import yaml


class UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which raises ConstructorError for a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping, if its keys differ, those of merged mappings aside."""
        seen: dict[Any, yaml.Node] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
            if not isinstance(key, str | int | float | bool | type(None)):
                continue
            if key in seen:
                line = seen[key].start_mark.line + 1
                raise yaml.constructor.ConstructorError(
                    None,
                    None,
                    f"the key {key} stands twice, first in line {line}; keep one of them",
                    key_node.start_mark,
                )
            seen[key] = key_node
        return super().construct_mapping(node, deep)


def load_yaml(text: str) -> Any:
    """Load YAML of plain values.

    Parameters
    ----------
    text : str

    Returns
    -------
    object
        Mappings, lists, numbers, text, dates, None.

    Raises
    ------
    yaml.YAMLError
        For what is no YAML, and for a key that stands twice, at any depth.

    Examples
    --------
    >>> load_yaml("grid: {n_layers: [1, 2]}")
    {'grid': {'n_layers': [1, 2]}}
    """
    return yaml.load(text, UniqueKeyLoader)  # noqa: S506, a safe loader

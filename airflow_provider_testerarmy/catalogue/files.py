"""The format of a test file: Markdown with YAML front matter, or YAML. Free of I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Final

from airflow_provider_testerarmy.catalogue.model import CatalogueInvalid, Step, TestFile
from airflow_provider_testerarmy.runs.text import one_line

#: The fields of a file. ``schema.json`` describes them for editors.
FIELDS: Final = frozenset(
    ("title", "description", "steps", "group", "groups", "platform", "mode", "enabled", "owner", "tags")
)
SUFFIXES: Final = (".md", ".yaml", ".yml")
PLATFORMS: Final = ("web", "mobile")
MODES: Final = ("fast", "deep")
#: The fields of each kind of step beside its text: in a file, and in the API.
STEP_KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "act": {},
    "assert": {},
    "login": {"credential_id": "credentialId", "temporary_email": "temporaryEmail"},
    "files": {"file_ids": "fileIds"},
    "screenshot": {},
    "javascript": {"title": "title"},
}
_MOST_STEPS: Final = 50
_TITLE: Final = 500
_FENCE: Final = re.compile(r"\A\ufeff?---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_ITEM: Final = re.compile(r"^(?:\d{1,3}[.)]|[-*+])[ \t]+(.*)$")
_KIND: Final = re.compile(r"(act|assert|screenshot|login):[ \t]*(.*)", re.DOTALL | re.IGNORECASE)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def parse(key: str, text: str) -> TestFile:
    """Read a test file.

    :param key: its path below the folder; the suffix selects the format.
    :raises CatalogueInvalid: with the file, the field, and what is wrong.
    """
    try:
        return _test(key, _fields(key, text.replace("\r\n", "\n")))
    except CatalogueInvalid as error:
        raise CatalogueInvalid(f"{key}: {error}") from None


def _fields(key: str, text: str) -> dict[str, Any]:
    if not key.endswith(".md"):
        return _mapping(text)
    found = _FENCE.match(text)
    if found is None:
        raise CatalogueInvalid("It does not begin with front matter between two lines `---`.")
    fields = _mapping(found[1])
    if "description" in fields:
        raise CatalogueInvalid("description: write it below the front matter.")
    description, steps = _body(text[found.end() :], listed="steps" not in fields)
    return {"steps": steps, **fields, "description": description}


def schema() -> str:
    """The JSON schema of a test file and of its front matter, for editors."""
    return resources.files(__package__).joinpath("schema.json").read_text()


def render(test: TestFile) -> str:
    """A test as a file that :func:`parse` reads back.

    :raises CatalogueInvalid: for a test that no file can describe, e.g. with a kind of step that this version does
        not know.
    """
    try:
        text = _rendered(test)
        same = parse(test.key, text).digest == test.digest
    except CatalogueInvalid as error:
        raise CatalogueInvalid(f"The test {test.title!r} cannot be written as a file. {error}") from None
    if not same:
        raise CatalogueInvalid(f"The test {test.title!r} cannot be written as a file without a change.")
    return text


def _rendered(test: TestFile) -> str:
    import yaml  # type: ignore[import-untyped]

    fields: dict[str, Any] = {"title": test.title}
    if test.groups:
        fields |= {"group": test.groups[0]} if len(test.groups) == 1 else {"groups": list(test.groups)}
    fields |= {name: getattr(test, name) for name in ("platform", "mode", "owner") if getattr(test, name)}
    if not test.enabled:
        fields["enabled"] = False
    if test.tags:
        fields["tags"] = list(test.tags)
    fields["steps"] = [_step_as_written(step) for step in test.steps]
    if not test.key.endswith(".md"):
        if test.description.strip():
            fields["description"] = test.description.strip()
        text: str = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=100)
        return text
    head = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=100)
    body = f"\n{test.description.strip()}\n" if test.description.strip() else ""
    return f"---\n{head}---\n{body}"


def _test(key: str, fields: Mapping[str, Any]) -> TestFile:
    if unknown := sorted(map(str, fields.keys() - FIELDS)):
        raise CatalogueInvalid(
            f"{one_line(unknown[0], 60)!r} is no field. The fields are {', '.join(sorted(FIELDS))}."
        )
    title = _text(fields, "title")
    if not title or len(title) > _TITLE or not title.isprintable():
        raise CatalogueInvalid(f"title: it must have 1 to {_TITLE} characters on one line.")
    steps = fields.get("steps")
    if not isinstance(steps, list) or not 1 <= len(steps) <= _MOST_STEPS:
        raise CatalogueInvalid(f"steps: a test has a list of 1 to {_MOST_STEPS} steps.")
    if "group" in fields and "groups" in fields:
        raise CatalogueInvalid("group and groups exclude each other. Set one.")
    enabled = fields.get("enabled", True)
    if not isinstance(enabled, bool):
        raise CatalogueInvalid("enabled: it must be true or false.")
    groups = (_text(fields, "group"),) if "group" in fields else _texts(fields, "groups")
    return TestFile(
        key=key,
        title=title,
        steps=tuple(_numbered(number, step) for number, step in enumerate(steps, 1)),
        description=_text(fields, "description"),
        platform=_word(fields, "platform", PLATFORMS),
        enabled=enabled,
        groups=tuple(dict.fromkeys(name for name in groups if name)),
        mode=_word(fields, "mode", MODES),
        owner=one_line(_text(fields, "owner"), 200),
        tags=_texts(fields, "tags"),
    )


def _numbered(number: int, step: object) -> Step:
    try:
        return _step(step)
    except CatalogueInvalid as error:
        raise CatalogueInvalid(f"step {number}: {error}") from None


def _step(step: object) -> Step:
    """A step as the API takes it; text is an ``act`` step."""
    if isinstance(step, str):
        step = {"act": step}
    if not isinstance(step, dict):
        raise CatalogueInvalid("it must be text, or one of " + ", ".join(STEP_KINDS) + " with its text.")
    kinds = [name for name in STEP_KINDS if name in step]
    if len(kinds) != 1:
        raise CatalogueInvalid("it must have exactly one of " + ", ".join(STEP_KINDS) + ".")
    kind = kinds[0]
    if unknown := sorted(map(str, step.keys() - {kind} - STEP_KINDS[kind].keys())):
        raise CatalogueInvalid(f"{one_line(unknown[0], 60)!r} is no field of a step {kind}.")
    text = _text(step, kind)
    if not text and kind != "screenshot":
        raise CatalogueInvalid(f"{kind}: the text is missing.")
    ready: dict[str, Any] = {"type": kind}
    if text:
        ready["code" if kind == "javascript" else "title"] = text
    for name, wire in STEP_KINDS[kind].items():
        if name in step:
            ready[wire] = _CHECKS[name](step, name)
    if kind == "files" and not ready.get("fileIds"):
        raise CatalogueInvalid("file_ids: name the files of the project that the agent uploads.")
    return ready


def _step_as_written(step: Step) -> Any:
    kind = str(step.get("type"))
    if kind not in STEP_KINDS:
        raise CatalogueInvalid(f"It has a step of the kind {one_line(kind, 40)!r}, which is unknown.")
    text = step.get("code" if kind == "javascript" else "title") or ""
    if kind == "act":
        return text
    more = {name: step[wire] for name, wire in STEP_KINDS[kind].items() if step.get(wire) is not None}
    return {kind: text, **{name: list(v) if isinstance(v, tuple) else v for name, v in more.items()}}


def _body(text: str, *, listed: bool) -> tuple[str, list[Any]]:
    """The description, and the steps of the list below it."""
    lines = text.strip("\n").split("\n")
    first = next((number for number, line in enumerate(lines) if _ITEM.match(line)), len(lines))
    if not listed:
        return text.strip(), []
    items: list[str] = []
    for line in lines[first:]:
        if found := _ITEM.match(line):
            items.append(found[1].strip())
        elif line[:1] in (" ", "\t") and line.strip():
            items[-1] = f"{items[-1]} {line.strip()}"
        elif line.strip():
            raise CatalogueInvalid(
                f"{one_line(line, 60)!r} is below the list of steps. Put the description above it, and indent "
                "a step's further lines."
            )
    return "\n".join(lines[:first]).strip(), [_listed_step(item) for item in items]


def _listed_step(item: str) -> Any:
    found = _KIND.fullmatch(item)
    return {found[1].lower(): found[2]} if found else item


def _mapping(text: str) -> dict[str, Any]:
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Refuses a field that is there twice, and aliases, which can make a small file large."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise CatalogueInvalid("It has a YAML alias (*name). Write the value out.")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            names = [name.value for name, _ in node.value]
            if not all(isinstance(name, str) for name in names):
                raise CatalogueInvalid("A field's name must be text.")
            if len(set(names)) < len(names):
                raise CatalogueInvalid("A field is there twice.")
            return {name.value: self.construct_object(value, deep=True) for name, value in node.value}

    try:
        found = yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
    except CatalogueInvalid:
        raise
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise CatalogueInvalid(f"It is no YAML: {one_line(str(error), 200)}.") from None
    if not isinstance(found, dict):
        raise CatalogueInvalid("It must be a mapping of fields.")
    return found


def _text(fields: Mapping[Any, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CatalogueInvalid(f"{name}: it must be text. Write it in quotes.")
    return value.strip()


def _texts(fields: Mapping[Any, Any], name: str) -> tuple[str, ...]:
    value = fields.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) and each.strip() for each in value):
        raise CatalogueInvalid(f"{name}: it must be a list of texts.")
    return tuple(dict.fromkeys(each.strip() for each in value))


def _word(fields: Mapping[Any, Any], name: str, words: tuple[str, ...]) -> str:
    value = _text(fields, name)
    if value and value not in words:
        raise CatalogueInvalid(f"{name}: it must be {' or '.join(words)}.")
    return value


def _id(fields: Mapping[Any, Any], name: str) -> str:
    value = _text(fields, name)
    if not _UUID.fullmatch(value):
        raise CatalogueInvalid(f"{name}: it must be a UUID.")
    return value.lower()


def _ids(fields: Mapping[Any, Any], name: str) -> list[str]:
    return [_id({name: value}, name) for value in _texts(fields, name)]


def _flag(fields: Mapping[Any, Any], name: str) -> bool:
    value = fields[name]
    if not isinstance(value, bool):
        raise CatalogueInvalid(f"{name}: it must be true or false.")
    return value


_CHECKS: Final[Mapping[str, Callable[[Mapping[Any, Any], str], Any]]] = {
    "credential_id": _id,
    "temporary_email": _flag,
    "file_ids": _ids,
    "title": _text,
}

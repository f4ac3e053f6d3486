"""The table of values in the chart's README, made from the comments of values.yaml (`# -- description`).

    python3 helm/tests/readme.py            reports differences (part of `make check-helm`)
    python3 helm/tests/readme.py --write    writes the table into README.md

A value with a description is a row, with everything below it as its default; every other value must be a group of such. So
each value has a row of its own or is part of one, and `undescribed` names those that have none.
"""

import json
import pathlib
import re
import sys

import yaml

CHART = pathlib.Path(__file__).resolve().parent.parent / "entail"
BEGIN, END = "<!-- values: made by helm/tests/readme.py --write -->", "<!-- end of values -->"


def descriptions(text):
    """Path of a value -> its description: comments with `--` directly above the key, in the block style of values.yaml."""
    found, path, comment = {}, [], None
    for line in text.splitlines():
        body = line.strip()
        if body.startswith("# -- "):
            comment = body.removeprefix("# -- ")
        elif body.startswith("# ") and comment is not None:
            comment += " " + body.removeprefix("# ")
        elif key := re.match(r"( *)([A-Za-z]\w*):(?: |$)", line):
            path = path[: len(key[1]) // 2] + [key[2]]
            if comment is not None:
                found[".".join(path)] = comment
            comment = None
        else:
            comment = None
    return found


def leaves(values, path=""):
    for key, value in values.items():
        here = f"{path}.{key}" if path else key
        yield from leaves(value, here) if isinstance(value, dict) and value else [here]


def undescribed(text):
    told = descriptions(text)
    parts = [[".".join(leaf.split(".")[: end + 1]) for end in range(leaf.count(".") + 1)] for leaf in leaves(yaml.safe_load(text))]
    return [names[-1] for names in parts if not told.keys() & set(names)]


def table(text):
    values = yaml.safe_load(text)
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for path, description in descriptions(text).items():
        value = values
        for key in path.split("."):
            value = value[key]
        cells = f"`{path}`", f"`{json.dumps(value, ensure_ascii=False)}`", description
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def expected(readme, text):
    head, rest = readme.split(BEGIN)
    return f"{head}{BEGIN}\n{table(text)}\n{END}{rest.split(END)[1]}"


def schema_properties(schema, values, root, path=""):
    """Values without a property in the schema, and properties without a value, down to where either has no more."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if schema.get("additionalProperties") is not False or not isinstance(values, dict):
        return
    properties = schema.get("properties", {})
    # The values that Helm gives a subchart, and the additions of users to a map that the chart passes on.
    optional = {"global", "enabled"} if not path else properties.keys() - set(schema.get("required", []))
    for key in values.keys() - properties.keys():
        yield f"{path}{key} has no property in values.schema.json"
    for key in properties.keys() - values.keys() - optional:
        yield f"{path}{key} is in values.schema.json only"
    for key in properties.keys() & values.keys():
        yield from schema_properties(properties[key], values[key], root, f"{path}{key}.")


def check(report):
    """README.md, values.yaml and values.schema.json have the same values."""
    text, readme = (CHART / "values.yaml").read_text(), (CHART / "README.md").read_text()
    report.check(readme == expected(readme, text), "README.md is not what values.yaml says: helm/tests/readme.py --write")
    report.check(not undescribed(text), f"values.yaml: without a description (# --): {', '.join(undescribed(text))}")
    schema = json.loads((CHART / "values.schema.json").read_text())
    wrong = list(schema_properties(schema, yaml.safe_load(text), schema))
    report.check(not wrong, f"values.yaml and its schema: {'; '.join(wrong)}")
    # The check must detect a missing value.
    report.check(undescribed("a:\n  # -- Told.\n  b: 1\n  c: 2\n") == ["a.c"], "readme.py does not notice a value without description")


def main():
    text, path = (CHART / "values.yaml").read_text(), CHART / "README.md"
    readme = path.read_text()
    if sys.argv[1:] == ["--write"]:
        path.write_text(expected(readme, text))
    elif readme != expected(readme, text) or undescribed(text):
        sys.exit("README.md is not what values.yaml says: helm/tests/readme.py --write")


if __name__ == "__main__":
    main()

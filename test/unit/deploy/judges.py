"""What others' programs say about the files of deploy/: a list of tasks as JSON on the standard input, their answers on the output.

Each task is {"do": NAME, ...}; an answer is {"ok": VALUE} or {"error": TEXT}. Run by judges.ts, with the Python environment
"deploy" of scripts/test-python.mjs.
"""

import json
import sys

import yaml


def documents(text):
    """Documents of a YAML text; a key that stands twice in one mapping is an error."""

    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader, node):
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise ValueError(f"line {node.start_mark.line + 1}: {twice[0]} stands twice")
        return yaml.SafeLoader.construct_mapping(loader, node, deep=True)

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    return [document for document in yaml.load_all(text, Loader=Strict) if document is not None]


def render(task):
    """`helm template`: Helm's own engine, with the values checked against the chart's schema."""
    import helm_python

    with helm_python.Chart.load(task["chart"]) as chart:
        chart.validate_schema(task["values"])
        rendered = chart.render(task["values"], name=task["name"], namespace=task["namespace"])
    found = []
    for file, text in sorted(rendered.items()):
        if file.endswith("NOTES.txt"):
            found.append({"file": file, "notes": text})
        else:
            found.extend({"file": file, "document": document} for document in documents(text))
    return found


def lint(task):
    """`helm lint --strict`."""
    import helm_python

    return helm_python.lint(task["chart"], task["values"], strict=True)


def kubernetes(task):
    """A document against the strict schemas of a version of Kubernetes."""
    import kubernetes_validate

    return kubernetes_validate.validate(task["document"], task["version"], strict=True)


def unknown_fields(given, kept, path):
    """Fields of the given document that the model does not know: it drops them."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            if key not in kept:
                yield f"{path}.{key}"
            else:
                yield from unknown_fields(value, kept[key], f"{path}.{key}")
    if isinstance(given, list) and isinstance(kept, list):
        for index, (one, other) in enumerate(zip(given, kept)):
            yield from unknown_fields(one, other, f"{path}[{index}]")


def custom(task):
    """A document of a custom resource against the model made of its definition."""
    kind = task["document"]["kind"]
    if kind == "ScaledObject":
        from cloudcoil.models.keda.v1alpha1 import ScaledObject as Model
    elif kind == "ServiceMonitor":
        from cloudcoil.models.prometheus_operator.v1 import ServiceMonitor as Model
    elif kind == "PrometheusRule":
        from cloudcoil.models.prometheus_operator.v1 import PrometheusRule as Model
    else:
        raise ValueError(f"no model of {kind}")
    checked = Model.model_validate(task["document"])
    kept = checked.model_dump(mode="json", by_alias=True, exclude_unset=True)
    lost = list(unknown_fields(task["document"], kept, kind))
    if lost:
        raise ValueError(f"unknown fields: {', '.join(lost)}")
    return True


def compose(task):
    """A file for Compose against its specification, with its references among services, networks, volumes and secrets."""
    from compose_spec import PyCompose

    # Its own reader of YAML does not know merge keys (<<), which Compose does.
    [document] = documents(task["text"])
    PyCompose.from_json(json.dumps(document)).validate()
    return document


def promql(task):
    """The names of the series that an expression asks for, with the labels that it selects by."""
    import promql_parser

    series = []

    def walk(node):
        if type(node).__name__ == "VectorSelector":
            matchers = node.matchers.matchers
            named = node.name or next(m.value for m in matchers if m.name == "__name__")
            series.append({"name": named, "labels": [m.name for m in matchers]})
        for name in ("expr", "lhs", "rhs", "vector_selector", "vs", "param"):
            child = getattr(node, name, None)
            if child is not None and not isinstance(child, (str, int, float)):
                walk(child)
        for child in getattr(node, "args", None) or []:
            walk(child)

    walk(promql_parser.parse(task["expression"]))
    return series


def parse(task):
    """A YAML text's documents."""
    return documents(task["text"])


TASKS = {
    each.__name__: each for each in (render, lint, kubernetes, custom, compose, promql, parse)
}

answers = []
for task in json.load(sys.stdin):
    try:
        answers.append({"ok": TASKS[task["do"]](task)})
    except Exception as error:  # Whatever a judge says is an answer.
        answers.append({"error": f"{type(error).__name__}: {error}"})
json.dump(answers, sys.stdout)

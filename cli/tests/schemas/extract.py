#!/usr/bin/env python3
"""Writes azurerm.json and google.json: the arguments of the resources that the templates of `isobar package` use.

The facts are those of two packages of npm, which were generated from the providers' own schemas:

    npm install --ignore-scripts @cdktf/provider-azurerm@14.23.1 @cdktf/provider-google@16.12.1
    python3 cli/tests/schemas/extract.py node_modules

Run it again when a template uses another resource. A `!` after a type means that the argument is required.
"""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent
TEMPLATES = HERE / "../../templates"
CODE = HERE / "../../src/package"
PROVIDERS = {"azurerm": "azure", "google": "gcp"}


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def kind(of, types):
    """The type of a property, and the arguments of the block that it is."""
    if "primitive" in of:
        return {"boolean": "bool", "any": "any"}.get(of["primitive"], of["primitive"]), None
    if "union" in of:
        parts = [part for part in of["union"]["types"] if part.get("fqn") != "cdktf.IResolvable"]
        # A list of booleans is a list, or a reference to one.
        parts = [part for part in parts if "collection" in part] or parts
        return kind(parts[0], types)
    if "collection" in of:
        inner, block = kind(of["collection"]["elementtype"], types)
        if block is not None:
            return "blocks", block
        return f"{of['collection']['kind'].replace('array', 'list')}({inner})", None
    inner = types[of["fqn"]]
    return "block", arguments(inner, types)


def arguments(interface, types):
    found = {}
    for each in interface.get("properties", []):
        docs = json.dumps(each.get("docs", {}))
        named = re.search(r"#(\w+) \w+#\w+}", docs)
        name = named.group(1) if named else snake(each["name"])
        what, block = kind(each["type"], types)
        if name == "timeouts":
            continue
        what += "" if each.get("optional") else "!"
        found[name] = what if block is None else {what: block}
    return dict(sorted(found.items()))


def main(modules):
    for provider, folder in PROVIDERS.items():
        package = modules / "@cdktf" / f"provider-{provider}"
        described = json.loads((package / ".jsii").read_text())
        types = described["types"]
        texts = "\n".join(path.read_text() for path in sorted((TEMPLATES / folder).rglob("*.tf")))
        used = set(re.findall(rf'^(resource|data) "({provider}_\w+)"', texts, re.MULTILINE))
        # The resources of grants have no template.
        code = (CODE / f"{folder}.rs").read_text()
        used |= {("resource", name) for name in re.findall(rf'"({provider}_\w+)"', code)}
        version, found = None, {"resource": {}, "data": {}}
        for each in types.values():
            of = {"cdktf.TerraformResource": "resource", "cdktf.TerraformDataSource": "data"}.get(each.get("base"))
            summary = each.get("initializer", {}).get("docs", {}).get("summary", "")
            named = re.search(rf"/{provider}/([\d.]+)/docs/\S+ ({provider}_\w+)}}", summary)
            if of is None or named is None or (of, named.group(2)) not in used:
                continue
            version = named.group(1)
            config = next(it for it in each["initializer"]["parameters"] if it["name"] == "config")
            of_resource = arguments(types[config["type"]["fqn"]], types)
            names = (it["name"] for it in each["properties"] if not it.get("static"))
            names = {snake(name) for name in names if not name.endswith("Input")} | {"id"}
            attributes = sorted(names - of_resource.keys() - {"timeouts"})
            found[of][named.group(2)] = {"arguments": of_resource, "attributes": attributes}
        missing = used - {(of, name) for of in found for name in found[of]}
        if missing:
            sys.exit(f"{provider} has no {', '.join(sorted(name for _, name in missing))}")
        if not used:
            continue
        source = f"npm {described['name']}@{described['version']}"
        head = {"provider": f"hashicorp/{provider}", "version": version, "source": source}
        text = json.dumps(head | {of: dict(sorted(found[of].items())) for of in found}, indent=1)
        (HERE / f"{provider}.json").write_text(text + "\n")


main(pathlib.Path(sys.argv[1]))

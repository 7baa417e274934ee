# SPDX-License-Identifier: MIT
"""validate, config, schema, explain, graph as commands: streams, exit codes, options."""
import json
import xml.dom.minidom

SHOP = """\
vars:
  TAG: { default: "1" }
networks:
  front: {}
  back: { egress: none }
volumes:
  data: { size: 1GiB }
containers:
  db:
    image: localhost/db:${TAG}
    mounts: ["data:/data:rw"]
    networks: [back]
  app:
    image: localhost/app:${TAG}
    depends_on: [db]
    mounts: [".:/src"]
    networks: [front, back]
    ports: [{ host: auto, container: 80 }]
  edge:
    image: localhost/edge:1
    profiles: [edge]
    depends_on: [app]
    networks: [front]
"""
BAD = "containers:\n  web:\n    imgae: a:1\n    image: a:1\n    ports: 80\n"


def shop(folder):
    folder.write("env.yaml", SHOP)


def test_validate_says_ok_or_all_there_is(folder):
    shop(folder)
    assert folder.out("validate", "--all") == "env.yaml: OK\n"
    assert folder.out("validate", "--all", "-q") == ""
    folder.write("env.yaml", BAD)
    r = folder.run("validate", code=3)
    assert r.stdout == ""
    folder.golden("validate-bad.err", r.stderr)
    assert folder.run("validate", "-", stdin=BAD, code=3).stderr == r.stderr.replace("env.yaml:", "-:")


def test_validate_json_is_data_on_stdout(folder):
    shop(folder)
    assert json.loads(folder.out("validate", "--all", "--json")) == []
    folder.write("env.yaml", BAD)
    r = folder.run("validate", "--json", code=3)
    assert r.stderr == ""
    assert [(f["code"], f["file"], f["line"], f["column"], f["severity"]) for f in json.loads(r.stdout)] == [
        ("E104", "env.yaml", 3, 5, "error"), ("E103", "env.yaml", 5, 12, "error")]
    folder.golden("validate-bad.json", r.stdout)


def test_warnings_leave_the_exit_code_alone(folder):
    folder.write("env.yaml", "containers:\n  web: { image: nginx }\n")
    r = folder.run("validate")
    assert r.stdout == "env.yaml: OK\n" and "warning[W302]" in r.stderr and "W306" not in r.stderr
    assert "warning[W306]" in folder.run("validate", "--strict").stderr


def test_escapes_of_a_file_never_reach_the_terminal(folder):
    folder.write("env.yaml", 'containers:\n  web:\n    image: a:1\n    "k\\e[31m": 1\n    user: "\x7f\x9b"\n')
    for args in (["validate"], ["validate", "--json"], ["config"], ["graph"]):
        r = folder.run(*args, code=3)
        assert not set(r.stdout + r.stderr) & {"\x1b", "\x7f", "\x9b"}, args


def test_overlays_are_laid_over_in_order(folder):
    shop(folder)
    folder.write("b.yaml", "containers:\n  app: { image: localhost/app:b, ports: [\"9090:80\"] }\n")
    folder.write("c.yaml", "containers:\n  app: { image: localhost/app:c }\n  db: null\n")
    folder.write("d.yaml", "containers:\n  app: { depends_on: null }\n")
    files = ["-f", "env.yaml", "-f", "b.yaml", "-f", "c.yaml", "-f", "d.yaml"]
    assert folder.findings("--all", *files) == []
    c = json.loads(folder.out("config", "--json", *files))["containers"]
    assert set(c) == {"app"} and c["app"]["image"] == "localhost/app:c" and c["app"]["ports"][0]["host"] == 9090
    r = folder.run("validate", *files[:-2], code=3)
    assert "env.yaml:15:18: error[E501]" in r.stderr


def test_profiles_take_containers_in(folder):
    shop(folder)
    assert set(json.loads(folder.out("config", "--json"))["containers"]) == {"app", "db"}
    assert set(json.loads(folder.out("config", "--json", "--profile", "edge"))["containers"]) == {"app", "db", "edge"}
    assert folder.out("config", "--hash") != folder.out("config", "--hash", "--profile", "edge")


def test_config_of_config_is_config(folder):
    shop(folder)
    for extra in ([], ["--profile", "edge"]):
        text = folder.out("config", *extra)
        assert "image: \"localhost/app:1\"  # env.yaml:14" in text
        plain = folder.out("config", "--no-origins", *extra)
        assert folder.out("config", "--no-origins", "-", *extra, stdin=text) == plain
        assert folder.out("config", "--hash", "-", *extra, stdin=text) == folder.out("config", "--hash", *extra)
        assert folder.out("config", "--json", "-", *extra, stdin=text) == folder.out("config", "--json", *extra)
    folder.golden("config.yaml", folder.out("config"))
    folder.golden("config.json", folder.out("config", "--json"))


def test_config_takes_resources_of_the_host_s_config(folder):
    folder.write("env.yaml", "containers:\n  web: { image: localhost/a:1 }\n")
    (folder.path / "home" / "config").mkdir(parents=True)
    (folder.path / "home" / "config" / "config.yaml").write_text("resources: { memory: 333MiB }\n")
    assert json.loads(folder.out("config", "--json"))["containers"]["web"]["resources"]["memory"] == "333MiB"


def test_wrong_uses_are_told(folder):
    shop(folder)
    assert "a file is given twice" in folder.run("validate", "env.yaml", "-f", "env.yaml", code=64).stderr
    assert "standard input can be the only file" in folder.run("config", "-f", "-", "-f", "env.yaml", code=64).stderr
    assert "exclude each other" in folder.run("graph", "--dot", "--svg", code=64).stderr
    (folder.project / "env.yaml").unlink()
    for command in ("validate", "config", "graph"):
        r = folder.run(command, code=4)
        assert "there is no env.yaml here" in r.stderr and "ctrz init" in r.stderr
    assert "none.yaml" in folder.run("validate", "none.yaml", code=4).stderr


def test_graph(folder):
    shop(folder)
    for name, args in (("text", []), ("dot", ["--dot"]), ("svg", ["--svg"]), ("edge", ["--profile", "edge"])):
        folder.golden(f"graph.{name}", folder.out("graph", *args))
    xml.dom.minidom.parseString(folder.out("graph", "--svg"))


def test_a_picture_stays_well_formed_whatever_is_in_it(folder):
    folder.write("a&<b>\"'", "")
    folder.write("env.yaml", "name: x\ncontainers:\n  web:\n    image: localhost/a:1\n"
                 "    mounts: [{ type: file, source: \"./a&<b>\\\"'\", target: \"/a&<]]>\\\"\" }]\n    labels: { \"<a>\": \"&\" }\n")
    xml.dom.minidom.parseString(folder.out("graph", "--svg"))
    dot = folder.out("graph", "--dot")
    assert "\\\"'" in dot and dot.count("{") == dot.count("}")


def test_explain(folder):
    listed = folder.out("explain").splitlines()
    codes = folder.out("explain", "--names").split()
    assert [line.split()[0] for line in listed] == codes == sorted(codes) and len(codes) > 70
    folder.golden("explain-E104", folder.out("explain", "e104"))
    for code in codes:
        assert folder.out("explain", code).startswith(code)
    assert "ctrz explain lists" in folder.run("explain", "E999", code=4).stderr


def test_schema_is_of_draft_7(folder):
    schema = json.loads(folder.out("schema"))
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#" and "containers" in schema["properties"]


def test_completion_and_manual_know_the_commands(folder):
    page = folder.out("__man")
    for command in ("init", "import", "validate", "config", "graph", "schema", "explain"):
        assert f"## ctrz {command}" in page
        for shell in ("bash", "fish"):
            assert command in folder.out("completion", shell)
    assert "ctrz explain --names" in folder.out("completion", "bash")

"""Holds every #include of supervisor/ against the arrows between its folders. An arrow the other way wants to be
an event, or a std::function that daemon/ hands in."""

import pathlib
import re
import sys

ALL = {"base", "core", "config", "loop", "child", "redis", "registry", "health", "logs", "control", "client", "daemon"}
MAY_INCLUDE = {
    "base": set(),
    "core": {"base"},
    "config": {"base", "core"},
    "loop": {"base"},
    "child": {"base", "loop"},
    "redis": {"base", "loop"},
    "registry": {"base", "core", "loop", "redis"},
    "health": {"base", "loop", "child", "redis"},
    "logs": {"base", "loop"},
    "control": {"base", "core", "loop"},
    "client": ALL - {"daemon", "child"},
    "daemon": ALL - {"client"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([a-z_0-9]+)/[^"]+"', re.MULTILINE)
NOT_FOR_CORE = re.compile(r'"base/log\.h"|<(?:uv|fmt/|time\.h|random|thread|iostream|fstream)')

supervisor = pathlib.Path(__file__).resolve().parents[2] / "supervisor"
wrong = []
checked = 0
for source in sorted(supervisor.rglob("*")):
    if source.suffix not in {".h", ".cc"} or source.parent == supervisor:
        continue
    checked += 1
    folder = source.relative_to(supervisor).parts[0]
    text = source.read_text()
    for target in INCLUDE.findall(text):
        if target != folder and target in ALL and target not in MAY_INCLUDE.get(folder, set()):
            wrong.append(f"{source.relative_to(supervisor)} may not include {target}/")
    if folder == "core" and NOT_FOR_CORE.search(text):
        wrong.append(f"{source.relative_to(supervisor)}: core/ is pure, no I/O, clock, randomness or logging")
print("\n".join(wrong) or f"{checked} files, all arrows as agreed")
sys.exit(1 if wrong or not checked else 0)

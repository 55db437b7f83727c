"""Holds every command that our code and scripts send to Redis against the table of registry/permissions.cc, and that
against docs/redis-acl.md. A command that is missing there would be a surprise to whoever gave muster a user of its own."""

import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parents[2]
supervisor = root / "supervisor"
ALWAYS = {"auth", "hello"}  # allowed to everybody
SENTINELS = {"sentinel"}  # asked of others
SELECTS = {"select"}  # only with another database than 0

table = (supervisor / "registry/permissions.cc").read_text()
allowed = set(re.findall(r'NeededCommand\{"([a-z|]+)"', table))
used = {}
for source in sorted([*supervisor.rglob("*.lua"), *supervisor.rglob("*.cc")]):
    if source.name in {"permissions.cc", "connect_check.cc"}:
        continue
    text = source.read_text()
    found = re.findall(r"redis\.p?call\(['\"]([A-Za-z]+)['\"](?:, *['\"]([A-Z]+)['\"])?", text)
    if source.parent.name in {"redis", "registry", "daemon", "client", "health"}:
        found += re.findall(r'(?:command|ask|say|send)\(\s*\{"([A-Z]+)"(?:, "([A-Z]+)")?', text)
        found += re.findall(r'(?:argv|words|return)\s*\{"([A-Z]+)"(?:, "([A-Z]+)")?', text)
    for command, second in found:
        name = command.lower()
        if f"{name}|{second.lower()}" in allowed:
            name = f"{name}|{second.lower()}"
        used.setdefault(name, source.relative_to(root))
wrong = [f"{used[name]}: {name.upper()} is not in registry/permissions.cc"
         for name in sorted(set(used) - allowed - ALWAYS - SENTINELS - SELECTS)]

line = re.search(r"^ACL SETUSER muster .*$", (root / "docs/redis-acl.md").read_text(), re.MULTILINE)
documented = {word[1:] for word in line.group().split() if word.startswith("+")} if line else set()
wrong += [f"docs/redis-acl.md: +{name} is missing" for name in sorted(allowed - documented)]
wrong += [f"docs/redis-acl.md: +{name} is not in registry/permissions.cc"
          for name in sorted(documented - allowed)]
if not {"eval", "hset", "zadd", "time"} <= set(used):
    wrong.append("the patterns of this test find no commands any more")

for one in wrong:
    print(one)
print(f"{len(used)} commands, {'as documented' if not wrong else f'{len(wrong)} wrong'}")
sys.exit(bool(wrong))

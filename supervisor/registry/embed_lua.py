#!/usr/bin/env python3
"""Writes the header that holds the Lua scripts: embed_lua.py OUTPUT SCRIPT.lua..."""

import hashlib
import pathlib
import sys

output, *sources = sys.argv[1:]
lines = [
    "#pragma once",
    "// Made from registry/lua/*.lua; change those.",
    "",
    '#include "redis/script.h"',
    "",
    "namespace muster::registry {",
    "",
]
for source in map(pathlib.Path, sources):
    text = source.read_bytes()
    if b')lua"' in text or len(text) > 60000:
        sys.exit(f"{source}: cannot be embedded")
    sha1 = hashlib.sha1(text).hexdigest()
    lines.append(f"inline constexpr redis::Script {source.stem}{{R\"lua({text.decode()})lua\", \"{sha1}\"}};")
lines += ["", "}  // namespace muster::registry", ""]
pathlib.Path(output).write_text("\n".join(lines))

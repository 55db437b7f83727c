# For the other scripts: where things are, builds, and private Python environments. All of it lies under build/.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$root/build/cache

say() { printf '\n%s\n' "== $*" >&2; }

# build NAME [TARGET…] MESON-OPTION…: sets up (or refreshes) build/NAME and compiles it, or just those targets.
build() {
    local folder=$root/build/$1
    local targets=()
    shift
    while [ $# -gt 0 ] && [[ $1 != -* ]]; do targets+=("$1"); shift; done
    if [ ! -f "$folder/build.ninja" ]; then
        meson setup "$folder" "$root" "$@" >"$folder.log" 2>&1 || { tail -n 20 "$folder.log" >&2; return 1; }
    fi
    ninja -C "$folder" ${targets[@]+"${targets[@]}"} >"$folder.log" 2>&1 || { grep -v '^\[' "$folder.log" | tail -n 60 >&2; return 1; }
}

# python_environment NAME REQUIREMENT…: a virtual environment in build/cache/NAME; one that is there is kept for a day,
# so that "the newest" stays true.
python_environment() {
    local folder=$cache/$1 stamp
    shift
    stamp=$folder/installed
    if [ -n "$(find "$stamp" -mtime -1 2>/dev/null)" ] && [ "$(cat "$stamp")" = "$*" ]; then return 0; fi
    mkdir -p "$cache"
    if [ ! -x "$folder/bin/python" ]; then /usr/bin/python3 -m venv "$folder" || return 1; fi
    if ! "$folder/bin/python" -m pip --disable-pip-version-check install -q --upgrade "$@" >"$folder/pip.log" 2>&1; then
        # Without a network, what was installed before is still good.
        if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$*" ]; then return 0; fi
        echo "pip could not install $*; the end of $folder/pip.log:" >&2
        tail -n 3 "$folder/pip.log" >&2
        return 1
    fi
    echo "$*" >"$stamp"
}

# ansible_environment: Ansible with its supervisorctl module, as build/cache/ansible. PyPI has the collection that the
# module is of only in the package `ansible`, together with a hundred others (half a GB): one folder of it is taken.
ansible_environment() {
    local folder=$cache/ansible stamp=$cache/ansible/collection
    python_environment ansible ansible-core || return 1
    if [ -n "$(find "$stamp" -mtime -1 2>/dev/null)" ]; then return 0; fi
    if "$folder/bin/python" -m pip --disable-pip-version-check download -q --no-deps -d "$folder/wheel" ansible >"$folder/pip.log" 2>&1; then
        rm -f "$stamp"
        "$folder/bin/python" - "$folder"/wheel/*.whl >>"$folder/pip.log" 2>&1 <<'END' && touch "$stamp"
import pathlib, shutil, sys, sysconfig, zipfile
place = pathlib.Path(sysconfig.get_path("purelib"))
shutil.rmtree(place / "ansible_collections", ignore_errors=True)
with zipfile.ZipFile(sys.argv[1]) as wheel:
    wheel.extractall(place, [name for name in wheel.namelist() if name.startswith("ansible_collections/community/general/")])
END
    fi
    rm -rf "$folder/wheel"
    if [ -f "$stamp" ]; then return 0; fi
    echo "Ansible's community.general cannot be had; the end of $folder/pip.log:" >&2
    tail -n 3 "$folder/pip.log" >&2
    return 1
}

# node_environment NAME PACKAGE…: the same for npm, as build/cache/NAME/node_modules.
node_environment() {
    local folder=$cache/$1 stamp
    shift
    stamp=$folder/installed
    if [ -n "$(find "$stamp" -mtime -1 2>/dev/null)" ] && [ "$(cat "$stamp")" = "$*" ]; then return 0; fi
    mkdir -p "$folder"
    if ! npm install --prefix "$folder" --no-audit --no-fund --silent "$@" >"$folder/npm.log" 2>&1 </dev/null; then
        [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$*" ]
        return
    fi
    echo "$*" >"$stamp"
}

# debian_program PROGRAM PACKAGE…: where that program is, out of the first of Debian's packages that has it. The package
# itself would start a service: only the one file is taken out of it. Where the lists of packages have been cleared, root
# gets them again.
debian_program() {
    local program=$1 folder=$cache/$1
    shift
    if command -v "$program"; then return 0; fi
    if [ ! -x "$folder/usr/bin/$program" ]; then
        mkdir -p "$folder"
        (cd "$folder" && { take_program "$program" "$@" || { apt-get update && take_program "$program" "$@"; }; }) \
            >"$folder/download.log" 2>&1 </dev/null || return 1
    fi
    echo "$folder/usr/bin/$program"
}

take_program() {
    local program=$1 package
    shift
    for package; do
        if apt-get download "$package" && dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x "./usr/bin/$program"; then
            rm -f ./*.deb
            return 0
        fi
        rm -f ./*.deb
    done
    return 1
}

# debian_supervisorctl: Debian's own, out of its package (which would start a service) and that of what it imports.
debian_supervisorctl() {
    local folder=$cache/debian-supervisor
    local tool=$folder/supervisorctl
    if [ ! -x "$tool" ]; then
        mkdir -p "$folder/tree"
        (cd "$folder" && { apt-get download supervisor python3-pkg-resources ||
            { apt-get update && apt-get download supervisor python3-pkg-resources; }; } &&
            for package in ./*.deb; do dpkg-deb -x "$package" tree || exit; done && rm -f ./*.deb) \
            >"$folder/download.log" 2>&1 </dev/null || return 1
        printf '#!/bin/sh\nPYTHONPATH=%s exec /usr/bin/python3 %s "$@"\n' \
            "'$folder/tree/usr/lib/python3/dist-packages'" "'$folder/tree/usr/bin/supervisorctl'" >"$tool"
        chmod +x "$tool"
    fi
    echo "$tool"
}

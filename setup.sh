#!/bin/sh
# Set up everything the Makefile needs: R with lme4 and nlme, and a virtual environment.
# Usage: setup.sh VENV [tools]   (PYTHON names the interpreter, python3 by default)
# With "tools" the environment gets hatchling and uv alone, by which a wheel is built and installed.
# Without R the suite still works, from its recorded references.
set -eu

venv=$1
what=${2-all}
python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")" && pwd)

say() { printf '%s\n' "$*" >&2; }

may_apt() {
    command -v apt-get >/dev/null 2>&1 || return 1
    [ "$(id -u)" -eq 0 ] && return 0
    command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null
}

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi; }

# Debian's python3 comes without pip. Its wheel can be had without root, from the package that
# python3-venv would bring.
unpack_pip() {
    folder=$(mktemp -d)
    if (cd "$folder" && apt-get download -qq python3-pip-whl >/dev/null 2>&1 &&
        dpkg-deb -x python3-pip-whl_*.deb .); then
        find "$folder" -name 'pip-*.whl' -print -quit
    fi
}

make_venv() {
    "$python" -m venv "$venv" >/dev/null 2>&1 && return 0
    rm -rf "$venv"
    if may_apt; then
        say "Installing python3-venv"
        as_root apt-get update -qq
        as_root apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
        "$python" -m venv "$venv" && return 0
        rm -rf "$venv"
    fi
    wheel=$(unpack_pip || true)
    if [ -n "$wheel" ] && "$python" -m venv --without-pip "$venv"; then
        "$venv/bin/python" "$wheel/pip" install -q --no-index --find-links "$(dirname "$wheel")" pip &&
            return 0
    fi
    rm -rf "$venv"
    say "$python cannot make a virtual environment with pip."
    say "On Debian or Ubuntu: apt-get install python3-venv; then run make again."
    exit 1
}

sh "$here/r/setup.sh" || say "Going on without R: lme4 and nlme will be played back from recorded references."

[ -x "$venv/bin/pip" ] || make_venv
"$venv/bin/python" -m pip install -q --disable-pip-version-check hatchling uv

# uv takes a fifth of pip's time; pip knows more roads to an index.
install() {
    "$venv/bin/python" -m uv pip install -q --compile-bytecode --python "$venv/bin/python" "$@" 2>/dev/null ||
        "$venv/bin/python" -m pip install -q --disable-pip-version-check "$@"
}

[ "$what" = tools ] && exit 0
say "Installing the package into $venv"
install -e "$here[test]"
if command -v Rscript >/dev/null 2>&1; then
    # The fast lane to R, in a version that loads in this one; without it R goes by Rscript.
    code="from pp_compare.resources import rpy2_for; print(*rpy2_for('$(Rscript -e 'cat(as.character(getRversion()))')'), sep='\n')"
    "$venv/bin/python" -c "$code" >"$venv/rpy2.txt"
    install -r "$venv/rpy2.txt" || say "rpy2 does not install: R goes by Rscript."
fi
# statsmodels imports three times slower without bytecode, our own command a second slower, and some
# machines forbid writing it later.
"$venv/bin/python" -m compileall -q -j 0 "$venv/lib" "$here/pp_compare" >/dev/null 2>&1 || true

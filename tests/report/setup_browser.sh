#!/bin/sh
# Chromium and its driver for the tests of the pages, where apt may be used; says so where it may not.
set -eu
if command -v chromedriver >/dev/null 2>&1 && { command -v chromium || command -v google-chrome; } >/dev/null 2>&1; then
    exit 0
fi
packages="chromium chromium-driver fonts-dejavu-core"
if command -v apt-get >/dev/null 2>&1 && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }; then
    as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi; }
    echo "Installing $packages" >&2
    # shellcheck disable=SC2086  # a list of words
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends $packages >/dev/null ||
        { as_root apt-get -qq update && as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends $packages >/dev/null; }
else
    echo "No Chromium here: the tests of the pages will be left out. To run them: apt-get install $packages" >&2
fi

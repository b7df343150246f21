#!/bin/sh
# Makes R with lme4 and nlme present, or says how.
#
#   sh r/setup.sh           install what is missing, where that can be done here without a question
#   sh r/setup.sh --check   say what is there; install nothing
#   sh r/setup.sh --commands   print what to type to install it, and nothing else
#
# Exit status: 0  R, lme4 and nlme are there
#              1  an installation was tried and failed
#              2  bad usage
#              3  something is missing and cannot be installed from here; the commands are printed
# Nothing is needed of R where recorded references are played back: a caller may go on after 1 or 3.
# What was found goes to standard output, everything else to standard error.

set -u

say() { printf '%s\n' "$*" >&2; }

# Versions of R and of the packages, one line; fails where something is missing or too old. The
# packages are looked up, not loaded: that takes a quarter of a second instead of two.
found() {
    command -v Rscript >/dev/null 2>&1 || return 1
    Rscript --no-init-file -e '
        packages <- c("lme4", "nlme")
        there <- packages[nzchar(vapply(packages, function(p) system.file(package = p), ""))]
        versions <- vapply(there, function(p) packageDescription(p)[["Version"]], "")
        missing <- setdiff(packages, there)
        cat("R ", as.character(getRversion()), sprintf(", %s %s", there, versions),
            sprintf(", no %s", missing), "\n", sep = "")
        quit(status = length(missing) > 0 || getRversion() < "4.2")' 2>/dev/null
}

# How to run something as root without being asked for a password; fails where there is no way.
root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

may_be_root() { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }

# apt-get, waiting for another apt that holds the lock, asking no question.
apt() { root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -qq -y "$@" >/dev/null; }

debian_packages="r-base-core r-cran-lme4 r-cran-nlme"

install_by_apt() {
    say "Installing $debian_packages by apt ..."
    # The lists may be fresh enough; only where they are not is the network asked twice.
    # shellcheck disable=SC2086  # a list of words
    apt install --no-install-recommends $debian_packages && return 0
    # shellcheck disable=SC2086
    apt update && apt install --no-install-recommends $debian_packages
}

# The commands for the system this is, one a line.
commands() {
    from_cran="Rscript -e 'install.packages(c(\"lme4\", \"nlme\"))'"
    if command -v apt-get >/dev/null 2>&1; then
        printf '%s\n' "sudo apt-get update" "sudo apt-get install $debian_packages"
    elif command -v dnf >/dev/null 2>&1; then
        printf '%s\n' "sudo dnf install R-core R-lme4 R-nlme"
    elif command -v pacman >/dev/null 2>&1; then
        printf '%s\n' "sudo pacman -S r gcc-fortran cmake" "$from_cran"
    elif command -v zypper >/dev/null 2>&1; then
        printf '%s\n' "sudo zypper install R-base R-base-devel cmake" "$from_cran"
    elif command -v apk >/dev/null 2>&1; then
        printf '%s\n' "sudo apk add R R-dev g++ gfortran make cmake linux-headers" "$from_cran"
    elif command -v brew >/dev/null 2>&1; then
        printf '%s\n' "brew install r" "$from_cran"
    elif command -v conda >/dev/null 2>&1 || command -v mamba >/dev/null 2>&1; then
        printf '%s\n' "conda install -c conda-forge r-base r-lme4 r-nlme"
    else
        printf '%s\n' "install R 4.2 or later (r-project.org), then:" "$from_cran"
    fi
}

main() {
    case "${1-}" in
        "" | --check) ;;
        --commands)
            commands
            return 0
            ;;
        *)
            say "usage: sh r/setup.sh [--check | --commands]"
            return 2
            ;;
    esac
    if have=$(found); then
        printf '%s\n' "$have"
        return 0
    fi
    say "Found ${have:-no R}; needed are R 4.2 or later with lme4 and nlme."
    if [ "${1-}" != "--check" ] && command -v apt-get >/dev/null 2>&1 && may_be_root; then
        if install_by_apt && have=$(found); then
            printf '%s\n' "$have"
            return 0
        fi
        say "The installation did not succeed. By hand:"
        commands >&2
        return 1
    fi
    say "To install:"
    commands >&2
    return 3
}

main "$@"

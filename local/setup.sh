#!/bin/sh
# Makes what is missing, and only that:  sh local/setup.sh [sam|checkov|mutation]
#   .venv         our own environment, from uv.lock
#   .venv-lambda  what the functions run on here: boto3 and nothing else, as on AWS
#   .venv-sam     the SAM CLI, whose boto3 ministack cannot live with; only when asked for
#   .venv-checkov   checkov, which pins a hundred packages; only when asked for
#   .venv-mutation  .venv and mutmut; only when asked for
# PYTHON=/path/to/python picks the interpreter. Without it: Lambda's version, so that what is tested is what ships; without
# that, the newest one that fits. A .venv of another version is made anew.
set -eu
cd "$(dirname "$0")/.."
export UV_PYTHON_DOWNLOADS=never
# uv brings its own list of certificate authorities; the machine's list also has a company's own.
for list in /etc/ssl/certs/ca-*.crt; do
    [ ! -f "$list" ] || export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
done
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME

fail() {
    echo "setup: $1" >&2
    exit 1
}

# Runs a command that downloads; if it failed for want of a network, says so in its last line.
download() { # what it brings, then the command
    brings=$1 said=$(mktemp)
    shift
    "$@" 2>"$said" && { cat "$said" >&2; rm "$said"; return; }
    cat "$said" >&2
    offline=$(grep -Eic 'dns error|name resolution|getaddrinfo|failed to connect|connection refused|network is unreachable|timed out|NewConnectionError|error sending request' "$said" || true)
    rm "$said"
    [ "$offline" = 0 ] || fail "no network: the package index did not answer, so $brings could not be downloaded. Connect, or name a proxy (HTTPS_PROXY) or an index that you reach (UV_DEFAULT_INDEX, PIP_INDEX_URL), and run it again."
    fail "installing $brings failed (see above)."
}

# Prints "3.12" and so on; nothing if it is not a Python that runs. (pyenv leaves commands that only complain.)
version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

# Functions run on 3.13 on AWS. pyenv may have one that is not switched on.
lambda_pythons="python3.13 $(echo "${HOME:-}"/.pyenv/versions/3.13.*/bin/python)"

# Sets python, if there is one that fits.
look_for_python() {
    for candidate in ${PYTHON:-$lambda_pythons python3.12 python3.11 python3 python}; do
        case "$(version_of "$candidate")" in
            3.11 | 3.12 | 3.13) python=$candidate && return ;;
        esac
    done
    return 1
}

find_python() {
    look_for_python && return
    [ -z "${PYTHON:-}" ] || found=$(version_of "$PYTHON")
    [ -n "${PYTHON:-}" ] || found=$(version_of python3)
    [ -n "$found" ] || fail "no Python found${PYTHON:+ at $PYTHON}. Install 3.11, 3.12 or 3.13 (Debian: apt-get install python3 python3-venv), or say PYTHON=/path/to/python."
    fail "Python $found does not fit. Install 3.11, 3.12 or 3.13, or say PYTHON=/path/to/python."
}

find_python_for_lambda() {
    for candidate in ${LAMBDA_PYTHON:-} $lambda_pythons; do
        [ "$(version_of "$candidate")" = 3.13 ] && lambda_python=$candidate && return
    done
    lambda_python=.venv/bin/python
}

# An environment is current when it works and the lock it was made from is still the lock.
current() {
    cmp -s uv.lock "$1/made-from.lock" && [ -n "$(version_of "$1/bin/python")" ]
}

sync() { # environment, then uv's choice of groups
    environment=$1
    shift
    download "$environment" env UV_PROJECT_ENVIRONMENT="$environment" .venv/bin/uv sync --quiet --frozen "$@"
    cp uv.lock "$environment/made-from.lock"
}

# Whether .venv runs on the Python that would be picked now, or no other is to be had.
right_python() {
    version=$(version_of .venv/bin/python)
    [ -n "$version" ] && { ! look_for_python || [ "$(version_of "$python")" = "$version" ]; }
}

if ! current .venv || ! right_python; then
    echo "setup: bringing .venv up to uv.lock (a minute the first time)"
    if ! right_python; then
        find_python
        "$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$python has no venv module (Debian: apt-get install python3-venv)."
        "$python" -m venv --clear .venv || fail "$python could not make .venv."
    fi
    [ -x .venv/bin/uv ] || download uv .venv/bin/python -m pip install --quiet --disable-pip-version-check uv
    sync .venv
fi

if ! current .venv-lambda; then
    if [ -z "$(version_of .venv-lambda/bin/python)" ]; then
        find_python_for_lambda
        echo "setup: making .venv-lambda with Python $(version_of "$lambda_python")"
        .venv/bin/uv venv --quiet --clear --python "$lambda_python" .venv-lambda || fail "making .venv-lambda failed (see above)."
    fi
    sync .venv-lambda --only-group runtime --compile-bytecode # as AWS ships it
fi

if [ "${1:-}" = sam ] && ! current .venv-sam; then
    echo "setup: making .venv-sam"
    sync .venv-sam --only-group sam --python .venv/bin/python
fi

if [ "${1:-}" = checkov ] && ! current .venv-checkov; then
    echo "setup: making .venv-checkov"
    sync .venv-checkov --only-group checkov --python .venv/bin/python
fi

if [ "${1:-}" = mutation ] && ! current .venv-mutation; then
    echo "setup: making .venv-mutation"
    sync .venv-mutation --group mutation --python .venv/bin/python
fi

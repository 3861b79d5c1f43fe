# What a machine must have. Sourced by the other scripts: `need rust node postgresql`. As root on Debian, what is missing is
# installed; otherwise the script ends and says what to install.

# The oldest versions that work.
RUST_MIN=1.95
NODE_MIN=20.19

say() { printf '\n\033[1m── %s\033[0m\n' "$*"; }

missing() {
    printf 'Missing: %s\n%s\n' "$1" "$2" >&2
    exit 1
}

# Is version $1 at least $2?
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# Installs Debian packages as root, or ends and says which ones.
debian() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        missing "$1" "Install it, e.g. on Debian:  sudo apt-get install ${*:2}"
    fi
    say "installing ${*:2}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${@:2}" >/dev/null
}

need_compiler() { command -v cc >/dev/null || debian 'a C compiler' build-essential; }

need_rust() {
    need_compiler
    # rustup puts cargo there; a script started from a bare shell has not read the profile.
    command -v cargo >/dev/null || export PATH="$HOME/.cargo/bin:$PATH"
    command -v cargo >/dev/null || missing "Rust $RUST_MIN or later" 'Install it from https://rustup.rs'
    local version
    version=$(cargo --version | cut -d ' ' -f 2)
    at_least "$version" "$RUST_MIN" || missing "Rust $RUST_MIN or later (here is $version)" 'Run: rustup update stable'
}

need_node() {
    command -v node >/dev/null || missing "Node $NODE_MIN or later" 'Install it from https://nodejs.org (Debian 12 has an older one)'
    local version
    version=$(node --version)
    at_least "${version#v}" "$NODE_MIN" || missing "Node $NODE_MIN or later (here is $version)" 'Install it from https://nodejs.org'
}

# The directory of PostgreSQL's programs, newest first; the same places where the server looks.
postgresql_bin() {
    local dir
    for dir in "${SAMSPIL_POSTGRESQL_BIN:-}" $(printf '%s\n' /usr/lib/postgresql/*/bin /usr/pgsql-*/bin | sort -rV) ${PATH//:/ }; do
        if [ -n "$dir" ] && [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ]; then
            echo "$dir"
            return
        fi
    done
    return 1
}

need_postgresql() {
    postgresql_bin >/dev/null && return
    # We need the programs, not the machine-wide database that Debian would start with them.
    if [ "$(id -u)" = 0 ] && [ ! -e /etc/postgresql-common ]; then
        mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    fi
    debian 'PostgreSQL 15 or later' postgresql
}

chromium_bin() { command -v chromium || command -v chromium-browser || command -v google-chrome; }

need_chromium() { chromium_bin >/dev/null || debian 'Chromium' chromium; }

# What looks at our PDFs from outside, in the tests alone.
need_pdf_readers() { { command -v pdftotext && command -v pdfinfo && command -v qpdf; } >/dev/null || debian 'poppler and qpdf' poppler-utils qpdf; }

need() {
    local what
    for what in "$@"; do "need_$what"; done
}

# Installs a directory's Node packages, if its lock file changed since.
packages() {
    local stamp="$1/node_modules/.samspil-lock"
    cmp -s "$1/package-lock.json" "$stamp" && return
    say "packages of $1"
    (cd "$1" && npm ci --no-audit --no-fund --loglevel=error)
    cp "$1/package-lock.json" "$stamp"
}

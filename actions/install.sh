# Where the binary of a command is: one that is given, one that cargo built in
# this very checkout, one that an earlier step fetched, or the released archive,
# whose checksum stands in this commit. Nothing is run, and nothing unpacked,
# before it matches. A command that is substituted does not end with `set -e`:
# what may fail in here says so itself.

LAKEGATE_VERSION="0.1.0"
LAKEGATE_HOME="https://github.com/lakegate/lakegate/releases/download"
LAKEGATE_ALL_COMMANDS="merge-test release-build bundle-deploy job-run model-gate model-promote model-serve drift-check doctor"

# What an input says is data: no line of its own, and no command.
lakegate_fail() {
  local told="${1//'%'/%25}"
  told="${told//$'\r'/%0D}"
  printf '::error title=lakegate::%s\n' "${told//$'\n'/%0A}" >&2
  exit 2
}

lakegate_enter() {
  cd "${LAKEGATE_WORKING_DIRECTORY:-.}" 2>/dev/null ||
    lakegate_fail "working-directory: '$LAKEGATE_WORKING_DIRECTORY' is no folder that can be entered"
}

lakegate_platform() {
  local system machine
  system="$(uname -s)"
  machine="$(uname -m)"
  case "$system/$machine" in
    Linux/x86_64) printf 'x86_64-unknown-linux-musl' ;;
    Linux/aarch64 | Linux/arm64) printf 'aarch64-unknown-linux-musl' ;;
    Darwin/x86_64) printf 'x86_64-apple-darwin' ;;
    Darwin/arm64) printf 'aarch64-apple-darwin' ;;
    MINGW*/x86_64 | MSYS*/x86_64) printf 'x86_64-pc-windows-msvc' ;;
    *) lakegate_fail "there is no binary for $system on $machine: build it, and give its path as binary-path" ;;
  esac
}

lakegate_sha256() {
  if command -v sha256sum >/dev/null; then
    sha256sum "$1" | cut -d ' ' -f 1
  else
    shasum -a 256 "$1" | cut -d ' ' -f 1
  fi
}

# A program of the suite, as a path. What is said goes to standard error.
lakegate_program() {
  local name="$1" here root platform archive expected place found
  here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
  root="$(dirname "$here")"
  local ending=""
  case "$(uname -s)" in MINGW* | MSYS*) ending=".exe" ;; esac

  if [ -n "${LAKEGATE_BINARY_PATH:-}" ]; then
    found="$LAKEGATE_BINARY_PATH"
    if [ -d "$found" ]; then found="$found/$name$ending"; fi
    [ -x "$found" ] || lakegate_fail "binary-path: '$found' is not there, or cannot be run"
    printf '%s' "$(cd "$(dirname "$found")" && pwd)/$(basename "$found")"
    return
  fi
  for profile in release debug; do
    found="$root/target/$profile/$name$ending"
    if [ -x "$found" ]; then
      printf '%s' "$found"
      return
    fi
  done

  platform="$(lakegate_platform)" || exit 2
  archive="$name-$LAKEGATE_VERSION-$platform.tar.gz"
  expected="$(awk -v name="$archive" '$2 == name { print $1 }' "$here/checksums.txt")"
  [ -n "$expected" ] ||
    lakegate_fail "this commit has no released $name for $platform: take the SHA of a release, or give binary-path"
  # A job's own folder is believed; what other jobs may have written to is not.
  place="${RUNNER_TEMP:-$(mktemp -d)}/lakegate-$LAKEGATE_VERSION-$expected"
  if [ ! -x "$place/$name$ending" ]; then
    lakegate_unpack "$archive" "$expected" "$place"
  fi
  [ -x "$place/$name$ending" ] || lakegate_fail "'$archive' holds no $name"
  printf '%s' "$place/$name$ending"
}

# Unpacks the archive, from the cache if that still holds the bytes that this
# commit knows.
lakegate_unpack() {
  local archive="$1" expected="$2" place="$3" cache work
  cache="${RUNNER_TOOL_CACHE:-$(dirname "$place")}/lakegate/$LAKEGATE_VERSION"
  work="$(mktemp -d)"
  if ! cp "$cache/$archive" "$work/$archive" 2>/dev/null ||
    [ "$(lakegate_sha256 "$work/$archive")" != "$expected" ]; then
    lakegate_fetch "$archive" "$expected" "$work"
    { mkdir -p "$cache" && cp -f "$work/$archive" "$cache/$archive"; } 2>/dev/null || true
  fi
  mkdir "$work/unpacked" && tar -xzf "$work/$archive" -C "$work/unpacked" ||
    lakegate_fail "'$archive' could not be unpacked: nothing was run"
  # Another step may have come first: the bytes are the same.
  mv "$work/unpacked" "$place" 2>/dev/null || true
  rm -rf "$work"
}

# Fetches the archive into a folder, if it is the one that this commit knows.
lakegate_fetch() {
  local archive="$1" expected="$2" work="$3" from actual
  from="${LAKEGATE_MIRROR:-$LAKEGATE_HOME/v$LAKEGATE_VERSION}"
  case "$from" in
    https://* | http://127.0.0.1:* | http://localhost:*)
      curl --fail --silent --show-error --location --proto '=https,http' --proto-redir '=https' \
        --retry 3 --max-time 300 --output "$work/$archive" "$from/$archive" ||
        lakegate_fail "'$archive' could not be fetched from $from"
      ;;
    *://*) lakegate_fail "mirror: '$from' is no https address" ;;
    *)
      [ -f "$from/$archive" ] || lakegate_fail "mirror: '$from' holds no '$archive'"
      cp "$from/$archive" "$work/$archive" || lakegate_fail "'$from/$archive' could not be read"
      ;;
  esac
  actual="$(lakegate_sha256 "$work/$archive")"
  if [ "$actual" != "$expected" ]; then
    rm -rf "$work"
    lakegate_fail "'$archive' has the sha256 $actual, this commit expects $expected: nothing was run"
  fi
}

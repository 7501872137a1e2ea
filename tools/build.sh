# Sourced by ./demo and ./test: installs what is missing with apt and builds a preset. Everything said here goes to standard error,
# so that the standard output of what is built stays clean. Works in any POSIX shell.

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "error: $1"
  [ -z "${2:-}" ] || say "       $2"
  exit 1
}

# Builds on Debian 12 (bookworm); elsewhere the same libraries under that system's names.
packages="g++ cmake ninja-build ccache python3 libhwy-dev libpng-dev libjpeg62-turbo-dev zlib1g-dev nlohmann-json3-dev libcli11-dev
libfmt-dev libgtest-dev libprotozero-dev"

install_missing() {
  if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    say "note: this is not Debian: install yourself what the build misses ($(echo $packages))"
    return
  fi
  missing=""
  for package in $packages; do
    case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) in
      *" installed") ;;
      *) missing="$missing $package" ;;
    esac
  done
  [ -n "$missing" ] || return 0
  as_root=""
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || fail "these packages are missing and installing them needs root:$missing" "as root: apt-get install$missing"
    as_root="sudo"
  fi
  say "installing with apt:$missing"
  log=$(mktemp)
  install="$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends"
  # The lists of a fresh machine are empty, those of an old one out of date.
  if ! $install $missing >"$log" 2>&1; then
    if ! { $as_root apt-get update && $install $missing; } >"$log" 2>&1; then
      tail -n 15 "$log" >&2
      fail "apt could not install:$missing" "is the network there, and is this Debian 12 or newer? all of apt's words are in $log"
    fi
  fi
  rm -f "$log"
}

# One compiler per core, but not more than fit into memory at 1.5 GB each.
build_jobs() {
  cores=$(nproc 2>/dev/null || echo 1)
  kilobytes=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo 2>/dev/null)
  limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
  fit=$((${kilobytes:-1500000} / 1500000))
  case $limit in
    *[!0-9]* | "") ;;
    *) [ $((limit / 1500000000)) -ge "$fit" ] || fit=$((limit / 1500000000)) ;;
  esac
  [ "$fit" -ge 1 ] || fit=1
  [ "$cores" -le "$fit" ] || cores=$fit
  echo "$cores"
}

# build PRESET [TARGET...]
build() {
  preset=$1
  shift
  log=build/$preset.log
  targets=${*:-all}
  quiet="--quiet"
  mkdir -p build
  if [ ! -f "build/$preset/build.ninja" ]; then
    say "configuring and building ($preset): some minutes the first time, seconds after that"
    if ! cmake --preset "$preset" >"$log" 2>&1; then
      tail -n 30 "$log" >&2
      fail "cmake could not configure the build" "all of its words are in $log"
    fi
    quiet=""  # someone may be watching it
  fi
  if [ -t 2 ]; then
    ninja -C "build/$preset" $quiet -j "$(build_jobs)" $targets >&2 || fail "the build failed" "the reason is above"
  elif ! ninja -C "build/$preset" -j "$(build_jobs)" $targets >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    fail "the build failed" "all of the compiler's words are in $log"
  fi
}

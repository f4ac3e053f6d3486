#!/usr/bin/env bash
# Checks for the tools that the build needs beside Rust (a C++ compiler, and libclang for RocksDB's bindings); installs
# missing ones on Debian and its derivatives, as root or with sudo, and lists them on other systems.
set -euo pipefail

missing=()
command -v c++ >/dev/null || missing+=(g++)
command -v make >/dev/null || missing+=(make)
# The names that bindgen looks for; libclang-cpp, which other packages install, is another library.
libclang_found() {
  [ -n "${LIBCLANG_PATH:-}" ] && return 0
  ldconfig -p 2>/dev/null | grep -Eq '[[:space:]]libclang(-[0-9.]+)?\.so' && return 0
  compgen -G '/usr/lib/llvm-*/lib/libclang.so*' >/dev/null || compgen -G '/usr/lib/llvm-*/lib/libclang-[0-9]*.so*' >/dev/null
}
libclang_found || missing+=(libclang-dev)
if ! command -v "${CARGO:-cargo}" >/dev/null; then
  echo "Entail is built with Rust 1.91 or newer, and there is no cargo here: see https://rustup.rs" >&2
  exit 1
fi
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "The build needs a C++ compiler and libclang; please install: ${missing[*]} (Debian's names)" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "Please install as root: apt-get install ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "Installing what the build needs: ${missing[*]}"
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"

#!/usr/bin/env bash
# Prints the cost of a first build, as long as RocksDB is not compiled in the target directory.
set -euo pipefail
target=${CARGO_TARGET_DIR:-target}
compgen -G "$target/debug/deps/liblibrocksdb_sys-*.rlib" >/dev/null && exit 0
# Of 28 minutes of processor time (15 of RocksDB, extrapolated from a tenth of its files), on two otherwise idle cores; more
# cores take less. The disk space is an estimate.
cat <<'TEXT'
First build: an estimated 15 minutes on two cores, and some 3 GB of disk (6 GB or more with the tests). RocksDB, 340 files of C++,
is compiled last and takes half of that; cargo shows the name of another crate meanwhile. It happens once: demo, test, bench
and install share one profile and one directory.
TEXT
command -v ccache >/dev/null || echo "With ccache installed, another clone or a cleaned directory takes a fraction of that."

//! The program `entail-bench`, which `entail bench` runs; all code is in the library.

use tikv_jemallocator::Jemalloc;

/// The allocator of `entail`, so that a peer that is compiled into this program uses the same one.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() {
    entail_bench::program::main()
}

//! The program `entail-bench`, which `entail bench` runs; everything is in the library beside it.

use tikv_jemallocator::Jemalloc;

/// The allocator of `entail`, so that a peer that is compiled into this program has the same one.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() {
    entail_bench::program::main()
}

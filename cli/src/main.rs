//! The program `entail`; all code is in the library.

use tikv_jemallocator::Jemalloc;

/// Loads and rounds allocate much memory for a short time, on many threads: the system's allocator would retain an
/// amount of freed memory comparable to the data.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() {
    entail_cli::main()
}

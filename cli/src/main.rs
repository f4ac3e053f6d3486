//! The one program that people install; everything is in the library beside it.

use tikv_jemallocator::Jemalloc;

/// Loads and rounds take much memory for a short time, on many threads: what the system's allocator keeps of that for
/// later is as much as the data.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() {
    entail_cli::main()
}

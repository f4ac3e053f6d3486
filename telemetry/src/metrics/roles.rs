//! Metrics that several roles have, under the same names.

use super::{Family, Reading};
use std::fs;
use std::path::Path;

const READY: Family =
    Family::gauge("entail_ready", "1 if the role is ready for requests, as /readyz reports; otherwise 0.");
const EPOCH: Family = Family::gauge("entail_epoch", "The last committed epoch that the role knows.");
const BUDGET: Family = Family::gauge("entail_memory_budget_bytes", "The budget of a memory pool.");
const USED: Family = Family::gauge("entail_memory_used_bytes", "The use of a memory pool.");
const DISK_USED: Family = Family::gauge("entail_disk_used_bytes", "The size of the data directory.");
const DISK_FREE: Family = Family::gauge("entail_disk_free_bytes", "Free space on the disk of the data directory.");

/// Adds whether the role is ready, and its epoch.
pub fn state(reading: &mut Reading, is_ready: bool, epoch: u64) {
    reading.add(&READY, &[], f64::from(u8::from(is_ready)));
    reading.add(&EPOCH, &[], epoch as f64);
}

/// Adds the budget and the use of a memory pool, in bytes.
pub fn pool(reading: &mut Reading, name: &str, budget: u64, used: u64) {
    reading.add(&BUDGET, &[("pool", name)], budget as f64);
    reading.add(&USED, &[("pool", name)], used as f64);
}

/// Adds the used and the free disk space, in bytes.
pub fn disk(reading: &mut Reading, used: u64, free: u64) {
    reading.add(&DISK_USED, &[], used as f64);
    reading.add(&DISK_FREE, &[], free as f64);
}

/// Adds the used and the free disk space of a directory without subdirectories. Values that the system does not report
/// are left out.
pub fn directory(reading: &mut Reading, path: &Path) {
    let (Ok(entries), Ok(whole)) = (fs::read_dir(path), rustix::fs::statvfs(path)) else { return };
    let sizes = entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len());
    disk(reading, sizes.sum(), whole.f_bavail * whole.f_frsize);
}

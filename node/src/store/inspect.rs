//! The check before a store is opened for writing: nothing that it once held durably may be gone.
//!
//! ```text
//! IDENTITY (format) ─► INVENTORY ─► files that grow: extents ─► database, read only: tables, logs, last write
//!                                                                ├► manifest: complete in itself, and as the inventory says
//!                                                                └► whatever else opening reads
//! ```
//!
//! Opening the database for writing deletes what its manifest does not name, so a loss would become final, and the store
//! would go on with what is left. Here everything is read and nothing is changed: a directory that is refused is byte for
//! byte as it was, and whatever is put back is found again.

use super::OpenOptions;
use super::directory::Directory;
use super::inventory::{Record, check_alone};
use super::recover::{self, Manifest};
use super::rocks::files;
use super::rocks::inspection::Inspection;
use super::schema::Key;
use entail_logic::columns::ChunkKey;
use entail_model::Fault;

/// Checks the directory of a store that is going to be opened. Changes nothing.
///
/// # Errors
/// `Corrupt` if something is gone or damaged, with what it is.
pub fn inspect(directory: &Directory, options: OpenOptions) -> Result<(), Fault> {
    let data = directory.data();
    let record = directory.inventory()?.map(|bytes| Record::decode(&bytes)).transpose()?;
    let Some(record) = record else {
        // A new directory, or one of an earlier version.
        if files::is_unwritten(&data) {
            return Ok(());
        }
        let inspection = opened(directory, options, &[], 0)?;
        return read_manifest(directory, &inspection).map(drop);
    };
    if record.node != directory.node() {
        let (path, ours, theirs) = (directory.path().display(), directory.node().0, record.node.0);
        return Err(Fault::corrupt(format!("{path} is of node {ours:016x}, and its inventory of node {theirs:016x}")));
    }
    let missing = files::check(&data, &record.files)?;
    let inspection = opened(directory, options, &missing, record.files.sequence)?;
    record.check(&read_manifest(directory, &inspection)?)
}

/// Reads what opening reads: the manifest, and where chunks and texts end.
fn read_manifest(directory: &Directory, inspection: &Inspection) -> Result<Manifest, Fault> {
    let table = inspection.table();
    let manifest = recover::read(table)?;
    if directory.has_format_in_manifest() && manifest.format.is_none() {
        return Err(Fault::corrupt("the database has lost its format, and with it the newest records"));
    }
    check_alone(&manifest)?;
    table.last(&Key::Chunk(ChunkKey(0)).to(&Key::Chunk(ChunkKey(u64::MAX))))?;
    for shard in directory.cluster().iter().flat_map(|cluster| cluster.shards.shards()) {
        let sealed = manifest.sealed.values().flat_map(|sealed| &sealed.terms).find(|(of, _)| *of == shard);
        let terms = sealed.map(|(_, terms)| *terms).or(manifest.shards.get(&shard).map(|record| record.terms));
        table.last(&Key::terms_from(shard, terms.unwrap_or_default()))?;
    }
    Ok(manifest)
}

fn opened(directory: &Directory, options: OpenOptions, missing: &[u64], sequence: u64) -> Result<Inspection, Fault> {
    let inspection = Inspection::open(&directory.data(), options.memory_budget / 8)?;
    inspection.check(missing, sequence)?;
    Ok(inspection)
}

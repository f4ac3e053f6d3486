//! Random damages to the files of a directory, for the tests of what keeps data in one.
//!
//! The same seed gives the same damage to the same files, so a test that fails prints the seed, and a run with it shows the
//! damage again.

use entail_model::random::Random;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The files of a directory and below, by their paths in it.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Cuts up to so long are half of all.
const SMALL_CUT: u64 = 40;

/// What happens to files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Flip,
    Cut,
    Delete,
    Swap,
    /// One file is as it was at an earlier time.
    Stale,
    /// All files are as they were then.
    AllStale,
}

/// Every kind.
pub const ALL_KINDS: [Kind; 6] = [Kind::Flip, Kind::Cut, Kind::Delete, Kind::Swap, Kind::Stale, Kind::AllStale];

/// The kinds as often as they are drawn.
const KINDS: [Kind; 10] = [
    Kind::Flip,
    Kind::Flip,
    Kind::Flip,
    Kind::Cut,
    Kind::Cut,
    Kind::Cut,
    Kind::Delete,
    Kind::Swap,
    Kind::Stale,
    Kind::AllStale,
];

/// A damage that was done.
#[derive(Clone, Debug)]
pub struct Damaged {
    pub kind: Kind,
    /// What was done, for a person.
    pub what: String,
    /// The file that it was done to; none if all are of the earlier time.
    pub file: Option<PathBuf>,
    pub files: Files,
}

/// Reads all files of a directory.
pub fn read(directory: &Path) -> io::Result<Files> {
    let (mut files, mut folders) = (Files::new(), vec![directory.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(directory).map_err(io::Error::other)?.to_owned();
                files.insert(name, fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

/// Writes the files into a directory, which is made if there is none. Others that are there stay.
pub fn write(directory: &Path, files: &Files) -> io::Result<()> {
    for (name, bytes) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        fs::write(path, bytes)?;
    }
    Ok(())
}

/// The sort of a file by its name: what is left of it without numbers.
pub fn sort_of(name: &Path) -> String {
    let name = name.file_name().unwrap_or(name.as_os_str()).to_string_lossy();
    name.chars().filter(|character| !character.is_ascii_digit()).collect()
}

/// Does one damage to files that are `newest`, and were `older` at an earlier time. Files of each [sort](sort_of) are damaged
/// equally often, however many there are.
///
/// # Panics
/// If there are no files.
pub fn damage(random: &mut Random, newest: &Files, older: &Files) -> Damaged {
    let mut sorts: BTreeMap<String, Vec<&PathBuf>> = BTreeMap::new();
    newest.keys().for_each(|name| sorts.entry(sort_of(name)).or_default().push(name));
    let sorts: Vec<Vec<&PathBuf>> = sorts.into_values().collect();
    let any = |random: &mut Random| {
        let sort = &sorts[random.below(sorts.len() as u64) as usize];
        sort[random.below(sort.len() as u64) as usize]
    };
    let name = any(random);
    let (shown, length) = (name.display(), newest[name].len() as u64);
    let mut files = newest.clone();
    let mut put = |name: &PathBuf, bytes: &[u8]| _ = files.insert(name.clone(), bytes.to_vec());
    let kind = KINDS[random.below(KINDS.len() as u64) as usize];
    let (kind, what) = match kind {
        Kind::Flip if length > 0 => {
            let bit = random.below(length * 8);
            let mut bytes = newest[name].clone();
            bytes[bit as usize / 8] ^= 1 << (bit % 8);
            put(name, &bytes);
            (kind, format!("bit {bit} of {shown} flipped"))
        }
        Kind::Cut if length > 0 => {
            let most = if random.below(2) == 0 { length.min(SMALL_CUT) } else { length };
            let cut = 1 + random.below(most);
            put(name, &newest[name][..(length - cut) as usize]);
            (kind, format!("{shown} cut by {cut} of {length} bytes"))
        }
        Kind::Swap => {
            let other = any(random);
            put(name, &newest[other]);
            put(other, &newest[name]);
            (kind, format!("{shown} swapped with {}", other.display()))
        }
        Kind::Stale if older.contains_key(name) => {
            put(name, &older[name]);
            (kind, format!("{shown} as it was earlier"))
        }
        Kind::AllStale => {
            files.clone_from(older);
            return Damaged { kind, what: "all files as they were earlier".to_owned(), file: None, files };
        }
        Kind::Flip | Kind::Cut | Kind::Stale | Kind::Delete => {
            files.remove(name);
            (Kind::Delete, format!("{shown} deleted"))
        }
    };
    Damaged { kind, what, file: Some(name.clone()), files }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_damage_and_seeds_give_all_kinds() {
        let files =
            |bytes: &[u8]| Files::from([("a/b".into(), bytes.to_vec()), ("c".into(), vec![]), ("d".into(), vec![7])]);
        let (newest, older) = (files(b"newest"), files(b"older"));
        let at = |seed| damage(&mut Random::new(seed), &newest, &older);
        let mut kinds = BTreeMap::<Kind, u32>::new();
        for seed in 0..500 {
            let damaged = at(seed);
            assert_eq!((&damaged.what, &damaged.files), (&at(seed).what, &at(seed).files));
            *kinds.entry(damaged.kind).or_default() += 1;
        }
        assert!(kinds.keys().eq(&ALL_KINDS), "{kinds:?}");
        assert!(kinds.values().all(|count| *count > 10), "{kinds:?}");
    }

    #[test]
    fn files_come_back() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let files = Files::from([("a/b/c".into(), b"deep".to_vec()), ("d".into(), vec![])]);
        write(&place.path().join("new"), &files).expect("room");
        assert_eq!(read(&place.path().join("new")).expect("readable"), files);
    }
}

//! The directories of inputs and data during a benchmark.

use crate::Error;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A directory with the input, and one below it for each run.
pub enum Work {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl Work {
    /// # Errors
    /// [`Error::Io`].
    pub fn create(keep: Option<&Path>) -> Result<Self, Error> {
        match keep {
            Some(path) => {
                fs::create_dir_all(path).map_err(|error| Error::io(path.display(), error))?;
                Ok(Self::Kept(path.to_owned()))
            }
            None => {
                let directory = TempDir::with_prefix("entail-bench-");
                Ok(Self::Temporary(directory.map_err(|error| Error::io("a directory for the work", error))?))
            }
        }
    }

    pub fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }

    /// Creates an empty directory for a run. An existing one contains the data of another benchmark and is refused.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn directory(&self, run: u32) -> Result<PathBuf, Error> {
        let path = self.path().join(format!("run-{run}"));
        fs::create_dir(&path).map_err(|error| Error::io(path.display(), error))?;
        Ok(path)
    }

    /// Removes a run's directory unless it is to be kept.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(&self, directory: &Path) -> Result<(), Error> {
        match self {
            Self::Kept(_) => Ok(()),
            Self::Temporary(_) => fs::remove_dir_all(directory).map_err(|error| Error::io(directory.display(), error)),
        }
    }
}

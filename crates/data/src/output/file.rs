//! A file that appears at its path only when it is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::DataError;

/// A file written beside its path and renamed to it by [`OutputFile::commit`]; dropped uncommitted,
/// it leaves the previous file untouched.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    partial: PathBuf,
    file: Option<BufWriter<File>>,
    /// Declared last so that it is dropped after the file.
    _folders: MadeFolders,
}

impl OutputFile {
    /// Starts a file and creates missing folders.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, DataError> {
        let error = |source| DataError::write(path, source);
        let name = path
            .file_name()
            .ok_or_else(|| error(io::Error::other("it does not name a file")))?;
        check_place(path).map_err(error)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let folders = MadeFolders::create(folder).map_err(error)?;
        let partial = folder.join(format!(".{}.partial", name.to_string_lossy()));
        let file = File::create(&partial).map_err(error)?;
        Ok(Self {
            path: path.to_path_buf(),
            partial,
            file: Some(BufWriter::new(file)),
            _folders: folders,
        })
    }

    /// The path it will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Flushes everything to disk without renaming.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn finish(&mut self) -> Result<(), DataError> {
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        let written = file.flush().and_then(|()| file.get_ref().sync_all());
        written.map_err(|source| DataError::write(&self.path, source))
    }

    /// Finishes the file and renames it to its path.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn commit(mut self) -> Result<(), DataError> {
        self.finish()?;
        fs::rename(&self.partial, &self.path)
            .map_err(|source| DataError::write(&self.path, source))?;
        // Nothing is left to clean up.
        self.partial.clear();
        Ok(())
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::Error::other("the file is finished")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if self.partial.as_os_str().is_empty() {
            return;
        }
        // Dropping the buffer would flush bytes that are no longer wanted.
        if let Some(file) = self.file.take() {
            drop(file.into_parts());
        }
        // A destructor cannot report errors.
        let _ = fs::remove_file(&self.partial);
    }
}

/// Whether a file may be renamed to `path`: a folder cannot be replaced, and a device such as
/// `/dev/null` must not be.
///
/// # Errors
/// When something other than a regular file is there.
pub fn check_place(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        Ok(there) if !there.is_file() => Err(io::Error::other(
            "it is not a regular file, which a result could replace; give another name",
        )),
        _ => Ok(()),
    }
}

/// Folders created for output; on drop, those still empty are removed.
#[derive(Debug)]
pub struct MadeFolders {
    /// Innermost first.
    made: Vec<PathBuf>,
}

impl MadeFolders {
    /// Makes the folder and those above it.
    ///
    /// # Errors
    /// When one of them cannot be made.
    pub fn create(folder: &Path) -> io::Result<Self> {
        let made = folder
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .map(Path::to_path_buf)
            .collect::<Vec<_>>();
        if !made.is_empty() {
            fs::create_dir_all(folder)?;
        }
        Ok(Self { made })
    }
}

impl Drop for MadeFolders {
    fn drop(&mut self) {
        for folder in &self.made {
            // Fails for a folder that is not empty, which is intended.
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/c.txt");
        let mut file = OutputFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_old_file_stays_until_the_new_one_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.txt");
        fs::write(&path, "old").unwrap();
        let mut file = OutputFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        file.commit().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_in_the_place_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            OutputFile::create(folder.path()),
            Err(DataError::Write { .. })
        ));
    }
}

//! Files that are whole or absent, and never in the place of what they were made from.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Context as _, PipelineError, Result, bail};
use rarebit_data::output::OutputFile;

/// The files that a command reads and writes, checked before it begins: no result may take the place
/// of an input, or of another result.
#[derive(Debug, Default)]
pub struct Places {
    read: Vec<PathBuf>,
    /// Each with the flag that says so.
    written: Vec<(&'static str, PathBuf)>,
}

impl Places {
    /// The same places with more files that are read.
    #[must_use]
    pub fn reads<P: AsRef<Path>>(mut self, files: impl IntoIterator<Item = P>) -> Self {
        let files = files.into_iter().map(|file| file.as_ref().to_owned());
        self.read.extend(files);
        self
    }

    /// The same places with more files that are written because of `flag`.
    #[must_use]
    pub fn writes<P: AsRef<Path>>(
        mut self,
        flag: &'static str,
        files: impl IntoIterator<Item = P>,
    ) -> Self {
        let files = files.into_iter().map(|file| file.as_ref().to_owned());
        self.written.extend(files.map(|file| (flag, file)));
        self
    }

    /// Whether nothing would be lost.
    ///
    /// Files are the same if their paths lead to the same place. A hard link is another place: results
    /// are renamed into theirs, which leaves other links to the old content alone.
    ///
    /// # Errors
    /// When a file would be written over an input, or two of them to one place.
    pub fn check(&self) -> Result<()> {
        let read: Vec<PathBuf> = self.read.iter().map(|file| resolved(file)).collect();
        let mut taken: Vec<(&str, PathBuf)> = Vec::new();
        for (flag, file) in &self.written {
            let place = resolved(file);
            if let Some(input) = read.iter().position(|input| *input == place) {
                bail!(
                    "{flag} {} is also the input {}: give another path",
                    file.display(),
                    self.read[input].display()
                );
            }
            if let Some((other, _)) = taken.iter().find(|(_, taken)| *taken == place) {
                bail!(
                    "{flag} {} is also where {other} goes: give another path",
                    file.display()
                );
            }
            taken.push((flag, place));
        }
        Ok(())
    }
}

/// The path without links and dots, as far as there is something at it.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(place) = fs::canonicalize(path) {
        return place;
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (absolute.parent(), absolute.file_name()) {
        (Some(folder), Some(name)) => resolved(folder).join(name),
        _ => absolute,
    }
}

/// Writes a file beside its place and renames it into it, so that a crash, a full disk or an error
/// of `write` leaves whatever was at `path` as it was. Missing folders are made.
///
/// # Errors
/// That of `write`, or when the file cannot be written.
pub fn write_atomically<T>(
    path: &Path,
    write: impl FnOnce(&mut OutputFile) -> Result<T>,
) -> Result<T> {
    try_write(path, write).map_err(|error| explain(error, path))
}

/// The BLAKE3 hash of a file's content, in hexadecimal.
///
/// # Errors
/// When the file cannot be read.
pub fn file_hash(path: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    File::open(path)
        .and_then(|file| hasher.update_reader(file).map(drop))
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hasher.finalize().to_hex().to_string())
}

fn try_write<T>(path: &Path, write: impl FnOnce(&mut OutputFile) -> Result<T>) -> Result<T> {
    let mut file = OutputFile::create(path)?;
    let value = write(&mut file)?;
    file.commit()?;
    match path.parent() {
        Some(folder) if folder != Path::new("") => sync_folder(folder)?,
        _ => sync_folder(Path::new("."))?,
    }
    Ok(value)
}

/// A rename is on disk once its folder is. Windows has no such call and needs none.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn explain(error: PipelineError, path: &Path) -> PipelineError {
    if error.is_disk_full() {
        return PipelineError::Invalid(format!(
            "disk full: cannot write {}; nothing at that path was changed, free some space and try \
             again",
            path.display()
        ));
    }
    match error {
        // It names the path itself.
        PipelineError::Data(error) => error.into(),
        error => PipelineError::In {
            context: format!("cannot write {}", path.display()),
            source: Box::new(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};

    use super::*;

    #[test]
    fn failed_write_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.json");
        write_atomically(&path, |out| Ok(out.write_all(b"old")?)).unwrap();
        let error = write_atomically(&path, |out| {
            out.write_all(b"half")?;
            Err::<(), _>(io::Error::from(ErrorKind::StorageFull).into())
        })
        .unwrap_err()
        .to_string();
        assert!(error.starts_with("disk full: cannot write"), "{error}");
        assert!(error.contains("out.json"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn missing_folders_are_made_and_errors_name_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/out.txt");
        let length = write_atomically(&path, |out| Ok(out.write(b"text")?)).unwrap();
        assert_eq!(
            (length, fs::read(&path).unwrap().as_slice()),
            (4, &b"text"[..])
        );

        let beneath_a_file = path.join("c");
        let error = write_atomically(&beneath_a_file, |_| Ok(()))
            .unwrap_err()
            .to_string();
        assert!(error.contains("out.txt"), "{error}");
    }

    #[test]
    fn no_result_takes_the_place_of_an_input_or_of_another_result() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("a")).unwrap();
        fs::write(at("a/rows"), b"").unwrap();
        let rows = at("a/rows");
        for (output, is_refused) in [
            ("a/rows", true),
            ("a/../a/./rows", true),
            ("a/other", false),
            ("b/rows", false),
        ] {
            let places = Places::default()
                .reads([&rows])
                .writes("--output", [at(output)]);
            assert_eq!(places.check().is_err(), is_refused, "{output}");
        }
        // Neither is there yet.
        let both = Places::default()
            .writes("--output", [at("b/c/page")])
            .writes("--key", [at("a/../b/c/page")]);
        let error = both.check().unwrap_err().to_string();
        assert!(
            error.starts_with("--key") && error.contains("where --output goes"),
            "{error}"
        );
    }

    #[test]
    fn hash_is_that_of_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty");
        fs::write(&path, b"").unwrap();
        assert_eq!(
            file_hash(&path).unwrap(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
        assert!(file_hash(&folder.path().join("absent")).is_err());
    }
}

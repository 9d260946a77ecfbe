//! Files of a model folder, on disk or in a virtual folder.
//!
//! A browser has no file system. A program there mounts a virtual folder at a path; while the mount
//! exists, everything that this crate reads below that path comes from it. All other paths are on
//! disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Chunk size for reading a file that need not be in memory as a whole.
const PIECE: usize = 1 << 20;

/// A virtual folder. Its files have relative paths such as `1_Pooling/config.json`.
pub trait Folder: Send + Sync {
    /// The paths of all its files.
    fn files(&self) -> Vec<String>;

    /// The length of a file, or `None` if it does not exist.
    fn length(&self, file: &str) -> Option<u64>;

    /// Fills `into` with the bytes of a file from `start`.
    ///
    /// # Errors
    /// If the bytes cannot be read.
    fn read(&self, file: &str, start: u64, into: &mut [u8]) -> io::Result<()>;
}

/// The mounted folders by path.
static MOUNTED: RwLock<BTreeMap<PathBuf, Arc<dyn Folder>>> = RwLock::new(BTreeMap::new());

/// A mounted folder; dropping this unmounts it.
#[derive(Debug)]
pub struct Mount(PathBuf);

impl Mount {
    /// Mounts `folder` at `path`.
    pub fn new(path: impl Into<PathBuf>, folder: impl Folder + 'static) -> Self {
        let path = path.into();
        let mut mounted = MOUNTED.write().unwrap_or_else(PoisonError::into_inner);
        mounted.insert(path.clone(), Arc::new(folder));
        Self(path)
    }

    /// The path at which the folder is mounted.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let mut mounted = MOUNTED.write().unwrap_or_else(PoisonError::into_inner);
        mounted.remove(&self.0);
    }
}

/// A file of a mounted folder.
#[derive(Clone)]
pub(crate) struct Mounted {
    folder: Arc<dyn Folder>,
    file: String,
}

impl Mounted {
    /// The file at a path below a mount. It may not exist.
    pub(crate) fn find(path: &Path) -> Option<Self> {
        let mounted = MOUNTED.read().unwrap_or_else(PoisonError::into_inner);
        let (root, folder) = (mounted.iter()).find(|(root, _)| path.starts_with(root))?;
        let inside = path.strip_prefix(root).ok()?;
        let parts = inside.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy()),
            _ => None,
        });
        Some(Self {
            folder: Arc::clone(folder),
            file: parts.collect::<Vec<_>>().join("/"),
        })
    }

    /// The file's length, or an error if it does not exist.
    pub(crate) fn length(&self) -> io::Result<u64> {
        let length = self.folder.length(&self.file);
        length.ok_or_else(|| io::Error::from(ErrorKind::NotFound))
    }

    /// The bytes from `start` to `end`.
    pub(crate) fn read(&self, start: u64, end: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(end.saturating_sub(start)).map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        // A length too large to allocate is an error rather than an abort.
        bytes.try_reserve_exact(length).map_err(io::Error::other)?;
        bytes.resize(length, 0);
        self.folder.read(&self.file, start, &mut bytes)?;
        Ok(bytes)
    }

    fn is_folder(&self) -> bool {
        self.file.is_empty() || self.inside().next().is_some()
    }

    /// The relative paths of its files, if it is a folder.
    fn inside(&self) -> impl Iterator<Item = String> {
        let files = self.folder.files().into_iter();
        files.filter_map(|file| match self.file.as_str() {
            "" => Some(file),
            folder => Some(file.strip_prefix(folder)?.strip_prefix('/')?.to_owned()),
        })
    }
}

pub(crate) fn is_file(path: &Path) -> bool {
    match Mounted::find(path) {
        Some(file) => file.length().is_ok(),
        None => path.is_file(),
    }
}

pub(crate) fn is_dir(path: &Path) -> bool {
    match Mounted::find(path) {
        Some(file) => file.is_folder(),
        None => path.is_dir(),
    }
}

pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    match Mounted::find(path) {
        Some(file) => file.read(0, file.length()?),
        None => std::fs::read(path),
    }
}

pub(crate) fn read_to_string(path: &Path) -> io::Result<String> {
    let not_text = |error| io::Error::new(ErrorKind::InvalidData, error);
    String::from_utf8(read(path)?).map_err(not_text)
}

/// The paths of the files in a folder.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match Mounted::find(folder) {
        Some(mounted) => Ok((mounted.inside())
            .filter(|name| !name.contains('/'))
            .map(|name| folder.join(name))
            .collect()),
        None => std::fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect(),
    }
}

/// Hashes the length of a file and its bytes.
pub(crate) fn hash(path: &Path, hasher: &mut blake3::Hasher) -> io::Result<()> {
    let Some(mounted) = Mounted::find(path) else {
        let file = File::open(path)?;
        hasher.update(&file.metadata()?.len().to_le_bytes());
        hasher.update_reader(file)?;
        return Ok(());
    };
    let length = mounted.length()?;
    hasher.update(&length.to_le_bytes());
    for start in (0..length).step_by(PIECE) {
        hasher.update(&mounted.read(start, length.min(start + PIECE as u64))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Memory(BTreeMap<&'static str, &'static [u8]>);

    impl Folder for Memory {
        fn files(&self) -> Vec<String> {
            self.0.keys().map(|name| (*name).to_owned()).collect()
        }

        fn length(&self, file: &str) -> Option<u64> {
            Some(self.0.get(file)?.len() as u64)
        }

        fn read(&self, file: &str, start: u64, into: &mut [u8]) -> io::Result<()> {
            let bytes = (self.0.get(file)).ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
            let bytes = bytes.get(start as usize..start as usize + into.len());
            into.copy_from_slice(bytes.ok_or_else(|| io::Error::from(ErrorKind::UnexpectedEof))?);
            Ok(())
        }
    }

    #[test]
    fn a_mounted_folder_answers_for_its_paths_while_it_is_mounted() {
        let files = [
            ("config.json", b"{}".as_slice()),
            ("a/b.txt", b"text"),
            ("a/c/d", b""),
        ];
        let mount = Mount::new("mounted/1", Memory(files.into()));
        let at = |file: &str| Path::new("mounted/1").join(file);
        assert!(is_file(&at("config.json")) && is_file(&at("./a/b.txt")) && is_file(&at("a/c/d")));
        assert!(!is_file(&at("a")) && !is_file(&at("a/x")) && !is_file(Path::new("mounted/2/a")));
        assert!(is_dir(&at("")) && is_dir(&at("a")) && is_dir(&at("a/c")));
        assert!(!is_dir(&at("config.json")) && !is_dir(&at("a/b")));
        assert_eq!(read(&at("config.json")).unwrap(), b"{}");
        assert_eq!(read_to_string(&at("a/b.txt")).unwrap(), "text");
        assert_eq!(
            read(&at("nothing")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(list(&at("a")).unwrap(), [at("a/b.txt")]);
        assert_eq!(
            Mounted::find(&at("a/b.txt")).unwrap().read(1, 3).unwrap(),
            b"ex"
        );
        drop(mount);
        assert!(!is_dir(&at("")) && !is_file(&at("config.json")));
    }

    #[test]
    fn a_file_has_one_hash_wherever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: &'static [u8] = Box::leak(vec![7; PIECE + 3].into_boxed_slice());
        std::fs::write(folder.path().join("x"), bytes).unwrap();
        let mount = Mount::new("mounted/hash", Memory([("x", bytes)].into()));
        let [mut disk, mut memory] = [(); 2].map(|()| blake3::Hasher::new());
        hash(&folder.path().join("x"), &mut disk).unwrap();
        hash(&mount.path().join("x"), &mut memory).unwrap();
        assert_eq!(disk.finalize(), memory.finalize());
    }
}

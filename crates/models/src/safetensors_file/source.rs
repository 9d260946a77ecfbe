//! The bytes of a safetensors file, on disk, in a mounted folder, or in memory.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::path::Path;

use memmap2::{Mmap, MmapOptions};

use crate::files::Mounted;

/// A file on disk, mapped piece by piece; a file of a mounted folder, read piece by piece; or bytes
/// in memory.
pub(super) enum Source {
    File(File),
    Mounted(Mounted),
    Memory(Box<dyn AsRef<[u8]> + Send + Sync>),
}

/// A piece of a source. The system reads a mapped piece when it is accessed, and it counts towards
/// the process's memory until it is dropped: a reader holds one tensor, not the whole file.
pub(super) enum Piece<'a> {
    Mapped(Mmap),
    Read(Vec<u8>),
    Borrowed(&'a [u8]),
}

impl Deref for Piece<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Read(bytes) => bytes,
            Self::Borrowed(bytes) => bytes,
        }
    }
}

impl Source {
    /// Opens a file. Links are followed: the Hugging Face cache consists of them.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(file) = Mounted::find(path) {
            return Ok(Self::Mounted(file));
        }
        // Checked before opening: opening a pipe would wait for a writer.
        if !path.metadata()?.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file"));
        }
        Ok(Self::File(File::open(path)?))
    }

    /// The number of bytes.
    pub(super) fn length(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Mounted(file) => file.length(),
            Self::Memory(bytes) => Ok((**bytes).as_ref().len() as u64),
        }
    }

    /// The bytes from `start` to `end`.
    pub(super) fn piece(&self, start: u64, end: u64) -> io::Result<Piece<'_>> {
        let ends_early = || io::Error::new(ErrorKind::UnexpectedEof, "the file has been truncated");
        if start >= end {
            return Ok(Piece::Borrowed(&[]));
        }
        match self {
            Self::File(file) => {
                // Accessing a page beyond the end of the file would kill the process.
                if file.metadata()?.len() < end {
                    return Err(ends_early());
                }
                let length = usize::try_from(end - start).map_err(io::Error::other)?;
                Ok(Piece::Mapped(map(file, start, length)?))
            }
            Self::Mounted(file) => Ok(Piece::Read(file.read(start, end)?)),
            Self::Memory(bytes) => {
                let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
                let piece = range.and_then(|(start, end)| (**bytes).as_ref().get(start..end));
                piece.map(Piece::Borrowed).ok_or_else(ends_early)
            }
        }
    }
}

#[expect(
    unsafe_code,
    reason = "mapping a file is sound only while the file does not change, which types cannot express"
)]
fn map(file: &File, start: u64, length: usize) -> io::Result<Mmap> {
    // SAFETY: the map is private and read-only. rarebit never modifies a weights file in place: it
    // writes a new file and renames it, which leaves this one unchanged. The only defence against
    // other programs would be a copy; the map lives only while one tensor is converted.
    unsafe {
        MmapOptions::new()
            .offset(start)
            .len(length)
            .map_copy_read_only(file)
    }
}

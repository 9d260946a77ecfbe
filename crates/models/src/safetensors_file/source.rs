//! Where the bytes of a safetensors file are: on disk, in a mounted folder, or in memory.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::path::Path;

use memmap2::{Mmap, MmapOptions};

use crate::files::Mounted;

/// A file on disk, mapped piece by piece, one of a mounted folder, read piece by piece, or bytes that
/// are in memory already.
pub(super) enum Source {
    File(File),
    Mounted(Mounted),
    Memory(Box<dyn AsRef<[u8]> + Send + Sync>),
}

/// A piece of a source. A file's is read by the system as it is looked at, and counts as the
/// process's memory until it is dropped: so a reader holds one tensor of a file, not the file.
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
    /// Opens a file. A link is followed: the cache of the Hugging Face hub consists of them.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(file) = Mounted::find(path) {
            return Ok(Self::Mounted(file));
        }
        // Before it is opened: to open a pipe is to wait for its writer.
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
        let ends_early = || io::Error::new(ErrorKind::UnexpectedEof, "the file has become shorter");
        if start >= end {
            return Ok(Piece::Borrowed(&[]));
        }
        match self {
            Self::File(file) => {
                // A page behind the end of a file cannot be read: the process would be stopped.
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
    reason = "a map of a file is sound as long as the file stays as it is, which no type can say"
)]
fn map(file: &File, start: u64, length: usize) -> io::Result<Mmap> {
    // SAFETY: the map is private and only read. rarebit itself never changes a file of weights in
    // place: it writes beside and renames, which leaves this file as it is. Against other programs
    // there is no defence but a copy; the map lives while one tensor is converted and no longer.
    unsafe {
        MmapOptions::new()
            .offset(start)
            .len(length)
            .map_copy_read_only(file)
    }
}

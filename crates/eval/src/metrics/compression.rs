//! The compression ratio of a prompt's responses.

use std::io::Read;

use flate2::Compression;
use flate2::bufread::GzEncoder;

use crate::evaluation::Mode;

/// The bytes of the name `compressed` and its terminator, which the reference code's file contains.
const REFERENCE_NAME: usize = 11;

/// Size of the responses, joined by a space, over their size after gzip at level 9.
///
/// ("Standardizing the Measurement of Text Diversity", Shaib et al., arXiv 2403.00553, section 3.)
/// Repetition compresses well: higher is less diverse. The 18 bytes around a gzip stream matter for
/// short texts, and longer sets compress better: compare only equal numbers of responses of similar
/// length.
/// `None` when there is nothing to compress.
///
/// Compressors differ by a few per cent in size at the same level; all ratios of an evaluation come
/// from the same one.
///
/// # Departures
/// The reference (PyPI `diversity`) compresses twice by mistake, and its file carries a name.
/// [`Mode::ReferenceCompat`] does the same.
#[must_use]
pub fn compression_ratio(texts: &[&str], mode: Mode) -> Option<f64> {
    let raw = texts.join(" ");
    if raw.is_empty() {
        return None;
    }
    let once = gzip(raw.as_bytes())?;
    let size = match mode {
        Mode::Correct => once.len(),
        Mode::ReferenceCompat => gzip(&once)?.len() + REFERENCE_NAME,
    };
    Some(raw.len() as f64 / size as f64)
}

/// Compression in memory does not fail; if it ever should, there is no ratio.
fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut compressed = Vec::new();
    GzEncoder::new(bytes, Compression::best())
        .read_to_end(&mut compressed)
        .ok()?;
    Some(compressed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_compresses() {
        let line = "The keeper lit the lamp and rowed into the storm.";
        let same = compression_ratio(&[line; 8], Mode::Correct).unwrap();
        let once = compression_ratio(&[line], Mode::Correct).unwrap();
        assert!(same > 4.0 && once < 1.0, "{same} {once}");
    }

    #[test]
    fn nothing_has_no_ratio() {
        assert_eq!(compression_ratio(&[], Mode::Correct), None);
        assert_eq!(compression_ratio(&[""], Mode::ReferenceCompat), None);
    }
}

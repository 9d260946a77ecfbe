//! Vectors that were computed elsewhere.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use rarebit_deviation::{EmbedError, Embedder};
use serde::Deserialize;

use crate::error::{Context as _, Result, bail, ensure};
use crate::output::file_hash;

/// What the name of such an embedder begins with.
pub(super) const PREFIX: &str = "vectors:";

/// A file of texts with their vectors.
#[derive(Debug)]
pub(super) struct Vectors {
    id: String,
    path: String,
    dims: usize,
    /// By the hash of the text, so that long texts are not held.
    rows: HashMap<blake3::Hash, Vec<f32>>,
}

#[derive(Deserialize)]
struct Line {
    text: String,
    #[serde(alias = "vector")]
    embedding: Vec<f32>,
}

impl Vectors {
    /// Reads JSONL with `text` and `embedding` on each line. Vectors are brought to length 1.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let file = File::open(path)
            .with_context(|| format!("cannot read the vectors in {}", path.display()))?;
        let mut rows = HashMap::new();
        let mut dims = None;
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let place = || format!("{}, line {}", path.display(), number + 1);
            let line = line.with_context(place)?;
            if line.trim().is_empty() {
                continue;
            }
            let Line { text, embedding } = serde_json::from_str(&line).with_context(|| {
                format!(
                    "{}: a line is {{\"text\": .., \"embedding\": [..]}}",
                    place()
                )
            })?;
            let expected = *dims.get_or_insert(embedding.len());
            ensure!(
                embedding.len() == expected && expected > 0,
                "{}: the vector has {} components, the first one has {expected}",
                place(),
                embedding.len()
            );
            let row = unit(&embedding)
                .with_context(|| format!("{}: the vector holds no finite numbers", place()))?;
            let known = rows.insert(blake3::hash(text.as_bytes()), row);
            if known.is_some_and(|known| Some(known) != unit(&embedding)) {
                bail!("{}: the text had another vector before", place());
            }
        }
        let Some(dims) = dims else {
            bail!("{} holds no vectors", path.display());
        };
        Ok(Self {
            id: format!("{PREFIX}{}", file_hash(path)?),
            path: path.display().to_string(),
            dims,
            rows,
        })
    }
}

impl Embedder for Vectors {
    fn id(&self) -> &str {
        &self.id
    }

    fn dims(&self) -> usize {
        self.dims
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let row = |text: &&str| match self.rows.get(&blake3::hash(text.as_bytes())) {
            Some(row) => Ok(row.clone()),
            // Without content there is nothing to embed.
            None if text.trim().is_empty() => Ok(vec![0.0; self.dims]),
            None => {
                let beginning: String = text.chars().take(60).collect();
                Err(format!(
                    "{} has no vector of the text that begins {beginning:?}: texts have to be equal, white space too",
                    self.path
                )
                .into())
            }
        };
        texts.iter().map(row).collect()
    }
}

/// The vector with length 1; zeros stay. None where a number is not finite.
fn unit(vector: &[f32]) -> Option<Vec<f32>> {
    let length = vector
        .iter()
        .map(|&value| f64::from(value).powi(2))
        .sum::<f64>()
        .sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    length.is_finite().then(|| {
        vector
            .iter()
            .map(|&value| (f64::from(value) * scale) as f32)
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<Vectors> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vectors.jsonl");
        std::fs::write(&path, content).unwrap();
        Vectors::read(&path)
    }

    #[test]
    fn texts_are_looked_up_and_rows_have_length_one() {
        let vectors = read(
            "{\"text\": \"Ein Bär\", \"embedding\": [3, 4]}\n\n{\"text\": \"b\", \"vector\": [0, -2], \"model\": \"x\"}\n\
             {\"text\": \"b\", \"vector\": [0, -2]}\n",
        )
        .unwrap();
        assert_eq!(vectors.dims(), 2);
        let rows = vectors.embed(&["b", "Ein Bär", " \n"]).unwrap();
        assert_eq!(rows, [[0.0, -1.0], [0.6, 0.8], [0.0, 0.0]]);
        let error = vectors.embed(&["c"]).unwrap_err().to_string();
        assert!(
            error.contains("no vector of the text that begins \"c\""),
            "{error}"
        );
        assert!(vectors.id().starts_with(PREFIX));
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        for (content, told) in [
            ("", "holds no vectors"),
            ("{\"text\": \"a\"}\n", "line 1: a line is"),
            (
                "{\"text\": \"a\", \"vector\": [1]}\n{\"text\": \"b\", \"vector\": [1, 2]}\n",
                "line 2: the vector has 2 components",
            ),
            ("{\"text\": \"a\", \"vector\": []}\n", "0 components"),
            ("{\"text\": \"a\", \"vector\": [1e39]}\n", "line 1"),
            (
                "{\"text\": \"a\", \"vector\": [1, 0]}\n{\"text\": \"a\", \"vector\": [0, 1]}\n",
                "another vector before",
            ),
        ] {
            let error = format!("{:#}", read(content).unwrap_err());
            assert!(error.contains(told), "{error}");
        }
    }
}

//! What JavaScript calls. The package around it (`web/package`) gives these their types and runs
//! them in a worker.

use rarebit_deviation::embed;
use rarebit_deviation::{
    DistanceMatrix, Kind, Measurements, Weighting, deviations, normalise, normalise_ranks,
};
use rarebit_eval::evaluation::{Better, Mode, Response};
use rarebit_eval::{Thresholds, catalogue, measure};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::mds::classical_mds;
use crate::overlap::{self, Shared};

const BUILTIN: [(&str, Kind); 2] = [
    ("builtin:lexical", Kind::Semantic),
    ("builtin:style", Kind::Style),
];

#[derive(Serialize)]
struct EmbedderInfo {
    name: &'static str,
    id: String,
    dims: usize,
    kind: Kind,
}

/// The embedders that need no weights: an array of `{name, id, dims, kind}`.
///
/// # Errors
/// None that a caller could cause.
#[wasm_bindgen]
pub fn embedders() -> Result<JsValue, JsError> {
    let known = BUILTIN.iter().filter_map(|&(name, kind)| {
        let embedder = embed::builtin(name)?;
        Some(EmbedderInfo {
            name,
            id: embedder.id().to_owned(),
            dims: embedder.dims(),
            kind,
        })
    });
    Ok(serde_wasm_bindgen::to_value(&known.collect::<Vec<_>>())?)
}

/// The vectors of some texts by a built-in embedder, row after row.
///
/// # Errors
/// When there is no embedder of this name, or the texts cannot be embedded.
#[wasm_bindgen]
pub fn embed(name: &str, texts: Vec<String>) -> Result<Vec<f32>, JsError> {
    let embedder = embed::builtin(name).ok_or_else(|| unknown(name))?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let rows = embedder
        .embed(&texts)
        .map_err(|error| JsError::new(&error.to_string()))?;
    Ok(rows.concat())
}

fn unknown(name: &str) -> JsError {
    let known = BUILTIN.map(|(name, _)| name).join(", ");
    JsError::new(&format!(
        "there is no built-in embedder `{name}`; there are {known}"
    ))
}

/// The distances between the texts of a set, by one embedder.
#[wasm_bindgen]
pub struct Distances(DistanceMatrix);

#[wasm_bindgen]
impl Distances {
    /// From the vectors of `count` texts, row after row.
    ///
    /// # Errors
    /// When the vectors are not all of one length, or hold a number that is not finite.
    #[wasm_bindgen(constructor)]
    pub fn new(embeddings: &[f32], count: usize) -> Result<Distances, JsError> {
        let dims = embeddings.len() / count.max(1);
        if dims * count != embeddings.len() || (dims == 0 && count > 0) {
            return Err(JsError::new(&format!(
                "{} numbers do not make the vectors of {count} texts",
                embeddings.len()
            )));
        }
        let rows: Vec<Vec<f32>> = embeddings
            .chunks_exact(dims.max(1))
            .map(<[f32]>::to_vec)
            .collect();
        Ok(Self(DistanceMatrix::from_embeddings(&rows)?))
    }

    /// All distances, row after row, `[n, n]`.
    pub fn values(&self) -> Vec<f32> {
        self.0.rows().flatten().copied().collect()
    }

    /// The raw deviation of each text; not a number for a text that is alone.
    pub fn deviations(&self) -> Vec<f64> {
        let raw = deviations(&self.0);
        raw.into_iter().map(|d| d.unwrap_or(f64::NAN)).collect()
    }

    /// A two-dimensional map: `[x, y]` of each text, then the share of the variance along each axis.
    pub fn plane(&self) -> Vec<f64> {
        let map = classical_mds(&self.0);
        let numbers = map.points.iter().flatten().chain(&map.shares);
        numbers.copied().collect()
    }
}

#[derive(Serialize)]
struct Weighed {
    /// Deviations within the set, in `[0, 1]`; empty without such a kind.
    normalized_semantic: Vec<f64>,
    normalized_style: Vec<f64>,
    weights: Vec<f64>,
}

/// The weights of a set's texts and the normalised deviations that they are made of:
/// `{normalized_semantic, normalized_style, weights}`. `weighting` is
/// `{kinds?, floor?, rank?, shrinkage?, tau?, semantic_share?}`.
///
/// # Errors
/// When a setting is unknown or out of range, or a mix of signals is asked for, most of which are
/// not measured here.
#[wasm_bindgen]
pub fn weigh(
    semantic: &Distances,
    style: &Distances,
    weighting: JsValue,
) -> Result<JsValue, JsError> {
    let weighting: Weighting = serde_wasm_bindgen::from_value(weighting)?;
    weighting.validate()?;
    if weighting.mix.is_some() {
        return Err(JsError::new(
            "a mix of signals is made by `rarebit prepare` only; leave `mix` out",
        ));
    }
    let [semantic, style] = [semantic, style].map(|matrix| deviations(&matrix.0));
    if semantic.len() != style.len() {
        return Err(JsError::new(
            "the semantic and the style distances are of different sets of texts",
        ));
    }
    let measurements: Vec<Measurements> = (semantic.iter().zip(&style))
        .map(|(&semantic, &style)| Measurements {
            semantic,
            style,
            ..Measurements::default()
        })
        .collect();
    // A text that is alone is given the deviation 0 to normalise.
    let unit = |raw: Vec<Option<f64>>| {
        let raw: Vec<f64> = raw.into_iter().map(Option::unwrap_or_default).collect();
        match weighting.rank {
            true => normalise_ranks(&raw),
            false => normalise(&raw),
        }
    };
    Ok(serde_wasm_bindgen::to_value(&Weighed {
        weights: weighting.weigh(&measurements)?,
        normalized_semantic: unit(semantic),
        normalized_style: unit(style),
    })?)
}

#[derive(Serialize)]
struct Measure {
    name: String,
    label: String,
    better: Better,
    source: String,
    value: f64,
}

/// The measures that the set has: an array of `{name, label, better, source, value}`.
///
/// # Errors
/// None that a caller could cause.
#[wasm_bindgen]
pub fn measures(
    texts: Vec<String>,
    semantic: &Distances,
    style: &Distances,
) -> Result<JsValue, JsError> {
    let response = |text| Response { text, score: None };
    let responses: Vec<Response> = texts.into_iter().map(response).collect();
    let thresholds = Thresholds::default();
    let values = measure(
        &responses,
        &semantic.0,
        &style.0,
        Mode::Correct,
        &thresholds,
    );
    let measures = catalogue(&thresholds).into_iter().filter_map(|info| {
        Some(Measure {
            value: *values.get(&info.name)?,
            name: info.name,
            label: info.label,
            better: info.better,
            source: info.source,
        })
    });
    Ok(serde_wasm_bindgen::to_value(&measures.collect::<Vec<_>>())?)
}

/// The stretches of `text` that `other` has, too: `[start, end, phrase]` of each, where `phrase` is
/// 1 for three words or more in a row. Places count UTF-16 units.
#[wasm_bindgen]
pub fn shared(text: &str, other: &str) -> Vec<u32> {
    let flat = |s: Shared| [s.start, s.end, u32::from(s.phrase)];
    let stretches = overlap::shared(text, other).into_iter();
    stretches.flat_map(flat).collect()
}

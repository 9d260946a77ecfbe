//! rarebit in the browser: how different a set of texts is, computed on the visitor's own machine.
//!
//! This module holds no model and no GPU runtime: it scores with the built-in embedders.
#![cfg(target_arch = "wasm32")]

use rarebit_deviation::embed::{Lexical, Style};
use rarebit_deviation::{DistanceMatrix, Embedder, Kinds, Weighting, deviations, weights};
use serde::Serialize;
use wasm_bindgen::prelude::*;

/// What [`score`] says of one text.
#[derive(Serialize)]
struct Score {
    /// Raw semantic deviation; null for a text that is alone.
    deviation_semantic: Option<f64>,
    /// Raw style deviation; null for a text that is alone.
    deviation_style: Option<f64>,
    /// The weight of the text in training; the weights of a set average 1.
    weight: f64,
}

/// Scores the responses to one prompt: an array of
/// `{deviation_semantic, deviation_style, weight}`, in the order of the texts.
///
/// # Errors
/// When the texts cannot be embedded; the error's `message` says why.
#[wasm_bindgen]
pub fn score(texts: Vec<String>) -> Result<JsValue, JsError> {
    let semantic = raw(&Lexical, &texts)?;
    let style = raw(&Style, &texts)?;
    let known = |raw: &[Option<f64>]| raw.iter().map(|d| d.unwrap_or(0.0)).collect::<Vec<_>>();
    let weighting = Weighting {
        kinds: Kinds::Both,
        ..Weighting::default()
    };
    let weights = weights(&[&known(&semantic), &known(&style)], &weighting);
    let scores: Vec<Score> = weights
        .into_iter()
        .zip(semantic.into_iter().zip(style))
        .map(|(weight, (deviation_semantic, deviation_style))| Score {
            deviation_semantic,
            deviation_style,
            weight,
        })
        .collect();
    Ok(serde_wasm_bindgen::to_value(&scores)?)
}

fn raw(embedder: &dyn Embedder, texts: &[String]) -> Result<Vec<Option<f64>>, JsError> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let rows = embedder
        .embed(&texts)
        .map_err(|error| JsError::new(&error.to_string()))?;
    let distances =
        DistanceMatrix::from_embeddings(&rows).map_err(|error| JsError::new(&error.to_string()))?;
    Ok(deviations(&distances))
}

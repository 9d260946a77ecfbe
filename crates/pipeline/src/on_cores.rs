//! Texts side by side on the cores of a CPU.

use std::cmp::Reverse;

use crate::error::Result;
use burn::tensor::Device;
use rarebit_train::lanes::{has_lanes, side_by_side};

/// Texts that one core reads at a time: enough to fill a batch of short ones.
const TEXTS_PER_PART: usize = 32;

/// What `work` gives for each of the texts, in their order: all at once, or on the CPU, where most is
/// computed on one core, part by part on all of them.
///
/// How texts are put together depends on nothing but the texts, so that the results do not.
///
/// # Errors
/// The first one of `work`.
pub(crate) fn each<W: Clone + Send, T: Sync, R: Send, E: Send>(
    device: &Device,
    worker: W,
    texts: &[T],
    length: impl Fn(&T) -> usize,
    work: impl Fn(&W, &[&T]) -> Result<Vec<R>, E> + Sync,
) -> Result<Vec<R>, E> {
    if !has_lanes(device) {
        return work(&worker, &texts.iter().collect::<Vec<_>>());
    }
    // Texts of a length share a part, or what is padded in one lane keeps the others waiting.
    let mut places: Vec<usize> = (0..texts.len()).collect();
    places.sort_by_key(|&place| Reverse(length(&texts[place])));
    let parts: Vec<&[usize]> = places.chunks(TEXTS_PER_PART).collect();
    let of_part = |worker: &W, part: &[usize]| {
        work(
            worker,
            &part.iter().map(|&it| &texts[it]).collect::<Vec<_>>(),
        )
    };
    let mut rows = Vec::with_capacity(texts.len());
    side_by_side(worker, parts, of_part, |part| rows.extend(part))?;
    let mut in_order: Vec<(usize, R)> = places.into_iter().zip(rows).collect();
    in_order.sort_by_key(|(place, _)| *place);
    Ok(in_order.into_iter().map(|(_, row)| row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_texts() {
        let texts: Vec<String> = (0..100)
            .map(|i| "abcdefg"[i % 7..].repeat(i * 13 % 5))
            .collect();
        let device = Device::flex();
        let shout = |(): &(), texts: &[&String]| {
            assert!(texts.len() <= TEXTS_PER_PART);
            Ok::<_, ()>(texts.iter().map(|text| text.to_uppercase()).collect())
        };
        let found = each(&device, (), &texts, String::len, shout).unwrap();
        let expected: Vec<String> = texts.iter().map(|text| text.to_uppercase()).collect();
        assert_eq!(found, expected);
        assert!(
            each(&device, (), &[], String::len, shout)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_failure_is_told() {
        let texts: Vec<usize> = (0..200).collect();
        let fails = |(): &(), texts: &[&usize]| match texts.contains(&&150) {
            true => Err("out of luck"),
            false => Ok(texts.iter().map(|it| **it).collect::<Vec<_>>()),
        };
        let found = each(&Device::flex(), (), &texts, |it| *it, fails);
        assert_eq!(found, Err("out of luck"));
    }
}

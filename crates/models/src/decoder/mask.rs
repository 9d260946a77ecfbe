//! The causal attention mask.

use burn::tensor::{Bool, Device, Tensor};

/// The mask of `seq` queries that follow `past` tokens, true where a key is masked out: later tokens,
/// those `window` or more tokens back, and padding. `None` if every query attends to every key.
///
/// # Shapes
/// - `attention_mask`: `[batch, past + seq]`, true where there is a token
/// - output: `[batch or 1, 1, seq, past + seq]`
pub(crate) fn causal_mask(
    past: usize,
    seq: usize,
    window: Option<usize>,
    attention_mask: Option<Tensor<2, Bool>>,
    device: &Device,
) -> Option<Tensor<4, Bool>> {
    let total = past + seq;
    let future = (seq > 1).then(|| Tensor::<2, Bool>::tril_mask([seq, total], past as i64, device));
    let faded = window.filter(|window| total > *window).map(|window| {
        let offset = past as i64 - window as i64 + 1;
        Tensor::<2, Bool>::triu_mask([seq, total], offset, device)
    });
    let order = match (future, faded) {
        (Some(future), Some(faded)) => Some(future.bool_or(faded)),
        (future, faded) => future.or(faded),
    };
    let order = order.map(|order| order.unsqueeze::<4>());
    let padding = attention_mask.map(|mask| {
        let [batch, total] = mask.dims();
        mask.bool_not().reshape([batch, 1, 1, total])
    });
    match (order, padding) {
        (Some(order), Some(padding)) => {
            let [batch, ..] = padding.dims();
            let shape = [batch, 1, seq, total];
            Some(order.expand(shape).bool_or(padding.expand(shape)))
        }
        (order, padding) => order.or(padding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(
        past: usize,
        seq: usize,
        window: Option<usize>,
        mask: Option<Vec<bool>>,
    ) -> Vec<String> {
        let device = Device::flex();
        let mask =
            mask.map(|mask| Tensor::<1, Bool>::from_data(mask.as_slice(), &device).unsqueeze());
        let Some(masked) = causal_mask(past, seq, window, mask, &device) else {
            return vec!["1".repeat(past + seq); seq];
        };
        let seen: Vec<bool> = masked.bool_not().into_data().try_to_vec().expect("bools");
        seen.chunks(past + seq)
            .map(|row| {
                row.iter()
                    .map(|&seen| if seen { '1' } else { '0' })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn a_query_sees_itself_and_what_came_before() {
        assert_eq!(seen(0, 3, None, None), ["100", "110", "111"]);
        assert_eq!(seen(2, 2, None, None), ["1110", "1111"]);
        assert_eq!(seen(3, 1, None, None), ["1111"]);
    }

    #[test]
    fn a_window_counts_the_query_itself() {
        assert_eq!(seen(0, 4, Some(2), None), ["1000", "1100", "0110", "0011"]);
        assert_eq!(seen(3, 1, Some(2), None), ["0011"]);
        assert_eq!(seen(2, 2, Some(4), None), ["1110", "1111"]);
    }

    #[test]
    fn padding_is_masked_as_well() {
        let mask = Some(vec![false, true, true, true]);
        assert_eq!(
            seen(0, 4, Some(3), mask.clone()),
            ["0000", "0100", "0110", "0111"]
        );
        assert_eq!(seen(3, 1, None, mask), ["0111"]);
    }
}

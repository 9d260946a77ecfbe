//! Batches of sequences of similar length.

/// Groups sequences of similar length to avoid padding. Batches start with the shortest sequences
/// and hold at least one sequence and at most `budget` tokens, padding included.
pub(crate) fn length_batches(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&i| lengths[i]);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for i in order {
        // Sequences are sorted by length, so the newest is the longest and determines the batch's
        // width.
        match batches
            .last_mut()
            .filter(|batch| (batch.len() + 1) * lengths[i] <= budget)
        {
            Some(batch) => batch.push(i),
            None => batches.push(vec![i]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_sequence_once_and_keep_the_budget() {
        let lengths = [5, 1, 9, 3, 3, 20, 1];
        let found = length_batches(&lengths, 10);
        assert_eq!(found, [vec![1, 6, 3], vec![4, 0], vec![2], vec![5]]);
        assert!(length_batches(&[], 10).is_empty());
    }
}

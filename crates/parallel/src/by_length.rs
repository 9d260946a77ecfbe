//! Items of very different lengths over worker threads.

use std::cmp::Reverse;

use crate::jobs::run_jobs;

/// Items per job: enough to fill a batch of short texts.
const ITEMS_PER_JOB: usize = 32;

/// Maps `items` with `work`, which gives one result per item, and returns the results in the order
/// of the items: in one call where `split` is false, else in jobs of items of similar length on all
/// cores.
///
/// How items are grouped into jobs depends on the items alone, so the results do not depend on the
/// number of cores.
///
/// # Errors
/// The first error of `work` to arrive.
pub fn map_by_length<W: Clone + Send, T: Sync, R: Send, E: Send>(
    split: bool,
    worker: W,
    items: &[T],
    length: impl Fn(&T) -> usize,
    work: impl Fn(&W, &[&T]) -> Result<Vec<R>, E> + Sync,
) -> Result<Vec<R>, E> {
    if !split {
        return work(&worker, &items.iter().collect::<Vec<_>>());
    }
    // Similar lengths share a job: padding to one long item would cost the whole job.
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&index| Reverse(length(&items[index])));
    let jobs: Vec<&[usize]> = order.chunks(ITEMS_PER_JOB).collect();
    let work_on = |worker: &W, indices: &[usize]| {
        let items: Vec<&T> = indices.iter().map(|&index| &items[index]).collect();
        work(worker, &items)
    };
    let mut results = Vec::with_capacity(items.len());
    run_jobs(worker, jobs, work_on, |of_job| results.extend(of_job))?;
    let mut in_order: Vec<(usize, R)> = order.into_iter().zip(results).collect();
    in_order.sort_by_key(|(index, _)| *index);
    Ok(in_order.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let texts: Vec<String> = (0..100)
            .map(|i| "abcdefg"[i % 7..].repeat(i * 13 % 5))
            .collect();
        let shout = |(): &(), texts: &[&String]| {
            assert!(texts.len() <= ITEMS_PER_JOB);
            Ok::<_, ()>(texts.iter().map(|text| text.to_uppercase()).collect())
        };
        let found = map_by_length(true, (), &texts, String::len, shout).unwrap();
        let expected: Vec<String> = texts.iter().map(|text| text.to_uppercase()).collect();
        assert_eq!(found, expected);
        assert!(
            map_by_length(true, (), &[], String::len, shout)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn items_that_are_not_split_are_worked_on_at_once_and_as_they_are() {
        let lengths: Vec<usize> = (0..100).map(|i| i * 37 % 50).collect();
        let keep = |(): &(), items: &[&usize]| {
            assert_eq!(items.len(), 100);
            Ok::<_, ()>(items.iter().map(|it| **it).collect::<Vec<_>>())
        };
        let found = map_by_length(false, (), &lengths, |it| *it, keep);
        assert_eq!(found, Ok(lengths));
    }

    #[test]
    fn a_failure_is_passed_on() {
        let lengths: Vec<usize> = (0..200).collect();
        let fails = |(): &(), items: &[&usize]| match items.contains(&&150) {
            true => Err("out of luck"),
            false => Ok(items.iter().map(|it| **it).collect::<Vec<_>>()),
        };
        let found = map_by_length(true, (), &lengths, |it| *it, fails);
        assert_eq!(found, Err("out of luck"));
    }
}

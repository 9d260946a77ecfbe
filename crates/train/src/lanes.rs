//! Parts of a batch side by side on the cores of a CPU.
//!
//! On the CPU Burn computes on one core whatever is no product of matrices, so several cores work on
//! several parts of a batch. How a batch is cut depends on the batch and the model, and results are
//! taken in the parts' order: a run takes the same steps on any number of cores.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, mpsc};

use burn::tensor::Device;
use rayon::ThreadPoolBuilder;

use crate::task::Sample;

/// About as many tokens make a part: what a layer computes for them stays in a core's cache.
const SMALL_PART: usize = 256;

/// The same where each part has gradients that are too many for a cache: writing and adding them is
/// to be little beside computing them.
const LARGE_PART: usize = 1024;

/// Up to so many gradients a core's cache has room for.
const FEW_GRADIENTS: usize = 8_000_000;

/// Most parts of a batch: each has gradients of its own until they are added up.
const MOST_PARTS: usize = 8;

/// As deep as the main thread's, on which the same is computed elsewhere.
const STACK_BYTES: usize = 8 << 20;

/// Whether a device gains from parts: a CPU does, a GPU is filled by whole batches.
pub fn has_lanes(device: &Device) -> bool {
    *device == Device::flex()
}

/// How many tokens make a part where each one leaves so many gradients.
pub(crate) fn part_tokens(gradients: usize) -> usize {
    match gradients {
        ..=FEW_GRADIENTS => SMALL_PART,
        _ => LARGE_PART,
    }
}

/// A batch cut into parts of neighbours, of about so many tokens each; whole on a device that is not
/// the CPU.
pub(crate) fn parts<'a, S: Sample>(
    batch: &'a [S],
    part_tokens: usize,
    device: &Device,
) -> Vec<&'a [S]> {
    if !has_lanes(device) {
        return vec![batch];
    }
    let tokens: usize = batch.iter().map(Sample::tokens).sum();
    let parts = tokens.div_ceil(part_tokens).clamp(1, MOST_PARTS);
    batch.chunks(batch.len().div_ceil(parts).max(1)).collect()
}

/// How many cores there are for so many parts.
pub(crate) fn lanes(parts: usize) -> usize {
    rayon::current_num_threads().clamp(1, parts.max(1))
}

/// Lets as many clones of a worker as there are cores for do the jobs, and hands over the results in
/// the order of the jobs.
///
/// # Errors
/// The first one of a job that is heard of; jobs that still wait then are left.
pub fn side_by_side<W: Clone + Send, J: Send, R: Send, E: Send>(
    worker: W,
    jobs: Vec<J>,
    work: impl Fn(&W, J) -> Result<R, E> + Sync,
    take: impl FnMut(R),
) -> Result<(), E> {
    in_lanes(vec![worker; lanes(jobs.len())], jobs, work, take)
}

/// Lets each worker do one job after the other, each on its share of the cores, and hands over the
/// results in the order of the jobs.
///
/// # Errors
/// As for [`side_by_side`].
pub(crate) fn in_lanes<W: Send, J: Send, R: Send, E: Send>(
    workers: Vec<W>,
    jobs: Vec<J>,
    work: impl Fn(&W, J) -> Result<R, E> + Sync,
    mut take: impl FnMut(R),
) -> Result<(), E> {
    if let [worker] = workers.as_slice() {
        for job in jobs {
            take(work(worker, job)?);
        }
        return Ok(());
    }
    let cores = rayon::current_num_threads() / workers.len().max(1);
    let queue = Mutex::new(jobs.into_iter().enumerate());
    let lock = || queue.lock().unwrap_or_else(PoisonError::into_inner);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for worker in workers {
            let (lock, work, sender) = (&lock, &work, sender.clone());
            let lane = move || {
                loop {
                    let Some((place, job)) = lock().next() else {
                        return;
                    };
                    // Nobody listens any more where another job has failed.
                    if sender.send((place, work(&worker, job))).is_err() {
                        return;
                    }
                }
            };
            scope.spawn(move || {
                let pool = ThreadPoolBuilder::new()
                    .num_threads(cores.max(1))
                    .stack_size(STACK_BYTES)
                    .build();
                match pool {
                    Ok(pool) => pool.install(lane),
                    // The system gives no more threads: this one is enough.
                    Err(_) => lane(),
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut due = 0;
        for (place, result) in receiver {
            early.insert(place, result?);
            while let Some(result) = early.remove(&due) {
                take(result);
                due += 1;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_jobs_whoever_is_first() {
        for workers in [1, 2, 3, 7] {
            let mut taken = Vec::new();
            let slow_first = |_: &(), job: u64| {
                std::thread::sleep(std::time::Duration::from_millis(20 - job));
                Ok::<u64, ()>(job * job)
            };
            let workers = vec![(); workers];
            in_lanes(workers, (0..20).collect(), slow_first, |it| taken.push(it)).unwrap();
            assert_eq!(taken, (0..20).map(|job| job * job).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_failure_ends_it() {
        for workers in [1, 2, 3] {
            let fails = |_: &(), job: usize| match job {
                0..5 => Ok(job),
                _ => Err("out of luck"),
            };
            let mut taken = 0;
            let found = in_lanes(vec![(); workers], vec![1, 2, 5, 3], fails, |_| taken += 1);
            assert_eq!(found, Err("out of luck"));
            assert!(taken <= 3);
        }
    }

    #[test]
    fn no_jobs_are_no_trouble() {
        let found = in_lanes(
            vec![(); 2],
            Vec::new(),
            |_: &(), _: ()| Ok::<(), ()>(()),
            |()| {},
        );
        assert_eq!(found, Ok(()));
    }
}

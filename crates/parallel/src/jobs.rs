//! A queue of jobs, the threads that work on it, and results in order.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, mpsc};

use rayon::ThreadPoolBuilder;

/// The main thread's stack size, since the same work runs there when there is one worker.
const STACK_BYTES: usize = 8 << 20;

/// How many worker threads are worth starting for `jobs` jobs: one per core of the current rayon
/// pool, at most one per job, at least one.
pub fn worker_threads(jobs: usize) -> usize {
    rayon::current_num_threads().clamp(1, jobs.max(1))
}

/// Runs the jobs on [`worker_threads`] threads, each with its own clone of `worker`, and calls
/// `take` with the results in the order of the jobs.
///
/// # Errors
/// The first error to arrive; jobs that have not started by then are skipped.
pub fn run_jobs<W: Clone + Send, J: Send, R: Send, E: Send>(
    worker: W,
    jobs: Vec<J>,
    work: impl Fn(&W, J) -> Result<R, E> + Sync,
    take: impl FnMut(R),
) -> Result<(), E> {
    run_jobs_on(vec![worker; worker_threads(jobs.len())], jobs, work, take)
}

/// Runs the jobs on one thread per worker and calls `take` with the results in the order of the
/// jobs. Each thread has a rayon pool of its own with an equal share of the cores; a single worker
/// runs on the calling thread.
///
/// # Errors
/// As for [`run_jobs`].
pub fn run_jobs_on<W: Send, J: Send, R: Send, E: Send>(
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
    let cores_per_worker = rayon::current_num_threads() / workers.len().max(1);
    let queue = Mutex::new(jobs.into_iter().enumerate());
    let lock = || queue.lock().unwrap_or_else(PoisonError::into_inner);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for worker in workers {
            let (lock, work, sender) = (&lock, &work, sender.clone());
            let drain_queue = move || {
                loop {
                    let Some((index, job)) = lock().next() else {
                        return;
                    };
                    // The receiver is gone once another job has failed.
                    if sender.send((index, work(&worker, job))).is_err() {
                        return;
                    }
                }
            };
            scope.spawn(move || {
                let pool = ThreadPoolBuilder::new()
                    .num_threads(cores_per_worker.max(1))
                    .stack_size(STACK_BYTES)
                    .build();
                match pool {
                    Ok(pool) => pool.install(drain_queue),
                    // The system refuses more threads: make do with this one.
                    Err(_) => drain_queue(),
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut next = 0;
        for (index, result) in receiver {
            early.insert(index, result?);
            while let Some(result) = early.remove(&next) {
                take(result);
                next += 1;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_arrive_in_the_order_of_the_jobs_whichever_ends_first() {
        for workers in [1, 2, 3, 7] {
            let mut taken = Vec::new();
            let slow_first = |_: &(), job: u64| {
                std::thread::sleep(std::time::Duration::from_millis(20 - job));
                Ok::<u64, ()>(job * job)
            };
            let workers = vec![(); workers];
            run_jobs_on(workers, (0..20).collect(), slow_first, |it| taken.push(it)).unwrap();
            assert_eq!(taken, (0..20).map(|job| job * job).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_failure_ends_the_run() {
        for workers in [1, 2, 3] {
            let fails = |_: &(), job: usize| match job {
                0..5 => Ok(job),
                _ => Err("out of luck"),
            };
            let mut taken = 0;
            let found = run_jobs_on(vec![(); workers], vec![1, 2, 5, 3], fails, |_| taken += 1);
            assert_eq!(found, Err("out of luck"));
            assert!(taken <= 3);
        }
    }

    #[test]
    fn an_empty_list_of_jobs_is_fine() {
        let found = run_jobs_on(
            vec![(); 2],
            Vec::new(),
            |_: &(), _: ()| Ok::<(), ()>(()),
            |()| {},
        );
        assert_eq!(found, Ok(()));
    }
}

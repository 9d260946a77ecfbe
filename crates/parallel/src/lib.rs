//! Ordered parallel jobs over worker threads.
//!
//! Jobs run on as many threads as the CPU has cores for, and their results are handed over in the
//! order of the jobs, so that what is made of them does not depend on the number of cores. Whether
//! work is worth splitting is the caller's decision.
//!
//! # Example
//! ```
//! let mut squares = Vec::new();
//! rarebit_parallel::run_jobs(
//!     (),
//!     vec![1, 2, 3],
//!     |(), job| Ok::<u32, String>(job * job),
//!     |square| squares.push(square),
//! )?;
//! assert_eq!(squares, [1, 4, 9]);
//! # Ok::<(), String>(())
//! ```

mod by_length;
mod jobs;

pub use by_length::map_by_length;
pub use jobs::{run_jobs, run_jobs_on, worker_threads};

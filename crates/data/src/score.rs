//! Only the scoring: deviations and weights of every group of a source.

use std::collections::BTreeMap;

use crate::error::DataError;
use crate::progress::{Progress, Stage};
use crate::source::Source;
use crate::steps::clean::{CleanOptions, Dropped, clean};
use crate::steps::weigh::{WeighedGroup, Weigher};

/// Weighs every group of a source and hands it to `each`, in order; returns how many responses were
/// dropped, by reason.
///
/// Empty and deleted responses are left out, and with `dedup` exact repeats; nothing else is
/// cleaned.
///
/// # Errors
/// When the source cannot be read, the weigher fails, or `each` does.
pub fn weigh_source<E: From<DataError>>(
    source: &Source,
    mut weigher: Weigher<'_>,
    dedup: bool,
    progress: &mut dyn FnMut(Progress),
    each: &mut dyn FnMut(WeighedGroup) -> Result<(), E>,
) -> Result<BTreeMap<Dropped, u64>, E> {
    let mut dropped = BTreeMap::new();
    let options = CleanOptions {
        drop_moderator: false,
        dedup,
        ..CleanOptions::default()
    };
    let mut groups = source.groups(progress)?;
    while let Some(group) = groups.next() {
        let mut group = group?;
        clean(&mut group, &options, None, &mut |reason| {
            *dropped.entry(reason).or_default() += 1;
        })?;
        if group.responses.is_empty() {
            continue;
        }
        let pairs = group.pairs.take().unwrap_or_default();
        weigher
            .push(group, pairs)?
            .into_iter()
            .try_for_each(&mut *each)?;
        let (done, total) = groups.position();
        progress(Progress {
            stage: Stage::Weigh,
            done,
            total,
        });
    }
    weigher.finish()?.into_iter().try_for_each(each)?;
    Ok(dropped)
}

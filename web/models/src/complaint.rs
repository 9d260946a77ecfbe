//! What the GPU has complained of.

use std::cell::RefCell;

thread_local! {
    static FIRST: RefCell<Option<(&'static str, String)>> = const { RefCell::new(None) };
}

/// Keeps the code and the message of a complaint. Only the first one counts: the others follow from
/// it.
pub(crate) fn note(complaint: (&'static str, String)) {
    FIRST.with_borrow_mut(|first| {
        first.get_or_insert(complaint);
    });
}

/// The code and the message of the first complaint, if there was one.
pub(crate) fn first() -> Option<(&'static str, String)> {
    FIRST.with_borrow(Clone::clone)
}

//! How much memory a thread may take.
//!
//! Rust cannot refuse memory without ending the program. So a thread that asks for more than its
//! ration gets no answer: it tells whoever waits for it, and stands still for good.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::time::Duration;

thread_local! {
    /// How many bytes this thread may still take; none where nobody counts.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    /// Called once when it asked for more.
    static TELL: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
}

/// The system's allocator, with the rations of threads that have one.
///
/// Chat templates are rendered on such threads: a program that renders those of strangers declares
/// this its `#[global_allocator]`. Without it, their memory is not bounded.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rationed;

/// From here on, this thread may take `bytes` more than it has; `tell` is called before it is
/// stopped for wanting more.
pub(crate) fn begin(bytes: usize, tell: Box<dyn Fn()>) {
    TELL.set(Some(tell));
    LEFT.set(Some(bytes));
}

/// From here on, nobody counts.
pub(crate) fn end() {
    LEFT.set(None);
    TELL.set(None);
}

/// Counts bytes that are asked for. The thread ends here if there are not so many left.
fn take(bytes: usize) {
    let Ok(Some(left)) = LEFT.try_with(Cell::get) else {
        return;
    };
    match left.checked_sub(bytes) {
        Some(left) => LEFT.set(Some(left)),
        None => stop(),
    }
}

/// Counts bytes that are given back.
fn give(bytes: usize) {
    if let Ok(Some(left)) = LEFT.try_with(Cell::get) {
        LEFT.set(Some(left.saturating_add(bytes)));
    }
}

#[cold]
fn stop() -> ! {
    // Telling may need memory, too.
    LEFT.set(None);
    let _ = TELL.try_with(|tell| {
        if let Ok(tell) = tell.try_borrow()
            && let Some(tell) = &*tell
        {
            tell();
        }
    });
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

#[allow(
    unsafe_code,
    reason = "an allocator is unsafe to be one; all it does itself is to count"
)]
// SAFETY: every block is the system allocator's, whose rules are those of the caller.
unsafe impl GlobalAlloc for Rationed {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        give(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match size.checked_sub(layout.size()) {
            Some(more) => take(more),
            None => give(layout.size() - size),
        }
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// That of the tests of this crate, so that they see what a program sees.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: Rationed = Rationed;

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_thread_is_stopped_when_it_holds_more_than_its_ration() {
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let stopped = tell.clone();
            begin(
                1_000_000,
                Box::new(move || stopped.send("stopped").expect("heard")),
            );
            // What is given back may be taken again, and what grows is counted once.
            for _ in 0..100 {
                drop(vec![0u8; 900_000]);
                let mut bytes: Vec<u8> = Vec::new();
                bytes.resize(400_000, 1);
                bytes.resize(900_000, 1);
                bytes.shrink_to(10);
            }
            tell.send("enough").expect("heard");
            let _more = vec![0u8; 2_000_000];
            tell.send("too much").expect("heard");
        });
        assert_eq!(told.recv(), Ok("enough"));
        assert_eq!(told.recv(), Ok("stopped"));
        assert!(told.recv_timeout(Duration::from_millis(200)).is_err());
    }

    #[test]
    fn without_a_ration_and_after_it_nobody_counts() {
        std::thread::spawn(|| {
            drop(vec![0u8; 2_000_000]);
            begin(1_000, Box::new(|| ()));
            end();
            drop(vec![0u8; 2_000_000]);
        })
        .join()
        .expect("nothing stopped it");
    }
}

//! Work for all threads, and memory that each of them keeps.

use crate::{Buffer, Element};
use rayon::prelude::*;
use std::cell::{Cell, RefCell};
use std::ops::Range;

/// Runs `task` for every number below `tasks`, on the threads of the current rayon pool.
///
/// Callers cut their work by its shape alone, never by the number of threads, so that results do not depend on it.
pub(crate) fn for_each_task(tasks: usize, task: impl Fn(usize) + Sync + Send) {
    if tasks <= 1 || is_on_this_thread() {
        (0..tasks).for_each(task);
    } else {
        (0..tasks).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// Runs `each` on every chunk of so many values, and its number, on the threads of the current rayon pool.
///
/// # Panics
/// If `chunk` is 0.
pub fn for_each_chunk<T: Send>(values: &mut [T], chunk: usize, each: impl Fn(usize, &mut [T]) + Sync + Send) {
    let (total, chunks) = (values.len(), values.len().div_ceil(chunk));
    let values = Shared::new(values);
    for_each_task(chunks, |number| {
        // SAFETY: chunks are disjoint parts of the slice.
        each(number, unsafe { values.slice(piece(number, chunk, total)) });
    });
}

thread_local! {
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, whose kernels stay on this thread: for work that is itself one of many pieces, enough for all threads.
pub fn on_this_thread<T>(work: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _restore = Restore(ALONE.replace(true));
    work()
}

/// Whether kernels stay on this thread.
pub(crate) fn is_on_this_thread() -> bool {
    ALONE.get()
}

/// The part of `0..total` that piece `index` of pieces of `size` is.
pub(crate) fn piece(index: usize, size: usize, total: usize) -> Range<usize> {
    index * size..((index + 1) * size).min(total)
}

/// A pointer that tasks on several threads may use, each for values of its own.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(*mut T);

// SAFETY: the tasks that share it touch disjoint values; each use says why.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn new(values: &mut [T]) -> Self {
        Self(values.as_mut_ptr())
    }

    pub(crate) fn get(self) -> *mut T {
        self.0
    }

    /// Values `range` of the slice.
    ///
    /// # Safety
    /// The range lies in the slice, which is still borrowed, and no other task touches it.
    pub(crate) unsafe fn slice<'a>(&self, range: Range<usize>) -> &'a mut [T] {
        // SAFETY: the caller vouches for the range.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(range.start), range.len()) }
    }
}

thread_local! {
    static SCRATCH: RefCell<Buffer<f32>> = RefCell::new(Buffer::default());
}

/// Lends memory that the thread keeps for the next task: `first` values of type `E` and `second` of type `f32`, with
/// whatever was there before.
pub(crate) fn with_scratch<E: Element, T>(
    first: usize,
    second: usize,
    work: impl FnOnce(&mut [E], &mut [f32]) -> T,
) -> T {
    // Taken out while it is used: a task within the task finds none and makes its own.
    let mut buffer = SCRATCH.take();
    let first_words = (first * size_of::<E>()).div_ceil(64) * 16;
    buffer.resize(first_words + second);
    let (front, back) = buffer.split_at_mut(first_words);
    // SAFETY: the front has room for `first` values, starts at a cache line, and any bits are a value.
    let front = unsafe { std::slice::from_raw_parts_mut(front.as_mut_ptr().cast::<E>(), first) };
    let result = work(front, back);
    SCRATCH.set(buffer);
    result
}

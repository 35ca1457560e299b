use crate::Element;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};

/// Bytes of a cache line; vectors that straddle two take twice as long.
const LINE: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// Values that start at a cache line, grown and never shrunk, so that a buffer that is used again asks the system
/// for no memory.
pub struct Buffer<E> {
    lines: Vec<Line>,
    len: usize,
    of: std::marker::PhantomData<E>,
}

impl<E> Default for Buffer<E> {
    fn default() -> Self {
        Self { lines: Vec::new(), len: 0, of: std::marker::PhantomData }
    }
}

impl<E: Element> Buffer<E> {
    /// Zeros.
    pub fn zeroed(len: usize) -> Self {
        let mut buffer = Self::default();
        buffer.resize(len);
        buffer
    }

    /// A copy of values.
    pub fn from_slice(values: &[E]) -> Self {
        let mut buffer = Self::zeroed(values.len());
        buffer.copy_from_slice(values);
        buffer
    }

    /// Makes the buffer `len` values long. Values that were there before are kept or not; new memory is zero.
    pub fn resize(&mut self, len: usize) {
        let lines = (len * size_of::<E>()).div_ceil(LINE);
        if lines > self.lines.len() {
            self.lines = Vec::new();
            let mut fresh = Vec::with_capacity(lines);
            // Before the first touch, which is what gives memory its pages.
            advise_huge_pages(&fresh.spare_capacity_mut()[..lines]);
            fresh.resize(lines, Line([0; LINE]));
            self.lines = fresh;
        }
        self.len = len;
    }

    /// Bytes that are held.
    pub fn bytes(&self) -> usize {
        self.lines.len() * LINE
    }
}

impl<E: Element> Deref for Buffer<E> {
    type Target = [E];

    fn deref(&self) -> &[E] {
        // SAFETY: the lines hold at least `len` values, are aligned for them, and every bit pattern is a value.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<E: Element> DerefMut for Buffer<E> {
    fn deref_mut(&mut self) -> &mut [E] {
        // SAFETY: as above, and the lines are borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl<E> std::fmt::Debug for Buffer<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer of {} values", self.len)
    }
}

/// Asks for pages of 2 MiB where there are such: a kernel touches dozens of places far apart at once, and with small
/// pages waits for their addresses.
#[cfg(target_os = "linux")]
fn advise_huge_pages(lines: &[MaybeUninit<Line>]) {
    const HUGE: usize = 2 << 20;
    let start = (lines.as_ptr() as usize).next_multiple_of(HUGE);
    let end = (lines.as_ptr() as usize + size_of_val(lines)) / HUGE * HUGE;
    if start < end {
        // SAFETY: the range lies within the lines. This is advice: the memory's content stays, and an error means that
        // pages stay small.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_: &[MaybeUninit<Line>]) {}

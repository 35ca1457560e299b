//! Values beside memory that faults when it is read.

use crate::Bf16;

pub(super) struct Guarded {
    pages: Pages,
    first: *const Bf16,
    len: usize,
}

impl Guarded {
    /// A copy of values that begins where memory does.
    pub(super) fn behind_a_gap(values: &[Bf16]) -> Self {
        let pages = Pages::of(size_of_val(values));
        let first = pages.usable;
        Self::copied(values, pages, first)
    }

    /// A copy of values that ends where memory does.
    pub(super) fn before_a_gap(values: &[Bf16]) -> Self {
        let pages = Pages::of(size_of_val(values));
        let first = pages.usable.wrapping_add(pages.bytes - size_of_val(values));
        Self::copied(values, pages, first)
    }

    fn copied(values: &[Bf16], pages: Pages, first: *mut u8) -> Self {
        let first: *mut Bf16 = first.cast();
        // SAFETY: the usable pages have room for the values from here on.
        unsafe { first.copy_from_nonoverlapping(values.as_ptr(), values.len()) };
        Self { pages, first, len: values.len() }
    }

    pub(super) fn values(&self) -> &[Bf16] {
        assert!(self.pages.bytes >= 2 * self.len);
        // SAFETY: so many were copied there.
        unsafe { std::slice::from_raw_parts(self.first, self.len) }
    }
}

/// Pages that are unmapped when dropped, with one before and one behind that can't be read where the system is Linux.
struct Pages {
    usable: *mut u8,
    bytes: usize,
    #[cfg(not(target_os = "linux"))]
    _owner: Vec<Bf16>,
}

#[cfg(target_os = "linux")]
impl Pages {
    const PAGE: usize = 4096;

    fn of(bytes: usize) -> Self {
        let bytes = bytes.next_multiple_of(Self::PAGE);
        let all = bytes + 2 * Self::PAGE;
        // SAFETY: new memory, of which the inner pages are made usable.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let start = libc::mmap(std::ptr::null_mut(), all, libc::PROT_NONE, flags, -1, 0);
            assert!(start != libc::MAP_FAILED, "no memory");
            let usable = start.cast::<u8>().add(Self::PAGE);
            let may = libc::PROT_READ | libc::PROT_WRITE;
            assert_eq!(libc::mprotect(usable.cast(), bytes, may), 0, "pages of another size");
            Self { usable, bytes }
        }
    }
}

#[cfg(target_os = "linux")]
impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: this memory was mapped whole, and nobody has it any more.
        unsafe {
            libc::munmap(self.usable.sub(Self::PAGE).cast(), self.bytes + 2 * Self::PAGE);
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Pages {
    fn of(bytes: usize) -> Self {
        let mut owner = vec![Bf16::default(); bytes.div_ceil(2)];
        Self { usable: owner.as_mut_ptr().cast(), bytes, _owner: owner }
    }
}

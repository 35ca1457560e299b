//! How much memory there is, and how many images may be at work in it.

use sysinfo::System;

/// What there is to be for each image that is no slide. On 3000x2000 the network takes 0.17 GB with VGG-19, 0.05 with `ResNet-18`,
/// and the pictures 0.1; the rest is for images that are scaled up, and for what is not free after all.
const FIELD_BYTES: u64 = 1 << 30;

/// How many images that are no slides may be at work at the same time: one on each thread, as far as there is memory.
pub(crate) fn images_at_once() -> usize {
    fitting(available_memory(), rayon::current_num_threads())
}

fn fitting(bytes: u64, threads: usize) -> usize {
    usize::try_from(bytes / FIELD_BYTES).unwrap_or(usize::MAX).clamp(1, threads)
}

/// Bytes that the system, or the control group that this program was put into, can still give.
fn available_memory() -> u64 {
    let mut system = System::new();
    system.refresh_memory();
    // What a group has of files in memory is given up where it is needed.
    let in_group = system.cgroup_limits().map(|group| group.total_memory.saturating_sub(group.rss));
    system.available_memory().min(in_group.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_has_a_thread_and_its_memory_but_one_is_always_at_work() {
        assert_eq!([0, 1, 5, 1000].map(|gigabytes| fitting(gigabytes << 30, 4)), [1, 1, 4, 4]);
        assert_eq!(fitting(5 << 29, 16), 2);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn there_is_memory_and_no_more_than_the_system_has() {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
        let total = 1024 * line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap();
        let available = available_memory();
        assert!(available > 0 && available < total, "{available} of {total} bytes");
    }
}

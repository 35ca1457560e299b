//! Training: losses, schedules, the loop, checkpoints, run folders.

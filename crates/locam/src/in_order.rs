//! Work on many things on several threads, with results in the order of the things.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};

/// How much of the room for work at the same time something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// One of the places.
    Place,
    /// All of them: nothing else is at work beside it.
    Whole,
}

/// Does the work on all `items`, of which `places` are at work at the same time at most, and hands the results on in the
/// order of the items, on the calling thread. Work begins in that order, too.
///
/// # Errors
/// Of those items whose work failed the first one's error: after a failure no work is begun, and results are handed on up to
/// that item. What `take` answers ends everything in the same way.
pub(crate) fn in_order<R: Send, E: Send>(
    items: usize,
    places: usize,
    share: impl Fn(usize) -> Share + Sync,
    work: impl Fn(usize) -> Result<R, E> + Sync,
    mut take: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<(), E> {
    let line = Line::new(items, places);
    std::thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for _ in 0..places.min(items) {
            let sender = sender.clone();
            scope.spawn(|| {
                // Moved here, so that the channel ends with the last of the threads.
                let sender = sender;
                while let Some(turn) = line.next(&share) {
                    let result = work(turn.item);
                    if result.is_err() {
                        line.close();
                    }
                    if sender.send((turn.item, result)).is_err() {
                        line.close();
                    }
                }
            });
        }
        drop(sender);
        let (mut waiting, mut next) = (BTreeMap::new(), 0);
        let mut hand_on = |item: usize, result: Result<R, E>| -> Result<(), E> {
            waiting.insert(item, result);
            while let Some(result) = waiting.remove(&next) {
                take(next, result?)?;
                next += 1;
            }
            Ok(())
        };
        let handed_on = results.into_iter().try_for_each(|(item, result)| hand_on(item, result));
        line.close();
        handed_on
    })
}

/// What waits for its turn.
struct Line {
    /// Locked by the first that waits for room, so that nothing overtakes it.
    items: Mutex<Range<usize>>,
    places: usize,
    room: Mutex<Room>,
    changed: Condvar,
}

struct Room {
    free: usize,
    is_closed: bool,
}

/// The work on an item, which takes its share of the room until it is dropped.
struct Turn<'a> {
    line: &'a Line,
    item: usize,
    places: usize,
}

impl Line {
    fn new(items: usize, places: usize) -> Self {
        let room = Mutex::new(Room { free: places, is_closed: false });
        Self { items: Mutex::new(0..items), places, room, changed: Condvar::new() }
    }

    /// Waits until there is room for the next item; none where all have begun or the line was closed.
    fn next(&self, share: impl Fn(usize) -> Share) -> Option<Turn<'_>> {
        let mut items = locked(&self.items);
        let item = items.next()?;
        let places = match share(item) {
            Share::Place => 1,
            Share::Whole => self.places,
        };
        let waits = |room: &mut Room| !room.is_closed && room.free < places;
        let room = self.changed.wait_while(locked(&self.room), waits);
        let mut room = room.unwrap_or_else(PoisonError::into_inner);
        if room.is_closed {
            return None;
        }
        room.free -= places;
        Some(Turn { line: self, item, places })
    }

    /// Lets nothing begin any more.
    fn close(&self) {
        locked(&self.room).is_closed = true;
        self.changed.notify_all();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut room = locked(&self.line.room);
        room.free += self.places;
        // Without this item's result none behind it would be handed on.
        room.is_closed |= std::thread::panicking();
        self.line.changed.notify_all();
    }
}

/// What lies behind these locks is whole wherever a thread may have panicked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    /// Items of even numbers take longer, so that later ones are done first.
    fn dawdle(item: usize) {
        std::thread::sleep(Duration::from_millis(if item.is_multiple_of(2) { 4 } else { 1 }));
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for places in 1..5 {
            for items in [0, 1, 3, 40] {
                let mut taken = Vec::new();
                let work = |item| {
                    dawdle(item);
                    Ok::<_, ()>(item * 10)
                };
                let take = |item, result| {
                    taken.push((item, result));
                    Ok(())
                };
                in_order(items, places, |_| Share::Place, work, take).unwrap();
                let expected: Vec<_> = (0..items).map(|item| (item, item * 10)).collect();
                assert_eq!(taken, expected, "{places} places");
            }
        }
    }

    #[test]
    fn as_many_are_at_work_as_there_are_places_and_the_large_ones_are_alone() {
        let (at_work, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let is_large = |item: usize| item % 7 == 3;
        let work = |item| {
            let beside = at_work.fetch_add(1, Ordering::SeqCst);
            most.fetch_max(beside + 1, Ordering::SeqCst);
            dawdle(item);
            let left = at_work.fetch_sub(1, Ordering::SeqCst) - 1;
            if is_large(item) && beside + left > 0 { Err(item) } else { Ok(()) }
        };
        let share = |item| if is_large(item) { Share::Whole } else { Share::Place };
        in_order(40, 3, share, work, |_, ()| Ok(())).unwrap();
        assert_eq!(most.into_inner(), 3);
    }

    #[test]
    fn the_first_failure_in_order_ends_the_work() {
        for places in 1..5 {
            let (begun, mut taken) = (AtomicUsize::new(0), Vec::new());
            let work = |item| {
                begun.fetch_add(1, Ordering::SeqCst);
                dawdle(item);
                if [6, 7, 8].contains(&item) { Err(item) } else { Ok(item) }
            };
            let take = |_, item| {
                taken.push(item);
                Ok(())
            };
            assert_eq!(in_order(1000, places, |_| Share::Place, work, take), Err(6), "{places} places");
            assert_eq!(taken, [0, 1, 2, 3, 4, 5]);
            assert!(begun.into_inner() <= 8 + places);
        }
    }

    #[test]
    fn nothing_begins_after_a_failure_that_large_work_has_waited_for() {
        let share = |item| if item == 1 { Share::Whole } else { Share::Place };
        let work = |item| {
            assert_ne!(item, 1, "the large one has begun");
            dawdle(item);
            Err::<(), _>(item)
        };
        assert_eq!(in_order(3, 2, share, work, |_, ()| Ok(())), Err(0));
    }

    #[test]
    fn whoever_takes_the_results_may_end_the_work() {
        let begun = AtomicUsize::new(0);
        let work = |item| {
            begun.fetch_add(1, Ordering::SeqCst);
            dawdle(item);
            Ok(item)
        };
        let take = |_, item| if item == 2 { Err("full") } else { Ok(()) };
        assert_eq!(in_order(1000, 2, |_| Share::Place, work, take), Err("full"));
        assert!(begun.into_inner() < 100);
    }
}

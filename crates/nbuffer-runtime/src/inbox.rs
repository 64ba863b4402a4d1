//! A source that is fed from outside: a camera's frames, a server's requests.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use nbuffer_core::schedule::{ConfigError, Inbox, InboxTotals, Offered, Overload};

/// Makes a bounded source: what is [offered](Entrance::offer) at one end, from any thread, comes out of the other, which
/// is the iterator a [`Pipeline`](crate::Pipeline) takes.
///
/// Nothing is lost in between. An item that makes room for another one is given back to whoever offered that one;
/// every other item ends as the pipeline's items do.
///
/// ```
/// use nbuffer_runtime::{BufferedMap, inbox};
/// use nbuffer_core::schedule::{Offered, Overload};
///
/// let (frames, items) = inbox(4, Overload::Wait)?;
/// let camera = std::thread::spawn(move || {
///     for frame in 0..100 {
///         assert_eq!(frames.offer(frame), Offered::Entered);
///     }
/// });
/// let seen: Vec<u32> = items.buffered_map(2, |frame| frame * 10).map(Result::unwrap).collect();
/// assert_eq!(seen, (0..100).map(|frame| frame * 10).collect::<Vec<_>>());
/// # camera.join().unwrap();
/// # Ok::<(), nbuffer_core::schedule::ConfigError>(())
/// ```
///
/// # Errors
///
/// Places that are 0 or beyond [`LIMIT`](nbuffer_core::schedule::LIMIT).
pub fn inbox<T>(places: usize, overload: Overload) -> Result<(Entrance<T>, Arrivals<T>), ConfigError> {
    let shared = Arc::new(Shared {
        state: Mutex::new(State { inbox: Inbox::new(places, overload)?, entrances: 1 }),
        came: Condvar::new(),
        went: Condvar::new(),
    });
    Ok((Entrance(Arc::clone(&shared)), Arrivals(shared)))
}

struct State<T> {
    inbox: Inbox<T>,
    entrances: usize,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    /// An item came, or no more will.
    came: Condvar,
    /// An item was taken, or no more will be.
    went: Condvar,
}

const BUG: &str = "nothing panics while it holds this lock";

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect(BUG)
    }

    fn close(&self) {
        self.lock().inbox.close();
        self.came.notify_all();
        self.went.notify_all();
    }
}

/// Where items are offered. It may be cloned; when the last clone is gone, the stream ends.
pub struct Entrance<T>(Arc<Shared<T>>);

impl<T> Entrance<T> {
    /// Offers an item. Under [`Overload::Wait`] it waits for room, so that it never gives [`Offered::Full`].
    pub fn offer(&self, item: T) -> Offered<T> {
        self.offer_until(item, None)
    }

    /// Offers an item, and waits for room no longer than this: then it is given back as [`Offered::Full`].
    pub fn offer_within(&self, item: T, timeout: Duration) -> Offered<T> {
        self.offer_until(item, Some(Instant::now() + timeout))
    }

    fn offer_until(&self, mut item: T, deadline: Option<Instant>) -> Offered<T> {
        let mut state = self.0.lock();
        loop {
            match state.inbox.offer(item) {
                Offered::Full(full) => item = full,
                offered => {
                    drop(state);
                    self.0.came.notify_one();
                    return offered;
                }
            }
            state = match deadline {
                None => self.0.went.wait(state).expect(BUG),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Offered::Full(item);
                    }
                    self.0.went.wait_timeout(state, left).expect(BUG).0
                }
            };
        }
    }

    /// Ends the stream: no more items come in, those that wait are still taken.
    pub fn close(&self) {
        self.0.close();
    }

    /// Items by what became of them so far.
    pub fn totals(&self) -> InboxTotals {
        self.0.lock().inbox.totals()
    }
}

impl<T> Clone for Entrance<T> {
    fn clone(&self) -> Self {
        self.0.lock().entrances += 1;
        Entrance(Arc::clone(&self.0))
    }
}

impl<T> Drop for Entrance<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.entrances -= 1;
        let is_last = state.entrances == 0;
        drop(state);
        if is_last {
            self.0.close();
        }
    }
}

impl<T> std::fmt::Debug for Entrance<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Entrance").field(&self.totals()).finish()
    }
}

/// Items in the order they came. When it is dropped no more are taken, and whoever offers one gets it back.
pub struct Arrivals<T>(Arc<Shared<T>>);

impl<T> Arrivals<T> {
    /// Waits for an item, and takes up to `most` of those that are there by then; none at the end of the stream. For
    /// models that compute several items in a call: what is there goes, nothing is held back for a full call.
    pub fn next_up_to(&mut self, most: usize) -> Vec<T> {
        let mut state = self.0.lock();
        let first = loop {
            match state.inbox.take() {
                Some(item) => break item,
                None if state.inbox.is_closed() => return Vec::new(),
                None => state = self.0.came.wait(state).expect(BUG),
            }
        };
        let mut items = vec![first];
        while items.len() < most
            && let Some(item) = state.inbox.take()
        {
            items.push(item);
        }
        drop(state);
        self.0.went.notify_all();
        items
    }
}

impl<T> Iterator for Arrivals<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.next_up_to(1).pop()
    }
}

impl<T> Drop for Arrivals<T> {
    fn drop(&mut self) {
        // Dropped without the lock: an item's destructor may do anything.
        let left = self.0.lock().inbox.abandon();
        self.0.went.notify_all();
        drop(left);
    }
}

impl<T> std::fmt::Debug for Arrivals<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Arrivals").field(&self.0.lock().inbox.totals()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BufferedMap;
    use std::sync::mpsc;

    #[test]
    fn offers_wait_for_room_and_everything_arrives_once() {
        let (entrance, arrivals) = inbox(2, Overload::Wait).unwrap();
        let offering: Vec<_> = (0..4)
            .map(|thread| {
                let entrance = entrance.clone();
                std::thread::spawn(move || {
                    for item in 0..250_u64 {
                        assert_eq!(entrance.offer(thread * 1000 + item), Offered::Entered);
                    }
                })
            })
            .collect();
        drop(entrance);
        let mut seen: Vec<u64> = arrivals.buffered_map(2, |item| item).map(Result::unwrap).collect();
        offering.into_iter().for_each(|thread| thread.join().unwrap());
        seen.sort_unstable();
        assert_eq!(seen, (0..4).flat_map(|t| (0..250).map(move |i| t * 1000 + i)).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_dropped_is_given_back_and_nothing_is_lost() {
        for overload in [Overload::DropOldest, Overload::DropNewest] {
            let (entrance, arrivals) = inbox(3, overload).unwrap();
            let (go, gate) = mpsc::channel::<()>();
            // The first item holds the only thread until all have been offered.
            let gate = Mutex::new(gate);
            let results = arrivals.buffered_map(1, move |item: u64| {
                if item == 0 {
                    gate.lock().unwrap().recv().unwrap();
                }
                item
            });
            let mut dropped = Vec::new();
            for item in 0..1000 {
                match entrance.offer(item) {
                    Offered::Entered => {}
                    Offered::Dropped(item) => dropped.push(item),
                    other => panic!("{other:?}"),
                }
                // So that item 0 is under way, and never the one that is dropped.
                while item == 0 && entrance.totals().taken == 0 {
                    std::thread::yield_now();
                }
            }
            go.send(()).unwrap();
            entrance.close();
            let done: Vec<u64> = results.map(Result::unwrap).collect();
            assert!(dropped.len() > 900, "{overload:?}: {} dropped", dropped.len());
            assert!(done.is_sorted() && dropped.is_sorted(), "{overload:?}");
            match overload {
                Overload::DropOldest => assert!(done.ends_with(&[997, 998, 999]), "{done:?}"),
                _ => assert_eq!(dropped.last(), Some(&999)),
            }
            let mut all = [done, dropped].concat();
            all.sort_unstable();
            assert_eq!(all, (0..1000).collect::<Vec<_>>(), "{overload:?}");
            let totals = entrance.totals();
            assert_eq!((totals.offered, totals.waiting), (1000, 0));
        }
    }

    #[test]
    fn an_offer_that_waits_ends_when_nobody_takes_any_more() {
        let (entrance, arrivals) = inbox(1, Overload::Wait).unwrap();
        assert_eq!(entrance.offer(0), Offered::Entered);
        assert_eq!(entrance.offer_within(1, Duration::from_millis(5)), Offered::Full(1));
        let waiting = std::thread::spawn(move || entrance.offer(1));
        drop(arrivals);
        assert_eq!(waiting.join().unwrap(), Offered::Closed(1));
    }

    #[test]
    fn several_are_taken_at_once_without_waiting_for_more() {
        let (entrance, mut arrivals) = inbox(8, Overload::Wait).unwrap();
        for item in 0..5 {
            assert_eq!(entrance.offer(item), Offered::Entered);
        }
        assert_eq!(arrivals.next_up_to(4), [0, 1, 2, 3]);
        assert_eq!(arrivals.next_up_to(4), [4]);
        drop(entrance);
        assert_eq!(arrivals.next_up_to(4), [0_i32; 0]);
    }
}

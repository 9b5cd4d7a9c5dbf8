//! Laggards: readers of a body in transit that fall behind the others, and what becomes of them.
//!
//! The others wait for it when it is behind by a window, but only as long as it takes to ask the origin
//! for the rest of the body, for that reader alone; then it parts from them. Where the rest can't be had
//! they go at the pace of the slowest that moves. One that takes nothing at all is cut off in time.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::timeout;
use tracing::debug;

use super::growing::{Growing, wake};
use super::pour::Unwanted;
use crate::body::Body;

/// Who asks the origin for the rest of a body that is not kept, for a reader that others would have to
/// wait for.
pub trait Resume: Send + Sync {
    /// Has the rest brought by a task of its own, or drops the permit: then the reader stays with the
    /// others.
    fn resume(&self, remainder: Remainder);
}

/// The permit to bring one reader the rest of its body.
pub struct Remainder {
    growing: Arc<Growing>,
    reader: usize,
    from: u64,
    counts: Arc<LaggardCounts>,
}

/// What becomes of those that fall behind, should a body turn out too large to keep.
#[derive(Default)]
pub struct Laggards {
    /// How long one may take nothing while the others wait for it; then it is cut off.
    pub patience: Duration,
    /// Who is asked for the rest on behalf of one that moves.
    pub resume: Option<Box<dyn Resume>>,
}

/// Readers that fell behind, by what became of them.
#[derive(Debug, Default)]
pub(super) struct LaggardCounts {
    pub(super) parted: AtomicU64,
    pub(super) cut: AtomicU64,
}

// === impl Laggards ===

impl Laggards {
    /// Waits until the readers want more and are near enough to each other.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub(super) async fn wants_more(
        &self,
        growing: &Arc<Growing>,
        counts: &Arc<LaggardCounts>,
    ) -> Result<(), Unwanted> {
        growing.trim();
        loop {
            Result::from(poll_fn(|cx| growing.poll_demand(cx)).await)?;
            if !growing.held().note_laggards() {
                return Ok(());
            }
            self.part(growing, counts);
            let together = poll_fn(|cx| growing.poll_together(cx));
            if timeout(self.patience, together).await.is_err() {
                let cut = growing.cut_stopped();
                debug!(cut, "readers took nothing while others waited for them");
                counts.cut.fetch_add(cut, Ordering::Relaxed);
            }
        }
    }

    /// Asks for the rest on behalf of those who fall behind.
    fn part(&self, growing: &Arc<Growing>, counts: &Arc<LaggardCounts>) {
        let Some(resume) = &self.resume else {
            return;
        };
        let parting = growing.held().part();
        for (reader, from) in parting {
            debug!(from, "a reader falls behind, and the rest is asked for");
            resume.resume(Remainder {
                growing: Arc::clone(growing),
                reader,
                from,
                counts: Arc::clone(counts),
            });
        }
    }
}

// === impl Remainder ===

impl Remainder {
    /// The first byte that is wanted.
    pub fn from(&self) -> u64 {
        self.from
    }

    /// The bytes from there on, up to the end of the whole, which has `complete` of them. A body that
    /// ends before is a cut for its reader.
    pub fn bring(self, rest: Body, complete: u64) {
        let place = (self.reader, self.from);
        let brought = self.growing.held().bring(place, rest, complete);
        if let Ok(wakers) = brought {
            self.counts.parted.fetch_add(1, Ordering::Relaxed);
            wake(wakers.into_iter().flatten());
        }
    }

    /// The origin does not have these bytes, or not in parts: nobody need ask again.
    pub fn refuse(self) {
        self.growing.held().refused = true;
    }
}

impl Drop for Remainder {
    fn drop(&mut self) {
        self.growing.held().keep_together(self.reader, self.from);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use bytes::Bytes;
    use http_body_util::BodyExt;
    use parking_lot::Mutex;
    use tokio::task::{JoinHandle, yield_now};
    use tokio::time::{Instant, sleep};

    use super::super::budget::Budget;
    use super::super::held::WINDOW_BYTES;
    use super::super::reader::Reader;
    use super::*;
    use crate::body::Error;

    const PATIENCE: Duration = Duration::from_secs(30);
    const PIECE_BYTES: usize = 64 << 10;
    const PIECES: usize = 100;

    /// Keeps permits for the test.
    #[derive(Clone, Default)]
    struct Asked(Arc<Mutex<Vec<Remainder>>>);

    impl Resume for Asked {
        fn resume(&self, remainder: Remainder) {
            self.0.lock().push(remainder);
        }
    }

    /// No two pieces are alike.
    fn body() -> Vec<u8> {
        let piece = |number: usize| [number as u8 + 1; PIECE_BYTES];
        (0..PIECES).flat_map(piece).collect()
    }

    fn growing() -> Arc<Growing> {
        let growing = Growing::new(None, Budget::new(u64::MAX).take(0).unwrap());
        growing.go_into_transit();
        growing
    }

    fn laggards(resume: Option<Asked>) -> Laggards {
        Laggards {
            patience: PATIENCE,
            resume: resume.map(|it| Box::new(it) as Box<dyn Resume>),
        }
    }

    /// Writes the whole body, as fast as its readers let it; how long that took.
    fn write(growing: &Arc<Growing>, resume: Option<Asked>) -> JoinHandle<Duration> {
        let growing = Arc::clone(growing);
        let laggards = laggards(resume);
        let counts = Arc::default();
        tokio::spawn(async move {
            let began = Instant::now();
            for piece in body().chunks(PIECE_BYTES) {
                growing.push(piece);
                let kept = growing.held().kept();
                assert!(kept <= WINDOW_BYTES + PIECE_BYTES as u64, "{kept} are kept");
                laggards.wants_more(&growing, &counts).await.unwrap();
            }
            growing.finish();
            began.elapsed()
        })
    }

    /// Reads to the end, with a pause after each piece.
    fn read(mut reader: Reader, pause: Duration) -> JoinHandle<Result<Vec<u8>, Error>> {
        tokio::spawn(async move {
            let mut read = Vec::new();
            while let Some(frame) = reader.frame().await {
                read.extend_from_slice(&frame?.into_data().unwrap_or_default());
                sleep(pause).await;
            }
            Ok(read)
        })
    }

    /// A patience of ten seconds in all would have ended this.
    #[tokio::test(start_paused = true)]
    async fn who_moves_is_waited_for_however_long_it_takes() {
        let growing = growing();
        let slow = read(Reader::new(&growing), Duration::from_secs(20));
        let fast = read(Reader::new(&growing), Duration::ZERO);
        assert!(write(&growing, None).await.unwrap() > 40 * PATIENCE);
        assert!(fast.await.unwrap().unwrap() == body());
        assert!(slow.await.unwrap().unwrap() == body());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_cut_when_patience_ends() {
        let growing = growing();
        let mut stopped = Reader::new(&growing);
        let slow = read(Reader::new(&growing), Duration::from_secs(2));
        let fast = read(Reader::new(&growing), Duration::ZERO);
        let took = write(&growing, None).await.unwrap();
        assert!(took >= PATIENCE && took < 8 * PATIENCE, "{took:?}");
        assert!(fast.await.unwrap().unwrap() == body());
        assert!(slow.await.unwrap().unwrap() == body());
        assert!(matches!(stopped.frame().await, Some(Err(Error::Lagged))));
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_alone_is_waited_for_without_end() {
        let growing = growing();
        let alone = read(Reader::new(&growing), 10 * PATIENCE);
        write(&growing, None).await.unwrap();
        assert!(alone.await.unwrap().unwrap() == body());
    }

    /// One that moves while it is asked for gets no byte twice and misses none.
    #[tokio::test(start_paused = true)]
    async fn who_parts_reads_on_where_it_stands() {
        let (growing, asked) = (growing(), Asked::default());
        let slow = read(Reader::new(&growing), Duration::from_secs(20));
        let fast = read(Reader::new(&growing), Duration::ZERO);
        let writer = write(&growing, Some(asked.clone()));
        sleep(Duration::from_secs(90)).await;
        let remainder = asked.0.lock().pop().unwrap();
        let from = remainder.from() as usize;
        assert!(!writer.is_finished(), "nobody has parted yet");
        let rest = Bytes::from(body()).slice(from..);
        remainder.bring(Body::full(rest), body().len() as u64);
        let took = writer.await.unwrap();
        assert!(took < Duration::from_secs(91), "{took:?}");
        assert!(fast.await.unwrap().unwrap() == body());
        assert!(slow.await.unwrap().unwrap() == body());
        assert!(asked.0.lock().is_empty(), "nobody else is asked for");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_that_ends_early_is_a_cut() {
        let (growing, asked) = (growing(), Asked::default());
        let slow = read(Reader::new(&growing), Duration::from_secs(20));
        let fast = read(Reader::new(&growing), Duration::ZERO);
        let writer = write(&growing, Some(asked.clone()));
        sleep(Duration::from_secs(1)).await;
        let remainder = asked.0.lock().pop().unwrap();
        let from = remainder.from() as usize;
        let short = Bytes::from(body()).slice(from..from + 1000);
        remainder.bring(Body::full(short), body().len() as u64);
        writer.await.unwrap();
        assert!(fast.await.unwrap().unwrap() == body());
        assert!(matches!(slow.await.unwrap(), Err(Error::Truncated)));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_asks_again_for_what_was_refused() {
        for refuses in [true, false] {
            let (growing, asked) = (growing(), Asked::default());
            let readers = [1, 2].map(|secs| read(Reader::new(&growing), Duration::from_secs(secs)));
            let fast = read(Reader::new(&growing), Duration::ZERO);
            let writer = write(&growing, Some(asked.clone()));
            let mut times = 0;
            while !writer.is_finished() {
                for remainder in std::mem::take(&mut *asked.0.lock()) {
                    times += 1;
                    match refuses {
                        true => remainder.refuse(),
                        false => drop(remainder),
                    }
                }
                sleep(Duration::from_millis(100)).await;
            }
            assert!(times <= 2, "{times}");
            for reader in readers.into_iter().chain([fast]) {
                assert!(reader.await.unwrap().unwrap() == body(), "{refuses}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_have_parted_or_gone_nobody_wants_more() {
        let (growing, asked) = (growing(), Asked::default());
        let slow = Reader::new(&growing);
        let mut fast = Reader::new(&growing);
        let (laggards, counts) = (laggards(Some(asked.clone())), Arc::default());
        growing.push(&vec![1; WINDOW_BYTES as usize + 1]);
        while fast
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap()
            .len()
            > 1
        {}
        let waits = tokio::spawn({
            let growing = Arc::clone(&growing);
            async move { laggards.wants_more(&growing, &counts).await }
        });
        yield_now().await;
        let remainder = asked.0.lock().pop().unwrap();
        remainder.bring(Body::full(Bytes::from(vec![1; 2_000_000])), 2_000_000);
        assert_eq!(waits.await.unwrap(), Ok(()));
        drop(fast);
        let deserted = poll_fn(|cx| Poll::Ready(growing.poll_deserted(cx))).await;
        assert!(deserted.is_ready());
        drop(slow);
    }
}

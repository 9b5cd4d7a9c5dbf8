//! Sample of recent requests for whoever watches: taken while somebody does, bounded, and waited for by
//! nobody.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Method, Uri};
use parking_lot::Mutex;

use super::record::{Asked, Outcome, Record};

/// So many requests are taken after a look, and so many are kept. A watcher that looks once a second
/// costs these and no more, however many there are; one that has gone costs nothing.
const SAMPLE_MAX: usize = 500;
/// Of a URL that is longer, so many bytes are kept.
const URL_BYTES_MAX: usize = 512;

/// A finished request, as a watcher sees it. Its texts are its own: none keeps a connection's buffer.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its number among those that were taken, from 1.
    pub number: u64,
    /// As [`Record::received`].
    pub received: SystemTime,
    /// As [`Record::client`].
    pub client: IpAddr,
    /// Request method.
    pub method: Method,
    /// By the request's own words, without regard to what a proxy before us told; cut off where it is long.
    pub url: String,
    /// As [`Record::status`].
    pub status: u16,
    /// As [`Record::outcome`].
    pub outcome: Outcome,
    /// As [`Record::detail`].
    pub detail: Option<&'static str>,
    /// As [`Record::duration`].
    pub duration: Duration,
    /// As [`Record::body_bytes`].
    pub body_bytes: u64,
    /// The server that was asked last.
    pub server: Option<Arc<str>>,
}

/// The sample.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Whether more requests are taken: all that requests ask while nobody watches.
    is_wanted: AtomicBool,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    seen: VecDeque<Arc<Seen>>,
    taken: u64,
    /// How many more before the next look.
    left: usize,
}

// === impl Recent ===

impl Recent {
    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Relaxed)
    }

    /// Takes a request, unless another thread is at it.
    pub(super) fn take(&self, record: &Record) {
        let Some(asked) = &record.asked else { return };
        let Some(mut ring) = self.ring.try_lock() else {
            return;
        };
        if ring.left > 0 {
            ring.left -= 1;
            ring.push(record, asked);
        }
        if ring.left == 0 {
            self.is_wanted.store(false, Relaxed);
        }
    }

    /// Those after the one of this number, oldest first; and has more of them taken.
    pub(super) fn look(&self, after: u64) -> Vec<Arc<Seen>> {
        let mut ring = self.ring.lock();
        ring.left = SAMPLE_MAX;
        self.is_wanted.store(true, Relaxed);
        let later = ring.seen.iter().filter(|it| it.number > after);
        later.cloned().collect()
    }
}

// === impl Ring ===

impl Ring {
    fn push(&mut self, record: &Record, asked: &Asked) {
        if self.seen.len() == SAMPLE_MAX {
            self.seen.pop_front();
        }
        self.taken += 1;
        self.seen.push_back(Arc::new(Seen {
            number: self.taken,
            received: record.received,
            client: record.client,
            method: asked.method.clone(),
            url: url(asked),
            status: record.status,
            outcome: record.outcome,
            detail: record.detail,
            duration: record.duration,
            body_bytes: record.body_bytes,
            server: record.fetched.as_ref().and_then(|it| it.server.clone()),
        }));
    }
}

fn url(asked: &Asked) -> String {
    let scheme = if asked.tls.is_some() { "https" } else { "http" };
    let host = asked.host.as_ref().map(HeaderValue::as_bytes);
    let host = String::from_utf8_lossy(host.unwrap_or_default());
    let path = asked.target.path_and_query().map_or("", |it| it.as_str());
    let mut url = match asked.target.scheme() {
        Some(_) => Uri::to_string(&asked.target),
        None => format!("{scheme}://{host}{path}"),
    };
    if url.len() > URL_BYTES_MAX {
        url.truncate(url.floor_char_boundary(URL_BYTES_MAX));
        url.push('…');
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(target: &str) -> Record {
        let request = http::Request::builder()
            .uri(target)
            .header("host", "a.test");
        let (head, ()) = request.body(()).unwrap().into_parts();
        Record {
            asked: Some(Box::new(Asked::of(&head))),
            ..Record::new(IpAddr::from([192, 0, 2, 1]), SystemTime::UNIX_EPOCH)
        }
    }

    fn urls(seen: &[Arc<Seen>]) -> Vec<&str> {
        seen.iter().map(|it| &*it.url).collect()
    }

    #[test]
    fn requests_are_taken_after_a_look_and_each_is_shown_once() {
        let recent = Recent::default();
        recent.take(&record("/before"));
        assert!(recent.look(0).is_empty());
        recent.take(&record("/a?b"));
        recent.take(&record("http://b.test/c"));
        let first = recent.look(0);
        assert_eq!(urls(&first), ["http://a.test/a?b", "http://b.test/c"]);
        recent.take(&record("/d"));
        assert_eq!(urls(&recent.look(2)), ["http://a.test/d"]);
    }

    #[test]
    fn a_look_is_good_for_so_many_requests_and_no_more() {
        let recent = Recent::default();
        recent.look(0);
        for _ in 0..2 * SAMPLE_MAX {
            recent.take(&record("/"));
        }
        assert!(!recent.is_wanted());
        let seen = recent.look(0);
        assert_eq!(seen.len(), SAMPLE_MAX);
        assert!(recent.is_wanted());
        // The next one takes the oldest one's place.
        recent.take(&record("/"));
        let numbers = recent.look(0);
        assert_eq!(numbers.len(), SAMPLE_MAX);
        assert_eq!(numbers[0].number, 2);
    }

    #[test]
    fn a_long_url_is_cut_off() {
        let recent = Recent::default();
        recent.look(0);
        recent.take(&record(&format!("/{}", "a".repeat(5000))));
        let url = &recent.look(0)[0].url;
        assert!(
            url.ends_with("a…") && url.len() < URL_BYTES_MAX + 4,
            "{url}"
        );
    }
}

//! Meter of a body's bytes, which reports once, at the body's end or abort.
//!
//! The meter decides nothing: it only tells how much went out and whether it was all.

use bytes::Bytes;
use http_body::Frame;

use super::Error;

/// What went through a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Bytes handed to whoever reads the body.
    pub bytes: u64,
    /// Whether the body came to its end; false when it failed or was dropped on the way.
    pub complete: bool,
}

/// A counter that reports once.
pub struct Meter {
    bytes: u64,
    report: Option<Box<dyn FnOnce(Tally) + Send>>,
}

// === impl Meter ===

impl Meter {
    /// A meter that calls `report` when the body has ended, failed or been dropped.
    pub fn new(report: impl FnOnce(Tally) + Send + 'static) -> Self {
        Self {
            bytes: 0,
            report: Some(Box::new(report)),
        }
    }

    pub(super) fn note(&mut self, frame: &Option<Result<Frame<Bytes>, Error>>, at_end: bool) {
        match frame {
            Some(Ok(frame)) => {
                self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if at_end {
                    self.end(true);
                }
            }
            Some(Err(_)) => self.end(false),
            None => self.end(true),
        }
    }

    pub(super) fn end(&mut self, complete: bool) {
        if let Some(report) = self.report.take() {
            report(Tally {
                bytes: self.bytes,
                complete,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use http_body_util::BodyExt;

    use super::*;
    use crate::body::Body;

    fn metered(body: Body) -> (Body, mpsc::Receiver<Tally>) {
        let (sender, receiver) = mpsc::channel();
        (
            body.metered(Meter::new(move |tally| sender.send(tally).unwrap())),
            receiver,
        )
    }

    fn two_pieces() -> Body {
        Body::pieces([Bytes::from("ab"), Bytes::from("cde")].into())
    }

    #[tokio::test]
    async fn reports_the_whole_once() {
        let (body, tally) = metered(two_pieces());
        body.collect().await.unwrap();
        assert_eq!(
            tally.recv(),
            Ok(Tally {
                bytes: 5,
                complete: true
            })
        );
        assert!(tally.recv().is_err());
    }

    #[tokio::test]
    async fn a_body_dropped_on_the_way_is_incomplete() {
        let (mut body, tally) = metered(two_pieces());
        body.frame().await.unwrap().unwrap();
        drop(body);
        assert_eq!(
            tally.recv(),
            Ok(Tally {
                bytes: 2,
                complete: false
            })
        );
    }

    #[test]
    fn an_empty_body_never_read_is_complete() {
        let (body, tally) = metered(Body::empty());
        drop(body);
        assert_eq!(
            tally.recv(),
            Ok(Tally {
                bytes: 0,
                complete: true
            })
        );
    }
}

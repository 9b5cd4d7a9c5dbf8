//! Step Query: a QUERY's content is part of what is asked (RFC 10008), so the key has to hold it before
//! anything can be looked up.
//!
//! Comes from Receive. Goes to Lookup, with the content in the request's facet; to Pass when there
//! is more of it than is held for this; to Synth when it breaks off.

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;

use super::lookup::Lookup;
use super::pass::Pass;
use super::synth::Synth;
use crate::body::{Body, Error};
use crate::pipeline::flow::Step;
use crate::pipeline::reasons::Bypass;
use crate::pipeline::wanted::Wanted;

/// A question that may have been answered before.
pub(in crate::pipeline) struct Query {
    pub(in crate::pipeline) wanted: Wanted,
}

/// What was read of a content.
enum Read {
    Whole(Bytes),
    /// There is more than that.
    Part(Body),
}

// === impl Query ===

impl Query {
    pub(in crate::pipeline) async fn run(self) -> Step {
        let mut wanted = self.wanted;
        let body = std::mem::take(&mut wanted.exchange.body);
        // Held in memory until it is known whole, so it is counted like what arrives to be stored.
        let bytes_max = wanted.caching().query_content_bytes_max;
        let room = wanted.store().reserve(bytes_max as u64);
        let read = match room {
            Some(_) => read(body, bytes_max).await,
            None => Ok(Read::Part(body)),
        };
        let content = match read {
            Ok(Read::Whole(content)) => content,
            Ok(Read::Part(body)) => {
                wanted.exchange.body = body;
                return Step::Pass(Pass {
                    wanted,
                    why: Bypass::RequestBody,
                    stored: None,
                });
            }
            Err(error) => return Step::Synth(Synth::upload_failed(wanted.exchange, &error)),
        };
        wanted.reduce();
        let fields = &wanted.exchange.request.headers;
        wanted.facet = wanted.facet.with_content(fields, &content);
        wanted.exchange.body = Body::full(content);
        wanted.exchange.upload = None;
        Step::Lookup(Lookup { wanted, waited: 0 })
    }
}

/// Reads a body of up to `bytes_max`.
async fn read(mut body: Body, bytes_max: usize) -> Result<Read, Error> {
    let too_long = |bytes: u64| usize::try_from(bytes).is_ok_and(|it| it > bytes_max);
    if too_long(body.size_hint().lower()) {
        return Ok(Read::Part(body));
    }
    let mut content = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers never get here.
        let Ok(piece) = frame?.into_data() else {
            continue;
        };
        content.extend_from_slice(&piece);
        if content.len() > bytes_max {
            return Ok(Read::Part(Body::chain([
                Body::full(content.freeze()),
                body,
            ])));
        }
    }
    Ok(Read::Whole(content.freeze()))
}

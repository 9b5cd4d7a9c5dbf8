//! Trailers, the frame behind the content, without what must not stand there.
//!
//! Which fields those are is `semantics`' word; who gets the rest is decided where a message is made.

use bytes::Bytes;
use http_body::Frame;

use crate::semantics::trailers;

/// A frame as it may go on; `None` for trailers of which nothing is left.
pub fn admitted(frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
    match frame.into_trailers() {
        Ok(mut fields) => {
            trailers::keep_allowed(&mut fields);
            (!fields.is_empty()).then(|| Frame::trailers(fields))
        }
        Err(frame) => Some(frame),
    }
}

//! Wrapper of an HTTP/1 client's socket that notes what goes through it for the connection's [`Watch`].
//!
//! It changes no byte of hyper's, and adds interim responses where hyper has come to a pause.
//! Timeouts and refusals are the driver's and the service's to act upon.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::framing::Framing;
use super::interim::Queue;
use super::socket::Socket;
use super::watch::Watch;

/// A socket under watch.
pub(super) struct Watched {
    socket: Socket,
    /// Bytes that were read before this wrapper was made.
    prefix: Bytes,
    watch: Arc<Watch>,
    /// `None` once something was refused.
    framing: Option<Framing>,
    interim: Arc<Queue>,
    /// What is left of an interim response that the socket did not take whole.
    partial: Bytes,
    /// What the socket had written at the last attempt.
    written: u64,
}

// === impl Watched ===

impl Watched {
    /// A connection of which `prefix` has been read already.
    pub(super) fn new(
        socket: Socket,
        prefix: Bytes,
        watch: Arc<Watch>,
        interim: Arc<Queue>,
    ) -> Self {
        Self {
            socket,
            prefix,
            watch,
            framing: Some(Framing::default()),
            interim,
            partial: Bytes::new(),
            written: 0,
        }
    }

    /// The bare socket, and what of the prefix nobody has read.
    pub(super) fn into_parts(self) -> (Socket, Bytes) {
        (self.socket, self.prefix)
    }

    /// Whether the client is in the midst of a request, or of what was refused.
    pub(super) fn is_amid_request(&self) -> bool {
        let framing = self.framing.as_ref();
        framing.is_none_or(|it| !it.is_between_requests())
    }

    /// Notes an attempt to write. A client that takes a byte does not stall, though TLS, which holds
    /// more, takes none from us.
    fn note_write(&mut self, is_pending: bool, taken: usize) {
        let before = std::mem::replace(&mut self.written, self.socket.written());
        let moved = self.written.wrapping_sub(before);
        self.watch.note_write(is_pending && moved == 0);
        // What TLS has taken is counted when it goes out.
        let sent = match self.written {
            0 => taken as u64,
            _ => moved,
        };
        if sent > 0 {
            self.watch.note_sent(sent);
        }
    }

    fn note_polled(&mut self, polled: &Poll<io::Result<usize>>) {
        let taken = match polled {
            Poll::Ready(Ok(taken)) => *taken,
            _ => 0,
        };
        self.note_write(polled.is_pending(), taken);
    }

    fn follow(&mut self, bytes: &[u8]) {
        let Some(framing) = &mut self.framing else {
            return;
        };
        framing.follow(bytes);
        self.watch.note_head(framing.is_within_head());
        if let Some((number, why)) = framing.refused() {
            self.watch.refuse(number, why);
            self.framing = None;
        }
    }

    /// Writes the interim responses that wait. hyper flushes only what it has written to its end,
    /// and the queue gives only what belongs to a request whose final response has not begun, so
    /// that at this point they are between two messages.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_partial(cx))?;
            match self.interim.next(cx) {
                Some(head) => self.partial = head,
                None => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Writes the rest of an interim response that has begun. Nothing may come into its middle:
    /// not even hyper's own `100 Continue`, which it sends while a final response is awaited.
    fn poll_partial(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.partial.is_empty() {
            let polled = Pin::new(&mut self.socket).poll_write(cx, &self.partial);
            self.note_polled(&polled);
            match ready!(polled)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.partial.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let known = buf.filled().len();
        if this.prefix.is_empty() {
            ready!(Pin::new(&mut this.socket).poll_read(cx, buf))?;
        } else {
            let taken = this.prefix.len().min(buf.remaining());
            buf.put_slice(&this.prefix[..taken]);
            this.prefix.advance(taken);
        }
        this.follow(&buf.filled()[known..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_partial(cx))?;
        let polled = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.note_polled(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_partial(cx))?;
        let polled = Pin::new(&mut self.socket).poll_write_vectored(cx, parts);
        self.note_polled(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    /// hyper flushes whenever it is polled, so this is where a reset is seen while nothing is
    /// read: when the driver has asked for a look.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.watch.wants_probe()
            && let Some(error) = self.socket.take_error()?
        {
            return Poll::Ready(Err(error));
        }
        ready!(self.poll_interim(cx))?;
        let polled = Pin::new(&mut self.socket).poll_flush(cx);
        match &polled {
            Poll::Ready(_) => self.watch.note_flush(),
            // TLS takes what it is given and holds it until the client makes room.
            Poll::Pending => self.note_write(true, 0),
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.socket).poll_shutdown(cx);
        if matches!(polled, Poll::Ready(Ok(()))) {
            self.watch.note_half_close();
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http::header::LINK;
    use http::{HeaderMap, HeaderValue, StatusCode};
    use socket2::SockRef;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket, TcpStream};

    use super::*;
    use crate::pipeline::Sink;

    const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
    const BUFFER_BYTES: usize = 4096;

    /// Two ends of a connection on which the kernel keeps as little as it can.
    async fn narrow() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("a bound socket");
        let client = TcpSocket::new_v4().expect("a socket");
        client
            .set_recv_buffer_size(BUFFER_BYTES as u32)
            .expect("a fresh socket");
        let client = client.connect(address).await.expect("a listener");
        let (server, _) = listener.accept().await.expect("a client");
        let set = SockRef::from(&server).set_send_buffer_size(BUFFER_BYTES);
        set.expect("an open socket");
        (server, client)
    }

    #[tokio::test]
    async fn nothing_comes_into_a_head_that_has_begun() {
        let (server, mut client) = narrow().await;
        let queue = Arc::new(Queue::default());
        let mut watched = Watched::new(
            Socket::tcp(server),
            Bytes::new(),
            Watch::new(),
            Arc::clone(&queue),
        );
        let link = HeaderValue::try_from("x".repeat(15_000)).expect("a value");
        let fields = HeaderMap::from_iter([(LINK, link)]);
        let _turn = queue.begin();
        for _ in 0..8 {
            queue.offer(1, StatusCode::EARLY_HINTS, &fields);
        }
        let flushed = poll_fn(|cx| Poll::Ready(Pin::new(&mut watched).poll_flush(cx))).await;
        assert!(flushed.is_pending() && !watched.partial.is_empty());
        let reader = tokio::spawn(async move {
            let mut text = String::new();
            client.read_to_string(&mut text).await.map(|_| text)
        });
        watched
            .write_all(CONTINUE.as_bytes())
            .await
            .expect("a client");
        watched.flush().await.expect("a client");
        drop(watched);
        let text = reader.await.expect("a reader").expect("all bytes");
        let heads: Vec<&str> = text.split_inclusive("\r\n\r\n").collect();
        let is_whole = |head: &&str| head.starts_with("HTTP/1.1 103 ") && head.len() > 15_000;
        assert_eq!(heads.iter().filter(|it| is_whole(it)).count(), 8);
        assert!(
            heads.contains(&CONTINUE) && heads.len() == 9,
            "{}",
            heads.len()
        );
    }
}

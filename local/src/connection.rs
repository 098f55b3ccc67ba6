//! Connections: how many at once, and how long a client may take for each step of a request.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use shared::auth::failures::SourceAddress;
use shared::runtime::join;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Sleep};

/// How long a stop waits for connections to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes of a request's line and headers. A token of 32 KB fits.
const HEAD_MAX: usize = 128 * 1024;

/// Limits on what clients may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; more wait until one ends.
    pub connections: usize,
    /// How long a request's line and headers may take to arrive, and how long a connection may be
    /// idle.
    pub head: Duration,
    /// How long a body may take to arrive.
    pub body: Duration,
    /// How long a function may work on a request.
    pub work: Duration,
    /// How long a client may take to read a response.
    pub answer: Duration,
    /// KiB of all responses together that are being read, small ones aside.
    pub answers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            head: Duration::from_secs(30),
            body: Duration::from_secs(30),
            work: Duration::from_secs(60),
            answer: Duration::from_secs(60),
            answers: 128 * 1024,
        }
    }
}

/// The other end of a request's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Serves HTTP until told to stop, and returns when the requests that were begun are answered.
pub async fn serve<S, F>(
    listener: TcpListener,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
    service: S,
) where
    S: Fn(hyper::Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = hyper::Response<Full<Bytes>>> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(limits.connections));
    loop {
        let accepted = async {
            // Our semaphores are never closed.
            let permit = permits.clone().acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            accepted = accepted => accepted,
            _ = stop.changed() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Too many open files, or a connection that was reset at once.
                tracing::warn!(error.why = %error, "accept failed");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let service = service.clone();
        let permit = Arc::new(permit);
        let held = permit.clone();
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(HEAD_MAX)
            .serve_connection(
                TokioIo::new(WriteTimeout::new(stream, limits.answer)),
                service_fn(move |mut request: hyper::Request<Incoming>| {
                    request.extensions_mut().insert(SourceAddress(peer.ip()));
                    request.extensions_mut().insert(Peer(peer));
                    let is_safe = request.method().is_safe();
                    let answered = service(request);
                    let permit = held.clone();
                    async move {
                        Ok::<_, Infallible>(match is_safe {
                            true => answered.await,
                            false => to_its_end(answered, permit).await,
                        })
                    }
                }),
            );
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error.why = %error, "connection ended");
            }
            drop(permit);
        });
    }
    drop(listener);
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let ended = async {
        graceful.shutdown().await;
        // Requests whose clients are gone have permits, too.
        let _ = permits.acquire_many(all).await;
    };
    let _ = tokio::time::timeout(STOP_TIMEOUT, ended).await;
}

/// Answers a request that may write as a task of its own: if its client hangs up, what has been begun is
/// still done to its end, and logged. It counts as a connection until then.
async fn to_its_end<T: Send + 'static>(
    answered: impl Future<Output = T> + Send + 'static,
    permit: Arc<Option<OwnedSemaphorePermit>>,
) -> T {
    let task = tokio::spawn(async move {
        let answer = answered.await;
        drop(permit);
        answer
    });
    match join::result(task.await) {
        Some(answer) => answer,
        // The runtime ends, and this with it.
        None => std::future::pending().await,
    }
}

/// A stream whose writes fail if the client does not read in time. The time runs from the first
/// write that had to wait until everything is flushed, so that reading a byte now and then does not
/// extend it.
struct WriteTimeout<S> {
    stream: S,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: bool,
}

impl<S> WriteTimeout<S> {
    fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            timer: Box::pin(tokio::time::sleep(limit)),
            waiting: false,
        }
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if !self.waiting {
            self.waiting = true;
            self.timer.as_mut().reset(Instant::now() + self.limit);
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending => self.wait(context),
            written => written,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(context, bytes) {
            Poll::Pending => self.wait(context),
            written => written,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(context));
        self.waiting = false;
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

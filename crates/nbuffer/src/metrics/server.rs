//! Serves figures until the run is over.
//!
//! One thread waits for clients; each is answered on a thread of its own, so that a slow one keeps nobody waiting.
//! There are few of these at once, and none lives for long.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Listener, Metrics, request};

/// The most clients at once: one more is turned away.
const CLIENTS_MAX: usize = 16;

/// After a client that could not be accepted, as when no file can be opened: it will not be better at once.
const PAUSE: Duration = Duration::from_millis(20);

/// How long the server's own visit may take, which tells it to stop.
const WAKE: Duration = Duration::from_secs(1);

/// A server of figures. Dropped, it stops, and its address is free again.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(listener: Listener, metrics: Metrics) -> io::Result<Self> {
        let Listener { socket, address } = listener;
        let stopping = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stopping);
        let thread = thread::Builder::new().name("nbuffer-metrics".into());
        let thread = thread.spawn(move || accept(&socket, &Arc::new(metrics), &until))?;
        Ok(Server { address, stopping, thread: Some(thread) })
    }

    /// The address it serves at.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its partner is the load in `accept`, after the visit.
        self.stopping.store(true, Ordering::Release);
        let woken = TcpStream::connect_timeout(&from_here(self.address), WAKE);
        // Without it the thread may wait for ever, so it is left alone then.
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

/// An address at which this machine reaches itself.
fn from_here(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

fn accept(socket: &TcpListener, metrics: &Arc<Metrics>, stopping: &AtomicBool) {
    loop {
        let client = socket.accept();
        if stopping.load(Ordering::Acquire) {
            return;
        }
        match client {
            Ok((client, _)) => visit(client, metrics),
            Err(error) => {
                tracing::debug!(%error, "a client of the metrics could not be accepted");
                thread::sleep(PAUSE);
            }
        }
    }
}

fn visit(client: TcpStream, metrics: &Arc<Metrics>) {
    // Each visit holds its metrics: so many are being answered, beside the acceptor's own.
    if Arc::strong_count(metrics) > CLIENTS_MAX {
        tracing::debug!(clients = CLIENTS_MAX, "too many clients ask for metrics at once");
        let _ = client.shutdown(Shutdown::Both);
        return;
    }
    let metrics = Arc::clone(metrics);
    let answer = move || {
        if let Err(error) = request::serve(&client, &metrics) {
            tracing::debug!(%error, "a client of the metrics was not answered");
        }
    };
    // Without a thread the client is turned away.
    if let Err(error) = thread::Builder::new().name("nbuffer-scrape".into()).spawn(answer) {
        tracing::debug!(%error, "no thread for a client of the metrics");
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use nbuffer_runtime::BufferedMap;

    use super::*;

    #[test]
    fn a_server_that_is_dropped_gives_its_address_back() {
        for all in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            // A machine may have no IPv6.
            let Ok(listener) = Listener::bind(all) else { continue };
            let pipeline = (0..3_u64).buffered_map(1, |x| x);
            let server = listener.serve(Metrics::new(pipeline.observer(), Vec::new())).unwrap();
            let address = server.address();
            let mut client = TcpStream::connect(from_here(address)).unwrap();
            client.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert!(
                answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\nnbuffer_items_taken_total ")
            );
            drop(server);
            assert!(TcpStream::connect(from_here(address)).is_err(), "nobody listens at {address}");
            assert_eq!(Listener::bind(&address.to_string()).unwrap().address(), address);
        }
    }
}

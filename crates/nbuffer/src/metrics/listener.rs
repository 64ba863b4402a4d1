//! The place where figures can be asked for, before there are any.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use super::request::PATH;
use super::{Metrics, Server};

/// Why figures cannot be served at an address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// It is no address.
    #[error("`{address}` is no address to listen at: give a host and a port, as in 127.0.0.1:9464")]
    Address {
        /// What was given.
        address: String,
        /// Why it is none.
        source: io::Error,
    },
    /// Nobody can listen there.
    #[error("cannot listen at {address}; {}", advice(source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "give another port, or port 0 for any that is free",
        io::ErrorKind::PermissionDenied => "give a port from 1024 on",
        _ => "give an address of this machine, as in 127.0.0.1:9464",
    }
}

/// An address that is taken, and not served yet: clients that come are kept waiting.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: TcpListener,
    pub(super) address: SocketAddr,
}

impl Listener {
    /// Takes an address, given as `HOST:PORT`. Port 0 is any that is free.
    ///
    /// # Errors
    ///
    /// What is given is no address, or something else listens there, or nothing may.
    pub fn bind(address: &str) -> Result<Self, BindError> {
        let no_address = |source| BindError::Address { address: address.to_owned(), source };
        let nothing = || io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        let found = address.to_socket_addrs().map_err(no_address)?.next();
        let at = found.ok_or_else(|| no_address(nothing()))?;
        let cannot = |source| BindError::Listen { address: at, source };
        let socket = TcpListener::bind(at).map_err(cannot)?;
        let address = socket.local_addr().map_err(cannot)?;
        Ok(Listener { socket, address })
    }

    /// The address, with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the figures will be.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Serves these figures until the server is dropped.
    ///
    /// # Errors
    ///
    /// No thread can be started.
    pub fn serve(self, metrics: Metrics) -> io::Result<Server> {
        Server::start(self, metrics)
    }
}

//! How requests get to a collector: blocking, without TLS, on the exporters' own threads.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};

/// What one request may take. The run has ended when the last one is sent, so it is waited for.
const REQUEST: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub(super) struct Transport(ureq::Agent);

impl Transport {
    pub(super) fn new() -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(REQUEST)).http_status_as_error(false);
        Transport(config.build().into())
    }
}

#[async_trait]
impl HttpClient for Transport {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, mut body) = self.0.run(request.map(Vec::from))?.into_parts();
        Ok(Response::from_parts(parts, body.read_to_vec()?.into()))
    }
}

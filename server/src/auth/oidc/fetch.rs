//! The only requests this server makes by itself: to the configured identity provider. No redirects, five seconds, one MiB, https
//! unless the provider is on this very machine, and nowhere inside the network that the provider's own address does not name.

use std::{net::IpAddr, pin::Pin, time::Duration};

use openidconnect::{
    AsyncHttpClient, HttpRequest, HttpResponse, reqwest,
    url::{Host, Url},
};

use super::Error;

/// How long the provider may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How much it may answer.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// An HTTP client for one provider.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    client: reqwest::Client,
    issuer_host: Option<Host<String>>,
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("the request failed")]
    Request(#[from] reqwest::Error),
    #[error("the answer is larger than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the answer cannot be used")]
    Answer(#[from] axum::http::Error),
    #[error("the address is inside the network, and not the provider's own")]
    Inside,
}

impl Fetch {
    /// For this provider.
    pub(super) fn for_issuer(issuer: &Url) -> Result<Self, Error> {
        let issuer_host = issuer.host().map(|host| host.to_owned());
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .https_only(!issuer_host.as_ref().is_some_and(is_loopback))
            .timeout(TIMEOUT)
            .no_proxy()
            .build()
            .map_err(|cause| Error::Settings { what: "the issuer", cause: cause.into() })?;
        Ok(Self { client, issuer_host })
    }

    async fn fetch(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let request = reqwest::Request::try_from(request)?;
        let host = request.url().host().map(|host| host.to_owned());
        if host != self.issuer_host && host.as_ref().is_none_or(is_inside) {
            return Err(FetchError::Inside);
        }
        let mut response = self.client.execute(request).await?;
        let mut answer = axum::http::Response::builder().status(response.status());
        for (name, value) in response.headers() {
            answer = answer.header(name, value);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(answer.body(body)?)
    }
}

impl<'c> AsyncHttpClient<'c> for Fetch {
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.fetch(request))
    }
}

/// Is this host this very machine?
fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Is this host written as an address that nobody outside reaches?
fn is_inside(host: &Host<String>) -> bool {
    let address: IpAddr = match host {
        Host::Domain(_) => return is_loopback(host),
        Host::Ipv4(address) => (*address).into(),
        Host::Ipv6(address) => (*address).into(),
    };
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_the_network_are_known_as_such() {
        let inside = ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "[::1]", "[fd00::1]", "[::ffff:10.0.0.1]", "localhost"];
        let outside = ["login.example.dk", "192.0.2.1", "[2001:db8::1]"];
        for host in inside {
            assert!(is_inside(&Host::parse(host).unwrap()), "{host}");
        }
        for host in outside {
            assert!(!is_inside(&Host::parse(host).unwrap()), "{host}");
        }
    }
}

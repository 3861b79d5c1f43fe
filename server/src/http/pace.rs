//! How often sign-ins may be begun and ended from one address (reliability-security §5, flooding). An address is believed from our own
//! proxies alone: what a client writes into `X-Forwarded-For` stands left of what they write, and is not read.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, FromRef, FromRequestParts},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};

use super::{notices::page, problem::Problem};
use crate::config::Limits;

/// After so many requests, addresses that have been quiet for long enough are forgotten.
const TIDY_EVERY: u32 = 1_024;
/// Who has an IPv6 address has all that share so many of its first bits.
const IPV6_PREFIX_BITS: u32 = 64;

/// The pace that every address keeps to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pace {
    addresses: Arc<DefaultKeyedRateLimiter<IpAddr>>,
    asked: Arc<AtomicU32>,
    trusted_hops: u8,
}

impl Pace {
    /// The pace of these limits, behind so many proxies of ours.
    #[must_use]
    pub fn new(limits: &Limits, trusted_hops: u8) -> Self {
        let quota = Quota::per_minute(at_least_one(limits.sign_ins_per_min)).allow_burst(at_least_one(limits.sign_ins_burst));
        Self { addresses: Arc::new(RateLimiter::hashmap(quota)), asked: Arc::default(), trusted_hops }
    }

    /// One more from there. `Err`: not before so long.
    fn take(&self, headers: &HeaderMap, socket: IpAddr) -> Result<(), Duration> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.addresses.retain_recent();
        }
        let from = household(peer_address(headers, socket, self.trusted_hops));
        self.addresses.check_key(&from).map_err(|too_soon| too_soon.wait_time_from(DefaultClock::default().now()))
    }
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

/// Where a request came from: the address that the outermost of our proxies saw, or, where there is none, the socket's. Every proxy
/// writes the address it saw at the right end.
fn peer_address(headers: &HeaderMap, socket: IpAddr, trusted_hops: u8) -> IpAddr {
    let lines = headers.get_all("x-forwarded-for").iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
    let seen: Vec<String> = lines.flat_map(|line| line.split(',').map(|address| address.trim().to_owned()).collect::<Vec<_>>()).collect();
    let ours = seen.len().min(usize::from(trusted_hops));
    let outermost = seen[seen.len() - ours..].first().and_then(|address| parse_address(address));
    outermost.unwrap_or(socket).to_canonical()
}

/// Some proxies write the port as well.
fn parse_address(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.or_else(|_| text.trim_start_matches('[').trim_end_matches(']').parse()).ok()
}

fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - IPV6_PREFIX_BITS))).into(),
    }
}

/// A request that keeps to the pace; any other is answered 429, a browser's with a page.
#[derive(Clone, Copy, Debug)]
pub struct Paced;

impl<S> FromRequestParts<S> for Paced
where
    S: Send + Sync,
    Pace: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let socket = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(socket)| socket.ip());
        // Without one, as in a test of a router alone, all are one.
        let socket = socket.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        Pace::from_ref(state).take(&parts.headers, socket).map_err(|wait| too_often(&parts.headers, wait))?;
        Ok(Self)
    }
}

fn too_often(headers: &HeaderMap, wait: Duration) -> Response {
    let is_browser = headers.get_all(header::ACCEPT).iter().any(|accept| String::from_utf8_lossy(accept.as_bytes()).contains("text/html"));
    let mut response = if is_browser {
        let words = "<h1>Vent et øjeblik</h1><p>Der er logget ind mange gange herfra på kort tid. Prøv igen om lidt.</p>\
                     <p><a href=\"/\">Til forsiden</a></p>";
        (StatusCode::TOO_MANY_REQUESTS, page(words)).into_response()
    } else {
        Problem::too_often().into_response()
    };
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKET: &str = "192.0.2.9";

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (header::HeaderName::from_static("x-forwarded-for"), HeaderValue::from_str(line).unwrap())).collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_believed_from_our_own_proxies_alone() {
        // What a client wrote itself stands first, whatever it is.
        let forged = ["203.0.113.1, 198.51.100.2", "192.0.2.3"];
        for (lines, hops, address) in [
            (&forged[..], 0, SOCKET),
            (&forged, 1, "192.0.2.3"),
            (&forged, 2, "198.51.100.2"),
            (&forged[1..], 2, "192.0.2.3"),
            (&[], 1, SOCKET),
            (&["203.0.113.1, vrøvl"], 1, SOCKET),
            (&["203.0.113.1,"], 1, SOCKET),
            (&["192.0.2.3:4711"], 1, "192.0.2.3"),
            (&["[2001:db8::7]:4711"], 1, "2001:db8::7"),
            (&["[2001:db8::7]"], 1, "2001:db8::7"),
            (&["::ffff:192.0.2.3"], 1, "192.0.2.3"),
        ] {
            assert_eq!(peer_address(&headers(lines), ip(SOCKET), hops), ip(address), "{lines:?} behind {hops}");
        }
    }

    #[test]
    fn who_has_an_ipv6_address_has_many_and_all_of_them_count_as_one() {
        assert_eq!(household(ip("2001:db8:1:2:aaaa::1")), household(ip("2001:db8:1:2:bbbb::2")));
        assert_ne!(household(ip("2001:db8:1:2::1")), household(ip("2001:db8:1:3::1")));
        assert_ne!(household(ip("192.0.2.1")), household(ip("192.0.2.2")));
    }

    fn pace(sign_ins_per_min: u32, sign_ins_burst: u32) -> Pace {
        Pace::new(&Limits { sign_ins_per_min, sign_ins_burst, ..Limits::default() }, 0)
    }

    #[test]
    fn l16_sign_ins_burst() {
        // At one a minute none comes back while this runs.
        let pace = pace(1, 5);
        let answers: Vec<bool> = (0..6).map(|_| pace.take(&HeaderMap::new(), ip(SOCKET)).is_ok()).collect();
        assert_eq!(answers, [true, true, true, true, true, false]);
        assert_eq!(pace.take(&HeaderMap::new(), ip("192.0.2.10")), Ok(()), "another address has its own");
    }

    #[test]
    fn l16_sign_ins_per_min() {
        // After the first one, the next has to wait for its share of a minute, less what has passed since.
        for (per_min, share_s) in [(1, 60), (2, 30), (3, 20)] {
            let pace = pace(per_min, 1);
            pace.take(&HeaderMap::new(), ip(SOCKET)).unwrap();
            let wait = pace.take(&HeaderMap::new(), ip(SOCKET)).unwrap_err();
            assert!(wait <= Duration::from_secs(share_s) && wait > Duration::from_secs(share_s - 10), "{per_min} a minute: {wait:?}");
        }
    }

    #[test]
    fn addresses_that_are_quiet_are_forgotten() {
        let pace = pace(u32::MAX, 1);
        for number in 0..TIDY_EVERY * 2 {
            pace.take(&HeaderMap::new(), std::net::Ipv4Addr::from_bits(number).into()).unwrap();
        }
        assert!(pace.addresses.len() < 2 * TIDY_EVERY as usize, "{}", pace.addresses.len());
    }

    #[test]
    fn a_browser_is_told_on_a_page_and_a_program_in_json_when_to_come_back() {
        let browser: HeaderMap = [(header::ACCEPT, HeaderValue::from_static("text/html,application/xhtml+xml"))].into_iter().collect();
        for (headers, kind) in [(browser, "text/html; charset=utf-8"), (HeaderMap::new(), "application/problem+json")] {
            let answer = too_often(&headers, Duration::from_millis(1_500));
            assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(answer.headers()[header::CONTENT_TYPE], kind);
            assert_eq!(answer.headers()[header::RETRY_AFTER], "2");
        }
    }
}

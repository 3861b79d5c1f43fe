//! Whether a request that changes something comes from our own pages. Browsers say so in `Origin` and `Sec-Fetch-Site`; a request
//! that carries the cookie but not the right origin was made by another site's page.

use axum::http::{HeaderMap, header};

/// Does this request come from a page of ours? `Origin` must be exactly our own; only when it is missing does `Sec-Fetch-Site` say.
#[must_use]
pub fn same_origin(headers: &HeaderMap, public_url: &str) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) => origin.as_bytes() == public_url.as_bytes(),
        (None, _) => headers.get("sec-fetch-site").is_some_and(|site| site.as_bytes() == b"same-origin"),
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_origin_counts() {
        let cases: [(&[(&'static str, &'static str)], bool); 9] = [
            (&[("origin", "https://samspil.example.dk")], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[], false),
            (&[("origin", "null")], false),
            (&[("origin", "https://samspil.example.dk:8443")], false),
            (&[("origin", "https://samspil.example.dk.evil.example")], false),
            (&[("origin", "http://samspil.example.dk")], false),
            (&[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "same-site")], false),
        ];
        for (sent, expected) in cases {
            let headers = sent.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            assert_eq!(same_origin(&headers, "https://samspil.example.dk"), expected, "{sent:?}");
        }
    }
}

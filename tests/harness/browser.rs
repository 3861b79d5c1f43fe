//! A browser as the server sees it: it keeps cookies, sends its origin, follows redirects when told to, and opens sockets.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use openidconnect::reqwest::{self, Method, header};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use uuid::Uuid;

use super::live::Door;

/// A browser window of its own.
pub struct Browser {
    http: reqwest::Client,
    public_url: String,
    cookies: BTreeMap<String, String>,
    /// Every address that an answer led to.
    pub led_to: Vec<String>,
    /// The version that the next request changes.
    if_match: Option<u64>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: header::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {} {:?}", self.status, self.body))
    }

    /// One header, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Browser {
    /// A browser that will use the server at this origin.
    pub fn new(public_url: &str) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { http, public_url: public_url.to_owned(), cookies: BTreeMap::new(), led_to: Vec::new(), if_match: None }
    }

    /// `GET` this path.
    pub async fn get(&mut self, path: &str) -> Answer {
        let url = format!("{}{path}", self.public_url);
        self.send(Method::GET, &url, None, None).await
    }

    /// Goes where an answer leads, on whatever site, and on from there until a page comes.
    pub async fn follow(&mut self, answer: &Answer) -> Answer {
        let mut answer = self.send(Method::GET, answer.header("location"), None, None).await;
        while answer.status == 303 {
            let onward = answer.header("location").to_owned();
            answer = self.send(Method::GET, &onward, None, None).await;
        }
        answer
    }

    /// Another browser that the identity provider takes for this one, and that is not signed in here yet.
    pub fn known_to_the_provider(&self) -> Self {
        let mut cookies = self.cookies.clone();
        cookies.remove("samspil");
        Self { http: self.http.clone(), public_url: self.public_url.clone(), cookies, led_to: Vec::new(), if_match: None }
    }

    /// Goes to this address, on whatever site, and no further.
    pub async fn go(&mut self, url: &str) -> Answer {
        let url = if url.starts_with('/') { format!("{}{url}", self.public_url) } else { url.to_owned() };
        self.send(Method::GET, &url, None, None).await
    }

    /// Another window of this browser, as it is now: the same cookies.
    pub fn window(&self) -> Self {
        let (http, public_url) = (self.http.clone(), self.public_url.clone());
        Self { http, public_url, cookies: self.cookies.clone(), led_to: Vec::new(), if_match: None }
    }

    /// Carries these cookies from now on, as the header `Cookie` has them.
    pub fn take_cookie(&mut self, header: &str) {
        let pairs = header.split("; ").filter_map(|pair| pair.split_once('='));
        self.cookies.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    /// Sends a file as it is, from a page of ours.
    pub async fn upload(&mut self, path: &str, file: Vec<u8>) -> Answer {
        let url = format!("{}{path}", self.public_url);
        let request = self.http.post(&url).header(header::COOKIE, self.cookie()).header(header::ORIGIN, &self.public_url);
        let response = request.header(header::CONTENT_TYPE, "application/octet-stream").body(file).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.unwrap() }
    }

    /// A request that changes something, from a page of ours.
    pub async fn send_json(&mut self, method: Method, path: &str, body: &Value) -> Answer {
        let (url, origin) = (format!("{}{path}", self.public_url), self.public_url.clone());
        self.send(method, &url, Some(&origin), Some(body)).await
    }

    /// The same, for what stands at this version.
    pub async fn send_json_if(&mut self, version: u64, method: Method, path: &str, body: &Value) -> Answer {
        self.if_match = Some(version);
        self.send_json(method, path, body).await
    }

    /// The same, while the server may be dying: `None` if it gave no answer.
    pub async fn attempt_json(&mut self, method: Method, path: &str, body: &Value) -> Option<Answer> {
        let (url, origin) = (format!("{}{path}", self.public_url), self.public_url.clone());
        self.attempt(method, &url, Some(&origin), Some(body)).await.ok()
    }

    /// The same, from a page of somebody else's.
    pub async fn send_json_from(&mut self, origin: &str, method: Method, path: &str, body: &Value) -> Answer {
        let url = format!("{}{path}", self.public_url);
        self.send(method, &url, Some(origin), Some(body)).await
    }

    /// Signs this person in: to the provider and back, as a browser goes.
    pub async fn sign_in(&mut self, person: &str) {
        let mut url = format!("{}/auth/login?login_hint={person}", self.public_url);
        for _ in 0..5 {
            let answer = self.send(Method::GET, &url, None, None).await;
            assert_eq!(answer.status, 303, "{url}: {}", String::from_utf8_lossy(&answer.body));
            let onward = answer.header("location").to_owned();
            if onward == "/" {
                return;
            }
            assert!(onward.starts_with("http"), "sign-in of {person} ended at {onward}");
            url = onward;
        }
        panic!("the sign-in of {person} went in a circle");
    }

    /// The document of the current agreement of this unit, as far as this person can see one.
    pub async fn document_of(&mut self, unit: &str) -> Uuid {
        let list = self.get("/api/agreements").await.json();
        let mut items = list["items"].as_array().unwrap().iter().filter(|item| item["unit"]["name"] == unit);
        let document = items.find_map(|item| item["document_id"].as_str());
        document.unwrap_or_else(|| panic!("no document of {unit} in {list}")).parse().unwrap()
    }

    /// The session cookie, as the header `Cookie` has it.
    pub fn cookie(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// The values of its cookies.
    pub fn cookies(&self) -> impl Iterator<Item = &str> {
        self.cookies.values().map(String::as_str)
    }

    /// The canonical content of a document, as the server has it on disk.
    pub async fn content(&mut self, document: Uuid) -> String {
        let answer = self.get(&format!("/api/documents/{document}/content")).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    /// The door to this document's live text, as a page of this browser finds it.
    pub fn door(&self, document: Uuid) -> Door {
        let server = self.public_url.trim_start_matches("http://").parse().unwrap();
        Door::new(server, document, self.cookie())
    }

    /// Opens the live document, speaking our subprotocol.
    pub async fn open(&self, document: Uuid) -> Socket {
        let url = format!("{}/live/{document}", self.public_url.replacen("http", "ws", 1));
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("origin", self.public_url.parse().unwrap());
        headers.insert("cookie", self.cookie().parse().unwrap());
        headers.insert("sec-websocket-protocol", "samspil.v1".parse().unwrap());
        let (stream, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        Socket { stream }
    }

    async fn send(&mut self, method: Method, url: &str, origin: Option<&str>, body: Option<&Value>) -> Answer {
        self.attempt(method, url, origin, body).await.unwrap()
    }

    async fn attempt(&mut self, method: Method, url: &str, origin: Option<&str>, body: Option<&Value>) -> reqwest::Result<Answer> {
        let mut request = self.http.request(method, url).header(header::COOKIE, self.cookie());
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        if let Some(version) = self.if_match.take() {
            request = request.header(header::IF_MATCH, format!("\"{version}\""));
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let response = request.send().await?;
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        self.led_to.extend(response.headers().get(header::LOCATION).map(|onward| onward.to_str().unwrap().to_owned()));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.bytes().await? })
    }
}

/// A live document's socket, from the client's side.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// The next frame; `Err` is the code with which the server closed.
    pub async fn frame(&mut self) -> Result<Bytes, u16> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Binary(frame))) => return Ok(frame),
                Some(Ok(Message::Close(Some(close)))) => return Err(close.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    /// The next frame for which this holds; what comes before it is passed over.
    pub async fn frame_where(&mut self, wanted: impl Fn(&[u8]) -> bool) -> Result<Bytes, u16> {
        loop {
            let frame = self.frame().await?;
            if wanted(&frame) {
                return Ok(frame);
            }
        }
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: impl Into<Bytes>) {
        self.stream.send(Message::Binary(frame.into())).await.unwrap();
    }
}

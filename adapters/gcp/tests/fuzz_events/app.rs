//! An app with all triggers, whose provider can reach no service.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Request, Response};
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::Environment;
use isobar_abstraction::{Body, Cloud};
use isobar_gcp::{CloudRunService, GcpConfig, GcpProvider};
use isobar_testkit::{Acknowledgements, shop};

/// The triggers in the names of fixtures.
pub(crate) const TRIGGERS: [&str; 7] =
    ["topic-clicks", "bucket-pages", "writes-links", "schedule-sweep", "invoke-size", "invoke-none", "topic-nothing"];

/// The headers and the body of a call.
pub(crate) type Call = (Vec<(String, String)>, Vec<u8>);

/// The host, and the number of messages that its app has acknowledged.
pub(crate) struct Target {
    service: CloudRunService,
    #[allow(dead_code)]
    pub(crate) acknowledged: Acknowledgements,
}

impl Target {
    /// A host that requires no token, as on a laptop.
    #[allow(dead_code)] // only one of the two targets that include this file uses it
    pub(crate) fn open() -> Self {
        Self::new(&Environment::default())
    }

    /// A host that requires a token, which no call here has.
    #[allow(dead_code)]
    pub(crate) fn guarded() -> Self {
        let environment = Environment::default()
            .with_var("K_SERVICE", "shop")
            .with_var("ISOBAR_EVENT_AUDIENCE", "https://shop.example")
            .with_var("ISOBAR_EVENT_SERVICE_ACCOUNT", "caller@p-1.iam.gserviceaccount.com")
            .with_var("ISOBAR_EVENT_KEYS", "http://127.0.0.1:1/certs");
        Self::new(&environment)
    }

    fn new(environment: &Environment) -> Self {
        let environment =
            environment.clone().with_var("GOOGLE_CLOUD_PROJECT", "p-1").with_var("PUBSUB_EMULATOR_HOST", "127.0.0.1:1");
        let mut config = GcpConfig::from_environment(&environment).unwrap();
        config.client.max_attempts = 1;
        // Pauses of this clock end immediately.
        let provider = GcpProvider::with_clock(config, Arc::new(ManualClock::default()));
        let (hosted, acknowledged) = shop(&Cloud::memory());
        Self { service: provider.service(hosted), acknowledged }
    }

    /// Makes a call. Headers that are not valid in HTTP are left out: a server would reject them.
    pub(crate) async fn handle(&self, trigger: &str, (headers, body): &Call) -> Response<Body> {
        let (kind, name) = trigger.split_once('-').unwrap();
        let kind = match kind {
            "invoke" => "functions".to_owned(),
            "writes" => kind.to_owned(),
            _ => format!("{kind}s"),
        };
        let mut request = Request::post(format!("/.isobar/{kind}/{name}")).body(Body::from(body.clone())).unwrap();
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                request.headers_mut().append(name, value);
            }
        }
        // With an emulator the host accepts only calls from this machine.
        request.headers_mut().insert("host", HeaderValue::from_static("127.0.0.1"));
        self.service.handle(request).await
    }
}

/// Reads a fixture: headers, an empty line, the body.
pub(crate) fn read(file: &[u8]) -> Call {
    let end = file.windows(2).position(|two| two == b"\n\n");
    let (head, body) = end.map_or((file, &[][..]), |end| (&file[..end], &file[end + 2..]));
    let head = String::from_utf8_lossy(head).into_owned();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    (head.lines().filter_map(header).collect(), body.to_vec())
}

//! A provider with tables on the heap of one process.

mod key_value;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;
use isobar::axum::http::Request;
use isobar::driver::blob::Blob;
use isobar::driver::key_value::KeyValue;
use isobar::driver::pub_sub::PubSub;
use isobar::driver::{Adapter, Clock, Environment, Hosted, Location, Profile, Provider, host};
use isobar::manifest::Trigger;
use isobar::{Body, Context, Error, Result};
use isobar_serve::{Options, SystemClock, serve, stop_signal};
use parking_lot::Mutex;
use tokio::net::TcpListener;

use key_value::HeapKeyValue;

/// The row of this provider in a table of providers.
pub const ADAPTER: Adapter =
    Adapter::new("heap", &["heap"], |environment| Ok(Arc::new(HeapProvider::new(environment)?)))
        .with_marks(&["HEAP_PORT"]);

static PROFILE: Profile = Profile::portable("heap");

/// The provider. It opens nothing by itself.
#[derive(Debug)]
pub struct HeapProvider {
    port: u16,
    clock: Arc<dyn Clock>,
    tables: Mutex<HashMap<String, Arc<HeapKeyValue>>>,
}

impl HeapProvider {
    /// Errors: `Config` where `HEAP_PORT` is not a port number.
    pub fn new(environment: &Environment) -> Result<Self> {
        let port = environment.parse("HEAP_PORT", "a port number from 0 to 65535")?;
        Ok(Self { port: port.unwrap_or(8080), clock: Arc::new(SystemClock), tables: Mutex::default() })
    }

    /// The same with another clock, for tests.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }
}

#[async_trait]
impl Provider for HeapProvider {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    fn key_value(&self, at: &Location) -> Result<Arc<dyn KeyValue>> {
        if let Some(url) = at.url() {
            url.check_parameters(&[])?;
        }
        let mut tables = self.tables.lock();
        let new = || Arc::new(HeapKeyValue::new(Arc::clone(&self.clock)));
        let table = tables.entry(at.physical_name().to_owned()).or_insert_with(new);
        Ok(Arc::<HeapKeyValue>::clone(table))
    }

    fn blob(&self, _: &Location) -> Result<Arc<dyn Blob>> {
        Err(Error::unsupported("bucket", "heap", "give the bucket a URL of another provider"))
    }

    fn pub_sub(&self, _: &Location) -> Result<Arc<dyn PubSub>> {
        Err(Error::unsupported("topic", "heap", "give the topic a URL of another provider"))
    }

    async fn host(&self, app: Hosted) -> Result<()> {
        let is_served = |trigger: &Trigger| matches!(trigger, Trigger::Http | Trigger::Function(_));
        if !app.manifest.triggers.iter().all(is_served) {
            return Err(Error::unsupported("host", "heap", "it delivers HTTP only: run the app elsewhere"));
        }
        let not_free = |error| Error::config("cannot listen on HEAP_PORT: choose another port").with_source(error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await.map_err(not_free)?;
        let clock = self.clock();
        let answer = move |request: Request<Body>| {
            let cx = Context::new("heap", Arc::clone(&clock)).with_timeout(PROFILE.limits.http_timeout);
            let cx = cx.with_trace_of(request.headers());
            let function = Arc::clone(&app.function);
            async move { host::answer(function.as_ref(), request, cx).await }
        };
        serve(listener, answer, Options::new(&PROFILE.limits), stop_signal()).await;
        Ok(())
    }
}

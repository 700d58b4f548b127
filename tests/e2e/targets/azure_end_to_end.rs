//! The apps as their users deploy them to Azure: built with the feature `azure`, and run as custom handlers by the double
//! of the Functions host, with the files of `function_app`. Values are in the Cosmos emulator and in Azurite, messages in
//! the double of Service Bus and in Azurite.
#![allow(clippy::unwrap_used, clippy::panic)] // a trial fails by panicking

#[path = "end_to_end/same.rs"]
mod same;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use isobar::{Body, EventQueue, TestResponse};
use isobar_azure::HttpMode;
use isobar_conformance::Absent;
use isobar_conformance::target::Check;
use isobar_conformance::{HarnessResult, RunningApp, TrialResult, World};
use isobar_e2e::backends::azure::Services;
use isobar_e2e::backends::azure::deployed::Deployed;
use isobar_e2e::built;
use isobar_e2e::emulators::{Azurite, CosmosEmulator, CosmosProgram, Node};
use isobar_e2e::functions_host::{ServiceBusMessage, State};
use serde_json::{Value, json};

use same::link;

const TRIALS: &[(&str, Check<Arc<Machine>>)] = &[
    ("the_shortener_does_the_same_on_cosmos_and_service_bus", |machine| {
        Box::pin(same::shortener(machine.full(HttpMode::Proxying)))
    }),
    ("the_shortener_does_the_same_on_a_storage_account_alone", |machine| {
        Box::pin(same::shortener(machine.storage(HttpMode::Proxying)))
    }),
    ("the_shortener_does_the_same_where_http_is_forwarded", |machine| {
        Box::pin(same::shortener(machine.full(HttpMode::Forwarding)))
    }),
    ("the_shortener_does_the_same_where_http_is_json", |machine| {
        Box::pin(same::shortener(machine.full(HttpMode::Json)))
    }),
    ("the_notes_do_the_same", |machine| {
        let azure = machine.full(HttpMode::Proxying);
        Box::pin(same::notes(Deployed { executable: azure.executable.with_file_name("notes"), ..azure }))
    }),
    ("the_chatbot_does_the_same", |machine| {
        let azure = machine.full(HttpMode::Proxying);
        let executable = azure.executable.with_file_name("chatbot");
        Box::pin(same::chatbot(Deployed { executable, environment: same::all_logs(), ..azure }))
    }),
    ("no_client_can_fire_a_trigger", |machine| Box::pin(no_client_can_fire_a_trigger(machine))),
    ("a_handler_that_is_killed_loses_nothing", |machine| Box::pin(a_handler_that_is_killed_loses_nothing(machine))),
    ("a_poison_message_harms_no_other", |machine| {
        Box::pin(async move {
            same::poison(machine.full(HttpMode::Proxying)).await?;
            same::poison(machine.storage(HttpMode::Proxying)).await
        })
    }),
];

fn main() -> ExitCode {
    let start = || Ok((Machine::start().map(Arc::new)?, ()));
    isobar_conformance::target::run_checks("azure::end-to-end", Duration::from_secs(120), TRIALS, start)
}

/// The emulators, and the binaries.
struct Machine {
    deployed: Deployed,
    cosmos: CosmosEmulator,
    _azurite: Azurite,
}

impl Machine {
    fn start() -> Result<Self, Absent> {
        let node = Node::ready()?;
        let cosmos = CosmosEmulator::start(&CosmosProgram::ready()?).unwrap();
        let azurite = Azurite::start(&node).unwrap();
        let executable = built::apps("azure").unwrap().join("shortener");
        let (services, environment) = (Services::storage(&azurite), BTreeMap::new());
        let deployed = Deployed { services, executable, http: HttpMode::Proxying, environment };
        Ok(Self { deployed, cosmos, _azurite: azurite })
    }

    /// Tables in Azurite, topics in its queues.
    fn storage(&self, http: HttpMode) -> Deployed {
        Deployed { http, ..self.deployed.clone() }
    }

    /// Tables in Cosmos DB, topics in Service Bus.
    fn full(&self, http: HttpMode) -> Deployed {
        let services = self.deployed.services.clone().with_cosmos(&self.cosmos.endpoint);
        Deployed { services, ..self.storage(http) }
    }
}

/// A client sends the same request as the host sends to its handler: the app treats it as any other request.
async fn no_client_can_fire_a_trigger(machine: Arc<Machine>) -> TrialResult {
    for http in [HttpMode::Proxying, HttpMode::Forwarding, HttpMode::Json] {
        let world = machine.full(http).open_world().await?;
        let app = world.run(Box::new(shortener::app)).await?;
        let id = link(&app).await?;
        let host = app.functions_host().unwrap();
        let message = ServiceBusMessage {
            id: "1".to_owned(),
            body: Bytes::from(json!({ "id": id }).to_string()),
            delivery_count: 1,
            ..ServiceBusMessage::default()
        };
        let click = host.files().named("topic-clicks")?.service_bus_message(&message);
        for secret in ["", "-", "-00000000000000000000000000000000", "-0123456789abcdefghijklmnopqrstuw"] {
            let forged = Request::post(format!("/topic-clicks{secret}"))
                .header("content-type", "application/json; charset=utf-8")
                .header("user-agent", "Azure-Functions-Host/4.1037.0.0")
                .header("x-azure-functions-invocationid", "3f2a0000-0000-0000-0000-000000000001")
                .header("x-azure-functions-hostversion", "4.1037.0.0");
            let response = app.http(forged.body(Body::from(click.payload.to_string()))?).await?;
            // The app's response to a POST to a link.
            assert_eq!(response.status, 405, "{http:?} {secret}: {}", response.text());
        }
        let stats = |clicks: u32| (200, format!(r#"{{"clicks":{clicks}}}"#));
        let found =
            async || get(&app, &format!("/{id}/stats")).await.map(|found| (found.status.as_u16(), found.text()));
        assert_eq!(found().await?, stats(0), "{http:?}");
        // The host's own call is counted: the forged request lacked only the secret.
        host.call(&click).await?;
        assert_eq!((found().await?, host.starts()), (stats(1), 1), "{http:?}");
    }
    Ok(())
}

/// A machine is removed during its work, and another one continues.
async fn a_handler_that_is_killed_loses_nothing(machine: Arc<Machine>) -> TrialResult {
    for azure in [machine.full(HttpMode::Proxying), machine.storage(HttpMode::Proxying)] {
        let world = azure.open_world().await?;
        let app = world.run(Box::new(shortener::app)).await?;
        let id = link(&app).await?;
        for _ in 0..20 {
            assert_eq!(get(&app, &format!("/{id}")).await?.status, 307);
        }
        let host = app.functions_host().unwrap();
        let killing = async {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_millis(15)).await;
                host.kill();
            }
        };
        let (delivered, ()) = tokio::join!(app.deliver(), killing);
        delivered?;
        app.deliver().await?;
        let dead = app.dead_letters(&EventQueue::topic("clicks")).await?;
        assert!(dead.is_empty(), "{dead:?}");
        // Each message is marked before it is counted; one whose handler is killed between the two is not counted, as
        // the app's `count_once` documents.
        let marks = world.cloud().table::<i64>("links").query("total").prefix("seen/").all().await?;
        assert_eq!(marks.len(), 20, "{marks:?}");
        let clicks = get(&app, &format!("/{id}/stats")).await?.json::<Value>()?["clicks"].as_i64().unwrap();
        assert!(clicks <= 20, "{clicks}");
        assert!(host.starts() > 1 && host.state() == State::Running, "{} {:?}", host.starts(), host.state());
    }
    Ok(())
}

async fn get(app: &dyn RunningApp, path: &str) -> HarnessResult<TestResponse> {
    app.get(path).await
}

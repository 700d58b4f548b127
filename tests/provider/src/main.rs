//! An app that counts its guests.

use std::process::ExitCode;

use isobar::prelude::*;

fn app(cloud: &Cloud) -> App {
    let guests = cloud.table::<u64>("guests");
    App::new("welcome").http(Router::new().route("/{name}", get(welcome)).with_state(guests))
}

async fn welcome(State(guests): State<Table<u64>>, Path(name): Path<String>, cx: Context) -> Result<String> {
    let visits = guests.add(&name, 1).await?;
    Ok(format!("Welcome to {}, {name}! Visits: {visits}", cx.provider()))
}

fn main() -> ExitCode {
    isobar::main_with(&[isobar::ADAPTERS, &[heap::ADAPTER]].concat(), app)
}

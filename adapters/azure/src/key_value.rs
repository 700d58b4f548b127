//! Key-value: Cosmos DB, or Table Storage.

mod cosmos;
mod table;

use std::sync::Arc;

use isobar_abstraction::driver::Location;
use isobar_abstraction::driver::key_value::KeyValue;
use isobar_abstraction::{Error, Result};

use crate::State;
use crate::config::Placed;

pub(crate) use cosmos::{Sessions, written_key};

/// Opens a table. Connects to nothing. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, sessions: &Sessions, at: &Location) -> Result<Arc<dyn KeyValue>> {
    match state.config.place(at)? {
        Placed::Cosmos { account, container } => {
            Ok(Arc::new(cosmos::CosmosKeyValue::new(state, sessions, &account, container)?))
        }
        Placed::Table { account, table } => Ok(Arc::new(table::TableKeyValue::new(state, &account, table))),
        _ => Err(Error::config(format!("{at} is not a table: use a URL cosmos:// or aztable://"))),
    }
}

/// A double of the token endpoint of a Functions app, which always returns this token.
#[cfg(test)]
async fn identity(token: &'static str) -> isobar_testkit::Double {
    let body = serde_json::json!({"access_token": token, "expires_on": "4102444800", "token_type": "Bearer"});
    isobar_testkit::Double::new(move |_| http::Response::new(body.to_string())).await
}

//! The account that we are in.

use std::sync::Arc;

use isobar_abstraction::{Error, Result};
use isobar_rest::Safety;
use serde::Deserialize;

use super::AwsService;

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "GetCallerIdentityResult")]
    result: Identity,
}

#[derive(Deserialize)]
struct Identity {
    #[serde(rename = "Account")]
    account: String,
}

impl AwsService {
    /// The account of this service: configured, told by the running function's ARN or by the source of
    /// the credentials, else asked of STS, once. That needs no permission.
    ///
    /// Errors: those of the credentials and of STS.
    pub(crate) async fn account(&self) -> Result<String> {
        let state = &self.state;
        if let Some(account) = state.config.account.as_ref().or_else(|| state.account.get()) {
            return Ok(account.clone());
        }
        state.credentials.get().await?;
        let account = match state.credentials.account() {
            Some(account) => account,
            None => self.ask_account().await?,
        };
        Ok(state.account.get_or_init(|| account).clone())
    }

    async fn ask_account(&self) -> Result<String> {
        let sts = Self::new(Arc::clone(&self.state), "sts", Some(&self.region))?;
        let form = "Action=GetCallerIdentity&Version=2011-06-15".to_owned();
        let body = sts.query("GetCallerIdentity", Safety::Read, form).await??;
        let malformed = || Error::internal("STS did not answer with the expected XML");
        let text = std::str::from_utf8(&body).map_err(|_| malformed())?;
        let answer: Answer = quick_xml::de::from_str(text).map_err(|_| malformed())?;
        Ok(answer.result.account)
    }
}

//! The AWS account of the credentials.

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
    /// The account of this service: from configuration, from the running function's ARN, from the source of
    /// the credentials, or from one call to STS, which needs no permission.
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
            None => self.request_account().await?,
        };
        Ok(state.account.get_or_init(|| account).clone())
    }

    async fn request_account(&self) -> Result<String> {
        let sts = Self::new(Arc::clone(&self.state), "sts", Some(&self.region))?;
        let form = "Action=GetCallerIdentity&Version=2011-06-15".to_owned();
        let body = sts.query("GetCallerIdentity", Safety::Read, form).await??;
        let malformed =
            || Error::internal("STS returned something else than the expected XML: check AWS_ENDPOINT_URL_STS");
        let text = std::str::from_utf8(&body).map_err(|_| malformed())?;
        let answer: Answer = quick_xml::de::from_str(text).map_err(|_| malformed())?;
        Ok(answer.result.account)
    }
}

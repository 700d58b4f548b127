//! Secrets and configurations in Parameter Store (`ssm://`, the default) and in Secrets Manager (`secretsmanager://`).

use std::sync::Arc;

use async_trait::async_trait;
use isobar_abstraction::driver::secret::SecretStore;
use isobar_abstraction::driver::{ResourceKind, ResourceUrl};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Safety, ServiceError, check_endpoint};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::State;
use crate::config::check_region;
use crate::service::{AwsService, JsonApi, read_json};

/// Opens the store of a URL, or Parameter Store without one. Connects to nothing. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, url: Option<&ResourceUrl>) -> Result<Arc<dyn SecretStore>> {
    url.map_or(Ok(()), |url| url.check_store(&["ssm", "secretsmanager"], &["region", "endpoint"]))?;
    let is_ssm = url.is_none_or(|url| url.scheme() == "ssm");
    let scheme = if is_ssm { "ssm" } else { "secretsmanager" };
    if let Some(name) = url.map(ResourceUrl::name).filter(|name| !name.is_empty()) {
        return Err(Error::config(format!(
            "`{scheme}://{}` names a store, but an account has one in each region: use {scheme}://, with ISOBAR_PREFIX \
             for the beginning of the keys",
            name.escape_debug()
        )));
    }
    let parameter = |key: &str, check: fn(&str, &str) -> Result<String>| {
        let value = url.and_then(|url| url.parameter(key));
        value.map(|value| check(&format!("the {key} of {scheme}://"), value)).transpose()
    };
    let (region, endpoint) = (parameter("region", check_region)?, parameter("endpoint", check_endpoint)?);
    let service = AwsService::new(Arc::clone(state), scheme, region.as_deref())?.with_endpoint(endpoint);
    Ok(if is_ssm { Arc::new(ParameterStore(service)) } else { Arc::new(SecretsManager(service)) })
}

/// The Parameter Store of an account in one region.
#[derive(Debug)]
struct ParameterStore(AwsService);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetParameter<'a> {
    name: &'a str,
    with_decryption: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetParameterOutput {
    parameter: Parameter,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    value: String,
}

#[async_trait]
impl SecretStore for ParameterStore {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        let input = GetParameter { name: key, with_decryption: true };
        let output: Option<GetParameterOutput> = read(&self.0, JsonApi::SSM, "GetParameter", key, &input).await?;
        Ok(output.map(|output| output.parameter.value))
    }

    /// Source: <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html>.
    fn check(&self, key: &str, kind: ResourceKind) -> Result<Option<String>> {
        let name = key.to_ascii_lowercase();
        if !["aws", "ssm"].iter().any(|word| name.starts_with(word)) {
            return Ok(None);
        }
        Err(Error::config(format!(
            "the {kind} is `{key}` in Parameter Store, whose names cannot begin with `aws` or `ssm`: set ISOBAR_PREFIX, or \
             ISOBAR_STAGE for a prefix with the name of the app"
        )))
    }

    fn how_to_set(&self, key: &str, kind: ResourceKind) -> String {
        let kind = if kind == ResourceKind::Secret { "SecureString" } else { "String" };
        let region = self.0.region();
        format!("run `aws ssm put-parameter --name {key} --type {kind} --value … --region {region}`")
    }
}

/// The Secrets Manager of an account in one region.
#[derive(Debug)]
struct SecretsManager(AwsService);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue<'a> {
    secret_id: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValueOutput {
    secret_string: Option<String>,
    secret_binary: Option<IgnoredAny>,
}

#[async_trait]
impl SecretStore for SecretsManager {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        let input = GetSecretValue { secret_id: key };
        let output: Option<GetSecretValueOutput> =
            read(&self.0, JsonApi::SECRETS_MANAGER, "GetSecretValue", key, &input).await?;
        match output {
            Some(GetSecretValueOutput { secret_string: None, secret_binary: Some(_) }) => Err(Error::config(format!(
                "the value of `{key}` in Secrets Manager is binary, and isobar reads text: run \
                 `aws secretsmanager put-secret-value --secret-id {key} --secret-string … --region {}`",
                self.0.region()
            ))),
            output => Ok(output.and_then(|output| output.secret_string)),
        }
    }

    fn how_to_set(&self, key: &str, _kind: ResourceKind) -> String {
        let region = self.0.region();
        format!("run `aws secretsmanager create-secret --name {key} --secret-string … --region {region}`")
    }
}

/// Reads a key; `None` if the store has no value.
async fn read<T: DeserializeOwned>(
    service: &AwsService,
    api: JsonApi,
    operation: &'static str,
    key: &str,
    input: &(impl Serialize + Sync),
) -> Result<Option<T>> {
    match service.with_resource(key).json(api, operation, Safety::Read, input).await? {
        Ok(body) => read_json(service.name(), &body).map(Some),
        Err(service_error) if is_missing(&service_error) => Ok(None),
        Err(service_error) if service_error.kind == ErrorKind::PermissionDenied => {
            let (explanation, name) = (&service_error.explanation, service.name());
            let explanation =
                format!("{explanation}: `{name}:{operation}`, and `kms:Decrypt` for a KMS key of your own");
            Err(ServiceError { explanation, ..service_error }.into())
        }
        Err(service_error) => Err(service_error.into()),
    }
}

/// Whether the store reports that the key has no value. By the code only: a proxy answers 404 too.
fn is_missing(service_error: &ServiceError) -> bool {
    match service_error.code.as_str() {
        "ParameterNotFound" | "ResourceNotFoundException" => true,
        // Secrets Manager keeps a deleted secret for days.
        "InvalidRequestException" => service_error.message.contains("delet"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use isobar_abstraction::driver::Environment;

    use super::*;
    use crate::{AwsConfig, AwsProvider};

    fn store(url: &str) -> Result<Arc<dyn SecretStore>> {
        let environment = Environment::default().with_var("AWS_REGION", "eu-west-1");
        let state = AwsProvider::new(AwsConfig::from_environment(&environment)?).0;
        open(&state, Some(&ResourceUrl::parse_store(url)?))
    }

    #[test]
    fn url_with_a_name_or_an_unknown_parameter_is_a_config_error() {
        for url in [
            "sqs://",
            "ssm://shop",
            "secretsmanager://shop",
            "ssm://?account=1",
            "ssm://?region=a.b",
            "ssm://?endpoint=x",
        ] {
            assert_eq!(store(url).unwrap_err().kind(), ErrorKind::Config, "{url}");
        }
    }

    #[test]
    fn key_that_parameter_store_reserves_is_a_config_error_before_any_call() {
        let parameters = store("ssm://").unwrap();
        for key in ["aws-token", "SSM-token", "awstoken"] {
            let error = parameters.check(key, ResourceKind::Secret).unwrap_err();
            assert!(error.message().contains("ISOBAR_STAGE"), "{error}");
        }
        assert!(parameters.check("shop-aws-token", ResourceKind::Secret).is_ok());
        assert!(store("secretsmanager://").unwrap().check("aws-token", ResourceKind::Secret).is_ok());
    }

    #[test]
    fn command_that_sets_a_value_names_the_region_of_the_store() {
        assert_eq!(
            store("ssm://").unwrap().how_to_set("shop-token", ResourceKind::Secret),
            "run `aws ssm put-parameter --name shop-token --type SecureString --value … --region eu-west-1`"
        );
        assert_eq!(
            store("ssm://?region=us-east-1").unwrap().how_to_set("shop-rates", ResourceKind::Config),
            "run `aws ssm put-parameter --name shop-rates --type String --value … --region us-east-1`"
        );
        assert_eq!(
            store("secretsmanager://").unwrap().how_to_set("shop-token", ResourceKind::Secret),
            "run `aws secretsmanager create-secret --name shop-token --secret-string … --region eu-west-1`"
        );
    }
}

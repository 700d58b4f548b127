//! The endpoints of AWS's services: partitions, regions and hosts.

use isobar_abstraction::{Error, Result};

use super::AwsConfig;

/// A part of AWS with separate accounts, names and ARNs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    /// The prefix of its regions.
    regions: &'static str,
    /// The second part of its ARNs.
    pub(crate) name: &'static str,
    suffix: &'static str,
    dual_stack_suffix: &'static str,
}

/// The partitions except the commercial one, from `partitions.json` of AWS's SDKs.
const PARTITIONS: [Partition; 7] = [
    partition("cn-", "aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    partition("us-gov-", "aws-us-gov", "amazonaws.com", "api.aws"),
    partition("eusc-", "aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu"),
    partition("us-iso-", "aws-iso", "c2s.ic.gov", "api.aws.ic.gov"),
    partition("us-isob-", "aws-iso-b", "sc2s.sgov.gov", "api.aws.scloud"),
    partition("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    partition("us-isof-", "aws-iso-f", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
];

const COMMERCIAL: Partition = partition("", "aws", "amazonaws.com", "api.aws");

const fn partition(
    regions: &'static str,
    name: &'static str,
    suffix: &'static str,
    dual_stack_suffix: &'static str,
) -> Partition {
    Partition { regions, name, suffix, dual_stack_suffix }
}

impl Partition {
    /// The partition of a region.
    pub(crate) fn of(region: &str) -> &'static Self {
        PARTITIONS.iter().find(|partition| region.starts_with(partition.regions)).unwrap_or(&COMMERCIAL)
    }
}

/// An ARN such as `arn:aws:sns:eu-west-1:123456789012:clicks`.
pub(crate) fn arn(service: &str, region: &str, account: &str, resource: &str) -> String {
    format!("arn:{}:{service}:{region}:{account}:{resource}", Partition::of(region).name)
}

impl AwsConfig {
    /// The endpoint of a service in a region, without a slash at its end: the configured one or AWS's.
    ///
    /// `host` is the first label of the service's host names, such as `dynamodb`.
    pub(crate) fn endpoint(&self, host: &str, region: &str) -> String {
        let id = service_id(host);
        let configured = self.endpoints.get(id).or_else(|| self.endpoints.get(""));
        configured.cloned().unwrap_or_else(|| format!("https://{}", self.aws_host(host, region)))
    }

    /// The host by the endpoint rules of AWS's SDKs, for the services that isobar uses.
    fn aws_host(&self, service: &str, region: &str) -> String {
        let partition = Partition::of(region);
        let (fips, dual_stack) = (self.fips, self.dual_stack);
        if service == "s3" {
            let fips = if fips { "-fips" } else { "" };
            let dual_stack = if dual_stack { ".dualstack" } else { "" };
            return format!("s3{fips}{dual_stack}.{region}.{}", partition.suffix);
        }
        // In GovCloud the standard endpoints of these services are validated for FIPS 140; no others exist.
        let plain_is_fips =
            partition.name == "aws-us-gov" && ["dynamodb", "sns", "sqs", "ssm", "sts"].contains(&service);
        let fips = if fips && (dual_stack || !plain_is_fips) { "-fips" } else { "" };
        // The standard host of Secrets Manager has IPv4 and IPv6 in these partitions.
        let plain_is_dual = service == "secretsmanager" && ["aws", "aws-cn", "aws-us-gov"].contains(&partition.name);
        let suffix = if dual_stack && !plain_is_dual { partition.dual_stack_suffix } else { partition.suffix };
        format!("{service}{fips}.{region}.{suffix}")
    }
}

/// The end of `AWS_ENDPOINT_URL_<SERVICE>` in lower case, which differs from the host for some services.
fn service_id(host: &str) -> &str {
    match host {
        "bedrock-runtime" => "bedrock_runtime",
        "events" => "eventbridge",
        "runtime.sagemaker" => "sagemaker_runtime",
        "secretsmanager" => "secrets_manager",
        _ => host,
    }
}

/// The service's name in signatures, which differs from the host for some services.
pub(crate) fn signing_name(host: &'static str) -> &'static str {
    match host {
        "bedrock-agent-runtime" | "bedrock-runtime" => "bedrock",
        "email" => "ses",
        "runtime.sagemaker" => "sagemaker",
        _ => host,
    }
}

/// Checks that a region is valid in the name of a host. Errors: `Config`, naming the source.
pub(crate) fn check_region(from: &str, region: &str) -> Result<String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=32).contains(&region.len()) && region.bytes().all(fits) {
        return Ok(region.to_owned());
    }
    // The sender of an event determines the length of a region in its ARN.
    let region: String = region.chars().take(40).flat_map(char::escape_debug).collect();
    Err(Error::config(format!("{from} is `{region}`; it must be a region such as eu-west-1")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(service: &str, region: &str) -> [String; 4] {
        [(false, false), (false, true), (true, false), (true, true)].map(|(fips, dual_stack)| {
            let config = AwsConfig { fips, dual_stack, ..AwsConfig::default() };
            config.endpoint(service, region).trim_start_matches("https://").to_owned()
        })
    }

    /// Expected values: the hosts of botocore 1.43, standard, dual-stack, FIPS and both.
    #[test]
    fn endpoints_are_those_of_the_sdks() {
        assert_eq!(
            hosts("dynamodb", "eu-west-1"),
            [
                "dynamodb.eu-west-1.amazonaws.com",
                "dynamodb.eu-west-1.api.aws",
                "dynamodb-fips.eu-west-1.amazonaws.com",
                "dynamodb-fips.eu-west-1.api.aws"
            ]
        );
        assert_eq!(
            hosts("sqs", "cn-north-1"),
            [
                "sqs.cn-north-1.amazonaws.com.cn",
                "sqs.cn-north-1.api.amazonwebservices.com.cn",
                "sqs-fips.cn-north-1.amazonaws.com.cn",
                "sqs-fips.cn-north-1.api.amazonwebservices.com.cn"
            ]
        );
        assert_eq!(
            hosts("sns", "us-gov-west-1"),
            [
                "sns.us-gov-west-1.amazonaws.com",
                "sns.us-gov-west-1.api.aws",
                "sns.us-gov-west-1.amazonaws.com",
                "sns-fips.us-gov-west-1.api.aws"
            ]
        );
        assert_eq!(hosts("lambda", "us-gov-west-1")[2], "lambda-fips.us-gov-west-1.amazonaws.com");
        assert_eq!(
            hosts("s3", "eu-west-1"),
            [
                "s3.eu-west-1.amazonaws.com",
                "s3.dualstack.eu-west-1.amazonaws.com",
                "s3-fips.eu-west-1.amazonaws.com",
                "s3-fips.dualstack.eu-west-1.amazonaws.com"
            ]
        );
        assert_eq!(
            hosts("secretsmanager", "eu-west-1"),
            [
                "secretsmanager.eu-west-1.amazonaws.com",
                "secretsmanager.eu-west-1.amazonaws.com",
                "secretsmanager-fips.eu-west-1.amazonaws.com",
                "secretsmanager-fips.eu-west-1.amazonaws.com"
            ]
        );
        assert_eq!(hosts("secretsmanager", "us-iso-east-1")[1], "secretsmanager.us-iso-east-1.api.aws.ic.gov");
        assert_eq!(hosts("ssm", "us-gov-west-1")[2], "ssm.us-gov-west-1.amazonaws.com");
        assert_eq!(hosts("sts", "us-isob-east-1")[1], "sts.us-isob-east-1.api.aws.scloud");
        assert_eq!(hosts("dynamodb", "eusc-de-east-1")[0], "dynamodb.eusc-de-east-1.amazonaws.eu");
    }

    #[test]
    fn arns_contain_the_partition_of_the_region() {
        assert_eq!(arn("sns", "eu-west-1", "123456789012", "clicks"), "arn:aws:sns:eu-west-1:123456789012:clicks");
        assert_eq!(Partition::of("cn-north-1").name, "aws-cn");
        assert_eq!(Partition::of("us-gov-east-1").name, "aws-us-gov");
        assert_eq!(Partition::of("us-iso-east-1").name, "aws-iso");
        assert_eq!(Partition::of("us-isob-east-1").name, "aws-iso-b");
    }

    #[test]
    fn configured_endpoint_of_the_service_has_priority_over_the_general_one() {
        let mut config = AwsConfig { fips: true, ..AwsConfig::default() };
        config.endpoints.insert(String::new(), "http://127.0.0.1:1".to_owned());
        config.endpoints.insert("eventbridge".to_owned(), "http://127.0.0.1:2".to_owned());
        config.endpoints.insert("secrets_manager".to_owned(), "http://127.0.0.1:3".to_owned());
        assert_eq!(config.endpoint("sns", "eu-west-1"), "http://127.0.0.1:1");
        assert_eq!(config.endpoint("events", "eu-west-1"), "http://127.0.0.1:2");
        assert_eq!(config.endpoint("secretsmanager", "eu-west-1"), "http://127.0.0.1:3");
    }

    #[test]
    fn region_that_changes_the_host_is_rejected() {
        for bad in ["", " eu-west-1", "eu-west-1/", "evil.example/#", "EU-WEST-1", &"a".repeat(33)] {
            assert!(check_region("AWS_REGION", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn error_of_malformed_region_is_short_and_on_one_line() {
        let message = |region: &str| check_region("the region", region).unwrap_err().message().to_owned();
        assert!(message("eu\nwest\u{1b}[1m").contains(r"`eu\nwest\u{1b}[1m`"));
        assert!(message(&"\n".repeat(100_000)).len() < 200);
    }
}

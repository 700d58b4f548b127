use isobar_abstraction::ErrorKind;

use super::*;

fn of(vars: &[(&str, &str)]) -> Result<AwsConfig> {
    let with_var = |environment: Environment, (name, value): &(&str, &str)| environment.with_var(*name, *value);
    AwsConfig::from_environment(&vars.iter().fold(Environment::default(), with_var))
}

#[test]
fn aws_region_has_priority_over_aws_default_region() {
    let both = [("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "us-east-1")];
    assert_eq!(of(&both).unwrap().region.as_deref(), Some("eu-west-1"));
    assert_eq!(of(&both[1..]).unwrap().region.as_deref(), Some("us-east-1"));
}

#[test]
fn region_without_a_variable_is_that_of_the_profile_or_a_config_error() {
    let error = of(&[]).unwrap().region().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("AWS_REGION"), "{error}");

    let file = std::env::temp_dir().join(format!("isobar-aws-config-{}", std::process::id()));
    std::fs::write(&file, "[default]\nregion = eu-north-1\n[profile work]\nregion = eu-south-1\n").unwrap();
    let path = file.to_str().unwrap();
    let home = ("HOME", "/nowhere/at/all");
    let default = of(&[home, ("AWS_CONFIG_FILE", path)]).unwrap();
    let work = of(&[home, ("AWS_CONFIG_FILE", path), ("AWS_PROFILE", "work")]).unwrap();
    let set = of(&[home, ("AWS_CONFIG_FILE", path), ("AWS_REGION", "us-east-1")]).unwrap();
    let found = [default, work, set].map(|config| config.region().unwrap());
    std::fs::remove_file(&file).unwrap();
    assert_eq!(found, ["eu-north-1", "eu-south-1", "us-east-1"]);
}

#[test]
fn endpoints_are_by_service_and_can_be_ignored() {
    let vars = [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1/"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:2"),
        ("AWS_ENDPOINT_URL_S3", ""),
        ("AWS_ENDPOINT_URLS", "nonsense"),
    ];
    let config = of(&vars).unwrap();
    assert_eq!(config.endpoint("dynamodb", "eu-west-1"), "http://127.0.0.1:2");
    assert_eq!(config.endpoint("s3", "eu-west-1"), "http://127.0.0.1:1");
    let ignored: Vec<_> = vars.into_iter().chain([("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "True")]).collect();
    assert_eq!(of(&ignored).unwrap().endpoint("sqs", "eu-west-1"), "https://sqs.eu-west-1.amazonaws.com");
}

#[test]
fn malformed_variable_is_a_config_error_with_its_name() {
    for (name, value) in [
        ("AWS_REGION", "Frankfurt"),
        ("AWS_DEFAULT_REGION", "eu west"),
        ("AWS_ACCOUNT_ID", "1234"),
        ("AWS_ENDPOINT_URL", "localhost:4566"),
        ("AWS_ENDPOINT_URL_SQS", "ftp://x"),
        ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "1"),
        ("AWS_USE_FIPS_ENDPOINT", "yes"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "on"),
        ("AWS_MAX_ATTEMPTS", "0"),
        ("AWS_MAX_ATTEMPTS", "many"),
        ("ISOBAR_PREFIX", "Dev_"),
        ("ISOBAR_LAMBDA_INVOKE_MODE", "stream"),
        ("ISOBAR_TOPIC_CLICKS", "sns://clicks?queues=x"),
        ("ISOBAR_BUCKET_PAGES", "pages"),
    ] {
        let error = of(&[(name, value)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(name), "{name}={value}: {error}");
    }
}

#[test]
fn flags_and_client_options_are_read() {
    let config = of(&[
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "TRUE"),
        ("AWS_MAX_ATTEMPTS", "3"),
        ("AWS_CA_BUNDLE", "/etc/ca.pem"),
        ("ISOBAR_LAMBDA_INVOKE_MODE", "RESPONSE_STREAM"),
        ("HTTPS_PROXY", "http://proxy.example:3128"),
    ])
    .unwrap();
    assert!(config.fips && config.dual_stack && config.response_stream);
    assert_eq!(config.client.max_attempts, 3);
    assert_eq!(config.client.https_proxy.as_deref(), Some("http://proxy.example:3128"));
    assert_eq!(config.client.ca_bundle.unwrap().to_str(), Some("/etc/ca.pem"));
}

#[test]
fn resources_of_other_providers_are_ignored() {
    let config =
        of(&[("ISOBAR_TOPIC_CLICKS", "sns://clicks-prod"), ("ISOBAR_BUCKET_PAGES", "gs://pages?x=y")]).unwrap();
    assert_eq!(config.placed.len(), 1);
    assert_eq!(config.location(ResourceKind::Topic, "clicks").physical_name(), "clicks-prod");
}

#[test]
fn credentials_in_code_are_checked_and_not_in_debug() {
    let config = AwsConfig::default().with_credentials("AKIDEXAMPLE", "hush", None).unwrap();
    assert!(!format!("{config:?}").contains("hush"));
    assert!(AwsConfig::default().with_credentials("AKIDEXAMPLE", "hu sh", None).is_err());
}

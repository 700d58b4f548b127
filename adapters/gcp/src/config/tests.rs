use isobar_abstraction::driver::{Environment, Location, ResourceKind, ResourceUrl};

use super::*;

fn config(vars: &[(&str, &str)]) -> Result<GcpConfig> {
    let with_var = |environment: Environment, (name, value): &(&str, &str)| environment.with_var(*name, *value);
    GcpConfig::from_environment(&vars.iter().fold(Environment::default(), with_var))
}

fn placement(config: &GcpConfig, kind: ResourceKind, url: Option<&str>) -> Result<Placement> {
    let at = Location::new(kind, "links");
    config.placement(&match url {
        Some(url) => at.with_url(ResourceUrl::parse(url)?),
        None => at,
    })
}

#[test]
fn a_resource_has_its_logical_name_after_the_prefix() {
    let config = config(&[("ISOBAR_PREFIX", "dev-"), ("GOOGLE_CLOUD_PROJECT", "p-1")]).unwrap();
    let google = |host: &str| Endpoint::of_google(&format!("https://{host}.googleapis.com"));
    assert_eq!(
        placement(&config, ResourceKind::Table, None).unwrap(),
        Placement::Firestore {
            endpoint: google("firestore"),
            project: Some("p-1".into()),
            database: "(default)".into(),
            collection: "dev-links".into()
        }
    );
    assert_eq!(
        placement(&config, ResourceKind::Bucket, None).unwrap(),
        Placement::Storage { endpoint: google("storage"), bucket: "dev-links".into() }
    );
    assert_eq!(
        placement(&config, ResourceKind::Topic, Some("pubsub://other?project=p-2")).unwrap(),
        Placement::PubSub { endpoint: google("pubsub"), project: Some("p-2".into()), topic: "other".into() }
    );
}

#[test]
fn secrets_are_in_the_project_of_the_url_or_of_the_app() {
    let config = config(&[("GOOGLE_CLOUD_PROJECT", "p-1")]).unwrap();
    let secrets = |url: &str| config.secrets(Some(&ResourceUrl::parse_store(url)?));
    let google = Endpoint::of_google("https://secretmanager.googleapis.com");
    let of = |project: &str| SecretsPlacement { endpoint: google.clone(), project: Some(project.to_owned()) };
    assert_eq!(config.secrets(None).unwrap(), of("p-1"));
    assert_eq!((secrets("gsm://").unwrap(), secrets("gsm://p-2").unwrap()), (of("p-1"), of("p-2")));
    assert_eq!(secrets("gsm://?endpoint=http://127.0.0.1:1").unwrap().endpoint.access, Access::Anonymous);
    let bad = [
        ("gsm://P_1", "P_1"),
        ("gsm://?region=x", "region"),
        ("gsm://?endpoint=x", "endpoint"),
        ("gs://p-1", "gsm://"),
    ];
    for (bad, named) in bad {
        let error = secrets(bad).unwrap_err();
        assert!(error.message().contains(named), "{error}");
    }
}

#[test]
fn an_emulator_receives_no_token() {
    let config =
        config(&[("FIRESTORE_EMULATOR_HOST", "127.0.0.1:8081"), ("STORAGE_EMULATOR_HOST", "http://localhost:1/")]);
    let config = config.unwrap();
    let Placement::Firestore { endpoint, .. } = placement(&config, ResourceKind::Table, None).unwrap() else {
        panic!()
    };
    assert_eq!(endpoint, Endpoint { url: "http://127.0.0.1:8081".into(), access: Access::Anonymous });
    let Placement::Storage { endpoint, .. } = placement(&config, ResourceKind::Bucket, None).unwrap() else { panic!() };
    assert_eq!(endpoint, Endpoint { url: "http://localhost:1".into(), access: Access::Anonymous });
    let near = placement(&config, ResourceKind::Topic, Some("pubsub://abc?endpoint=http://127.0.0.1:9")).unwrap();
    let Placement::PubSub { endpoint, .. } = near else { panic!() };
    assert_eq!(endpoint.access, Access::Anonymous);
}

#[test]
fn an_error_names_the_wrong_setting() {
    for (vars, named) in [
        ([("ISOBAR_PREFIX", "9-")], "ISOBAR_PREFIX"),
        ([("GOOGLE_CLOUD_PROJECT", "a b")], "GOOGLE_CLOUD_PROJECT"),
        ([("FIRESTORE_DATABASE", "A")], "FIRESTORE_DATABASE"),
        ([("FIRESTORE_EMULATOR_HOST", "http://u:p@h")], "FIRESTORE_EMULATOR_HOST"),
        ([("PUBSUB_EMULATOR_HOST", "ftp://h")], "PUBSUB_EMULATOR_HOST"),
    ] {
        assert!(config(&vars).unwrap_err().message().contains(named), "{named}");
    }
    let config = GcpConfig::default();
    for (kind, url) in [
        (ResourceKind::Table, "s3://a"),
        (ResourceKind::Table, "firestore://__x"),
        (ResourceKind::Table, "firestore://abc?region=x"),
        (ResourceKind::Bucket, "gs://-ab"),
        (ResourceKind::Topic, "pubsub://google-x"),
        (ResourceKind::Topic, "pubsub://9ab"),
    ] {
        assert_eq!(
            placement(&config, kind, Some(url)).unwrap_err().kind(),
            isobar_abstraction::ErrorKind::Config,
            "{url}"
        );
    }
}

use isobar_abstraction::driver::{Environment, Location, ResourceKind, ResourceUrl};

use super::*;

fn config(vars: &[(&str, &str)]) -> Result<GcpConfig> {
    let with_var = |environment: Environment, (name, value): &(&str, &str)| environment.with_var(*name, *value);
    GcpConfig::from_environment(&vars.iter().fold(Environment::default(), with_var))
}

fn placed(config: &GcpConfig, kind: ResourceKind, url: Option<&str>) -> Result<Placed> {
    let at = Location::new(kind, "links");
    config.place(&match url {
        Some(url) => at.with_url(ResourceUrl::parse(url)?),
        None => at,
    })
}

#[test]
fn a_resource_has_its_logical_name_after_the_prefix() {
    let config = config(&[("ISOBAR_PREFIX", "dev-"), ("GOOGLE_CLOUD_PROJECT", "p-1")]).unwrap();
    let google = |host: &str| Endpoint::of_google(&format!("https://{host}.googleapis.com"));
    assert_eq!(
        placed(&config, ResourceKind::Table, None).unwrap(),
        Placed::Firestore {
            endpoint: google("firestore"),
            project: Some("p-1".into()),
            database: "(default)".into(),
            collection: "dev-links".into()
        }
    );
    assert_eq!(
        placed(&config, ResourceKind::Bucket, None).unwrap(),
        Placed::Storage { endpoint: google("storage"), bucket: "dev-links".into() }
    );
    assert_eq!(
        placed(&config, ResourceKind::Topic, Some("pubsub://other?project=p-2")).unwrap(),
        Placed::PubSub { endpoint: google("pubsub"), project: Some("p-2".into()), topic: "other".into() }
    );
}

#[test]
fn an_emulator_is_shown_no_token() {
    let config =
        config(&[("FIRESTORE_EMULATOR_HOST", "127.0.0.1:8081"), ("STORAGE_EMULATOR_HOST", "http://localhost:1/")]);
    let config = config.unwrap();
    let Placed::Firestore { endpoint, .. } = placed(&config, ResourceKind::Table, None).unwrap() else { panic!() };
    assert_eq!(endpoint, Endpoint { url: "http://127.0.0.1:8081".into(), access: Access::Anonymous });
    let Placed::Storage { endpoint, .. } = placed(&config, ResourceKind::Bucket, None).unwrap() else { panic!() };
    assert_eq!(endpoint, Endpoint { url: "http://localhost:1".into(), access: Access::Anonymous });
    let near = placed(&config, ResourceKind::Topic, Some("pubsub://abc?endpoint=http://127.0.0.1:9")).unwrap();
    let Placed::PubSub { endpoint, .. } = near else { panic!() };
    assert_eq!(endpoint.access, Access::Anonymous);
}

#[test]
fn what_is_wrong_is_told_with_its_name() {
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
            placed(&config, kind, Some(url)).unwrap_err().kind(),
            isobar_abstraction::ErrorKind::Config,
            "{url}"
        );
    }
}

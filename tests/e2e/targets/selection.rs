//! The selection of the provider in each environment: the whole table.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::collections::HashMap;
use std::sync::Arc;

use isobar::driver::{Adapter, Environment, Opener, ResourceKind};
use isobar::memory::MemoryProvider;
use isobar::{Error, ErrorKind, selection};

const ALL: &[Adapter] = &[isobar::local::ADAPTER, isobar::aws::ADAPTER, isobar_azure::ADAPTER, isobar_gcp::ADAPTER];

/// A third party's provider.
const HEAP: Adapter =
    Adapter::new("heap", &["heap"], |_| Ok(Arc::new(MemoryProvider::default()))).with_marks(&["HEAP_PORT"]);
const LAMBDA: (&str, &str) = ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001");
const FUNCTIONS: (&str, &str) = ("FUNCTIONS_CUSTOMHANDLER_PORT", "7071");
const RUN: (&str, &str) = ("K_SERVICE", "shortener");

fn environment(vars: &[(&str, &str)]) -> Environment {
    vars.iter().fold(Environment::default(), |environment, (name, value)| environment.with_var(*name, *value))
}

fn host(vars: &[(&str, &str)], compiled: &[Adapter]) -> Result<&'static str, String> {
    selection::host(&environment(vars), compiled).map(|adapter| adapter.name).map_err(|error| {
        assert_eq!(error.kind(), ErrorKind::Config);
        error.message().to_owned()
    })
}

#[test]
fn the_platform_marks_pick_the_provider() {
    for (vars, picked) in [
        (&[][..], "local"),
        (&[LAMBDA], "aws"),
        (&[FUNCTIONS], "azure"),
        (&[RUN], "gcp"),
        (&[("K_SERVICE", "")], "local"),
        (&[("AWS_REGION", "eu-west-1")], "local"),
        (&[LAMBDA, ("ISOBAR_PROVIDER", "local")], "local"),
        (&[LAMBDA, RUN, ("ISOBAR_PROVIDER", "gcp")], "gcp"),
        (&[("ISOBAR_PROVIDER", "azure")], "azure"),
        (&[LAMBDA, ("ISOBAR_PROVIDER", "")], "aws"),
    ] {
        assert_eq!(host(vars, ALL).as_deref(), Ok(picked), "{vars:?}");
    }
}

#[test]
fn two_marks_are_rejected_and_both_are_named() {
    let message = host(&[LAMBDA, RUN], ALL).unwrap_err();
    for part in ["AWS_LAMBDA_RUNTIME_API", "K_SERVICE", "ISOBAR_PROVIDER=aws|gcp"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_provider_that_is_not_compiled_in_names_its_feature_and_what_the_build_has() {
    let message = host(&[RUN], &ALL[..2]).unwrap_err();
    assert!(message.contains("this build has: local, aws") && message.contains("--features gcp"), "{message}");
    let message = host(&[], &[]).unwrap_err();
    assert!(message.contains("this build has: none") && message.contains("--features local"), "{message}");
    let message = host(&[("ISOBAR_PROVIDER", "heroku")], ALL).unwrap_err();
    assert!(message.contains("local, aws, azure, gcp"), "{message}");
}

#[test]
fn a_third_partys_provider_is_selected_like_the_others() {
    let with_heap = [ALL, &[HEAP]].concat();
    for (vars, picked) in [
        (&[("HEAP_PORT", "80")][..], "heap"),
        (&[("ISOBAR_PROVIDER", "heap")], "heap"),
        (&[("HEAP_PORT", "80"), RUN, ("ISOBAR_PROVIDER", "gcp")], "gcp"),
        (&[RUN], "gcp"),
        (&[], "local"),
    ] {
        assert_eq!(host(vars, &with_heap).as_deref(), Ok(picked), "{vars:?}");
    }
    assert!(host(&[("HEAP_PORT", "80"), RUN], &with_heap).unwrap_err().contains("ISOBAR_PROVIDER=gcp|heap"));
    let found = routes(&[("ISOBAR_TABLE_LINKS", "heap://links-prod")], &with_heap).unwrap();
    assert_eq!(found[0].2, "links-prod");
    let message = routes(&[("ISOBAR_TABLE_LINKS", "mongodb://x")], &with_heap).unwrap_err();
    assert!(message.ends_with("gsm, heap"), "{message}");
    let vars = environment(&[("ISOBAR_TABLE_LINKS", "heap://a"), ("ISOBAR_TOPIC_CLICKS", "memory://b")]);
    let host = (HEAP.open)(&vars).unwrap();
    let routes = selection::routes(&vars, &with_heap, &mut HashMap::from([("heap", Arc::clone(&host))])).unwrap();
    assert_eq!([0, 1].map(|route: usize| Arc::ptr_eq(&routes[route].provider, &host)), [true, false]);
}

#[test]
fn a_third_partys_provider_may_be_the_only_one() {
    assert_eq!(host(&[("HEAP_PORT", "80")], &[HEAP]).as_deref(), Ok("heap"));
    assert!(host(&[LAMBDA], &[HEAP]).unwrap_err().contains("--features aws"));
    let everywhere = Adapter::new("heap", &["s3"], HEAP.open);
    assert_eq!(host(&[], &[everywhere, ALL[0]]).as_deref(), Ok("heap"), "the first without a mark");
    assert!(routes(&[("ISOBAR_BUCKET_PAGES", "s3://p")], &[everywhere]).is_ok());
    let lambda = everywhere.with_marks(&["AWS_LAMBDA_RUNTIME_API"]);
    assert_eq!(
        host(&[LAMBDA], &[lambda]).as_deref(),
        Ok("heap"),
        "a provider of the build claims the mark, not a missing one"
    );
    let both = HEAP.with_marks(&["HEAP_PORT", "AWS_LAMBDA_RUNTIME_API"]);
    assert_eq!(host(&[("HEAP_PORT", "80"), LAMBDA], &[both]).as_deref(), Ok("heap"));
    assert!(host(&[], &[HEAP]).unwrap_err().contains("set HEAP_PORT, or ISOBAR_PROVIDER=heap"));
}

#[test]
fn a_claim_of_two_providers_is_rejected_and_both_are_named() {
    for (name, schemes, marks, claim) in [
        ("gcp", &[][..], &[][..], "name `gcp`"),
        ("heap", &["heap", "gs"], &[], "scheme `gs`"),
        ("heap", &["heap"], &["HEAP_PORT", "K_SERVICE"], "mark `K_SERVICE`"),
        ("heap", &["memory"], &[], "scheme `memory`"),
        ("memory", &["heap"], &[], "name `memory`"),
    ] {
        let adapter = Adapter::new(name, schemes, HEAP.open).with_marks(marks);
        let message = host(&[], &[ALL, &[adapter]].concat()).unwrap_err();
        assert!(message.contains(claim) && message.contains(name), "{message}");
    }
}

fn routes(vars: &[(&str, &str)], compiled: &[Adapter]) -> Result<Vec<(ResourceKind, String, String)>, String> {
    let routes = selection::routes(&environment(vars), compiled, &mut HashMap::new())
        .map_err(|error| error.message().to_owned())?;
    let described = |route: &isobar::driver::Route| {
        let at = &route.location;
        (at.kind(), at.name().to_owned(), at.physical_name().to_owned())
    };
    Ok(routes.iter().map(described).collect())
}

#[test]
fn a_variable_sets_the_place_of_a_resource() {
    let found = routes(&[("ISOBAR_TABLE_MY_LINKS", "memory://links-prod"), ("ISOBAR_TOPIC_CLICKS", "memory://c")], ALL);
    let twice = routes(&[("ISOBAR_TABLE_links", "memory://a"), ("ISOBAR_TABLE_LINKS", "memory://b")], ALL);
    assert!(twice.unwrap_err().contains("another variable"));
    let links = (ResourceKind::Table, "my-links".to_owned(), "links-prod".to_owned());
    let clicks = (ResourceKind::Topic, "clicks".to_owned(), "c".to_owned());
    assert_eq!(found, Ok(vec![links, clicks]));
    assert_eq!(routes(&[("ISOBAR_TABLE_LINKS", "")], ALL), Ok(vec![]));
}

#[test]
fn a_wrong_place_is_rejected_with_the_variable_and_the_alternatives() {
    for (variable, url, expected) in [
        ("ISOBAR_TABLE_LINKS", "mongodb://x", "known: memory, redb"),
        ("ISOBAR_TABLE_LINKS", "links", "scheme://name"),
        ("ISOBAR_TABLE_X", "memory://x", "not a logical name"),
    ] {
        let message = routes(&[(variable, url)], ALL).unwrap_err();
        assert!(message.contains(expected) && message.starts_with(variable), "{message}");
    }
    let message = routes(&[("ISOBAR_BUCKET_PAGES", "s3://p")], &ALL[..1]).unwrap_err();
    assert!(message.contains("this build has: local") && message.contains("--features aws"), "{message}");
}

#[test]
fn a_kind_of_resource_has_its_own_name_and_variables() {
    const fn opener(kind: &'static str) -> Opener {
        Opener::new(ResourceKind::Other(kind), |_| Err(Error::internal("this test opens no resource")))
    }
    const CACHE: &[Opener] = &[opener("cache")];
    const WRONG: &[(&[Opener], &str)] = &[
        (&[opener("table")], "not table, bucket, topic"),
        (&[opener("secret")], "not table, bucket, topic, secret or config"),
        (&[opener("Cache")], "3 to 20 of a-z"),
        (&[opener("event")], "ISOBAR_EVENT_AUDIENCE"),
    ];
    for (openers, problem) in WRONG {
        let message = host(&[("HEAP_PORT", "80")], &[HEAP.with_openers(openers)]).unwrap_err();
        assert!(message.contains(problem), "{message}");
    }
    let heap = HEAP.with_openers(CACHE);
    assert_eq!(host(&[("HEAP_PORT", "80")], &[heap]).as_deref(), Ok("heap"));
    let placed = environment(&[("ISOBAR_CACHE_MY_PAGES", "heap://pages")]);
    let routes = selection::routes(&placed, &[heap], &mut HashMap::new()).unwrap();
    assert_eq!((routes[0].location.kind(), routes[0].location.name()), (ResourceKind::Other("cache"), "my-pages"));
    assert_eq!(routes[0].openers.len(), 1);
}

use super::*;
use crate::{IntoOutcome, Outcome};

#[test]
fn origin_and_kind_decide_the_status_and_whether_the_message_is_visible() {
    use ErrorKind as K;
    // The statuses of App and Data, of Request and of Service; is the message of App, and of Request, visible?
    let rows = [
        (K::InvalidInput, [400, 400, 500], [true, true]),
        (K::Unauthenticated, [401, 500, 500], [true, false]),
        (K::PermissionDenied, [403, 500, 500], [true, false]),
        (K::NotFound, [404, 500, 500], [true, false]),
        (K::AlreadyExists, [409, 500, 500], [true, false]),
        (K::Conflict, [409, 500, 503], [true, false]),
        (K::TooLarge, [413, 413, 500], [true, true]),
        (K::Throttled, [429, 500, 503], [true, false]),
        (K::Unavailable, [503, 500, 503], [true, false]),
        (K::Timeout, [504, 500, 503], [true, false]),
        (K::Unsupported, [501, 500, 500], [true, false]),
        (K::Config, [500, 500, 500], [false, false]),
        (K::Internal, [500, 500, 500], [false, false]),
    ];
    for (kind, [app, request, service], [visible, visible_of_request]) in rows {
        for origin in [Origin::App, Origin::Data] {
            assert_eq!((status(origin, kind).as_u16(), is_visible(origin, kind)), (app, visible), "{kind:?}");
        }
        let found = (status(Origin::Request, kind).as_u16(), is_visible(Origin::Request, kind));
        assert_eq!(found, (request, visible_of_request), "{kind:?}");
        let found = (status(Origin::Service, kind).as_u16(), is_visible(Origin::Service, kind));
        assert_eq!(found, (service, false), "{kind:?}");
    }
}

fn outer(inner: impl Into<BoxError>) -> axum_core::Error {
    axum_core::Error::new(inner)
}

/// The status, the name and the detail.
fn seen(problem: &Problem) -> (u16, String, &str) {
    let (name, detail) = problem.name_and_detail();
    (problem.status().as_u16(), name.into_owned(), detail)
}

#[test]
fn the_first_isobar_error_among_the_sources_decides() {
    let of_service = || Error::invalid_input("no").with_origin(Origin::Service);
    // The error of a driver, whose origin no portable type has set.
    let of_store = object_store::Error::NotSupported { source: Error::invalid_input("no").into() };
    for (error, status, detail, rejects) in [
        (outer(Error::invalid_input("no")), 400, "no", true),
        (outer(outer(Error::not_found("no"))), 404, "no", false),
        (outer(of_service()), 500, HIDDEN, false),
        (outer(of_service().with_source(Error::invalid_input("inner"))), 500, HIDDEN, false),
        (outer("no isobar error"), 500, HIDDEN, false),
        (outer(of_store), 500, HIDDEN, false),
    ] {
        let problem = Problem::from(error);
        let (found, _, visible) = seen(&problem);
        assert_eq!((found, visible), (status, detail), "{problem:?}");
        let outcome = Err::<(), _>(problem.error).into_outcome();
        assert_eq!(matches!(outcome, Outcome::Reject { .. }), rejects, "{outcome:?}");
    }
}

#[test]
fn a_constructor_decides_status_name_and_detail() {
    let problem = |status| Problem::new(StatusCode::from_u16(status).unwrap(), "why");
    for none in [200, 301, 600, 999] {
        assert_eq!(seen(&problem(none)), (500, "internal".to_owned(), HIDDEN), "{none}");
        assert!(format!("{:?}", problem(none)).contains(&format!("the status {none}: why")));
    }
    for (status, name, detail) in [
        (400, "invalid-input", "why"),
        (409, "conflict", "why"),
        (415, "unsupported-media-type", "why"),
        (422, "unprocessable-entity", "why"),
        (500, "internal", HIDDEN),
        (502, "bad-gateway", "why"),
        (503, "unavailable", "why"),
    ] {
        assert_eq!(seen(&problem(status)), (status, name.to_owned(), detail));
        // A source is in the log only.
        let problem = problem(status).with_source(Error::throttled("inner"));
        assert_eq!(seen(&problem), (status, name.to_owned(), detail));
        assert!(format!("{problem:?}").starts_with(&format!("{status}: why")), "{problem:?}");
        assert!(format!("{problem:?}").ends_with(": inner (throttled)"), "{problem:?}");
    }
}

#[test]
fn retry_after_of_an_inner_error_is_a_header() {
    let throttled = Error::throttled("slow down").with_retry_after(std::time::Duration::from_millis(1_500));
    let response = Problem::from(outer(throttled)).into_response();
    assert_eq!((response.status().as_u16(), &response.headers()[RETRY_AFTER]), (429, &HeaderValue::from(2)));
}

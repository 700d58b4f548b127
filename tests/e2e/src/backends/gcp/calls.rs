//! The calls of a service that are not pushes: direct calls, and those of Cloud Scheduler.

use std::time::SystemTime;

use bytes::Bytes;
use http::Request;
use isobar::clock::to_rfc3339;
use isobar::{Body, Result};

use crate::server::not_a_request;

pub(super) fn invoke(function: &str, payload: Bytes) -> Result<Request<Body>> {
    let request = Request::post(format!("/.isobar/functions/{function}")).header("content-type", "application/json");
    request.body(Body::from(payload)).map_err(not_a_request)
}

pub(super) fn tick(schedule: &str, due: SystemTime) -> Result<Request<Body>> {
    let request = Request::post(format!("/.isobar/schedules/{schedule}"))
        .header("x-cloudscheduler", "true")
        .header("x-cloudscheduler-scheduletime", to_rfc3339(due));
    request.body(Body::empty()).map_err(not_a_request)
}

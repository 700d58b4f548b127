//! The request charge in spans.

use isobar_testkit::Log;

use super::*;

#[tokio::test]
async fn a_span_contains_the_charge_of_a_success_and_of_a_service_error() {
    let log = Log::start();
    let charged = |mut answer: Answer, charge: &'static str| {
        answer.headers_mut().insert("x-ms-request-charge", charge.parse().unwrap());
        answer
    };
    let scene = Scene::script([charged(written(201), "6.67"), charged(error_answer(409, 0, "taken"), "1.24")]).await;
    scene.table.put(put(PutMode::Overwrite)).await.unwrap();
    scene.table.put(put(PutMode::Overwrite)).await.unwrap_err();
    let text = log.text();
    assert!(text.contains("request_charge=6.67") && text.contains("request_charge=1.24"), "{text}");
}

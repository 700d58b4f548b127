//! What a request cost is told in its span.

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;

/// Keeps the charges that spans tell.
#[derive(Clone, Default)]
struct Charges(Arc<Mutex<Vec<f64>>>);

impl Visit for Charges {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "request_charge" {
            self.0.lock().push(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Subscriber for Charges {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn a_span_tells_the_charge_of_a_success_and_of_a_refusal() {
    let charges = Charges::default();
    let _guard = tracing::subscriber::set_default(charges.clone());
    let charged = |mut answer: Answer, charge: &'static str| {
        answer.headers_mut().insert("x-ms-request-charge", charge.parse().unwrap());
        answer
    };
    let scene = Scene::script([charged(written(201), "6.67"), charged(refused(409, 0, "taken"), "1.24")]).await;
    scene.table.put(put(PutMode::Overwrite)).await.unwrap();
    scene.table.put(put(PutMode::Overwrite)).await.unwrap_err();
    assert_eq!(*charges.0.lock(), [6.67, 1.24]);
}

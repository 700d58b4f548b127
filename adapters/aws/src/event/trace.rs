//! The trace that an invocation belongs to.

use http::HeaderMap;
use isobar_abstraction::TraceParent;

/// The caller's trace: the W3C header, else what X-Ray's header says.
pub(crate) fn trace_parent(headers: Option<&HeaderMap>, xray: Option<&str>) -> Option<TraceParent> {
    let header = headers.and_then(|headers| headers.get(TraceParent::NAME)?.to_str().ok()?.parse().ok());
    header.or_else(|| of_xray(xray?)).map(TraceParent::child)
}

/// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`: the same 128 bits
/// in other clothes. Source: "Tracing header" in the X-Ray developer guide.
fn of_xray(header: &str) -> Option<TraceParent> {
    let part = |name: &str| header.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    let mut root = part("Root")?.splitn(3, '-');
    let (Some("1"), Some(time), Some(random)) = (root.next(), root.next(), root.next()) else { return None };
    // A root without a parent has no span yet; any id but zero will do.
    let parent = part("Parent").unwrap_or("0000000000000001");
    let trace_id = hex(time, 8)? << 96 | hex(random, 24)?;
    TraceParent::new(trace_id, u64::try_from(hex(parent, 16)?).ok()?, part("Sampled") == Some("1"))
}

/// A number of so many hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xray_ids_are_w3c_ids() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:0";
        let parent = of_xray(header).unwrap();
        assert_eq!(parent.to_string(), "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
        let parent = of_xray("Sampled=0; Root=1-5759E988-bd862e3fe1be46a994272793").unwrap();
        assert_eq!(parent.trace_id(), 0x5759_e988_bd86_2e3f_e1be_46a9_9427_2793);
        assert!(parent.to_string().ends_with("-00"));
        for bad in [
            "",
            "Root",
            "Root=1-5759e988",
            "Root=2-5759e988-bd862e3fe1be46a994272793",
            "Root=1--;Parent=",
            "Root=1-ä-b",
        ] {
            assert_eq!(of_xray(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_w3c_header_wins_and_a_broken_one_does_not() {
        let xray = Some("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1");
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
        let parent = trace_parent(Some(&headers), xray).unwrap();
        assert_eq!(parent.trace_id(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert!(!parent.to_string().contains("00f067aa0ba902b7"), "the invocation is a span of its own");
        headers.insert("traceparent", "junk".parse().unwrap());
        assert_eq!(trace_parent(Some(&headers), xray).unwrap().trace_id() >> 96, 0x5759_e988);
        assert_eq!(trace_parent(None, None), None);
    }
}

//! The X-Ray trace of an invocation.

use isobar_abstraction::TraceParent;

/// Reads a header such as `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`, whose
/// trace id is the same 128 bits in another format. Source: "Tracing header" in the X-Ray developer guide.
pub(crate) fn from_xray(header: &str) -> Option<TraceParent> {
    let part = |name: &str| header.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    let mut root = part("Root")?.splitn(3, '-');
    let (Some("1"), Some(time), Some(random)) = (root.next(), root.next(), root.next()) else { return None };
    // A root without a parent has no span yet; any id except zero is valid.
    let parent = part("Parent").unwrap_or("0000000000000001");
    let trace_id = hex(time, 8)? << 96 | hex(random, 24)?;
    TraceParent::new(trace_id, u64::try_from(hex(parent, 16)?).ok()?, part("Sampled") == Some("1"))
}

/// A number of exactly `digits` hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xray_ids_become_w3c_ids() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:0";
        let parent = from_xray(header).unwrap();
        assert_eq!(parent.to_string(), "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
        let parent = from_xray("Sampled=0; Root=1-5759E988-bd862e3fe1be46a994272793").unwrap();
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
            assert_eq!(from_xray(bad), None, "{bad}");
        }
    }
}

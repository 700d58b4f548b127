//! An image of the Open Container Initiative, whose bytes depend on the program only: one layer with a static program, on nothing.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md>

use std::io::Write;

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::failure::Failure;

pub(super) const INDEX: &str = "index.json";

/// The folder of everything that has a digest.
pub(super) const BLOBS: &str = "blobs/sha256";

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// An account without a name and without rights.
const USER: &str = "65532:65532";

/// The files of an image, and the digest of its manifest.
pub(super) struct Image {
    pub(super) digest: String,
    pub(super) files: Vec<(String, Vec<u8>)>,
}

/// The image of a program for Linux on x86-64, which needs no other file.
pub(super) fn image(app: &str, program: &[u8]) -> Result<Image, Failure> {
    let failed = |error: &std::io::Error| Failure::new("the image cannot be made").because(error);
    let layer = layer(program).map_err(|error| failed(&error))?;
    let archive = compressed(&layer).map_err(|error| failed(&error))?;
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {"User": USER, "Entrypoint": ["/app"], "Labels": {"org.opencontainers.image.title": app}},
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
    });
    let mut files = Vec::new();
    let mut blob = |kind: &str, content: Vec<u8>| {
        let descriptor = json!({"mediaType": kind, "digest": digest(&content), "size": content.len()});
        files.push((path_of(&digest(&content)), content));
        descriptor
    };
    let config = blob("application/vnd.oci.image.config.v1+json", text(&config));
    let layer = blob("application/vnd.oci.image.layer.v1.tar+gzip", archive);
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    let mut manifest = blob(MANIFEST, text(&manifest));
    let digest = manifest["digest"].as_str().unwrap_or_default().to_owned();
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": [manifest]});
    files.push((INDEX.to_owned(), text(&index)));
    files.push(("oci-layout".to_owned(), text(&json!({"imageLayoutVersion": "1.0.0"}))));
    Ok(Image { digest, files })
}

/// The name of a content, such as `sha256:…`.
pub(super) fn digest(content: &[u8]) -> String {
    let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The file of a digest, in the folder of an image.
pub(super) fn path_of(digest: &str) -> String {
    format!("{BLOBS}/{}", digest.trim_start_matches("sha256:"))
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn layer(program: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    let mut append = |name: &str, kind: EntryType, mode: u32, content: &[u8]| {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len().try_into().unwrap_or(u64::MAX));
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        archive.append_data(&mut header, name, content)
    };
    append("app", EntryType::Regular, 0o755, program)?;
    // Programs expect a folder for temporary files.
    append("tmp/", EntryType::Directory, 0o1777, &[])?;
    archive.into_inner()
}

fn compressed(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut archive = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    archive.write_all(content)?;
    archive.finish()
}

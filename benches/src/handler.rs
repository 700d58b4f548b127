//! A custom handler, started and requests as the Functions host does it.

use crate::cosmos::{COSMOS_KEY, Cosmos};
use crate::server::{Program, Running};

/// The part of the functions' names that only the host knows.
pub const SECRET: &str = "0123456789abcdefghijklmnopqrstuv";

/// Starts a handler on a free port.
pub fn start(handler: &Program, cosmos: &Cosmos) -> Running {
    handler.start("FUNCTIONS_CUSTOMHANDLER_PORT", environment(cosmos))
}

/// A whole call of a function, as the host sends it.
pub fn call(running: &Running, function: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /{function}-{SECRET} HTTP/1.1\r\nHost: {}\r\nX-Azure-Functions-InvocationId: \
         0b0f3a8e-58a5-4b6c-9d6b-6f0f3c9f5a11\r\nX-Azure-Functions-HostVersion: 4.1037.0.0\r\nUser-Agent: \
         Azure-Functions-Host/4.1037.0.0\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: \
         {length}\r\n\r\n{body}",
        running.address()
    )
    .into_bytes()
}

/// A user's request, proxied.
pub fn get(running: &Running, path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:143.0) \
         Gecko/20100101 Firefox/143.0\r\nX-Forwarded-For: 203.0.113.7\r\nx-ms-invocation-id: \
         0b0f3a8e-58a5-4b6c-9d6b-6f0f3c9f5a11\r\n\r\n",
        running.address()
    )
    .into_bytes()
}

/// What App Service sets, and what the handlers are configured by.
pub fn environment(cosmos: &Cosmos) -> Vec<(&'static str, String)> {
    let address = cosmos.address;
    let storage = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;\
        AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;";
    let endpoints = ["Blob", "Queue", "Table"].map(|it| format!("{it}Endpoint=http://127.0.0.1:1/devstoreaccount1;"));
    let mut all = vec![
        ("AZURE_STORAGE_CONNECTION_STRING", format!("{storage}{}", endpoints.concat())),
        ("AZURE_COSMOS_CONNECTION_STRING", format!("AccountEndpoint=http://{address}/;AccountKey={COSMOS_KEY}")),
        ("COSMOS_ENDPOINT", format!("http://{address}/")),
        // By default, Azure's own client speaks HTTP/2 on a connection without TLS, and a binary form of JSON.
        ("AZURE_COSMOS_CONNECTION_POOL_IS_HTTP2_ALLOWED", (!cosmos.plain).to_string()),
        ("COSMOS_BINARY_ENCODING", (!cosmos.plain).to_string()),
    ];
    let fixed = [
        ("AZURE_FUNCTIONS_ENVIRONMENT", "Production"),
        ("AZURE_SERVICEBUS_CONNECTION_STRING", SERVICE_BUS),
        ("COSMOS_DATABASE", "isobar"),
        ("COSMOS_KEY", COSMOS_KEY),
        ("FUNCTIONS_EXTENSION_VERSION", "~4"),
        ("FUNCTIONS_WORKER_RUNTIME", "custom"),
        ("ISOBAR_PREFIX", "bench-"),
        ("ISOBAR_TRIGGER_SECRET", SECRET),
        ("LINKS_CONTAINER", "bench-links"),
        ("PAGES_CONTAINER_URL", "http://127.0.0.1:1/devstoreaccount1/bench-pages"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("TRIGGER_SECRET", SECRET),
        ("WEBSITE_HOSTNAME", "bench.azurewebsites.net"),
        ("WEBSITE_SITE_NAME", "bench"),
    ];
    all.extend(fixed.map(|(name, value)| (name, value.to_owned())));
    all
}

/// A namespace that receives no request.
const SERVICE_BUS: &str =
    "Endpoint=sb://bench.servicebus.windows.net/;SharedAccessKeyName=all;SharedAccessKey=aHVzaA==";

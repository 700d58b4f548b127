//! Proxies, as the environment names them.

use isobar_abstraction::ErrorKind;
use isobar_abstraction::driver::Environment;
use isobar_rest::Safety;

use crate::caller::{Caller, long_timeouts};
use crate::double::{Act, ClosedPort, Double, Script, always, answer, say};
use crate::tls::{Identity, trusting};

/// `user:hush`.
const CREDENTIALS: Option<&str> = Some("Basic dXNlcjpodXNo");

/// A caller in an environment with this proxy.
fn behind(variable: &str, port: u16) -> Caller {
    let proxy = format!("http://user:hush@127.0.0.1:{port}");
    let environment = Environment::new([(variable.to_owned(), proxy)], []);
    Caller::new(|config| *config = long_timeouts().with_proxies(&environment))
}

fn tunnel(identity: &Identity) -> Script {
    let opened = say("HTTP/1.1 200 Connection established\r\n\r\n");
    vec![Act::Hear, opened, Act::Tls(identity.acceptor()), Act::Hear, answer(200, "", "behind the tunnel")]
}

#[tokio::test]
async fn http_is_forwarded_by_the_proxy_which_is_given_its_password() {
    for variable in ["http_proxy", "all_proxy", "ALL_PROXY"] {
        let proxy = Double::start(vec![always(answer(200, "", "by proxy"))]).await;
        let caller = behind(variable, proxy.port());
        assert_eq!(caller.read("http://service.invalid/path?a=b").await, "by proxy");
        let heard = &proxy.heard()[0];
        assert!(heard.head.starts_with("GET http://service.invalid/path?a=b HTTP/1.1\r\n"), "{}", heard.head);
        assert_eq!(heard.header("host"), Some("service.invalid"));
        assert_eq!(heard.header("proxy-authorization"), CREDENTIALS);
    }
}

#[tokio::test]
async fn https_goes_through_a_tunnel_and_the_service_never_sees_the_password() {
    let identity = Identity::of("service.invalid");
    for variable in ["https_proxy", "HTTPS_PROXY", "all_proxy"] {
        let proxy = Double::start(vec![tunnel(&identity)]).await;
        let environment = format!("http://user:hush@127.0.0.1:{}", proxy.port());
        let environment = Environment::new([(variable.to_owned(), environment)], []);
        let caller = trusting(&identity, |config| *config = config.clone().with_proxies(&environment));
        assert_eq!(caller.read("https://service.invalid/path").await, "behind the tunnel");
        let [connect, request] = &proxy.heard()[..] else { panic!("{:?}", proxy.heard()) };
        assert!(connect.head.starts_with("CONNECT service.invalid:443 HTTP/1.1\r\n"), "{}", connect.head);
        assert_eq!((connect.header("proxy-authorization"), connect.header("authorization")), (CREDENTIALS, None));
        assert!(request.head.starts_with("GET /path HTTP/1.1\r\n"), "{}", request.head);
        assert_eq!(request.header("proxy-authorization"), None);
    }
}

#[tokio::test]
async fn this_machine_is_asked_without_the_proxy() {
    let proxy = Double::start(vec![always(answer(500, "", ""))]).await;
    let double = Double::start(vec![always(answer(200, "", "direct"))]).await;
    assert_eq!(behind("http_proxy", proxy.port()).read(&double.url("/path")).await, "direct");
    assert!(double.heard()[0].head.starts_with("GET /path HTTP/1.1\r\n"));
    assert_eq!((proxy.connections(), double.heard()[0].header("proxy-authorization")), (0, None));
}

#[tokio::test]
async fn a_proxy_that_refuses_or_is_away_cannot_have_applied_a_write() {
    let refusing = Double::start(vec![vec![Act::Hear, answer(407, "", ""), Act::Close]]).await;
    let away = ClosedPort::new();
    for port in [refusing.port(), away.port()] {
        let caller = behind("https_proxy", port);
        let error = caller.call(Safety::Once, "https://service.invalid/").await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unavailable, false));
        assert!(error.message().contains("cannot connect to `service.invalid`"), "{error:?}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
        assert_eq!(caller.waits(), 2);
    }
}

#[tokio::test]
async fn a_malformed_proxy_is_a_config_error_of_the_first_call() {
    let caller = Caller::new(|config| config.https_proxy = Some("socks5://user:hush@127.0.0.1:1".to_owned()));
    let error = caller.call(Safety::Read, "https://service.invalid/").await.unwrap_err();
    assert_eq!((error.kind(), caller.waits()), (ErrorKind::Config, 0));
    assert!(!format!("{error:?} {caller:?}").contains("hush"), "{error:?}");
}

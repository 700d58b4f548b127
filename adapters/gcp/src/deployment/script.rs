//! Requests as a script for a shell.

use std::fmt::Write;

use super::ApiRequest;

/// The token is asked for once, and told to curl on its standard input: the arguments of a process are for all to see.
const BEGINNING: &str = r#"#!/bin/sh
set -eu

token=$(gcloud auth print-access-token)
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# METHOD URL [BODY]: sets status, and leaves the answer in the file.
call() {
    method=$1 url=$2
    shift 2
    status=$(printf 'header = "Authorization: Bearer %s"\n' "$token" | curl --config - --silent --show-error --globoff \
        --request "$method" --header 'Content-Type: application/json' ${1+--data-raw "$1"} \
        --output "$answer" --write-out '%{http_code}' --url "$url")
}

# METHOD URL BODY: 409 is that it is there already.
make() {
    call "$@"
    case $status in
    2??) echo "made: $1 $2" ;;
    409) echo "there already: $1 $2" ;;
    *)
        echo "status $status: $1 $2" >&2
        cat "$answer" >&2
        exit 1
        ;;
    esac
}

# URL TOPIC BODY: a notification that is made once more would tell everything twice.
notify() {
    call GET "$1"
    if [ "$status" = 200 ] && grep -qF "\"$2\"" "$answer"; then
        echo "there already: POST $1"
    else
        make POST "$1" "$3"
    fi
}
"#;

/// The requests as a script for `sh`, which ends at the first that fails, and may be run again: what is there already
/// is left as it is. It needs `curl` and a `gcloud` that is logged in.
pub fn deployment_script(requests: &[ApiRequest]) -> String {
    let mut script = String::from(BEGINNING);
    for request in requests {
        let _ = write!(script, "\n{}\n", command(request));
    }
    script
}

fn command(request: &ApiRequest) -> String {
    let (url, body) = (quoted(&request.url), quoted(&request.body.to_string()));
    match request.body["topic"].as_str() {
        Some(topic) if request.url.ends_with("/notificationConfigs") => {
            format!("notify {url} \\\n    {} \\\n    {body}", quoted(topic))
        }
        _ => format!("make {} {url} \\\n    {body}", request.method),
    }
}

/// One word of a shell, whatever stands in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use serde_json::{Value, json};

    use isobar_abstraction::driver::Environment;
    use isobar_abstraction::manifest::Manifest;

    use super::*;
    use crate::{GcpConfig, deployment};

    const MANIFEST: &str = r#"{"version": 1, "app": "shop", "resources": [], "triggers": [{"kind": "http"},
        {"kind": "message", "topic": "clicks", "subscription": "default",
            "retry": {"max_attempts": 3, "min_backoff_ms": 1000, "max_backoff_ms": 300000}}]}"#;

    /// What stands in quotes, as the shell itself reads it.
    fn read_by_shell(word: &str) -> String {
        let told = Command::new("sh").arg("-c").arg(format!("printf %s {word}")).output().unwrap();
        assert!(told.status.success());
        String::from_utf8(told.stdout).unwrap()
    }

    #[test]
    fn words_are_read_as_they_were_written() {
        for text in [
            "",
            "plain",
            "a b",
            "'",
            "''",
            "it's",
            r"\",
            r"'\''",
            "$(touch /tmp/x)",
            "`id`",
            "$HOME",
            "\"",
            "a\nb",
            "*",
            "~",
            "!",
            "-n",
            "a;b&c|d>e",
            "%s%n",
            "ü😀",
        ] {
            assert_eq!(read_by_shell(&quoted(text)), text);
        }
    }

    /// Requests that nobody could make by the names that are allowed, but quoting does not rely on those.
    fn odd(manifest: &str) -> Vec<ApiRequest> {
        let manifest: Manifest = serde_json::from_str(manifest).unwrap();
        let environment = Environment::default().with_var("GOOGLE_CLOUD_PROJECT", "p-1");
        let config = GcpConfig::from_environment(&environment).unwrap();
        deployment(&manifest, &config, "https://x.example/a'b$(id)", "it's@\"me\"", "eu'west").unwrap()
    }

    /// Runs the script with a `curl` and a `gcloud` of the test's own, which write down what they are called with.
    fn run(script: &str, status: &str, answer: &str) -> (bool, String, Vec<Vec<String>>) {
        let name = format!("isobar-gcp-script-{}-{:?}", std::process::id(), std::thread::current().id());
        let folder = std::env::temp_dir().join(name.replace(['(', ')'], ""));
        std::fs::create_dir_all(&folder).unwrap();
        let calls = folder.join("calls");
        let curl = format!(
            "#!/bin/sh\nfor word in \"$@\"; do printf '%s\\0' \"$word\"; done >> '{0}'\ncat >> '{0}'; printf '\\0\\0' >> '{0}'\n\
             while [ $# -gt 0 ]; do if [ \"$1\" = --output ]; then printf '%s' '{answer}' > \"$2\"; fi; shift; done\nprintf {status}\n",
            calls.display()
        );
        for (name, text) in [("curl", &*curl), ("gcloud", "#!/bin/sh\necho ya29.token\n")] {
            std::fs::write(folder.join(name), text).unwrap();
            assert!(Command::new("chmod").arg("+x").arg(folder.join(name)).status().unwrap().success());
        }
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("PATH='{}':$PATH\n{script}", folder.display())).stdin(Stdio::null());
        let done = shell.output().unwrap();
        let told = std::fs::read_to_string(&calls).unwrap_or_default();
        std::fs::remove_dir_all(&folder).unwrap();
        let calls = told.split_terminator("\0\0").map(|call| call.split('\0').map(str::to_owned).collect()).collect();
        (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned(), calls)
    }

    fn after<'a>(call: &'a [String], option: &str) -> &'a str {
        &call[call.iter().position(|word| word == option).unwrap() + 1]
    }

    #[test]
    fn the_script_makes_each_request_as_it_is() {
        let requests = odd(MANIFEST);
        let (done, told, calls) = run(&deployment_script(&requests), "200", "{}");
        assert!(done, "{told}");
        assert_eq!(calls.len(), requests.len());
        for (request, call) in requests.iter().zip(&calls) {
            assert_eq!((after(call, "--request"), after(call, "--url")), (request.method, &*request.url));
            assert_eq!(serde_json::from_str::<Value>(after(call, "--data-raw")).unwrap(), request.body);
            let (input, words) = call.split_last().unwrap();
            assert_eq!(input, "header = \"Authorization: Bearer ya29.token\"\n");
            assert!(words.iter().all(|word| !word.contains("ya29")), "the token is no argument");
        }
    }

    #[test]
    fn what_is_there_is_well_and_what_fails_ends_it() {
        let requests = odd(MANIFEST);
        let (done, told, calls) = run(&deployment_script(&requests), "409", "{}");
        assert!(done && calls.len() == requests.len(), "{told}");
        let (done, told, calls) = run(&deployment_script(&requests), "403", "no permission");
        assert!(!done && calls.len() == 1, "{told}");
        assert!(told.contains("status 403") && told.contains("no permission"), "{told}");
    }

    #[test]
    fn a_notification_is_made_once() {
        let manifest = MANIFEST.replace(
            r#"{"kind": "http"},"#,
            r#"{"kind": "object", "bucket": "pages", "retry":
            {"max_attempts": 3, "min_backoff_ms": 1000, "max_backoff_ms": 300000}},"#,
        );
        let notification: Vec<_> =
            odd(&manifest).into_iter().filter(|request| request.url.ends_with("/notificationConfigs")).collect();
        assert_eq!(notification.len(), 1);
        let methods = |answer: &str| {
            let (done, told, calls) = run(&deployment_script(&notification), "200", answer);
            assert!(done, "{told}");
            calls.iter().map(|call| after(call, "--request").to_owned()).collect::<Vec<_>>()
        };
        let other = json!({"items": [{"topic": "//pubsub.googleapis.com/projects/p-1/topics/pages--events-2"}]});
        assert_eq!(methods("{}"), ["GET", "POST"]);
        assert_eq!(methods(&other.to_string()), ["GET", "POST"]);
        let same = json!({"items": [{"topic": "//pubsub.googleapis.com/projects/p-1/topics/pages--events"}]});
        assert_eq!(methods(&same.to_string()), ["GET"]);
    }
}

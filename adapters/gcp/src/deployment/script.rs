//! The deployment as a shell script.

use std::fmt::Write;

use serde_json::Value;

use super::ApiRequest;

/// The start of the script. `curl` reads the token from its standard input, since all users can list the arguments of
/// a process.
const HEADER: &str = r#"#!/bin/sh
set -eu

token=$(gcloud auth print-access-token)
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# METHOD URL [BODY]: sets status, and writes the response to the file.
call() {
    method=$1 url=$2
    shift 2
    status=$(printf 'header = "Authorization: Bearer %s"\n' "$token" | curl --config - --silent --show-error --globoff \
        --request "$method" --header 'Content-Type: application/json' ${1+--data-raw "$1"} \
        --output "$answer" --write-out '%{http_code}' --url "$url")
}

# METHOD URL BODY: 409 means that it exists.
create() {
    call "$@"
    case $status in
    2??) echo "created: $1 $2" ;;
    409) echo "exists already: $1 $2" ;;
    *)
        echo "status $status: $1 $2" >&2
        cat "$answer" >&2
        exit 1
        ;;
    esac
}

# URL TEXT: an existing resource is another one.
differs() {
    echo "$2 (GET: $status): delete it, and run this script again: $1" >&2
    cat "$answer" >&2
    exit 1
}

# URL FILTER BODY: an existing subscription keeps its filter, and another one than FILTER, in JSON, may drop what the app
# handles. FILTER may be empty.
subscribe() {
    create PUT "$1" "$3"
    [ "$status" = 409 ] || return 0
    call GET "$1"
    if [ "$status" = 200 ]; then
        grep -q '"filter"' "$answer" || return 0
        if [ -n "$2" ] && sed 's/\\u003d/=/g' "$answer" | grep -qF -- "$2"; then return 0; fi
    fi
    differs "$1" "the subscription has another filter"
}

# URL EXISTING BODY FIELD...: the trigger EXISTING may be of another table, or call another path. It must have each FIELD, in
# JSON without spaces.
trigger() {
    create POST "$1" "$3"
    [ "$status" = 409 ] || return 0
    existing=$2
    shift 3
    call GET "$existing"
    for field in "$@"; do
        if [ "$status" = 200 ] && tr -d '[:space:]' <"$answer" | grep -qF -- "$field"; then continue; fi
        differs "$existing" "the trigger has no $field"
    done
}

# URL TOPIC BODY: a second notification would send each event twice.
notify() {
    call GET "$1"
    if [ "$status" = 200 ] && grep -qF "\"$2\"" "$answer"; then
        echo "exists already: POST $1"
    else
        create POST "$1" "$3"
    fi
}
"#;

/// The requests as a script for `sh`. It stops at the first failure, and at a subscription or a trigger of Eventarc that
/// exists with other settings. It may be run again: existing resources are not changed. It needs `curl` and a `gcloud`
/// that is logged in.
pub fn deployment_script(requests: &[ApiRequest]) -> String {
    let mut script = String::from(HEADER);
    for request in requests {
        let _ = write!(script, "\n{}\n", command(request));
    }
    script
}

fn command(request: &ApiRequest) -> String {
    let (url, body) = (quoted(&request.url), quoted(&request.body.to_string()));
    match &request.body {
        subscription if subscription["pushConfig"].is_object() => {
            let filter = subscription.get("filter").map(ToString::to_string).unwrap_or_default();
            format!("subscribe {url} \\\n    {} \\\n    {body}", quoted(&filter))
        }
        trigger if trigger["eventFilters"].is_array() => {
            let existing = request.url.replacen("?triggerId=", "/", 1);
            format!("trigger {url} \\\n    {} \\\n    {body}{}", quoted(&existing), fields(trigger))
        }
        notification if request.url.ends_with("/notificationConfigs") => {
            let topic = notification["topic"].as_str().unwrap_or_default();
            format!("notify {url} \\\n    {} \\\n    {body}", quoted(topic))
        }
        _ => format!("create {} {url} \\\n    {body}", request.method),
    }
}

/// What the trigger of Eventarc must have if it exists, as words of a shell: the values of its filters, and its destination.
fn fields(trigger: &Value) -> String {
    let run = &trigger["destination"]["cloudRun"];
    let filters = trigger["eventFilters"].as_array().into_iter().flatten().map(|filter| ("value", &filter["value"]));
    let fields = filters.chain(["service", "path"].map(|name| (name, &run[name])));
    fields.map(|(name, value)| format!(" \\\n    {}", quoted(&format!("\"{name}\":{value}")))).collect()
}

/// Quotes any text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use serde_json::json;

    use isobar_abstraction::driver::Environment;
    use isobar_abstraction::manifest::Manifest;

    use super::*;
    use crate::deployment::filter_of;
    use crate::{DeployedService, GcpConfig, deployment};

    const MANIFEST: &str = r#"{"version": 1, "app": "shop", "resources": [], "triggers": [{"kind": "http"},
        {"kind": "message", "topic": "clicks", "subscription": "default",
            "retry": {"max_attempts": 3, "min_backoff_ms": 1000, "max_backoff_ms": 300000}}]}"#;

    /// The text of a quoted word as the shell reads it.
    fn read_by_shell(word: &str) -> String {
        let output = Command::new("sh").arg("-c").arg(format!("printf %s {word}")).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_shell_reads_quoted_words_unchanged() {
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

    /// Requests with special characters, which validated names never contain: quoting must not rely on that.
    fn special_requests(manifest: &str) -> Vec<ApiRequest> {
        let manifest: Manifest = serde_json::from_str(manifest).unwrap();
        let environment = Environment::default().with_var("GOOGLE_CLOUD_PROJECT", "p-1");
        let config = GcpConfig::from_environment(&environment).unwrap();
        let service = DeployedService::new("shop", "https://x.example/a'b$(id)", "it's@\"me\"", "eu'west");
        deployment(&manifest, &config, &service).unwrap()
    }

    /// Runs the script with fakes of `curl` and `gcloud`, which record their arguments. A `GET` succeeds.
    fn run(script: &str, status: &str, answer: &str) -> (bool, String, Vec<Vec<String>>) {
        let name = format!("isobar-gcp-script-{}-{:?}", std::process::id(), std::thread::current().id());
        let folder = std::env::temp_dir().join(name.replace(['(', ')'], ""));
        std::fs::create_dir_all(&folder).unwrap();
        let calls = folder.join("calls");
        let answer = quoted(answer);
        let curl = format!(
            "#!/bin/sh\nfor word in \"$@\"; do printf '%s\\0' \"$word\"; done >> '{0}'\ncat >> '{0}'; printf '\\0\\0' >> '{0}'\n\
             status={status}\nwhile [ $# -gt 0 ]; do case $1 in --output) printf '%s' {answer} > \"$2\" ;; GET) status=200 ;; esac\n\
             shift; done\nprintf $status\n",
            calls.display()
        );
        for (name, text) in [("curl", &*curl), ("gcloud", "#!/bin/sh\necho ya29.token\n")] {
            std::fs::write(folder.join(name), text).unwrap();
            assert!(Command::new("chmod").arg("+x").arg(folder.join(name)).status().unwrap().success());
        }
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("PATH='{}':$PATH\n{script}", folder.display())).stdin(Stdio::null());
        let done = shell.output().unwrap();
        let recorded = std::fs::read_to_string(&calls).unwrap_or_default();
        std::fs::remove_dir_all(&folder).unwrap();
        let calls =
            recorded.split_terminator("\0\0").map(|call| call.split('\0').map(str::to_owned).collect()).collect();
        (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned(), calls)
    }

    fn after<'a>(call: &'a [String], option: &str) -> &'a str {
        &call[call.iter().position(|word| word == option).unwrap() + 1]
    }

    #[test]
    fn the_script_sends_each_request_unchanged() {
        let requests = special_requests(MANIFEST);
        let (done, output, calls) = run(&deployment_script(&requests), "200", "{}");
        assert!(done, "{output}");
        assert_eq!(calls.len(), requests.len());
        for (request, call) in requests.iter().zip(&calls) {
            assert_eq!((after(call, "--request"), after(call, "--url")), (request.method, &*request.url));
            assert_eq!(serde_json::from_str::<Value>(after(call, "--data-raw")).unwrap(), request.body);
            let (input, words) = call.split_last().unwrap();
            assert_eq!(input, "header = \"Authorization: Bearer ya29.token\"\n");
            assert!(words.iter().all(|word| !word.contains("ya29")), "the token is not an argument");
        }
    }

    #[test]
    fn the_script_accepts_existing_resources_and_stops_at_a_failure() {
        let requests = special_requests(MANIFEST);
        // A subscription without another filter exists.
        let create: Vec<_> =
            requests.iter().filter(|request| !request.body["pushConfig"].is_object()).cloned().collect();
        let (done, output, calls) = run(&deployment_script(&create), "409", "{}");
        assert!(done && calls.len() == create.len(), "{output}");
        let (done, output, calls) = run(&deployment_script(&requests), "403", "no permission");
        assert!(!done && calls.len() == 1, "{output}");
        assert!(output.contains("status 403") && output.contains("no permission"), "{output}");
    }

    #[test]
    fn a_notification_is_created_once() {
        let manifest = MANIFEST.replace(
            r#"{"kind": "http"},"#,
            r#"{"kind": "object", "bucket": "pages", "retry":
            {"max_attempts": 3, "min_backoff_ms": 1000, "max_backoff_ms": 300000}},"#,
        );
        let notification: Vec<_> = special_requests(&manifest)
            .into_iter()
            .filter(|request| request.url.ends_with("/notificationConfigs"))
            .collect();
        assert_eq!(notification.len(), 1);
        let methods = |answer: &str| {
            let (done, output, calls) = run(&deployment_script(&notification), "200", answer);
            assert!(done, "{output}");
            calls.iter().map(|call| after(call, "--request").to_owned()).collect::<Vec<_>>()
        };
        let other = json!({"items": [{"topic": "//pubsub.googleapis.com/projects/p-1/topics/pages--events-2"}]});
        assert_eq!(methods("{}"), ["GET", "POST"]);
        assert_eq!(methods(&other.to_string()), ["GET", "POST"]);
        let same = json!({"items": [{"topic": "//pubsub.googleapis.com/projects/p-1/topics/pages--events"}]});
        assert_eq!(methods(&same.to_string()), ["GET"]);
    }

    /// The script for a subscription, where one with `found` exists.
    fn subscribed(filter: &str, found: &str) -> (bool, String) {
        let url = "https://pubsub.googleapis.com/v1/projects/p-1/subscriptions/pages--events".to_owned();
        let mut body =
            json!({"topic": "projects/p-1/topics/pages--events", "pushConfig": {"pushEndpoint": "https://x"}});
        if !filter.is_empty() {
            body["filter"] = filter.into();
        }
        let (done, output, calls) = run(&deployment_script(&[ApiRequest { method: "PUT", url, body }]), "409", found);
        assert_eq!(calls.len(), 2, "{output}");
        (done, output)
    }

    #[test]
    fn a_subscription_with_another_filter_stops_the_script() {
        let (own, other) = (filter_of("pages--events").unwrap(), "hasPrefix(attributes.objectId, \"a\")");
        let with = |filter: &str| json!({"name": "pages--events", "filter": filter}).to_string();
        let escaped = with(&own).replace('=', "\\u003d");
        for (filter, found) in [(&*own, with(&own)), (&own, escaped), (&own, "{}".to_owned()), ("", "{}".to_owned())] {
            let (done, output) = subscribed(filter, &found);
            assert!(done, "{filter} {found}: {output}");
        }
        for (filter, found) in [(&*own, with(other)), ("", with(other)), (&own, with(&format!("{own} AND {other}")))] {
            let (done, output) = subscribed(filter, &found);
            assert!(!done && output.contains("another filter"), "{filter} {found}: {output}");
        }
    }

    #[test]
    fn a_trigger_with_other_settings_stops_the_script() {
        let manifest = MANIFEST.replace(
            r#"{"kind": "http"},"#,
            r#"{"kind": "write", "table": "links", "retry":
            {"max_attempts": 3, "min_backoff_ms": 1000, "max_backoff_ms": 300000}},"#,
        );
        let requests = special_requests(&manifest);
        let trigger = requests.iter().find(|request| request.url.contains("triggerId")).unwrap();
        let script = deployment_script(std::slice::from_ref(trigger));
        let found = |trigger: &Value| run(&script, "409", &serde_json::to_string_pretty(trigger).unwrap());
        let (done, output, calls) = found(&trigger.body);
        assert!(done, "{output}");
        assert_eq!(after(&calls[1], "--url"), trigger.url.replace("?triggerId=", "/"));
        for (field, other) in [
            ("/eventFilters/1/value", "shop"),
            ("/eventFilters/2/value", "links-2/{partition}/links-2/{item}"),
            ("/destination/cloudRun/service", "shop-2"),
            ("/destination/cloudRun/path", "/.isobar/writes/links-2"),
        ] {
            let mut existing = trigger.body.clone();
            *existing.pointer_mut(field).unwrap() = other.into();
            let (done, output, _) = found(&existing);
            assert!(!done && output.contains("the trigger has no"), "{field}: {output}");
        }
    }
}

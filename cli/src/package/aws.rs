//! A stage on AWS.

use isobar::EventQueue;
use isobar::driver::{Derived, Permission, ResourceKind};
use isobar::manifest::Manifest;

use super::binary::Binary;
use super::files::Files;
use super::template::{aligned, data_output, fill, identifier, quoted};
use super::zip::{Entry, archive};
use super::{Group, Stack, group_of};
use crate::failure::Failure;

macro_rules! text {
    ($name:literal) => {
        include_str!(concat!("../../templates/aws/", $name))
    };
}

const ZIP: &str = "app.zip";

pub(super) fn write(stack: &Stack<'_>, binary: &Binary, files: &mut Files) -> Result<(), Failure> {
    let functions = stack.groups()?;
    let aws = Aws { stack, functions: &functions };
    files.raw(ZIP, archive(vec![Entry { name: "bootstrap".to_owned(), content: &binary.content, mode: 0o755 }])?);
    let place = [("app", stack.manifest.app.as_str()), ("stage", stack.stage), ("prefix", &stack.prefix)];
    files.terraform("main.tf", &fill(text!("main.tf"), &place));
    files.terraform("variables.tf", &aws.variables());
    files.terraform("functions.tf", &aws.functions_file());
    files.terraform("roles.tf", &aws.roles()?);
    files.terraform("http.tf", &aws.http());
    files.terraform("tables.tf", &aws.tables());
    files.terraform("buckets.tf", &aws.buckets());
    files.terraform("topics.tf", &aws.topics());
    files.terraform("queues.tf", &aws.queues()?);
    files.terraform("alarms.tf", &aws.alarms()?);
    files.terraform("schedules.tf", &aws.schedules()?);
    files.terraform("outputs.tf", &aws.outputs());
    let region = stack
        .build
        .region
        .as_deref()
        .or_else(|| stack.process.var("AWS_REGION").filter(|name| super::region(name).is_ok()));
    files.own("terraform.tfvars", fill(text!("terraform.tfvars"), &[("region", region.unwrap_or("us-east-1"))]));
    files.own("custom.tf", text!("custom.tf"));
    files.raw(".gitignore", text!("gitignore"));
    files.raw("README.md", fill(text!("README.md"), &[("app", &stack.manifest.app), ("stage", stack.stage)]));
    Ok(())
}

struct Aws<'a> {
    stack: &'a Stack<'a>,
    functions: &'a [Group],
}

/// A queue of a trigger, with its dead letters.
struct Queue {
    queue: EventQueue,
    /// The name without the prefix and without `.fifo`.
    name: String,
    fifo: bool,
}

impl Queue {
    fn end(&self) -> &'static str {
        if self.fifo { ".fifo" } else { "" }
    }

    fn name(&self) -> String {
        format!("{}{}", self.name, self.end())
    }

    fn dead(&self) -> String {
        format!("{}{}", Derived::DeadLetters.of(&self.name), self.end())
    }
}

impl Aws<'_> {
    fn of(&self, has: impl Fn(&Manifest) -> bool) -> &Group {
        group_of(self.functions, has)
    }

    fn variables(&self) -> String {
        let mut text = text!("variables.tf").to_owned();
        for function in self.functions {
            let what = match function.end.is_empty() {
                true => "the function".to_owned(),
                false => format!("the function {}", function.name),
            };
            text += &fill(text!("variables_function.tf"), &[("end", &function.end), ("what", &what)]);
        }
        if self.stack.manifest.http() {
            text += text!("variables_http.tf");
        }
        text
    }

    /// The variables with which the app finds its resources.
    fn places(&self) -> Vec<(String, String)> {
        let mut variables = vec![("ISOBAR_STAGE".to_owned(), quoted(self.stack.stage))];
        variables.extend(self.stack.placed().map(|(name, value)| (name.to_owned(), quoted(value))));
        for bucket in self.stack.made(ResourceKind::Bucket) {
            let url = format!(
                "\"s3://${{aws_s3_bucket.{}.bucket}}?events=${{local.prefix}}{}\"",
                identifier(bucket),
                Derived::Events.of(bucket)
            );
            variables.push((ResourceKind::Bucket.variable(bucket), url));
        }
        variables
    }

    fn functions_file(&self) -> String {
        let of = |function: &Group| {
            let mut variables = self.places();
            if function.manifest.http() {
                let mode = "var.function_url ? \"RESPONSE_STREAM\" : \"BUFFERED\"".to_owned();
                variables.push(("ISOBAR_LAMBDA_INVOKE_MODE".to_owned(), mode));
            }
            variables.sort();
            let architecture = if self.stack.build.arm64 { "arm64" } else { "x86_64" };
            let values = [
                ("function", function.id),
                ("lambda", &function.name),
                ("end", &function.end),
                ("architecture", architecture),
                ("zip", ZIP),
                ("environment", &aligned(6, &variables)),
            ];
            let mut text = fill(text!("function.tf"), &values);
            if function.manifest.schedules().next().is_some() {
                text += &fill(text!("function_schedule.tf"), &[("function", function.id)]);
            }
            text
        };
        self.functions.iter().map(of).collect()
    }

    fn roles(&self) -> Result<String, Failure> {
        let mut text = String::new();
        for function in self.functions {
            let permissions = self.stack.deployed.permissions(&function.manifest)?;
            let statements: Vec<_> = permissions
                .iter()
                .filter(|permission| permission.holder == "the app")
                .map(|permission| self.statement(permission, function))
                .collect();
            let statements = statements.concat();
            let values = [("function", function.id), ("lambda", &function.name), ("statements", statements.trim_end())];
            text += &fill(text!("role.tf"), &values);
        }
        Ok(text)
    }

    fn statement(&self, permission: &Permission, function: &Group) -> String {
        let actions: Vec<_> = permission.grants.iter().map(|action| quoted(action)).collect();
        let resource = self.arn(permission, function);
        let values = [("purpose", &*permission.purpose), ("actions", &actions.join(", ")), ("resource", &resource)];
        fill(text!("statement.tf"), &values)
    }

    /// The ARN of what a permission is for: that of a resource of the stage, or of one that is made elsewhere.
    fn arn(&self, permission: &Permission, function: &Group) -> String {
        let name = &permission.on.name;
        let own = name.strip_prefix(&self.stack.prefix);
        let id = own.map(identifier).unwrap_or_default();
        let bucket = |end: &str| match self.stack.made(ResourceKind::Bucket).find(|bucket| own == Some(bucket)) {
            Some(_) if end.is_empty() => format!("aws_s3_bucket.{id}.arn"),
            Some(_) => format!("\"${{aws_s3_bucket.{id}.arn}}{end}\""),
            None => format!("\"arn:${{local.partition}}:s3:::{name}{end}\""),
        };
        let of_service = |service: &str, rest: String| {
            format!("\"arn:${{local.partition}}:{service}:${{var.region}}:${{local.account}}:{rest}\"")
        };
        let is_made = |kind: ResourceKind, suffix: &str| {
            self.stack.made(kind).any(|made| own.is_some_and(|own| own.strip_suffix(suffix).unwrap_or(own) == made))
        };
        let prefixed = own.map_or_else(|| name.clone(), |own| format!("${{local.prefix}}{own}"));
        match permission.on.service {
            "DynamoDB table" if is_made(ResourceKind::Table, "") => format!("aws_dynamodb_table.{id}.arn"),
            "DynamoDB table" => of_service("dynamodb", format!("table/{name}")),
            "stream of the table" => format!("aws_dynamodb_table.{id}.stream_arn"),
            "S3 bucket" => bucket(""),
            "S3 objects" => bucket("/*"),
            "SNS topic" if is_made(ResourceKind::Topic, ".fifo") => format!("aws_sns_topic.{id}.arn"),
            "SNS topic" => of_service("sns", name.clone()),
            "SQS queue" => format!("aws_sqs_queue.{id}.arn"),
            "log group" => format!("\"${{aws_cloudwatch_log_group.{}.arn}}:*\"", function.id),
            "Parameter Store parameter" => of_service("ssm", format!("parameter/{prefixed}")),
            // Secrets Manager adds six characters to each name.
            "Secrets Manager secret" => of_service("secretsmanager", format!("secret:{prefixed}-??????")),
            _ => quoted(name),
        }
    }

    fn http(&self) -> String {
        if !self.stack.manifest.http() {
            return String::new();
        }
        let function = self.of(Manifest::http);
        fill(text!("http.tf"), &[("function", function.id), ("lambda", &function.name)])
    }

    fn tables(&self) -> String {
        let table = |name: &str| {
            let (id, has_writes) = (identifier(name), self.queued(ResourceKind::Table, name).next().is_some());
            let stream = if has_writes { text!("table_stream.tf") } else { "" };
            let values = [("id", id.as_str()), ("name", name), ("stream", stream)];
            let mut text = fill(text!("table.tf"), &values);
            if has_writes {
                let function = self.of(|part| part.queues().any(|(queue, _)| queue.kind() == ResourceKind::Table));
                text += &fill(text!("writes.tf"), &[("id", &id), ("name", name), ("function", function.id)]);
            }
            text
        };
        self.stack.made(ResourceKind::Table).map(table).collect()
    }

    fn buckets(&self) -> String {
        self.stack.made(ResourceKind::Bucket).map(|name| self.bucket(name)).collect()
    }

    fn bucket(&self, name: &str) -> String {
        let id = identifier(name);
        let bucket = self.stack.bucket(name, "local.account", 12);
        let mut text = fill(text!("bucket.tf"), &[("id", &id), ("bucket", &bucket)]);
        let queues: Vec<_> = self.queued(ResourceKind::Bucket, name).collect();
        let events = identifier(&Derived::Events.of(name));
        let has_topic = queues.iter().any(|queue| !queue.is_default());
        let (kind, arn, destination, depends) = match (queues.is_empty(), has_topic) {
            (true, _) => return text,
            (_, false) => ("queue", "queue_arn", format!("aws_sqs_queue.{events}.arn"), String::new()),
            (_, true) => {
                let depends = format!(
                    "\n  # S3 sends a test message when the notification is made.\n  depends_on = [aws_sns_topic_policy.{events}]\n"
                );
                ("topic", "topic_arn", format!("aws_sns_topic.{events}.arn"), depends)
            }
        };
        let values = [
            ("id", id.as_str()),
            ("kind", kind),
            ("arn", arn),
            ("destination", &destination),
            ("space", &" ".repeat(arn.len() - "events".len())),
            ("depends", &depends),
        ];
        text += &fill(text!("notification.tf"), &values);
        if has_topic {
            let values = [("id", events.as_str()), ("name", &Derived::Events.of(name)), ("bucket", &id)];
            text += &fill(text!("events_topic.tf"), &values);
        }
        text
    }

    fn topics(&self) -> String {
        let topic = |name: &str| fill(text!("topic.tf"), &[("id", &identifier(name)), ("name", name)]);
        self.stack.made(ResourceKind::Topic).map(topic).collect()
    }

    /// The queues of the triggers of a source.
    fn queued<'a>(&'a self, kind: ResourceKind, source: &'a str) -> impl Iterator<Item = EventQueue> + 'a {
        let queues = self.stack.manifest.queues().map(|(queue, _)| queue);
        queues.filter(move |queue| queue.kind() == kind && queue.source() == source)
    }

    fn all_queues(&self) -> Result<Vec<Queue>, Failure> {
        let of = |(queue, name): (EventQueue, String)| {
            let is_topic = queue.kind() == ResourceKind::Topic;
            let ordered = is_topic.then(|| Queue { queue: queue.clone(), name: name.clone(), fifo: true });
            std::iter::once(Queue { queue, name, fifo: false }).chain(ordered)
        };
        Ok(self.stack.queues()?.into_iter().flat_map(of).collect())
    }

    fn queues(&self) -> Result<String, Failure> {
        Ok(self.all_queues()?.iter().map(|queue| self.queue(queue)).collect())
    }

    fn queue(&self, queue: &Queue) -> String {
        let (name, dead_name) = (queue.name(), queue.dead());
        let (id, dead) = (identifier(&name), identifier(&dead_name));
        let function = self.of(|part| part.queues().any(|(other, _)| other == queue.queue));
        let source = self.source(queue);
        let policy = source.as_ref().map(|(service, arn)| {
            // The ARN of a bucket has no account.
            let condition = match *service {
                "s3.amazonaws.com" => text!("condition_bucket.tf"),
                _ => text!("condition.tf"),
            };
            let condition = fill(condition, &[("source", arn)]);
            let values = [("name", name.as_str()), ("service", *service), ("condition", &condition)];
            fill(text!("queue_policy.tf"), &values)
        });
        let values = [
            ("id", id.as_str()),
            ("dead", &dead),
            ("name", &name),
            ("dead_name", &dead_name),
            ("fifo", if queue.fifo { "  fifo_queue                = true\n" } else { "" }),
            ("policy", policy.as_deref().unwrap_or_default()),
            ("end", &function.end),
            ("function", function.id),
            // A failing message of a FIFO queue would cost later ones an attempt.
            ("batch", if queue.fifo { "1" } else { "10" }),
        ];
        let mut text = fill(text!("queue.tf"), &values);
        if let Some((_, topic)) = source.filter(|(service, _)| *service == "sns.amazonaws.com") {
            let topic = topic.trim_start_matches("aws_sns_topic.").trim_end_matches(".arn");
            text += &fill(text!("subscription.tf"), &[("id", &id), ("topic", topic)]);
        }
        text
    }

    /// The service that sends to a queue, and the ARN of its source; `None` where the app itself sends.
    fn source(&self, queue: &Queue) -> Option<(&'static str, String)> {
        let source = queue.queue.source();
        match queue.queue.kind() {
            ResourceKind::Table => None,
            ResourceKind::Bucket => {
                let has_topic = self.queued(ResourceKind::Bucket, source).any(|queue| !queue.is_default());
                Some(match has_topic {
                    true => {
                        ("sns.amazonaws.com", format!("aws_sns_topic.{}.arn", identifier(&Derived::Events.of(source))))
                    }
                    false => ("s3.amazonaws.com", format!("aws_s3_bucket.{}.arn", identifier(source))),
                })
            }
            _ => Some((
                "sns.amazonaws.com",
                format!("aws_sns_topic.{}.arn", identifier(&format!("{source}{}", queue.end()))),
            )),
        }
    }

    fn alarms(&self) -> Result<String, Failure> {
        let queues = self.all_queues()?;
        let names: Vec<_> =
            queues.iter().map(|queue| format!("    aws_sqs_queue.{}.name,", identifier(&queue.dead()))).collect();
        Ok(match names.is_empty() {
            true => String::new(),
            false => fill(text!("alarms.tf"), &[("queues", &names.join("\n"))]),
        })
    }

    fn schedules(&self) -> Result<String, Failure> {
        let mut text = String::new();
        let function = self.of(|part| part.schedules().next().is_some());
        for schedule in self.stack.manifest.schedules() {
            if text.is_empty() {
                text += &fill(text!("schedule_role.tf"), &[("function", function.id)]);
            }
            let expression = isobar::aws::schedule_expression(&schedule.cron)?;
            let values = [
                ("id", identifier(&schedule.name)),
                ("name", schedule.name.clone()),
                ("expression", expression),
                ("function", function.id.to_owned()),
            ];
            let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
            text += &fill(text!("schedule.tf"), &values);
        }
        Ok(text)
    }

    fn outputs(&self) -> String {
        let functions: Vec<_> = self
            .functions
            .iter()
            .map(|function| format!("{} = aws_lambda_function.{}.function_name", function.id, function.id))
            .collect();
        let groups: Vec<_> =
            self.functions.iter().map(|function| format!("aws_cloudwatch_log_group.{}.name", function.id)).collect();
        let values = [("functions", functions.join(", ")), ("log_groups", groups.join(", "))];
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut variables = self.places();
        variables.push(("AWS_REGION".to_owned(), "var.region".to_owned()));
        let text = fill(text!("outputs.tf"), &values) + &data_output(variables);
        if self.stack.manifest.http() { text + text!("outputs_http.tf") } else { text }
    }
}

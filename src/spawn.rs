//! Tasks that belong to an invocation.

use isobar_abstraction::driver::in_current_invocation;
use tokio::task::JoinHandle;

/// Starts a task of the current invocation: [`tokio::spawn`] with the deadline, the trace and the log span of the handler.
///
/// A task of `tokio::spawn` has none of them: its calls to services do not end at the deadline, its messages begin a new
/// trace, and its log lines do not contain the invocation.
///
/// Await the task in the handler: a platform may stop or freeze the process after the handler has returned. Panics outside
/// of a tokio runtime; every host runs in one.
///
/// ```
/// # use isobar::prelude::*;
/// async fn both(visits: Table<u64>, pages: Bucket) -> Result<()> {
///     let counted = isobar::spawn(async move { visits.add("all", 1).await });
///     pages.put("seen", "yes").await?;
///     counted.await.map_err(|panic| Error::internal("the task panicked").with_source(panic))??;
///     Ok(())
/// }
/// ```
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(in_current_invocation(future))
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::time::SystemTime;

    use isobar_abstraction::driver::current_deadline;
    use isobar_abstraction::pub_sub::Message;
    use isobar_abstraction::{App, Cloud, Context, Error, Result, TestClient};
    use isobar_testkit::Log;

    use super::*;

    type Task = Pin<Box<dyn Future<Output = Result<Option<SystemTime>>> + Send>>;
    type Spawn = fn(Task) -> JoinHandle<Result<Option<SystemTime>>>;

    /// `start` returns whether its task has the deadline; `traced` stores whether the message of the task has the trace.
    fn app(cloud: &Cloud, spawn: Spawn) -> App {
        let (notes, traced) = (cloud.topic::<String>("notes"), cloud.table::<bool>("traced"));
        let publisher = notes.clone();
        let start = move |(): (), cx: Context| {
            let publisher = publisher.clone();
            async move {
                let trace = cx.trace_parent().trace_id().to_string();
                let task = async move {
                    tracing::info!("in the task");
                    publisher.publish(trace).await.map(|_| current_deadline())
                };
                let deadline = spawn(Box::pin(task)).await.unwrap()?;
                Ok::<_, Error>(deadline.is_some() && deadline == cx.deadline())
            }
        };
        let check = move |note: Message<String>, _| {
            let traced = traced.clone();
            async move {
                let trace = note.trace_parent.map(|parent| parent.trace_id().to_string());
                traced.put("note", &(trace == Some(note.body))).await.map(drop)
            }
        };
        App::new("tasks").on_message(&notes, check).on_invoke("start", start)
    }

    #[tokio::test]
    async fn a_task_has_the_deadline_the_trace_and_the_span_of_its_invocation_and_a_task_of_tokio_has_none() {
        for (spawn, carried) in [(spawn::<Task> as Spawn, true), (tokio::spawn::<Task>, false)] {
            let (log, client) = (Log::start(), TestClient::new(|cloud: &Cloud| app(cloud, spawn)).unwrap());
            assert_eq!(client.invoke::<bool>("start", &()).await.unwrap(), carried);
            let line = log.lines().into_iter().find(|line| line.ends_with("in the task")).unwrap();
            assert_eq!(line.contains("invocation="), carried, "{line}");
            assert_eq!(client.deliver_all().await.unwrap().acked, 1);
            let traced = client.cloud().table::<bool>("traced").get("note").await.unwrap();
            assert_eq!(traced, Some(carried));
        }
    }
}
